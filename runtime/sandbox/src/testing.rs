//! What the unit tests of this crate share.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::ExecutionContext;
use stepbox_batch::log::{ExecutionLog, LogLevel};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::step_context::{Findings, RunContext, RunInfo, StepContext};

/// A log that can be read again.
#[derive(Debug, Default)]
pub(crate) struct RecordedLog(Mutex<Vec<String>>);

impl RecordedLog {
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl ExecutionLog for RecordedLog {
    fn log(&self, level: LogLevel, _: Option<&str>, message: &str) {
        self.0.lock().unwrap().push(format!("{level} {message}"));
    }
}

/// A tasklet's step of a run with the parameters `{"greeting":"hello"}`.
pub(crate) fn step_context(log: Arc<dyn ExecutionLog>) -> StepContext {
    step_context_with(json!({ "greeting": "hello" }), log)
}

pub(crate) fn step_context_with(parameters: Value, log: Arc<dyn ExecutionLog>) -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, parameters, ExecutionContext::default(), log);
    StepContext::new(run, StepName::new("step").unwrap(), false, Findings::default())
}
