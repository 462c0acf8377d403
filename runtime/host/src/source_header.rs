//! The columns of a job's source, for a form: found by the job's own reader in the beginning of the source.

use std::time::Duration;

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::element::{Opening, Role};
use stepbox_batch::execution::ExecutionContext;
use stepbox_batch::findings::Findings;
use stepbox_batch::form_answer::SOURCE_BYTES_MAX;
use stepbox_batch::job::{Element, ElementSource, Job, StepKind};
use stepbox_batch::log::NoLog;
use stepbox_batch::name::{JobExecutionId, StepName, TenantId};
use stepbox_batch::run_context::{RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;
use stepbox_batch::template::{self, Values};
use stepbox_batch::thread::on_own_thread;
use stepbox_connectors::{Cancellation, ElementSetup};
use tokio::time::timeout;

use crate::installation::Installation;
use crate::policy::Policy;
use crate::step_elements::expand;

/// How long a disk or a bucket may take.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The columns of the source that a parameter names; `None` if they cannot be found.
///
/// Only readers of Stepbox are asked: they open nothing but this source, within the policy, and read no more than its
/// beginning. A reader that is a component, or an embedder's, could do other work. `held` is dropped when the reader has
/// let go of its thread, however late that is.
pub(crate) async fn columns(
    installation: &Installation,
    policy: &Policy,
    tenant: &TenantId,
    job: &Job,
    source: &str,
    parameters: &Value,
    held: impl Send + 'static,
) -> Option<Vec<String>> {
    let (name, element) = reader_of(job, source)?;
    if installation.native.is_embedders(Role::Reader, name) {
        return None;
    }
    let uploads = installation.uploads_of(tenant);
    let reach = policy.reach(&installation.wall).with_uploads(uploads);
    let context = nowhere();
    let setup = ElementSetup {
        options: expand(element, Values::of(parameters), true).ok()?,
        reach: reach.with_beginnings_only(SOURCE_BYTES_MAX),
        tenant: tenant.clone(),
        clock: installation.clock.clone(),
        cancellation: Cancellation::of(&context),
    };
    let mut reader = installation.native.reader(name, &setup).ok()?;
    let opened = on_own_thread(async move {
        let _held = held;
        let opening = Opening { header: &[], state: None, context: &context, fragment: None };
        reader.open(opening).await
    });
    timeout(WAIT_MAX, opened).await.ok()?.ok()?.ok()
}

/// The first native reader whose options name the parameter.
fn reader_of<'a>(job: &'a Job, source: &str) -> Option<(&'a str, &'a Element)> {
    job.steps.iter().find_map(|step| {
        let StepKind::Item { reader, .. } = &step.kind else { return None };
        let ElementSource::Native(name) = &reader.source else { return None };
        let names = template::names(reader.options.as_ref()?).ok()?;
        names.parameters.iter().any(|parameter| parameter == source).then_some((name.as_str(), reader))
    })
}

/// A step outside of any run: its parameters are empty, and its log is dropped.
fn nowhere() -> StepContext {
    let info = RunInfo { id: JobExecutionId(0), job_label: String::new(), started_at: Timestamp(0) };
    let none = Value::Object(serde_json::Map::new());
    let run = RunContext::new(info, none, ExecutionContext::default(), std::sync::Arc::new(NoLog));
    StepContext::new(run, StepName::new("form").expect("a word"), false, Findings::default())
}
