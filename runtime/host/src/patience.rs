//! How long a run waits for a step's elements.
//!
//! A component is ended by its sandbox. A native element, from Stepbox or from an embedder, works on a thread
//! that cannot be ended. It may wait for a bucket that sends one byte a minute, or never return. Such a
//! thread is left behind: the step ends, and a gate is closed, so that the thread can no longer change
//! anything.

use std::sync::Arc;

use stepbox_batch::clock::Clock;
use stepbox_batch::element::TIME_LIMIT_CODE;
use stepbox_batch::error::{ElementError, StepError};
use stepbox_batch::gate::Gate;
use stepbox_batch::item_step::StepOutcome;
use stepbox_batch::step_context::StepContext;

use crate::timing::STOP_CHECK_MS;

/// How much longer native elements may take than components, in milliseconds. If the sandbox ends a component
/// first, its message says more.
const LATER_MS: u64 = 600;

/// Decides how long a run waits for a step's elements.
pub(crate) struct Patience {
    clock: Arc<dyn Clock>,
    /// The step as the run sees it.
    context: StepContext,
    gate: Gate,
    limits: PatienceLimits,
}

/// How long elements may keep the run waiting, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatienceLimits {
    /// After a request to stop or to pause.
    pub(crate) grace_ms: u64,
    /// In one call without progress; `None` sets no limit.
    pub(crate) time_ms_max: Option<u64>,
}

/// Why elements were left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeftBehind {
    /// The elements did not end after a request to end.
    Asked {
        /// How long they had, in milliseconds.
        grace_ms: u64,
        /// The element whose call did not return.
        who: Option<Arc<str>>,
    },
    /// The elements did not return from a call.
    TimeLimit {
        /// The maximum time of a call, in milliseconds.
        time_ms_max: u64,
        /// The element whose call did not return.
        who: Option<Arc<str>>,
    },
}

impl Patience {
    pub(crate) fn new(clock: Arc<dyn Clock>, context: &StepContext, limits: PatienceLimits) -> Self {
        Self { clock, context: context.clone(), gate: Gate::default(), limits }
    }

    /// The step as its elements see it.
    pub(crate) fn for_elements(&self) -> StepContext {
        self.context.behind(&self.gate)
    }

    /// Waits for the work of elements, as long as they may take. A save that is in progress at the end of
    /// that time is completed.
    pub(crate) async fn outlast<T>(&self, work: impl Future<Output = T>) -> Result<T, LeftBehind> {
        let mut work = std::pin::pin!(work);
        let mut watch = ElementWatch::begin(self.now_ms(), self.gate.moves());
        let left = loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = self.clock.sleep_ms(STOP_CHECK_MS) => {}
            }
            if let Some(left) = watch.look(self.now_ms(), self.is_to_end(), &self.gate, self.limits) {
                break left;
            }
        };
        // The work continues in the meantime, because it may contain the save.
        tokio::select! {
            biased;
            () = self.gate.close() => Err(left),
            done = &mut work => Ok(done),
        }
    }

    /// Whether the elements should end. A step that always runs ignores a stop, but it must pause when its
    /// worker leaves.
    fn is_to_end(&self) -> bool {
        self.context.should_stop() || self.context.run().pause_requested()
    }

    fn now_ms(&self) -> u64 {
        self.clock.ticks_us() / 1000
    }
}

/// The observations of the elements so far.
struct ElementWatch {
    /// When the elements were asked to end; `None` if they were not asked.
    asked_at_ms: Option<u64>,
    moves: u64,
    moved_at_ms: u64,
}

impl ElementWatch {
    fn begin(now_ms: u64, moves: u64) -> Self {
        Self { asked_at_ms: None, moves, moved_at_ms: now_ms }
    }

    /// Whether the elements are left behind now, and why.
    fn look(
        &mut self,
        now_ms: u64,
        is_to_end: bool,
        gate: &Gate,
        limits: PatienceLimits,
    ) -> Option<LeftBehind> {
        let PatienceLimits { grace_ms, time_ms_max } = limits;
        let moves = gate.moves();
        if moves != self.moves {
            (self.moves, self.moved_at_ms) = (moves, now_ms);
        }
        let is_over = |since_ms: u64, max_ms: u64| now_ms.saturating_sub(since_ms) >= max_ms + LATER_MS;
        if is_to_end {
            let asked_at_ms = *self.asked_at_ms.get_or_insert(now_ms);
            if is_over(asked_at_ms, grace_ms) {
                return Some(LeftBehind::Asked { grace_ms, who: gate.waits_for() });
            }
        }
        // If no call is running, it is not the elements that take this time.
        let time_ms_max = time_ms_max.filter(|&max| is_over(self.moved_at_ms, max))?;
        gate.waits_for().map(|who| LeftBehind::TimeLimit { time_ms_max, who: Some(who) })
    }
}

impl LeftBehind {
    /// How the step ends.
    pub(crate) fn outcome(&self) -> Result<StepOutcome, StepError> {
        match self {
            Self::Asked { .. } => Ok(StepOutcome::Stopped),
            Self::TimeLimit { time_ms_max, who } => {
                let message = format!("it ran longer than {time_ms_max} ms in one call, and nothing moved");
                let source = ElementError::failed(TIME_LIMIT_CODE, message).with_help(
                    "find out what it waits for, such as a bucket that does not answer, or raise \
                     `limits.time_ms_max` of this step",
                );
                Err(StepError::element(named(who.as_ref()), "", source))
            }
        }
    }

    /// The message for the log.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Asked { grace_ms, who } => {
                let who = named(who.as_ref());
                format!(
                    "{who} did not end within {grace_ms} ms and is left behind; the last checkpoint counts"
                )
            }
            Self::TimeLimit { who, .. } => {
                format!("{} is left behind; the last checkpoint counts", named(who.as_ref()))
            }
        }
    }
}

fn named(who: Option<&Arc<str>>) -> String {
    who.map_or_else(|| "an element".to_owned(), |who| who.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several looks, one after the other. Each has a time, whether the step should end, and whether there
    /// was progress before it.
    fn check(limits: (u64, Option<u64>), looks: &[(u64, bool, bool)], expected: &str) {
        let gate = Gate::default();
        let _call = gate.call(&Arc::from("reader `slow`"));
        let limits = PatienceLimits { grace_ms: limits.0, time_ms_max: limits.1 };
        let mut watch = ElementWatch::begin(0, gate.moves());
        let mut found = String::new();
        for &(now_ms, is_to_end, has_moved) in looks {
            if has_moved {
                gate.moved();
            }
            if let Some(left) = watch.look(now_ms, is_to_end, &gate, limits) {
                let why = if matches!(left, LeftBehind::Asked { .. }) { "asked" } else { "time" };
                found = format!("{why} at {now_ms}");
                break;
            }
        }
        assert_eq!(found, expected, "{limits:?} {looks:?}");
    }

    #[test]
    fn patience_ends_after_the_grace_or_a_call_that_stands_still() {
        let still = |moments: &[u64]| moments.iter().map(|&at| (at, false, false)).collect::<Vec<_>>();
        let asked = |moments: &[u64]| moments.iter().map(|&at| (at, true, false)).collect::<Vec<_>>();
        check((5000, None), &still(&[100, 1_000_000]), "");
        check((5000, None), &asked(&[100, 5000, 5699, 5700]), "asked at 5700");
        // Progress does not prevent the end after a request.
        check((5000, None), &[(100, true, true), (5700, true, true)], "asked at 5700");
        check((0, None), &asked(&[100, 700]), "asked at 700");
        check((5000, Some(3000)), &still(&[3599, 3600]), "time at 3600");
        check(
            (5000, Some(3000)),
            &[(2000, false, true), (5599, false, false), (5600, false, false)],
            "time at 5600",
        );
        check((5000, Some(3000)), &[(3600, false, true), (7199, false, false)], "");
    }

    #[test]
    fn waiting_for_nobody_is_no_fault_of_the_elements() {
        let (gate, limits) = (Gate::default(), PatienceLimits { grace_ms: 5000, time_ms_max: Some(10) });
        let mut watch = ElementWatch::begin(0, 0);
        assert_eq!(watch.look(1_000_000, false, &gate, limits), None);
        assert!(matches!(watch.look(2_000_000, true, &gate, limits), None));
        assert!(matches!(
            watch.look(2_005_600, true, &gate, limits),
            Some(LeftBehind::Asked { who: None, .. })
        ));
    }
}
