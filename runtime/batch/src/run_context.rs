//! The values that all steps of a run share: the identity of the run, its parameters, its context, and whether it
//! should stop.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use crate::clock::Timestamp;
use crate::counters::Tally;
use crate::execution::ExecutionContext;
use crate::lock::lock;
use crate::log::{ExecutionLog, LogLevel};
use crate::name::JobExecutionId;
use crate::shared_values::SharedValues;

/// The identity of a run, for names and placeholders.
///
/// A run is one execution, or several that continue one another. All executions of a run use the same names, so
/// each finds the files of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// The first of these executions.
    pub id: JobExecutionId,
    /// The label of its instance: `%job_label%`.
    pub job_label: String,
    /// When the first of them began: `%datetime%`.
    pub started_at: Timestamp,
}

/// Which attempt at a run this is.
///
/// A later attempt is greater, even if it belongs to an execution that restarts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The execution that runs now.
    pub execution: JobExecutionId,
    /// The fencing token of its lease.
    pub token: u64,
}

/// The values that all steps of a run share.
pub struct RunContext {
    /// The identity of the run.
    pub info: RunInfo,
    /// Which attempt at the run this is.
    pub attempt: Attempt,
    /// The effective parameters.
    ///
    /// A JSON object.
    pub parameters: Value,
    /// The parameters as text, made once for the components.
    pub parameters_text: String,
    /// Values shared by the steps.
    values: Mutex<SharedValues>,
    /// Held while the values are saved: each save has all of them.
    saving: tokio::sync::Mutex<()>,
    /// Never reset.
    stop_requested: AtomicBool,
    /// Never reset.
    pause_requested: AtomicBool,
    /// Receives the messages.
    log: Arc<dyn ExecutionLog>,
    /// Counts the limits and refusals that the tenant's steps run into.
    tally: Arc<Tally>,
}

impl RunContext {
    /// A run that begins, or continues, with the given values.
    pub fn new(
        info: RunInfo,
        parameters: Value,
        context: ExecutionContext,
        log: Arc<dyn ExecutionLog>,
    ) -> Arc<Self> {
        let attempt = Attempt { execution: info.id, token: 0 };
        Self::counted(info, attempt, parameters, context, log, Arc::default())
    }

    /// The same run under a lease, for a tenant whose limits and refusals are counted in `tally`.
    pub fn counted(
        info: RunInfo,
        attempt: Attempt,
        parameters: Value,
        context: ExecutionContext,
        log: Arc<dyn ExecutionLog>,
        tally: Arc<Tally>,
    ) -> Arc<Self> {
        let parameters_text = parameters.to_string();
        Arc::new(Self {
            info,
            attempt,
            parameters,
            parameters_text,
            values: Mutex::new(SharedValues::new(context)),
            saving: tokio::sync::Mutex::default(),
            stop_requested: AtomicBool::new(false),
            pause_requested: AtomicBool::new(false),
            log,
            tally,
        })
    }

    /// Requests a stop of every step of this run.
    pub fn request_stop(&self) {
        self.stop_requested.store(true, Ordering::Relaxed);
    }

    /// Requests that every step of this run makes a checkpoint and ends there, to continue later.
    ///
    /// A worker does so before it ends.
    pub fn request_pause(&self) {
        self.pause_requested.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was requested.
    pub fn stop_requested(&self) -> bool {
        self.stop_requested.load(Ordering::Relaxed)
    }

    /// Whether a pause was requested.
    pub fn pause_requested(&self) -> bool {
        self.pause_requested.load(Ordering::Relaxed)
    }

    /// Whether the steps should end, for good or for a pause.
    pub fn should_stop(&self) -> bool {
        self.stop_requested() || self.pause_requested()
    }

    /// Whether the run will be PAUSED after its steps have ended.
    ///
    /// A stop request overrides a pause request.
    pub fn should_pause(&self) -> bool {
        self.pause_requested() && !self.stop_requested()
    }

    /// The shared values as they are now.
    pub fn context(&self) -> ExecutionContext {
        self.values().now().clone()
    }

    pub(crate) fn values(&self) -> MutexGuard<'_, SharedValues> {
        lock(&self.values)
    }

    /// Waits for the turn to save. Two saves at a time would store values of different moments.
    pub(crate) async fn turn_to_save(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.saving.lock().await
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Logs a message about the job.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.log.log(level, None, message);
    }

    /// Logs a message about a step.
    pub(crate) fn log_of_step(&self, level: LogLevel, step: &str, message: &str) {
        self.log.log(level, Some(step), message);
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").field("info", &self.info).finish_non_exhaustive()
    }
}
