//! The health of a worker, for the probes of supervisors.

use std::sync::Arc;

use serde::Serialize;

use super::pulse::silent_ms_max;
use super::shared::{Shared, Stage};

/// The maximum time since the last check whether running components must end, in milliseconds.
const TICK_MS_MAX: u64 = 5_000;

/// Reports the health of a worker.
///
/// A clone is cheap.
#[derive(Clone)]
pub struct WorkerProbe(pub(super) Arc<Shared>);

/// The health of a worker at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerHealth {
    /// The name of the worker.
    pub worker: String,
    /// The stage of its shutdown.
    ///
    /// The stage alone is no problem.
    pub stage: Stage,
    /// How many executions it runs.
    pub running: usize,
    /// The maximum number of executions that it runs.
    ///
    /// Reaching it is no problem.
    pub concurrency: usize,
    /// How long ago its loop turned, in milliseconds.
    ///
    /// The loop turns twice a second, however long it waits for other things.
    pub ms_since_turn: u64,
    /// How long ago the store answered it, in milliseconds, or how long a question has been without an
    /// answer.
    pub ms_since_store: u64,
    /// The time since the sandbox last checked whether running components must end, in milliseconds.
    pub ms_since_tick: u64,
    /// By how many milliseconds the clock of its machine is ahead of the store's clock; negative if it is
    /// behind.
    ///
    /// `None` if the embedder gave another clock. The difference alone is no problem, because Stepbox does
    /// not use that clock.
    pub clock_skew_ms: Option<i64>,
    /// The problems of the worker; empty if all is well.
    pub problems: Vec<WorkerProblem>,
}

/// Why a worker is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerProblem {
    /// Its loop no longer turns.
    LoopStuck,
    /// The store does not answer, so its leases are over.
    StoreSilent,
    /// The sandbox does not check whether components must end, so no time limit works.
    SandboxStuck,
}

impl WorkerProblem {
    /// The code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LoopStuck => "loop-stuck",
            Self::StoreSilent => "store-silent",
            Self::SandboxStuck => "sandbox-stuck",
        }
    }

    /// The text for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoopStuck => "it no longer looks for work",
            Self::StoreSilent => "the store does not answer",
            Self::SandboxStuck => "components are not asked whether they must end",
        }
    }

    /// Whether a new process would solve the problem.
    ///
    /// A problem of the store stays, because a new process has the same store.
    pub const fn is_of_the_process(self) -> bool {
        match self {
            Self::LoopStuck | Self::SandboxStuck => true,
            Self::StoreSilent => false,
        }
    }
}

impl WorkerHealth {
    /// Whether there are no problems.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the process works.
    ///
    /// If not, restart it. This says nothing about the store.
    pub fn is_live(&self) -> bool {
        !self.problems.iter().any(|problem| problem.is_of_the_process())
    }

    /// Whether it takes executions when places become free: it is well, and is not shutting down.
    ///
    /// A worker without a free place is also ready, because nothing is sent to a worker: it fetches
    /// executions when it has room.
    pub fn is_ready(&self) -> bool {
        self.is_well() && self.stage == Stage::Working
    }

    /// Adds the problems. The loop of a worker turns twice a second, and gets an answer of the store once a
    /// second. After the time of a lease, the executions that the worker runs no longer belong to it.
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
    /// The health of the worker at this moment.
    ///
    /// It asks no other process, so it answers at once.
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
        // The last two columns: whether the worker is live, and whether it is ready.
        let rows: [(Stage, [u64; 3], &[WorkerProblem], bool, bool); 9] = [
            (Stage::Working, [0, 0, 0], &[], true, true),
            (Stage::Working, [14_999, 14_999, 4_999], &[], true, true),
            (Stage::Working, [15_000, 0, 0], &[LoopStuck], false, false),
            // A new process would have the same store.
            (Stage::Working, [0, 15_000, 0], &[StoreSilent], true, false),
            (Stage::Working, [0, 0, 5_000], &[SandboxStuck], false, false),
            (Stage::Working, [60_000, 60_000, 60_000], &[LoopStuck, StoreSilent, SandboxStuck], false, false),
            // A worker that is shutting down is well, and takes no new executions. Its loop turns until the
            // end.
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
