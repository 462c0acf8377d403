//! Whether a worker is well: for probes of supervisors.

use std::sync::Arc;

use serde::Serialize;

use super::pulse::silent_ms_max;
use super::shared::{Shared, Stage};

/// How long running components may not have been asked whether they must end, in milliseconds.
const TICK_MS_MAX: u64 = 5_000;

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
    /// How long ago its loop turned, in milliseconds. The loop turns twice a second, however long it has to wait for
    /// anything.
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
    /// Its loop no longer turns.
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

    /// The loop of a worker turns twice a second, and hears from the store once. After the time of a lease, the
    /// executions that the worker runs are no longer its own.
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
    /// How the worker is at this moment. Asks no other process, so that it answers at once.
    pub fn health(&self) -> WorkerHealth {
        let Self(shared) = self;
        let health = WorkerHealth {
            worker: shared.name().to_owned(),
            stage: shared.stage(),
            running: shared.running().len(),
            concurrency: shared.options.slots(),
            ms_since_turn: shared.pulse.ms_since_turn(),
            ms_since_store: shared.pulse.ms_since_store(),
            ms_since_tick: shared.installation.sandbox.ms_since_tick(),
            clock_skew_ms: shared.installation.clock_skew_ms(),
            problems: Vec::new(),
        };
        health.judge(shared.installation.lease_ms)
    }
}

impl std::fmt::Debug for WorkerProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WorkerProbe").field(&self.0.name()).finish()
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
            // One that ends is well, and takes nothing any more. Its loop turns to the end.
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
