//! Helpers for the engine's own tests: a clock that tests advance and a journal in memory.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::execution::lease::Lease;
use crate::execution::save::Save;
use crate::execution::{Checkpoint, ExecutionContext, StepExecution, Tracking, Warning};
use crate::findings::Findings;
use crate::flow::Requests;
use crate::log::NoLog;
use crate::name::{JobExecutionId, StepName, TenantId};
use crate::observer::{Observation, Observer};
use crate::ports::error::{RepositoryError, Result};
use crate::ports::journal::ExecutionJournal;
use crate::recorder::Recorder;
use crate::run_context::{RunContext, RunInfo};
use crate::step_context::StepContext;

/// A clock that moves only when a test advances it.
#[derive(Default)]
pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn ticks_us(&self) -> u64 {
        u64::try_from(self.now().0).expect("it does not go back") * 1000
    }

    async fn sleep_ms(&self, ms: u64) {
        self.advance_ms(i64::try_from(ms).expect("a test's sleep is short"));
    }
}

/// The last save, and how many saves there were.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) step: Option<StepExecution>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) context: Option<ExecutionContext>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) saves: usize,
    /// After how many saves the process is killed: later saves do not happen.
    pub(crate) dies_after: Option<usize>,
    /// Whether saves fail now.
    pub(crate) is_refused: bool,
    /// After how many saves another worker has the execution.
    pub(crate) is_lost_after: Option<usize>,
    /// How often the engine asked whether the execution should stop, and after how many questions another worker
    /// has it.
    pub(crate) asked: usize,
    pub(crate) is_lost_after_asking: Option<usize>,
}

/// Keeps the last save.
#[derive(Default)]
pub(crate) struct MemoryJournal(pub(crate) Mutex<Saved>);

#[async_trait]
impl ExecutionJournal for MemoryJournal {
    async fn heartbeat(&self, _: &Lease, _: Timestamp, _: u64) -> Result<Requests> {
        Ok(Requests::default())
    }

    async fn requests(&self, lease: &Lease) -> Result<Requests> {
        let mut saved = self.0.lock().unwrap();
        saved.asked += 1;
        match (saved.is_lost_after, saved.is_lost_after_asking) {
            (Some(saves), _) if saved.saves >= saves => Err(RepositoryError::LeaseLost { id: lease.id }),
            (_, Some(asked)) if saved.asked > asked => Err(RepositoryError::LeaseLost { id: lease.id }),
            _ => Ok(Requests::default()),
        }
    }

    async fn save(&self, _: &Lease, save: Save<'_>) -> Result<()> {
        let mut saved = self.0.lock().unwrap();
        if saved.is_refused || saved.dies_after.is_some_and(|saves| saved.saves >= saves) {
            return Err(RepositoryError::Busy { detail: String::new() });
        }
        saved.step = save.step.cloned().or(saved.step.take());
        saved.checkpoint = save.checkpoint.cloned().or(saved.checkpoint.take());
        saved.context = save.context.cloned().or(saved.context.take());
        saved.warnings.extend_from_slice(save.warnings);
        saved.saves += 1;
        Ok(())
    }

    async fn save_tracking(&self, _: &Lease, _: u32, _: Tracking, _: Timestamp) -> Result<()> {
        Ok(())
    }
}

/// Keeps all observations.
#[derive(Default)]
pub(crate) struct MemoryObserver(pub(crate) Mutex<Vec<Observation>>);

impl Observer for MemoryObserver {
    fn observe(&self, observation: Observation) {
        self.0.lock().unwrap().push(observation);
    }
}

/// A run of one step and everything that it needs.
pub(crate) struct Bench {
    pub(crate) observer: Arc<MemoryObserver>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) recorder: Recorder,
    pub(crate) context: StepContext,
}

impl Bench {
    pub(crate) fn new(has_items: bool) -> Self {
        Self::with(has_items, Findings::default(), ExecutionContext::default())
    }

    /// For another run of a tasklet that ended early.
    pub(crate) fn going_on(context: ExecutionContext) -> Self {
        Self::with(false, Findings::default(), context)
    }

    /// For another run of an item step that ended early.
    pub(crate) fn resumed(step: &StepExecution) -> Self {
        let (summary, warning_count) = (step.summary.clone(), step.warning_count);
        let findings = Findings { summary, warning_count, ..Findings::default() };
        Self::with(true, findings, ExecutionContext::default())
    }

    fn with(has_items: bool, findings: Findings, context: ExecutionContext) -> Self {
        let (clock, journal) = (Arc::new(FakeClock::default()), Arc::new(MemoryJournal::default()));
        let lease = Lease { tenant: TenantId::default(), id: JobExecutionId(1), token: 1 };
        let info = RunInfo { id: lease.id, job_label: "Job".to_owned(), started_at: Timestamp(0) };
        let run = RunContext::new(info, serde_json::json!({}), context, Arc::new(NoLog));
        let name = StepName::new("step").expect("a good name");
        let context = StepContext::new(run, name, has_items, findings);
        let observer = Arc::<MemoryObserver>::default();
        let recorder =
            Recorder { journal: journal.clone(), lease, clock: clock.clone(), observer: observer.clone() };
        Self { observer, clock, journal, recorder, context }
    }
}
