//! Whether a worker is well: for probes of supervisors.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use stepbox_batch::clock::Clock;
use stepbox_batch::ports::RepositoryError;
use tokio::time::timeout;

use super::{LOOK_MS, Shared, Stage};
use crate::job_lifecycle::LEASE_MS;

/// How long running components may not have been asked whether they must end, in milliseconds.
const TICK_MS_MAX: u64 = 5_000;

/// How many errors in a row it takes to believe that the store answers with nothing else. The two loops ask some three
/// times in a second.
const FAILURES_MIN: u64 = 10;

/// How long a loop may not have come round, or the store not have answered, in milliseconds.
pub(super) fn silent_ms_max(lease_ms: u64) -> u64 {
    lease_ms.max(LEASE_MS)
}

/// The loops of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Round {
    /// The one that takes executions from the queue.
    Work,
    /// The one that says that the worker lives, and rescues.
    Watch,
}

/// When a worker was last seen to work, in ticks of its clock.
pub(super) struct Pulse {
    clock: Arc<dyn Clock>,
    /// Each loop came round.
    turned: [AtomicU64; 2],
    /// Since when each loop waits for an answer of the store; 0 while it does not.
    asked: [AtomicU64; 2],
    /// The store answered.
    heard: AtomicU64,
    /// How many of its answers since then were errors.
    failed: AtomicU64,
}

impl Pulse {
    pub(super) fn begin(clock: Arc<dyn Clock>) -> Self {
        let now = clock.ticks_us();
        let turned = [now, now].map(AtomicU64::new);
        Self {
            clock,
            turned,
            asked: Default::default(),
            heard: AtomicU64::new(now),
            failed: AtomicU64::new(0),
        }
    }

    /// Waits for something, however long that takes: the loop comes round meanwhile, as long as its task can.
    pub(super) async fn turning<T>(&self, round: Round, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        loop {
            self.turned[round as usize].store(self.clock.ticks_us(), Ordering::Relaxed);
            if let Ok(done) = timeout(Duration::from_millis(LOOK_MS), &mut wait).await {
                return done;
            }
        }
    }

    /// The same for an answer of the store. An error is none.
    pub(super) async fn asking<T>(
        &self,
        round: Round,
        question: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        self.asked[round as usize].store(self.clock.ticks_us().max(1), Ordering::Relaxed);
        let answer = self.turning(round, question).await;
        self.asked[round as usize].store(0, Ordering::Relaxed);
        if answer.is_ok() {
            self.heard.store(self.clock.ticks_us(), Ordering::Relaxed);
            self.failed.store(0, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// How long ago the slower of the loops came round, in milliseconds.
    fn ms_since_turn(&self) -> u64 {
        self.turned.iter().map(|turned| self.ms_since(turned.load(Ordering::Relaxed))).max().unwrap_or(0)
    }

    /// Whether the store has answered with nothing but errors for so long. It has had to be asked, too: a worker that
    /// was suspended has not heard of it either.
    pub(super) fn has_failed_for(&self, ms: u64) -> bool {
        self.failed.load(Ordering::Relaxed) >= FAILURES_MIN && self.ms_since_heard() >= ms
    }

    /// Whether a question has been open for so long.
    pub(super) fn has_waited_for(&self, ms: u64) -> bool {
        let asked = self.asked.iter().map(|asked| asked.load(Ordering::Relaxed));
        asked.filter(|asked| *asked > 0).any(|asked| self.ms_since(asked) >= ms)
    }

    /// How long ago the store answered anything, in milliseconds.
    fn ms_since_heard(&self) -> u64 {
        self.ms_since(self.heard.load(Ordering::Relaxed))
    }

    /// The same, or for how long it has left a question open if that is longer.
    fn ms_since_store(&self) -> u64 {
        let asked = self.asked.iter().map(|asked| asked.load(Ordering::Relaxed));
        let open = asked.filter(|asked| *asked > 0).map(|asked| self.ms_since(asked));
        open.chain([self.ms_since_heard()]).max().unwrap_or(0)
    }

    fn ms_since(&self, tick: u64) -> u64 {
        self.clock.ticks_us().saturating_sub(tick) / 1000
    }
}

/// Tells how a worker is. Cheap to clone.
#[derive(Clone)]
pub struct WorkerProbe(pub(super) Arc<Shared>);

/// How a worker is at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerHealth {
    /// Its name.
    pub worker: String,
    /// How far it is on its way to its end. That alone is no problem.
    pub stage: Stage,
    /// How many executions it runs.
    pub running: usize,
    /// How many it runs at most. As many running is no problem either.
    pub concurrency: usize,
    /// How long ago the slower of its loops came round, in milliseconds: the one that looks for work, and the one that
    /// says that it lives. They come round twice a second whatever they wait for.
    pub ms_since_turn: u64,
    /// How long ago the store answered it, in milliseconds, or for how long it has left a question open.
    pub ms_since_store: u64,
    /// How long ago running components were asked whether they must end, in milliseconds.
    pub ms_since_tick: u64,
    /// By how many milliseconds the clock of its machine is ahead of the store's; negative if it is behind. `None` if
    /// the embedder gave another clock. That alone is no problem: nothing goes by that clock.
    pub clock_skew_ms: Option<i64>,
    /// What is not as it should be; empty while all is well.
    pub problems: Vec<WorkerProblem>,
}

/// Why a worker is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerProblem {
    /// One of its loops no longer comes round.
    LoopStuck,
    /// The store does not answer, so that its leases are over.
    StoreSilent,
    /// Components are not asked whether they must end, so that no time limit holds.
    SandboxStuck,
}

impl WorkerProblem {
    /// As programs read it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LoopStuck => "loop-stuck",
            Self::StoreSilent => "store-silent",
            Self::SandboxStuck => "sandbox-stuck",
        }
    }

    /// What it is, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoopStuck => "it no longer looks for work",
            Self::StoreSilent => "the store does not answer",
            Self::SandboxStuck => "components are not asked whether they must end",
        }
    }

    /// Whether a new process would be rid of it. Another one has the same store.
    pub const fn is_of_the_process(self) -> bool {
        match self {
            Self::LoopStuck | Self::SandboxStuck => true,
            Self::StoreSilent => false,
        }
    }
}

impl WorkerHealth {
    /// Whether there is nothing to mend.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the process works; if not, it should be begun anew. Says nothing of the store.
    pub fn is_live(&self) -> bool {
        !self.problems.iter().any(|problem| problem.is_of_the_process())
    }

    /// Whether it takes executions as places become free: it is well, and not about to end. One whose places are all
    /// taken is ready, since a worker is sent nothing: it fetches what it has room for.
    pub fn is_ready(&self) -> bool {
        self.is_well() && self.stage == Stage::Working
    }

    /// The loops of a worker come round twice a second, and it hears from the store once; after the time of a lease,
    /// what it runs is no longer its own.
    fn judge(mut self, lease_ms: u64) -> Self {
        let silent_ms_max = silent_ms_max(lease_ms);
        let problems = [
            (self.ms_since_turn >= silent_ms_max, WorkerProblem::LoopStuck),
            (self.ms_since_store >= silent_ms_max, WorkerProblem::StoreSilent),
            (self.ms_since_tick >= TICK_MS_MAX, WorkerProblem::SandboxStuck),
        ];
        self.problems =
            problems.into_iter().filter_map(|(is_so, problem)| is_so.then_some(problem)).collect();
        self
    }
}

impl WorkerProbe {
    /// How the worker is at this moment. Asks nobody, so that it answers at once.
    pub fn health(&self) -> WorkerHealth {
        let Self(shared) = self;
        let health = WorkerHealth {
            worker: shared.installation.worker.clone(),
            stage: shared.stage(),
            running: shared.running().len(),
            concurrency: shared.options.concurrency.max(1),
            ms_since_turn: shared.pulse.ms_since_turn(),
            ms_since_store: shared.pulse.ms_since_store(),
            ms_since_tick: shared.stepbox.health().ms_since_tick,
            clock_skew_ms: shared.installation.clock_skew_ms(),
            problems: Vec::new(),
        };
        health.judge(shared.installation.lease_ms)
    }
}

impl std::fmt::Debug for WorkerProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WorkerProbe").field(&self.0.installation.worker).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WorkerProblem::{LoopStuck, SandboxStuck, StoreSilent};

    #[test]
    fn tells_what_is_not_well() {
        // Whether it is live, and ready.
        let rows: [(Stage, [u64; 3], &[WorkerProblem], bool, bool); 9] = [
            (Stage::Working, [0, 0, 0], &[], true, true),
            (Stage::Working, [14_999, 14_999, 4_999], &[], true, true),
            (Stage::Working, [15_000, 0, 0], &[LoopStuck], false, false),
            // A new process would have the same store.
            (Stage::Working, [0, 15_000, 0], &[StoreSilent], true, false),
            (Stage::Working, [0, 0, 5_000], &[SandboxStuck], false, false),
            (Stage::Working, [60_000, 60_000, 60_000], &[LoopStuck, StoreSilent, SandboxStuck], false, false),
            // One that ends is well, and takes nothing any more. Its loops come round to the end.
            (Stage::Finishing, [0, 0, 0], &[], true, false),
            (Stage::Pausing, [0, 0, 0], &[], true, false),
            (Stage::Finishing, [60_000, 0, 0], &[LoopStuck], false, false),
        ];
        for (stage, [ms_since_turn, ms_since_store, ms_since_tick], expected, is_live, is_ready) in rows {
            let (worker, problems) = ("worker".to_owned(), Vec::new());
            let health = WorkerHealth {
                worker,
                stage,
                running: 2,
                concurrency: 2,
                ms_since_turn,
                ms_since_store,
                ms_since_tick,
                clock_skew_ms: None,
                problems,
            };
            let health = health.judge(1_000);
            assert_eq!(health.problems, expected, "{health:?}");
            let found = (health.is_well(), health.is_live(), health.is_ready());
            assert_eq!(found, (expected.is_empty(), is_live, is_ready), "{health:?}");
            for problem in expected {
                assert_eq!(serde_json::to_value(problem).unwrap(), problem.code());
            }
        }
    }
}
