//! The test data of the suite: one job, one instance, executions in any status.

pub mod access;

use std::task::Poll;

use serde_json::{Value, json};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::execution::event::{EventNumber, ExecutionEvent, Happened};
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Claim, ExecutionContext, ExecutionFilter, Fate, JobExecution, Lease, NewJobExecution, Rescued, Save,
    StepExecution, Warning,
};
use stepbox_batch::inventory::{Component, Connector};
use stepbox_batch::job::{ComponentRef, Element, ElementSource, Job, JobInstance, Step, StepKind};
use stepbox_batch::name::{ConnectorCode, Digest, InstanceCode, JobExecutionId, JobName, StepName, TenantId};
use stepbox_batch::ports::{JobRepository, Result};

/// The moment at which everything is checked.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// The moment at which everything was accepted and claimed: one minute before.
pub const EARLIER: Timestamp = Timestamp(NOW.0 - 60_000);
/// One minute later.
pub const LATER: Timestamp = Timestamp(NOW.0 + 60_000);
/// The length of a lease that began at [`EARLIER`] and expires exactly at [`NOW`], in milliseconds.
pub const LEASE_MS: u64 = 60_000;

/// `ok`, or the code of the error, for a row of a table.
pub fn told<T>(result: Result<T>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

/// Whether the lease of an execution is held at [`NOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// No worker has it.
    Free,
    /// The lease has just expired.
    Over,
    /// A worker has it for one more millisecond.
    Held,
}

/// The tenant of everything here.
pub fn tenant() -> TenantId {
    TenantId::default()
}

/// The code of an instance.
pub fn code(text: &str) -> InstanceCode {
    InstanceCode::new(text).unwrap()
}

/// A digest of 32 times the same byte.
pub fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

/// A job with one tasklet, a component.
pub fn job(connector: &str, name: &str) -> Job {
    let source = ElementSource::Component(component_ref(1, "greet"));
    let tasklet = Element { source, options: None };
    Job {
        connector: ConnectorCode::new(connector).unwrap(),
        name: JobName::new(name).unwrap(),
        job_type: "export".to_owned(),
        label: "Greet".to_owned(),
        stoppable: true,
        concurrency: None,
        parameters: json!({"type": "object"}),
        form: None,
        steps: vec![Step {
            name: StepName::new("greet").unwrap(),
            kind: StepKind::Tasklet { tasklet },
            grants: Default::default(),
            limits: Default::default(),
            retry: Default::default(),
            rerun: Default::default(),
            start_limit: None,
            flow: Default::default(),
        }],
        folder: None,
    }
}

/// A component without a description.
pub fn component_ref(byte: u8, name: &str) -> ComponentRef {
    ComponentRef {
        name: name.to_owned(),
        digest: digest(byte),
        is_stateless: false,
        columns_in: None,
        parameters: None,
    }
}

/// A connector with jobs of one tasklet each.
pub fn connector(code: &str, label: &str, jobs: &[&str]) -> Connector {
    Connector {
        code: ConnectorCode::new(code).unwrap(),
        label: label.to_owned(),
        jobs: jobs.iter().map(|name| job(code, name)).collect(),
    }
}

/// A quota that is never reached here.
pub const ROOM: ComponentQuota = ComponentQuota::UNBOUNDED;

/// A released component: `name@1.2.3`.
pub fn component(byte: u8, name: &str, uploaded_at: i64) -> Component {
    Component {
        digest: digest(byte),
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        world: "tasklet".to_owned(),
        size_bytes: 4096,
        uploaded_at: Timestamp(uploaded_at),
        description: json!({"name": name}),
        signer: None,
    }
}

/// An instance of the job `greet` with that code.
pub fn instance(text: &str) -> JobInstance {
    JobInstance {
        tenant: tenant(),
        code: code(text),
        label: format!("The {text} one"),
        connector: ConnectorCode::new("acme").unwrap(),
        job: JobName::new("greet").unwrap(),
        job_type: "export".to_owned(),
        raw_parameters: json!({"greeting": "hello"}),
        version: 1,
        updated_at: NOW,
    }
}

/// An execution of the instance with that code.
pub fn new(text: &str) -> NewJobExecution {
    NewJobExecution {
        tenant: tenant(),
        instance: code(text),
        job: job("acme", "greet"),
        parameters: json!({"greeting": "hello", "times": 3}),
        by: by(EARLIER),
        restart_of: None,
        context: ExecutionContext::default(),
        steps: Vec::new(),
        partition: None,
        queue: None,
        idempotency: None,
        changes: Vec::new(),
    }
}

/// A user, at that moment.
pub fn by(at: Timestamp) -> Actor {
    Actor::new(Some("julia"), at)
}

/// The request of a worker for a lease of [`LEASE_MS`].
pub fn claim(worker: &str, now: Timestamp) -> Claim {
    Claim { worker: worker.to_owned(), now, lease_ms: LEASE_MS }
}

/// The executions that the watchdog finds lost.
pub async fn lost(store: &dyn JobRepository, now: Timestamp) -> Vec<(TenantId, JobExecutionId, Fate)> {
    let rescued = store.rescue_lost(now).await.unwrap();
    rescued.into_iter().map(|Rescued { tenant, id, fate, .. }| (tenant, id, fate)).collect()
}

/// The store with the instance `nightly`.
pub async fn with_instance(store: &dyn JobRepository) {
    store.create_instance(&instance("nightly"), &by(NOW)).await.unwrap();
}

/// An execution of `nightly` that no worker has claimed.
pub async fn waiting(store: &dyn JobRepository) -> JobExecution {
    store.create_execution(&new("nightly"), None).await.unwrap().0
}

/// An execution of `nightly` that the worker `w-1` has begun.
pub async fn started(store: &dyn JobRepository) -> (JobExecution, Lease) {
    let first = claim("w-1", EARLIER);
    let (mut execution, lease) = store.create_execution(&new("nightly"), Some(&first)).await.unwrap();
    let lease = lease.unwrap();
    execution.started_at = Some(EARLIER);
    move_to(store, &lease, &mut execution, BatchStatus::Started).await;
    (execution, lease)
}

/// Saves an execution with another status.
pub async fn move_to(
    store: &dyn JobRepository,
    lease: &Lease,
    execution: &mut JobExecution,
    status: BatchStatus,
) {
    execution.status = status;
    execution.exit_status = ExitStatus::new(status.as_str());
    execution.ended_at = status.has_ended().then_some(NOW);
    store.save(lease, Save { execution: Some(execution), ..Save::default() }).await.unwrap();
}

/// An execution of `nightly` in the given status, brought there as a worker, and perhaps a person, would do.
pub async fn in_status(store: &dyn JobRepository, status: BatchStatus, hold: Hold) -> (JobExecution, Lease) {
    use BatchStatus::*;
    let lease_ms = if hold == Hold::Held { LEASE_MS + 1 } else { LEASE_MS };
    let first = Claim { lease_ms, ..claim("w-1", EARLIER) };
    let is_waiting = status == Starting && hold == Hold::Free;
    let (mut execution, lease) =
        store.create_execution(&new("nightly"), (!is_waiting).then_some(&first)).await.unwrap();
    let lease = lease.unwrap_or_else(|| Lease { tenant: tenant(), id: execution.id, token: 0 });
    if status != Starting {
        move_to(store, &lease, &mut execution, Started).await;
    }
    let by_worker = if status == Abandoned { Failed } else { status };
    if !matches!(by_worker, Starting | Started) {
        move_to(store, &lease, &mut execution, by_worker).await;
    }
    if hold == Hold::Free && !is_waiting {
        store.save(&lease, Save { is_last: true, ..Save::default() }).await.unwrap();
    }
    if status == Abandoned {
        store.abandon(&tenant(), execution.id, &by(NOW)).await.unwrap();
    }
    (stored(store, execution.id).await, lease)
}

/// The execution as the store has it.
pub async fn stored(store: &dyn JobRepository, id: JobExecutionId) -> JobExecution {
    store.execution(&tenant(), id).await.unwrap().unwrap()
}

/// The ids of the executions that a filter lists.
pub async fn listed(store: &dyn JobRepository, filter: &ExecutionFilter) -> Vec<JobExecutionId> {
    let found = store.executions(&tenant(), filter).await.unwrap();
    found.into_iter().map(|execution| execution.id).collect()
}

/// The first step, begun.
pub fn step() -> StepExecution {
    StepExecution {
        status: BatchStatus::Started,
        ..StepExecution::new(0, StepName::new("greet").unwrap(), EARLIER)
    }
}

/// A warning about the item in line 41.
pub fn warning(reason: &str) -> Warning {
    Warning {
        step: StepName::new("greet").unwrap(),
        code: "no-name".to_owned(),
        reason: reason.to_owned(),
        place: "line 41".to_owned(),
        item: r#"{"name":""}"#.to_owned(),
    }
}

/// A JSON object with difficult content: order, depth, scripts, numbers, quotes, NUL.
pub fn odd_object() -> Value {
    json!({
        "z": "first on purpose", "a": [null, true, -1, 0.5, u64::MAX, i64::MIN],
        "deep": {"": {"ключ": "値 🙂"}}, "quotes": "'\"\\ \n\u{0}", "empty": {}, "none": null,
    })
}

/// An event in a few words: `ended FAILED`.
pub fn in_words(happened: &Happened) -> String {
    match happened {
        Happened::StepEnded { position, status, .. } => format!("step {position} {status}"),
        Happened::Ended { status, .. } => format!("ended {status}"),
        other => other.kind().to_string(),
    }
}

/// All events of a tenant, page by page.
pub async fn all_events(store: &dyn JobRepository, tenant: Option<&TenantId>) -> Vec<ExecutionEvent> {
    let (mut events, mut after) = (Vec::new(), EventNumber::BEGINNING);
    loop {
        let page = store.events_after(tenant, after, 500).await.unwrap();
        assert!(page.is_complete && page.events.damaged.is_empty(), "{page:?}");
        if page.events.is_empty() {
            return events;
        }
        after = page.next;
        events.extend(page.events);
    }
}

/// Waits for all of these at the same time.
pub async fn all_at_once<T>(futures: impl Iterator<Item = impl Future<Output = T>>) {
    let mut left: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        left.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
