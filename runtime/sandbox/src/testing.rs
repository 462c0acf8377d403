//! Helpers that the unit tests of this crate share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::ExecutionContext;
use stepbox_batch::findings::Findings;
use stepbox_batch::log::{ExecutionLog, LogLevel, NoLog};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::run_context::{RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;
use stepbox_net::NetworkPolicy;

use crate::budget::{Handles, Usage};
use crate::egress::{HttpPolicy, Outside};
use crate::engine::engine;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::memory::{Account, SharedMemory};
use crate::secrets::StepSecrets;
use crate::setup::ComponentSetup;
use crate::share::{Processors, Share, ShareLimits};
use crate::state::StepState;

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

/// The context of a tasklet's step, in a run with the parameters `{"greeting":"hello"}`.
pub(crate) fn step_context(log: Arc<dyn ExecutionLog>) -> StepContext {
    step_context_with(json!({ "greeting": "hello" }), log)
}

pub(crate) fn step_context_with(parameters: Value, log: Arc<dyn ExecutionLog>) -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, parameters, ExecutionContext::default(), log);
    StepContext::new(run, StepName::new("step").unwrap(), false, Findings::default())
}

/// An account with enough memory for every test.
pub(crate) fn account() -> Account {
    Account::new(u64::MAX, SharedMemory::new(u64::MAX), step_context(Arc::new(NoLog)))
}

/// The state of a component without grants.
pub(crate) fn state(context: &StepContext) -> StepState {
    state_with(context, Grants::none(), Limits::default())
}

pub(crate) fn state_with(context: &StepContext, grants: Grants, limits: Limits) -> StepState {
    let setup = setup(limits);
    StepState::new(context, &setup, Arc::new(grants), Arc::default())
}

/// The same state with a network access of its own.
pub(crate) fn state_of(
    context: &StepContext,
    setup: &ComponentSetup,
    grants: Grants,
    outside: Arc<Outside>,
) -> StepState {
    StepState::new(context, setup, Arc::new(grants), outside)
}

/// A component's setup that opens loopback, for the tests' servers, and grants nothing.
pub(crate) fn setup(limits: Limits) -> ComponentSetup {
    ComponentSetup {
        grants: Grants::none(),
        network: NetworkPolicy { allow_loopback: true, allow_private: false },
        http: HttpPolicy::default(),
        secrets: StepSecrets::default(),
        limits,
        share: share(ShareLimits::default()),
        usage: Usage::default(),
        options: None,
        work: PathBuf::new(),
    }
}

/// The share of a tenant that is alone.
pub(crate) fn share(max: ShareLimits) -> Share {
    let engine = engine(false).expect("the engine's configuration is right");
    Share::new(Processors::new(&engine, 2), &SharedMemory::new(u64::MAX), &Handles::of_process(), max)
}
