//! What the pages of job profiles look up beside the profile.

use stepbox::Tenant;
use stepbox::batch::access::{Right, Thing};
use stepbox::batch::execution::{ExecutionFilter, ExecutionSummary};
use stepbox::batch::instance_form::FormRights;
use stepbox::batch::job::{ElementSource, Job, JobInstance, Step};
use stepbox_api::execution::Execution;
use stepbox_web::Reader;
use stepbox_web::frame::Frame;
use stepbox_web::pages::profiles::{Asked, Run};

use crate::access::Opened;
use crate::conventions::failure::Failure;
use crate::pages::visit::Visit;

/// How many runs of a profile are shown.
const RUNS: u32 = 20;

/// The rights that decide on the fields of a form.
pub(super) fn form_rights<E: Opened>(visit: &Visit<E>) -> FormRights {
    FormRights::Of(visit.may.principal().role())
}

/// What a form needs beside its values.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The names of the tenant's secrets.
    pub(super) secrets: Vec<String>,
    /// The address that takes uploaded files; `None` if the reader may not upload.
    pub(super) uploads: Option<String>,
}

impl Surroundings {
    pub(super) fn of<E: Opened>(visit: &Visit<E>, frame: &Frame) -> Self {
        let policy = visit.may.tenant().map(Tenant::policy);
        let secrets = policy.iter().flat_map(|policy| policy.secrets.names().map(str::to_owned)).collect();
        let may_upload = visit.may(Right::Launch, Thing::FileChanges);
        Self { secrets, uploads: may_upload.then(|| frame.api("files")) }
    }
}

/// The job of a profile; `None` if it is not installed any more.
pub(super) async fn job_of(tenant: &Tenant, instance: &JobInstance) -> Result<Option<Job>, Failure> {
    let jobs = tenant.jobs().await?;
    Ok(jobs.into_iter().find(|job| job.name == instance.job && job.connector == instance.connector))
}

/// The newest runs of a profile, newest first.
pub(super) async fn runs(
    tenant: &Tenant,
    instance: &JobInstance,
    reader: &Reader,
) -> Result<Vec<Run>, Failure> {
    let filter =
        ExecutionFilter { instance: Some(instance.code.clone()), limit: RUNS, ..ExecutionFilter::default() };
    Ok(tenant.executions(&filter).await?.iter().map(|execution| run(execution, reader)).collect())
}

fn run(execution: &ExecutionSummary, reader: &Reader) -> Run {
    let shown = Execution::listed(execution);
    let now = reader.now.as_millisecond();
    let took = execution.started_at.map(|began| {
        let ended = execution.ended_at.map_or(now, |ended| ended.0);
        ended.saturating_sub(began.0).try_into().unwrap_or(0)
    });
    Run {
        id: shown.id,
        status: shown.status.as_str().to_owned(),
        written: shown.steps.iter().map(|step| step.counts.written).sum(),
        warnings: shown.warning_count,
        user: shown.user,
        created_at: shown.created_at,
        took_ms: took,
    }
}

/// What the steps of a job may touch under the policy of the tenant.
pub(super) async fn asked(tenant: &Tenant, job: Option<&Job>) -> Result<Vec<Asked>, Failure> {
    let Some(job) = job else { return Ok(Vec::new()) };
    let connector = tenant.connector(job.connector.as_str()).await?;
    let rows = tenant.policy().leaves_of(&connector);
    let of_step = |name: &str| {
        let place = format!("{}/{name}", job.name);
        rows.iter().filter(|row| row.step == place).map(|row| row.effective.clone()).collect()
    };
    let is_component = |step: &&Step| {
        let elements = step.kind.elements();
        elements.iter().any(|element| matches!(element.source, ElementSource::Component(_)))
    };
    let sandboxed = job.steps.iter().filter(is_component);
    Ok(sandboxed
        .map(|step| Asked { component: step.name.to_string(), grants: of_step(step.name.as_str()) })
        .collect())
}
