//! What the pages of job profiles look up beside the profile.

use serde_json::Value;
use stepbox::batch::access::{Right, Thing};
use stepbox::batch::execution::{ExecutionFilter, ExecutionSummary};
use stepbox::batch::form_answer::FormFailure;
use stepbox::batch::instance_form::{FormRights, InstanceForm, ValueKind};
use stepbox::batch::job::{ElementSource, Job, JobInstance, Step};
use stepbox::{FormAsk, Tenant};
use stepbox_api::execution::Execution;
use stepbox_web::Reader;
use stepbox_web::form::Described;
use stepbox_web::pages::profiles::{Asked, Run};

use crate::access::Opened;
use crate::conventions::failure::Failure;
use crate::pages::visit::Visit;
use crate::routes::forms::may_read_sources;
use crate::tools::Tools;

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
    /// What components say about its tabs and fields.
    pub(super) described: Vec<Described>,
}

impl Surroundings {
    /// What is around a form with these values. Components get the values that are in the form, and nothing else.
    pub(super) async fn of<E: Opened>(
        visit: &Visit<E>,
        (tools, who): (&Tools, &str),
        job: &Job,
        form: &InstanceForm,
        values: &Value,
    ) -> Result<Self, Failure> {
        let Some(tenant) = visit.may.tenant() else { return Ok(Self::default()) };
        let secrets = tenant.policy().secrets.names().map(str::to_owned).collect();
        let may_upload = visit.may(Right::Launch, Thing::FileChanges);
        let uploads = may_upload.then(|| format!("{}/api/v1/tenants/{}/files", visit.base, tenant.id()));
        let mut described = Vec::new();
        for (what, component) in described_parts(form) {
            let answer = match tools.limits.form_question(who) {
                Ok(()) => {
                    let ask = ask(visit, form, values, what, component);
                    tenant.describe_form(job.connector.as_str(), job.name.as_str(), ask).await?
                }
                Err(_) => Err(FormFailure::Busy),
            };
            described.push(Described { what: what.to_owned(), component: component.to_owned(), answer });
        }
        Ok(Self { secrets, uploads, described })
    }
}

/// The tabs and fields that a component describes, with its name.
fn described_parts(form: &InstanceForm) -> Vec<(&str, &str)> {
    let of_tabs = form.tabs.iter().filter_map(|tab| Some((tab.code.as_str(), tab.described_by.as_ref()?)));
    let of_fields =
        form.fields().filter_map(|field| Some((field.name.as_str(), field.described_by.as_ref()?)));
    of_tabs.chain(of_fields).map(|(what, describer)| (what, describer.component.as_str())).collect()
}

fn ask<E: Opened>(
    visit: &Visit<E>,
    form: &InstanceForm,
    values: &Value,
    what: &str,
    component: &str,
) -> FormAsk {
    let in_form = |(name, _): &(&String, &Value)| form.field(name).is_some();
    let values = values.as_object().into_iter().flatten().filter(in_form);
    // The source is what the job reads its items from: the first place of a file in the form.
    let source = form.fields().find(|field| field.kind == ValueKind::Storage).map(|field| field.name.clone());
    FormAsk {
        component: component.to_owned(),
        what: what.to_owned(),
        parameters: values.map(|(name, value)| (name.clone(), value.clone())).collect(),
        source: source.filter(|_| may_read_sources(visit.may.principal())),
        language: visit.reader.language.clone(),
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
