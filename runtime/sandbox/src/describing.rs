//! Starts a component that only says what it knows: without grants and secrets, without a working folder, and without
//! imports that could do any work.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::execution::ExecutionContext;
use stepbox_batch::findings::Findings;
use stepbox_batch::log::NoLog;
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::run_context::{RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;
use stepbox_net::NetworkPolicy;
use wasmtime::component::{Instance as WasmInstance, InstancePre};

use crate::budget::Usage;
use crate::egress::HttpPolicy;
use crate::grants::Grants;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::linker;
use crate::machine::Loaded;
use crate::secrets::StepSecrets;
use crate::setup::ComponentSetup;
use crate::share::Share;
use crate::state::StepState;

/// A component with the imports that it has while it describes something.
pub(crate) fn linked(loaded: &Loaded) -> wasmtime::Result<InstancePre<StepState>> {
    linker::describing(&loaded.machine().engine, loaded.pre().component())
}

/// Starts it in a store of its own.
pub(crate) async fn start(
    loaded: &Loaded,
    linked: &InstancePre<StepState>,
    limits: Limits,
    share: Share,
) -> Result<(Instance, WasmInstance), ElementError> {
    let setup = ComponentSetup {
        grants: Grants::none(),
        network: NetworkPolicy::default(),
        http: HttpPolicy::default(),
        secrets: StepSecrets::default(),
        limits,
        share,
        usage: Usage::default(),
        options: None,
        work: PathBuf::new(),
    };
    Instance::start_with(loaded.machine(), linked, &setup, Grants::none(), &nowhere())
        .await
        .map_err(failure_of)
}

/// The failure that ended a call. No stop request reaches such calls.
pub(crate) fn failure_of(halt: Halt) -> ElementError {
    match halt {
        Halt::Failed(failure) => failure,
        Halt::Stopped => ElementError::failed("step-trapped", halt.to_string()),
    }
}

/// A step outside of any run: its parameters are empty, and its log is dropped.
fn nowhere() -> StepContext {
    let info = RunInfo { id: JobExecutionId(0), job_label: String::new(), started_at: Timestamp(0) };
    let run = RunContext::new(info, json!({}), ExecutionContext::default(), Arc::new(NoLog));
    let step = StepName::new("describe").expect("a word");
    StepContext::new(run, step, false, Findings::default())
}
