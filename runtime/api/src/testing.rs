//! Values for tests of the views, in which no field is empty.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{QueueEntry, QueueFilter, QueueState};
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Counts, ExecutionContext, Failure, JobExecution, StepExecution, SummaryValue, Tracking,
};
use stepbox_batch::inventory::{Component, Connector, Signer};
use stepbox_batch::job::{
    Always, Branch, ComponentRef, Element, ElementSource, GrantRequest, Job, JobInstance, LimitOverrides,
    Rerun, RetryPolicy, Step, StepFlow, StepKind, Target, Transition,
};
use stepbox_batch::metering::ResourceUsage;
use stepbox_batch::name::{ConnectorCode, Digest, InstanceCode, JobExecutionId, JobName, StepName, TenantId};
use stepbox_batch::pattern::Pattern;
use stepbox_batch::remedy::Remedy;
use stepbox_batch::worker::{Held, Worker, WorkerStatus};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Writes a view and reads it back. Returns what was written.
pub(crate) fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(view: &T) -> Value {
    let text = serde_json::to_string(view).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *view, "{text}");
    let written: Value = serde_json::from_str(&text).unwrap();
    // The order of the fields stays the same, too.
    assert_eq!(serde_json::to_string(&written).unwrap(), text);
    written
}

fn component_ref() -> ComponentRef {
    let digest = Digest::from_bytes([7; 32]);
    ComponentRef {
        name: "normalise".to_owned(),
        digest,
        is_stateless: true,
        columns_in: None,
        parameters: None,
    }
}

fn step(name: &str, kind: StepKind) -> Step {
    let transition =
        Transition { exit: Pattern::new("FAILED"), to: Target::Step(StepName::new("mend").unwrap()) };
    Step {
        name: StepName::new(name).unwrap(),
        kind,
        grants: GrantRequest {
            http: vec!["POST https://a.example".to_owned()],
            files: [("inbox".to_owned(), "read /srv/in".to_owned())].into(),
        },
        limits: LimitOverrides { memory_bytes_max: Some(1 << 20), ..LimitOverrides::default() },
        retry: RetryPolicy { limit: 3, on: Some(vec![Pattern::new("busy-*")]), ..RetryPolicy::default() },
        rerun: Rerun::Always,
        start_limit: Some(4),
        flow: StepFlow {
            on: vec![transition],
            always: Always::UnlessStopped,
            branch: Some(Branch { split: StepName::new("both").unwrap(), number: 1 }),
        },
    }
}

fn job() -> Job {
    let options = Some(json!({ "from": { "z": 1, "a": [0.5, null] } }));
    let csv = Element { source: ElementSource::Native("csv".to_owned()), options };
    let component = Element { source: ElementSource::Component(component_ref()), options: None };
    let item = StepKind::Item {
        reader: csv.clone(),
        processors: vec![component.clone()],
        writer: csv,
        settings: Box::default(),
    };
    Job {
        connector: ConnectorCode::new("acme").unwrap(),
        name: JobName::new("export_products").unwrap(),
        job_type: "export".to_owned(),
        label: "Export".to_owned(),
        stoppable: true,
        concurrency: Some(2),
        parameters: json!({ "type": "object" }),
        form: None,
        steps: vec![step("export", item), step("notify", StepKind::Tasklet { tasklet: component })],
        folder: Some("/srv".to_owned()),
    }
}

pub(crate) fn connector() -> Connector {
    Connector { code: ConnectorCode::new("acme").unwrap(), label: "Acme".to_owned(), jobs: vec![job()] }
}

pub(crate) fn component() -> Component {
    Component {
        digest: Digest::from_bytes([7; 32]),
        name: "normalise".to_owned(),
        version: "1.2.3".to_owned(),
        world: "item-processor".to_owned(),
        size_bytes: 4096,
        uploaded_at: NOW,
        description: json!({ "name": "normalise" }),
        signer: Some(Signer { name: "acme".to_owned(), key: "RWQ".to_owned() }),
    }
}

pub(crate) fn instance() -> JobInstance {
    JobInstance {
        tenant: TenantId::default(),
        code: InstanceCode::new("a").unwrap(),
        label: "The a".to_owned(),
        connector: ConnectorCode::new("acme").unwrap(),
        job: JobName::new("export_products").unwrap(),
        job_type: "export".to_owned(),
        raw_parameters: json!({ "delimiter": ";" }),
        version: 3,
        updated_at: Timestamp(1_700_000_000_000),
    }
}

pub(crate) fn execution() -> JobExecution {
    JobExecution {
        id: JobExecutionId(118),
        tenant: TenantId::default(),
        instance: InstanceCode::new("a").unwrap(),
        job: job(),
        parameters: json!({ "delimiter": ";", "big": u64::MAX }),
        user: Some("julia".to_owned()),
        status: BatchStatus::Started,
        exit_status: ExitStatus::new(ExitStatus::EXECUTING),
        created_at: NOW,
        started_at: Some(NOW),
        ended_at: None,
        updated_at: NOW,
        worker: Some("w-1".to_owned()),
        attempt: 2,
        stop_requested: true,
        pause_requested: false,
        set_aside: Some("damaged".to_owned()),
        restart_of: Some(JobExecutionId(117)),
        partition: None,
        failures: vec![failure()],
        context: ExecutionContext::default(),
        steps: vec![step_execution()],
    }
}

fn failure() -> Failure {
    Failure {
        code: "worker-lost".to_owned(),
        culprit: "worker `w-1`".to_owned(),
        place: "item 41".to_owned(),
        message: "was lost".to_owned(),
        help: "restart it".to_owned(),
        remedies: vec![Remedy::RestartExecution { execution: JobExecutionId(118) }],
    }
}

fn step_execution() -> StepExecution {
    StepExecution {
        status: BatchStatus::Completed,
        exit_status: ExitStatus::new(ExitStatus::COMPLETED),
        ended_at: Some(NOW),
        counts: Counts { read: 10, written: 2, filtered: 1, skipped: 7 },
        tracking: Tracking { processed: 10, total: Some(12), is_estimate: true },
        summary: [
            ("files".to_owned(), SummaryValue::Count(2)),
            ("notified".to_owned(), SummaryValue::Text("yes".to_owned())),
        ]
        .into(),
        warning_count: 7,
        errors: vec!["not notified".to_owned()],
        failures: vec![failure()],
        starts: 1,
        retries: 2,
        carried_from: Some(JobExecutionId(117)),
        usage: ResourceUsage { cpu_us: 5, log_messages_dropped: 1, ..ResourceUsage::default() },
        ..StepExecution::new(0, StepName::new("export").unwrap(), NOW)
    }
}

pub(crate) fn queue_entry() -> QueueEntry {
    QueueEntry { state: QueueState::Delayed, priority: -3, available_at: NOW, losses: 1, attempts_max: 3 }
}

pub(crate) fn worker(is_alive: bool, is_stopping: bool) -> WorkerStatus {
    let filter = QueueFilter {
        jobs: vec![JobName::new("export_products").unwrap()],
        types: vec!["export".to_owned()],
    };
    let held = Held {
        worker: "w-1".to_owned(),
        tenant: TenantId::default(),
        id: JobExecutionId(118),
        instance: InstanceCode::new("a").unwrap(),
    };
    WorkerStatus {
        worker: Worker {
            name: "w-1".to_owned(),
            started_at: NOW,
            seen_at: NOW,
            concurrency: 4,
            filter,
            tenants: vec![TenantId::default()],
            is_stopping,
            clock_skew_ms: Some(-20),
        },
        is_alive,
        running: vec![held],
    }
}
