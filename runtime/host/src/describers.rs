//! What a tenant's questions about forms share: places, so that few are answered at a time, and the answers that were
//! given lately.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stepbox_batch::form_answer::QUESTIONS_AT_A_TIME;
use stepbox_batch::name::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a question waits for a place. Each of those before it takes half a second of computing at most.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How many answers are kept, and how long they may be together, in bytes: enough for the forms that people have open.
const ANSWERS_MAX: usize = 16;
const ANSWERS_BYTES_MAX: usize = 512 << 10;

/// The places and the kept answers of one tenant.
#[derive(Debug)]
pub(crate) struct Describers {
    places: Arc<Semaphore>,
    /// The answer that was used last is at the end.
    kept: Mutex<VecDeque<Kept>>,
}

/// An answer, as the component wrote it.
#[derive(Debug)]
struct Kept {
    component: Digest,
    /// The digest of the question's text.
    question: Digest,
    answer: Arc<str>,
}

impl Default for Describers {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(QUESTIONS_AT_A_TIME)), kept: Mutex::default() }
    }
}

impl Describers {
    /// Waits a moment for a place. `None` if none becomes free. Dropping the place frees it.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        timeout(WAIT_MAX, self.places.clone().acquire_owned()).await.ok()?.ok()
    }

    /// The answer that a component gave to a question.
    pub(crate) fn answer(&self, component: &Digest, question: &Digest) -> Option<Arc<str>> {
        let mut kept = self.kept();
        let is_it = |kept: &Kept| kept.component == *component && kept.question == *question;
        let found = kept.iter().position(is_it)?;
        let found = kept.remove(found)?;
        let answer = found.answer.clone();
        kept.push_back(found);
        Some(answer)
    }

    /// Keeps an answer, in the place of those that were not used for the longest time.
    pub(crate) fn keep(&self, component: Digest, question: Digest, answer: Arc<str>) {
        let mut kept = self.kept();
        kept.retain(|kept| kept.component != component || kept.question != question);
        kept.push_back(Kept { component, question, answer });
        let bytes = |kept: &VecDeque<Kept>| kept.iter().map(|kept| kept.answer.len()).sum::<usize>();
        while kept.len() > ANSWERS_MAX || bytes(&kept) > ANSWERS_BYTES_MAX {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    #[test]
    fn the_answers_that_were_used_last_are_kept() {
        let describers = Describers::default();
        let answer = |question: u8| describers.answer(&digest(0), &digest(question)).is_some();
        for question in 1..=16 {
            describers.keep(digest(0), digest(question), "{}".into());
        }
        assert!(answer(1), "it is used again");
        describers.keep(digest(0), digest(17), "{}".into());
        assert!(answer(1) && !answer(2) && answer(3) && answer(17));
        assert!(describers.answer(&digest(9), &digest(1)).is_none(), "another component");

        // Long answers push out short ones, and an answer is kept once.
        for question in [20, 21, 21, 22] {
            describers.keep(digest(0), digest(question), "x".repeat(200 << 10).into());
        }
        assert!(!answer(3) && !answer(20) && answer(21) && answer(22));
    }

    #[tokio::test(start_paused = true)]
    async fn a_third_question_waits_for_a_place() {
        let describers = Describers::default();
        let (first, second) = (describers.place().await, describers.place().await);
        assert!(first.is_some() && second.is_some());
        assert!(describers.place().await.is_none(), "two seconds later");
        let (third, ()) = tokio::join!(describers.place(), async { drop(first) });
        assert!(third.is_some());
    }
}
