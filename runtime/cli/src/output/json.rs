//! What `--format json` says. Programs rely on these fields: they are only ever added to. Their names
//! are the domain's words; moments are RFC 3339 in UTC; what is not known is `null`.
//!
//! The fields are described in docs/cli.md, and a test compares the two.

mod policy;
mod queue;
mod settings;
mod store;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use stepbox::batch::audit::AuditEvent;
use stepbox::batch::execution::{
    Counts, ExecutionSummary, Failure, JobExecution, StepExecution, SummaryValue, Tracking, Warning,
};
use stepbox::batch::job::{
    Always, Element, ElementSource, GrantRequest, Job, JobInstance, LimitOverrides, Step, StepKind,
};
use stepbox::batch::metering::ResourceUsage;
use stepbox::batch::name::JobExecutionId;
use stepbox::batch::parameters::Violation;
use stepbox::batch::queue::QueueEntry;
use stepbox::batch::repository::{Component, Connector};
use stepbox::{LogLine, Policy};

use super::words;
use crate::grants::{self, Asked};
pub(crate) use policy::{CheckedFileView, PolicyView};
use queue::QueueEntryView;
pub(crate) use queue::{PublishedView, WorkerView};
use settings::{BranchView, ItemSettingsView, RetryView, TransitionView};
pub(crate) use store::{MigratedView, StoreView};

/// A connector and the names of its jobs.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectorEntry {
    code: String,
    label: String,
    jobs: Vec<String>,
}

impl ConnectorEntry {
    pub(crate) fn of(connector: &Connector) -> Self {
        Self {
            code: connector.code.to_string(),
            label: connector.label.clone(),
            jobs: connector.jobs.iter().map(|job| job.name.to_string()).collect(),
        }
    }
}

/// A connector with its jobs, and what their steps ask for, job by job.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectorView {
    code: String,
    label: String,
    jobs: Vec<JobView>,
    grants: Vec<Asked>,
}

impl ConnectorView {
    pub(crate) fn of(connector: &Connector, policy: &Policy) -> Self {
        Self {
            code: connector.code.to_string(),
            label: connector.label.clone(),
            jobs: connector.jobs.iter().map(JobView::of).collect(),
            grants: grants::asked(connector, policy),
        }
    }
}

/// A job. `parameters` is its JSON Schema.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    connector: String,
    name: String,
    r#type: String,
    label: String,
    stoppable: bool,
    concurrency: Option<u32>,
    parameters: Value,
    steps: Vec<StepView>,
}

impl JobView {
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            connector: job.connector.to_string(),
            name: job.name.to_string(),
            r#type: job.job_type.clone(),
            label: job.label.clone(),
            stoppable: job.stoppable,
            concurrency: job.concurrency,
            parameters: job.parameters.clone(),
            steps: job.steps.iter().map(StepView::of).collect(),
        }
    }
}

/// A step of a job: an item step has `reader`, `processors`, `writer` and how items move, the other kind
/// has `tasklet`. `branch` is null outside of splits.
#[derive(Debug, Serialize)]
struct StepView {
    name: String,
    #[serde(flatten)]
    kind: StepKindView,
    grants: GrantsView,
    secrets: Vec<String>,
    limits: LimitsView,
    retry: RetryView,
    rerun: &'static str,
    start_limit: Option<u32>,
    on: Vec<TransitionView>,
    always: Always,
    branch: Option<BranchView>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StepKindView {
    Item {
        reader: ElementView,
        processors: Vec<ElementView>,
        writer: ElementView,
        #[serde(flatten)]
        settings: Box<ItemSettingsView>,
    },
    Tasklet {
        tasklet: ElementView,
    },
}

impl StepView {
    fn of(step: &Step) -> Self {
        let kind = match &step.kind {
            StepKind::Item { reader, processors, writer, settings } => StepKindView::Item {
                reader: ElementView::of(reader),
                processors: processors.iter().map(ElementView::of).collect(),
                writer: ElementView::of(writer),
                settings: Box::new(ItemSettingsView::of(settings)),
            },
            StepKind::Tasklet { tasklet } => StepKindView::Tasklet { tasklet: ElementView::of(tasklet) },
        };
        Self {
            name: step.name.to_string(),
            kind,
            grants: GrantsView::of(&step.grants),
            secrets: step.secrets().into_iter().collect(),
            limits: LimitsView::of(&step.limits),
            retry: RetryView::of(&step.retry),
            rerun: settings::rerun(step.rerun),
            start_limit: step.start_limit,
            on: step.flow.on.iter().map(TransitionView::of).collect(),
            always: step.flow.always,
            branch: step.flow.branch.as_ref().map(BranchView::of),
        }
    }
}

/// An element of a step. `digest` is null for a native one.
#[derive(Debug, Serialize)]
struct ElementView {
    name: String,
    digest: Option<String>,
    options: Option<Value>,
}

impl ElementView {
    fn of(element: &Element) -> Self {
        let digest = match &element.source {
            ElementSource::Component(component) => Some(component.digest.to_string()),
            ElementSource::Native(_) => None,
        };
        Self { name: element.name().to_owned(), digest, options: element.options.clone() }
    }
}

/// What a step asks to touch.
#[derive(Debug, Serialize)]
struct GrantsView {
    http: Vec<String>,
    files: BTreeMap<String, String>,
}

impl GrantsView {
    fn of(grants: &GrantRequest) -> Self {
        Self { http: grants.http.clone(), files: grants.files.clone() }
    }
}

/// Where a step's limits differ from the defaults; null where they do not.
#[derive(Debug, Serialize)]
struct LimitsView {
    memory_bytes_max: Option<u64>,
    time_ms_max: Option<u64>,
    cpu_ms_max: Option<u64>,
    disk_bytes_max: Option<u64>,
    log_bytes_max: Option<u64>,
    http_requests_max: Option<u64>,
    http_bytes_max: Option<u64>,
}

impl LimitsView {
    fn of(limits: &LimitOverrides) -> Self {
        let LimitOverrides {
            memory_bytes_max,
            time_ms_max,
            cpu_ms_max,
            disk_bytes_max,
            log_bytes_max,
            http_requests_max,
            http_bytes_max,
        } = *limits;
        Self {
            memory_bytes_max,
            time_ms_max,
            cpu_ms_max,
            disk_bytes_max,
            log_bytes_max,
            http_requests_max,
            http_bytes_max,
        }
    }
}

/// An uploaded component. `description` is all that it says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct ComponentView {
    pub(crate) digest: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) world: String,
    pub(crate) size_bytes: u64,
    /// Null for a file that was only inspected.
    pub(crate) uploaded_at: Option<String>,
    /// Null where no signature was asked for, or none holds.
    pub(crate) signed_by: Option<String>,
    pub(crate) description: Value,
}

impl ComponentView {
    pub(crate) fn of(component: &Component) -> Self {
        Self {
            digest: component.digest.to_string(),
            name: component.name.clone(),
            version: component.version.clone(),
            world: component.world.clone(),
            size_bytes: component.size_bytes,
            uploaded_at: Some(words::moment(component.uploaded_at)),
            signed_by: component.signer.as_ref().map(|signer| signer.name.clone()),
            description: component.description.clone(),
        }
    }
}

/// A job instance.
#[derive(Debug, Serialize)]
pub(crate) struct InstanceEntry {
    code: String,
    label: String,
    connector: String,
    job: String,
    r#type: String,
    raw_parameters: Value,
}

impl InstanceEntry {
    pub(crate) fn of(instance: &JobInstance) -> Self {
        Self {
            code: instance.code.to_string(),
            label: instance.label.clone(),
            connector: instance.connector.to_string(),
            job: instance.job.to_string(),
            r#type: instance.job_type.clone(),
            raw_parameters: instance.raw_parameters.clone(),
        }
    }
}

/// A job instance, and what its parameters come to: `effective_parameters`, or null and the
/// `violations` of a schema that has changed since.
#[derive(Debug, Serialize)]
pub(crate) struct InstanceView {
    #[serde(flatten)]
    pub(crate) instance: InstanceEntry,
    pub(crate) effective_parameters: Option<Value>,
    pub(crate) violations: Vec<ViolationView>,
}

/// A value that breaks a constraint.
#[derive(Debug, Serialize)]
pub(crate) struct ViolationView {
    path: String,
    message: String,
}

impl ViolationView {
    pub(crate) fn of(violation: &Violation) -> Self {
        Self { path: violation.path.clone(), message: violation.message.clone() }
    }
}

/// A job execution with its steps.
#[derive(Debug, Serialize)]
pub(crate) struct ExecutionView {
    id: u64,
    instance: String,
    connector: String,
    job: String,
    r#type: String,
    status: &'static str,
    exit_status: ExitStatusView,
    user: Option<String>,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    updated_at: String,
    worker: Option<String>,
    attempt: u32,
    stop_requested: bool,
    set_aside: Option<String>,
    restart_of: Option<u64>,
    queue: Option<QueueEntryView>,
    folder: Option<String>,
    parameters: Value,
    components: Vec<PinnedView>,
    warning_count: u64,
    failures: Vec<FailureView>,
    steps: Vec<StepExecutionView>,
}

impl ExecutionView {
    pub(crate) fn of(execution: &JobExecution) -> Self {
        Self::listed(&execution.summary())
    }

    /// As lists have it.
    pub(crate) fn listed(execution: &ExecutionSummary) -> Self {
        let job = &execution.job;
        Self {
            id: execution.id.0,
            instance: execution.instance.to_string(),
            connector: job.connector.to_string(),
            job: job.name.to_string(),
            r#type: job.job_type.clone(),
            status: execution.status.shown(execution.worker.is_some()),
            exit_status: ExitStatusView {
                code: execution.exit_status.code.clone(),
                description: execution.exit_status.description.clone(),
            },
            user: execution.user.clone(),
            created_at: words::moment(execution.created_at),
            started_at: execution.started_at.map(words::moment),
            ended_at: execution.ended_at.map(words::moment),
            updated_at: words::moment(execution.updated_at),
            worker: execution.worker.clone(),
            attempt: execution.attempt,
            stop_requested: execution.stop_requested,
            set_aside: execution.set_aside.clone(),
            restart_of: execution.restart_of.map(|id| id.0),
            queue: None,
            folder: job.folder.clone(),
            parameters: execution.parameters.clone(),
            components: job
                .components
                .iter()
                .map(|component| PinnedView {
                    name: component.name.clone(),
                    digest: component.digest.to_string(),
                })
                .collect(),
            warning_count: execution.steps.iter().map(|step| step.warning_count).sum(),
            failures: execution.failures.iter().map(FailureView::of).collect(),
            steps: execution.steps.iter().map(StepExecutionView::of).collect(),
        }
    }

    /// The same with its place in the queue.
    pub(crate) fn with_queue(self, entry: Option<&QueueEntry>) -> Self {
        Self { queue: entry.map(QueueEntryView::of), ..self }
    }
}

/// What is left of a damaged execution: `damaged` says what is wrong, `fields` has the columns by their names.
#[derive(Debug, Serialize)]
pub(crate) struct RemainsView {
    id: u64,
    damaged: Vec<String>,
    fields: BTreeMap<String, String>,
}

impl RemainsView {
    pub(crate) fn of(id: JobExecutionId, damaged: &[String], fields: &[(String, String)]) -> Self {
        Self { id: id.0, damaged: damaged.to_vec(), fields: fields.iter().cloned().collect() }
    }
}

/// A component as the execution's job names it, and the bytes it stood for.
#[derive(Debug, Serialize)]
struct PinnedView {
    name: String,
    digest: String,
}

#[derive(Debug, Serialize)]
struct ExitStatusView {
    code: String,
    description: String,
}

/// A step execution.
#[derive(Debug, Serialize)]
struct StepExecutionView {
    name: String,
    status: &'static str,
    exit_status: ExitStatusView,
    started_at: String,
    ended_at: Option<String>,
    updated_at: String,
    counts: CountsView,
    tracking: TrackingView,
    summary: BTreeMap<String, Value>,
    warning_count: u64,
    errors: Vec<String>,
    failures: Vec<FailureView>,
    carried_from: Option<u64>,
    starts: u32,
    retries: u32,
    usage: ResourceUsage,
}

impl StepExecutionView {
    fn of(step: &StepExecution) -> Self {
        let Counts { read, written, filtered, skipped } = step.counts;
        let Tracking { processed, total, is_estimate } = step.tracking;
        Self {
            name: step.name.to_string(),
            status: step.status.as_str(),
            exit_status: ExitStatusView {
                code: step.exit_status.code.clone(),
                description: step.exit_status.description.clone(),
            },
            started_at: words::moment(step.started_at),
            ended_at: step.ended_at.map(words::moment),
            updated_at: words::moment(step.updated_at),
            counts: CountsView { read, written, filtered, skipped },
            tracking: TrackingView { processed, total, is_estimate },
            summary: step.summary.iter().map(|(name, value)| (name.clone(), summary_value(value))).collect(),
            warning_count: step.warning_count,
            errors: step.errors.clone(),
            failures: step.failures.iter().map(FailureView::of).collect(),
            carried_from: step.carried_from.map(|id| id.0),
            starts: step.starts,
            retries: step.retries,
            usage: step.usage,
        }
    }
}

#[derive(Debug, Serialize)]
struct CountsView {
    read: u64,
    written: u64,
    filtered: u64,
    skipped: u64,
}

#[derive(Debug, Serialize)]
struct TrackingView {
    processed: u64,
    total: Option<u64>,
    is_estimate: bool,
}

fn summary_value(value: &SummaryValue) -> Value {
    match value {
        SummaryValue::Count(count) => (*count).into(),
        SummaryValue::Text(text) => text.as_str().into(),
    }
}

/// What ended a step or a job.
#[derive(Debug, Serialize)]
struct FailureView {
    code: String,
    culprit: String,
    place: String,
    message: String,
    help: String,
}

impl FailureView {
    fn of(failure: &Failure) -> Self {
        let Failure { code, culprit, place, message, help } = failure.clone();
        Self { code, culprit, place, message, help }
    }
}

/// An item set aside, or something that a component wants people to know.
#[derive(Debug, Serialize)]
pub(crate) struct WarningView {
    step: String,
    code: String,
    reason: String,
    place: String,
    item: String,
}

impl WarningView {
    pub(crate) fn of(warning: &Warning) -> Self {
        let Warning { step, code, reason, place, item } = warning.clone();
        Self { step: step.to_string(), code, reason, place, item }
    }
}

/// A message of an execution's log. `step` is null if it is about the job.
#[derive(Debug, Serialize)]
pub(crate) struct LogLineView {
    at: String,
    level: String,
    step: Option<String>,
    message: String,
}

impl LogLineView {
    pub(crate) fn of(line: &LogLine) -> Self {
        let LogLine { at, level, step, message } = line.clone();
        Self { at: words::moment(at), level: level.to_string(), step, message }
    }
}

/// An event of the audit trail.
#[derive(Debug, Serialize)]
pub(crate) struct AuditEventView {
    id: u64,
    at: String,
    user: Option<String>,
    /// Whether Stepbox did it by itself.
    runtime: bool,
    action: &'static str,
    subject: SubjectView,
    detail: Value,
}

/// What something was done to.
#[derive(Debug, Serialize)]
struct SubjectView {
    kind: &'static str,
    name: String,
}

impl AuditEventView {
    pub(crate) fn of(event: &AuditEvent) -> Self {
        let AuditEvent { id, by, deed } = event;
        Self {
            id: id.0,
            at: words::moment(by.at),
            user: by.user.clone(),
            runtime: by.is_runtime,
            action: deed.action.as_str(),
            subject: SubjectView { kind: deed.action.kind(), name: deed.subject.clone() },
            detail: deed.detail.clone(),
        }
    }
}

/// What a purge has deleted.
#[derive(Debug, Serialize)]
pub(crate) struct PurgedView {
    pub(crate) purged: Vec<u64>,
}
