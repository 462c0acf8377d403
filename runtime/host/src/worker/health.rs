//! Whether a worker is well: for probes of supervisors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use stepbox_batch::clock::Clock;

use super::{Shared, Stage};
use crate::job_lifecycle::LEASE_MS;

/// How long running components may not have been asked whether they must end, in milliseconds.
const TICK_MS_MAX: u64 = 5_000;

/// When a worker was last seen to work, in ticks of its clock.
#[derive(Debug)]
pub(super) struct Pulse {
    /// It came round to look for work.
    turned: AtomicU64,
    /// The store answered.
    heard: AtomicU64,
}

impl Pulse {
    pub(super) fn begin(clock: &dyn Clock) -> Self {
        let now = clock.ticks_us();
        Self { turned: AtomicU64::new(now), heard: AtomicU64::new(now) }
    }

    pub(super) fn turned(&self, clock: &dyn Clock) {
        self.turned.store(clock.ticks_us(), Ordering::Relaxed);
    }

    pub(super) fn heard(&self, clock: &dyn Clock) {
        self.heard.store(clock.ticks_us(), Ordering::Relaxed);
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
    /// How long ago it came round to look for work, in milliseconds.
    pub ms_since_turn: u64,
    /// How long ago the store answered it, in milliseconds.
    pub ms_since_store: u64,
    /// How long ago running components were asked whether they must end, in milliseconds.
    pub ms_since_tick: u64,
    /// By how many milliseconds the clock of its machine is ahead of the store's; negative if it is behind. `None` if
    /// the embedder gave another clock. That alone is no problem: nothing goes by that clock.
    pub clock_skew_ms: Option<i64>,
    /// Why it should be begun anew; empty while all is well.
    pub problems: Vec<WorkerProblem>,
}

/// Why a worker is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerProblem {
    /// It no longer looks for work.
    LoopStuck,
    /// The store does not answer, so that its leases are over.
    StoreSilent,
    /// Components are not asked whether they must end, so that no time limit holds.
    SandboxStuck,
}

impl WorkerProblem {
    /// What it is, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoopStuck => "it no longer looks for work",
            Self::StoreSilent => "the store does not answer",
            Self::SandboxStuck => "components are not asked whether they must end",
        }
    }
}

impl WorkerHealth {
    /// Whether there is nothing to mend.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// A worker that looks for work comes round twice a second and hears from the store once; after the time
    /// of a lease, what it runs is no longer its own.
    fn judge(mut self, lease_ms: u64) -> Self {
        let silent_ms_max = lease_ms.max(LEASE_MS);
        let looks = self.stage == Stage::Working;
        let problems = [
            (looks && self.ms_since_turn >= silent_ms_max, WorkerProblem::LoopStuck),
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
        let now = shared.installation.clock.ticks_us();
        let ms_since = |tick: &AtomicU64| now.saturating_sub(tick.load(Ordering::Relaxed)) / 1000;
        let health = WorkerHealth {
            worker: shared.installation.worker.clone(),
            stage: shared.stage(),
            running: shared.running().len(),
            ms_since_turn: ms_since(&shared.pulse.turned),
            ms_since_store: ms_since(&shared.pulse.heard),
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
        let rows: [(Stage, [u64; 3], &[WorkerProblem]); 7] = [
            (Stage::Working, [0, 0, 0], &[]),
            (Stage::Working, [14_999, 14_999, 4_999], &[]),
            (Stage::Working, [15_000, 0, 0], &[LoopStuck]),
            (Stage::Working, [0, 15_000, 0], &[StoreSilent]),
            (Stage::Working, [0, 0, 5_000], &[SandboxStuck]),
            (Stage::Working, [60_000, 60_000, 60_000], &[LoopStuck, StoreSilent, SandboxStuck]),
            // One that ends looks for no more work, and is not to be killed for that.
            (Stage::Finishing, [60_000, 0, 0], &[]),
        ];
        for (stage, [ms_since_turn, ms_since_store, ms_since_tick], expected) in rows {
            let (worker, problems) = ("worker".to_owned(), Vec::new());
            let health = WorkerHealth {
                worker,
                stage,
                running: 0,
                ms_since_turn,
                ms_since_store,
                ms_since_tick,
                clock_skew_ms: None,
                problems,
            };
            let health = health.judge(1_000);
            assert_eq!(health.problems, expected, "{health:?}");
            assert_eq!(health.is_well(), expected.is_empty());
        }
    }
}
