//! The port of the job repository: everything that is persisted, and who may write it.
//!
//! Only the worker that holds the lease of an execution writes its rows, with [`ExecutionJournal::save`],
//! one transaction each. A stop request is somebody else's, in a column of its own, so no save can
//! overwrite it.
//!
//! Whatever changes on somebody's behalf takes an [`Actor`], and leaves an event in the audit trail in the
//! same transaction: see [`crate::audit`].

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::{Actor, AuditEvent, AuditFilter, Deed};
use crate::clock::Timestamp;
use crate::component_quota::{ComponentQuota, ComponentQuotaError};
use crate::execution::{
    Ancestor, Checkpoint, ExecutionContext, ExecutionSummary, JobExecution, Partition, PartitionState,
    Remains, StepExecution, Tracking, Warning,
};
use crate::job::{Job, JobInstance};
use crate::listing::Listing;
use crate::name::{ConnectorCode, Digest, InstallationId, InstanceCode, JobExecutionId, TenantId};
use crate::queue::{Enqueue, JobQueue};
use crate::status::BatchStatus;

/// Why the repository did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is one of that name already.
    #[error("the {kind} `{name}` exists already")]
    AlreadyExists {
        /// `instance`, `connector`, `component`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// That version of a component was released, and a release stays what it is.
    #[error("the component `{reference}` exists already with other bytes: {digest}")]
    VersionExists {
        /// `normalise@1.2.0`.
        reference: String,
        /// The bytes that it stands for.
        digest: Digest,
    },
    /// The tenant has no room for one more component.
    #[error("the component is refused: {0}")]
    ComponentQuota(#[source] ComponentQuotaError),
    /// There is none of that name in this tenant.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// `instance`, `execution`, …
        kind: &'static str,
        /// Its name or number.
        name: String,
    },
    /// Something still needs it.
    #[error("the {kind} `{name}` is used by {user}")]
    InUse {
        /// `component`, `connector`, `instance`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What needs it.
        user: String,
    },
    /// The execution is not in a status from which this is possible.
    #[error("execution {id} is {status}: {reason}")]
    WrongStatus {
        /// Which one.
        id: JobExecutionId,
        /// Where it stands.
        status: BatchStatus,
        /// What is not possible.
        reason: &'static str,
    },
    /// One of the same instance and parameters has not ended.
    #[error("execution {id} of the same instance and parameters has not ended")]
    NotUnique {
        /// Which one.
        id: JobExecutionId,
    },
    /// The queue holds as many of the tenant's entries as may wait.
    #[error("{max} executions wait in the queue, and no more may")]
    QueueFull {
        /// How many may.
        max: u64,
    },
    /// As many executions of the instance run as its job allows.
    #[error("the job of `{instance}` runs {max} at a time, and execution {id} does")]
    ConcurrencyReached {
        /// The instance.
        instance: InstanceCode,
        /// How many executions of it may run.
        max: u32,
        /// One that does.
        id: JobExecutionId,
    },
    /// Another worker holds the execution: this one must stop touching anything.
    #[error("the lease of execution {id} was lost to another worker")]
    LeaseLost {
        /// Which one.
        id: JobExecutionId,
    },
    /// Another process keeps the database locked.
    #[error("the store is busy: {detail}")]
    Busy {
        /// Which one, and how long it was waited for.
        detail: String,
    },
    /// The database was written by a newer version.
    #[error("the store {store} has schema version {found}; this program knows versions up to {known}")]
    NewerVersion {
        /// Where it is.
        store: String,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// The database is of an older version, or empty, and is for somebody to bring up to date.
    #[error("the store {store} has {}, and this program needs schema version {known}", schema(*found))]
    OlderVersion {
        /// Where it is.
        store: String,
        /// The version found; 0 for an empty database.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// The database cannot hold every text.
    #[error("the store {store} has the encoding {encoding}, and this program needs UTF8")]
    OtherEncoding {
        /// Where it is.
        store: String,
        /// What it has.
        encoding: String,
    },
    /// What was stored cannot be understood.
    #[error("the store holds a {what} that cannot be read: {detail}")]
    Corrupt {
        /// Which row and column.
        what: String,
        /// Why.
        detail: String,
    },
    /// The database is there, and does not let this program work: the user, the rights, the tables or the file are
    /// not what they should be.
    #[error("the store {store} failed: {detail}")]
    Refused {
        /// Where it is.
        store: String,
        /// What it said.
        detail: String,
    },
    /// The database cannot be opened, reached or written, a full disk among the reasons.
    #[error("the store {store} failed: {detail}")]
    Unavailable {
        /// Where it is.
        store: String,
        /// What it said.
        detail: String,
    },
}

impl RepositoryError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "already-exists",
            Self::VersionExists { .. } => "version-exists",
            Self::ComponentQuota(_) => "component-quota",
            Self::NotFound { .. } => "not-found",
            Self::InUse { .. } => "in-use",
            Self::WrongStatus { .. } => "wrong-status",
            Self::NotUnique { .. } => "not-unique",
            Self::QueueFull { .. } => "queue-full",
            Self::ConcurrencyReached { .. } => "concurrency-reached",
            Self::LeaseLost { .. } => "lease-lost",
            Self::Busy { .. } => "store-busy",
            Self::NewerVersion { .. } => "store-newer-version",
            Self::OtherEncoding { .. } => "store-other-encoding",
            Self::OlderVersion { .. } => "store-older-version",
            Self::Corrupt { .. } => "store-corrupt",
            Self::Refused { .. } => "store-refused",
            Self::Unavailable { .. } => "store-unavailable",
        }
    }

    /// What whoever would ask again may expect.
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::NewerVersion { .. } | Self::OtherEncoding { .. } => Outlook::Final,
            Self::OlderVersion { .. } | Self::Corrupt { .. } | Self::Refused { .. } => Outlook::Lasting,
            _ => Outlook::Passing,
        }
    }
}

/// What whoever would ask the store again may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Another answer in a while, or to another question.
    Passing,
    /// The same answer until somebody mends the store. One question may meet it, such as a damaged row, while others
    /// are answered.
    Lasting,
    /// The same answer to each question, for as long as this program runs.
    Final,
}

fn schema(version: u32) -> String {
    if version == 0 { "no schema yet".to_owned() } else { format!("schema version {version}") }
}

/// The outcome of a call to the repository.
pub type Result<T> = std::result::Result<T, RepositoryError>;

/// An installed connector: a named family of jobs, with the components they use pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connector {
    /// Unique in its tenant.
    pub code: ConnectorCode,
    /// For people; commands take it as a name, too. Unique in its tenant.
    pub label: String,
    /// Its jobs, whose names are unique in the tenant.
    pub jobs: Vec<Job>,
}

/// What is known of an uploaded component. Its bytes lie elsewhere, under the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The name it gave in `describe`.
    pub name: String,
    /// The version it gave in `describe`.
    pub version: String,
    /// `tasklet`, `item-reader`, `item-processor` or `item-writer`.
    pub world: String,
    /// How long it is.
    pub size_bytes: u64,
    /// When it came in.
    pub uploaded_at: Timestamp,
    /// All it said in `describe`. A JSON object.
    pub description: Value,
    /// Whose signature of its bytes was checked when it came in. None if nobody asked for one.
    pub signer: Option<Signer>,
}

/// Who signed a component. The key decides; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// What the operator called the key when the signature was checked.
    pub name: String,
    /// The public key, as text.
    pub key: String,
}

impl Component {
    /// What people call it: `normalise@1.2.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Whether its version is a release, which stands for the same bytes for good. A version `0.y.z` and a
    /// pre-release, such as `1.2.0-dev`, are being worked on: they stand for the newest.
    pub fn is_release(&self) -> bool {
        // What follows a `+` says how it was built.
        let version = self.version.split('+').next().unwrap_or_default();
        !version.starts_with("0.") && !version.contains('-')
    }
}

/// An execution about to be accepted.
#[derive(Debug, Clone)]
pub struct NewJobExecution {
    /// Whose it is.
    pub tenant: TenantId,
    /// The instance it runs.
    pub instance: InstanceCode,
    /// The job, frozen.
    pub job: Job,
    /// Effective parameters, frozen.
    pub parameters: Value,
    /// Who asked for it, and when.
    pub by: Actor,
    /// The execution that it goes on from, with the context and the steps to begin with: completed
    /// ones are carried over, the interrupted one brings its checkpoint.
    pub restart_of: Option<JobExecutionId>,
    /// The execution context to begin with.
    pub context: ExecutionContext,
    /// The steps to begin with; empty for a first run.
    pub steps: Vec<StepExecution>,
    /// The part of another execution's step that it is.
    pub partition: Option<Partition>,
    /// How it waits for a worker; none for one that is not in the queue.
    pub queue: Option<Enqueue>,
    /// What it does otherwise than the execution that it goes on from, for the audit trail; empty for most.
    pub changes: Vec<String>,
}

/// A worker's wish to run an execution.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The worker's name, unique among all processes.
    pub worker: String,
    /// Now.
    pub now: Timestamp,
    /// How long the lease lasts without a heartbeat, in milliseconds.
    pub lease_ms: u64,
}

/// The right to write the rows of an execution, until somebody else claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose execution.
    pub tenant: TenantId,
    /// Which execution.
    pub id: JobExecutionId,
    /// The fencing token: it grows with each claim and stands in the `WHERE` of each write.
    pub token: u64,
}

/// What a worker saves in one transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Save<'a> {
    /// The execution's own row: status, exit status, times, failures. Not its steps, its lease or
    /// its stop request.
    pub execution: Option<&'a JobExecution>,
    /// The execution context.
    pub context: Option<&'a ExecutionContext>,
    /// A step's row, inserted or replaced by its position, all of it but the checkpoint.
    pub step: Option<&'a StepExecution>,
    /// That step's checkpoint; none leaves the stored one.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Warnings to append to that step, already within the cap.
    pub warnings: &'a [Warning],
    /// Whether the lease is given back with this save.
    pub is_last: bool,
}

/// Which executions to list. Parts of others are never among them.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only those of this instance.
    pub instance: Option<InstanceCode>,
    /// Only those in this status.
    pub status: Option<BatchStatus>,
    /// Only those created before this moment.
    pub created_before: Option<Timestamp>,
    /// Only those with a smaller id, to page backwards.
    pub before: Option<JobExecutionId>,
    /// At most so many; 0 means all.
    pub limit: u32,
}

/// An execution that a purge may delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purgeable {
    /// Which one.
    pub id: JobExecutionId,
    /// The parts of its steps, which go with it.
    pub partitions: Vec<JobExecutionId>,
}

/// What became of a stop request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// A worker holds the execution and will see the request.
    Requested,
    /// No worker had begun it; it is STOPPED now.
    StoppedAtOnce,
}

/// What a worker may do with an execution whose lease it holds. Every write is fenced: one whose lease
/// was lost changes nothing and gets [`RepositoryError::LeaseLost`].
#[async_trait]
pub trait ExecutionJournal: Send + Sync + 'static {
    /// Prolongs a lease, and tells whether a stop was requested.
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<bool>;

    /// Whether a stop was requested, if the lease still holds; cheap enough for every 100 ms.
    async fn is_stop_requested(&self, lease: &Lease) -> Result<bool>;

    /// Saves what a worker has to say, in one transaction, if its lease still holds.
    async fn save(&self, lease: &Lease, save: Save<'_>) -> Result<()>;

    /// Saves only a step's progress, if the lease still holds. It need not survive a power loss.
    async fn save_tracking(
        &self,
        lease: &Lease,
        position: u32,
        tracking: Tracking,
        now: Timestamp,
    ) -> Result<()>;
}

/// How many events of the audit trail are deleted in one transaction.
pub const EVENTS_PURGED_TOGETHER: u32 = 10_000;

/// Everything that is persisted.
///
/// All methods are atomic, durable when they return, and see only the given tenant's rows. A list has every row
/// that can be read, and word of the others: no damaged row makes a list fail. Those that take
/// an [`Actor`] write their event with what they do; nothing deletes events but
/// [`purge_audit`](Self::purge_audit).
#[async_trait]
pub trait JobRepository: ExecutionJournal + JobQueue {
    /// Which installation the store belongs to. It was made with the store.
    async fn installation(&self) -> Result<InstallationId>;

    /// Installs a connector or replaces the one of that code. Refuses a label or a job name that
    /// another connector of the tenant has.
    async fn put_connector(&self, tenant: &TenantId, connector: &Connector, by: &Actor) -> Result<()>;

    /// All connectors, by code. A damaged job is missing in its connector, and told of by itself.
    async fn connectors(&self, tenant: &TenantId) -> Result<Listing<Connector>>;

    /// Removes a connector; refuses while an instance needs it.
    async fn remove_connector(&self, tenant: &TenantId, code: &ConnectorCode, by: &Actor) -> Result<()>;

    /// Records a component. If the tenant has that digest already, all that changes is who signed it, if
    /// somebody did. Refuses a released version that the tenant has with another digest, and a new digest
    /// for which the quota leaves no room, however many come at once.
    async fn put_component(
        &self,
        tenant: &TenantId,
        component: &Component,
        quota: &ComponentQuota,
        by: &Actor,
    ) -> Result<()>;

    /// All components, by name, then newest first.
    async fn components(&self, tenant: &TenantId) -> Result<Listing<Component>>;

    /// Removes a component; refuses while a connector or an execution that has not ended needs it.
    /// Returns whether no tenant has that digest any more, so that the bytes can go.
    async fn remove_component(&self, tenant: &TenantId, digest: &Digest, by: &Actor) -> Result<bool>;

    /// Refuses a code that the tenant has already.
    async fn create_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Replaces label and raw parameters of the instance with that code.
    async fn update_instance(&self, instance: &JobInstance, by: &Actor) -> Result<()>;

    /// Removes an instance; its executions stay as history. Refuses while one of them has not ended.
    async fn delete_instance(&self, tenant: &TenantId, code: &InstanceCode, by: &Actor) -> Result<()>;

    /// The instance with that code.
    async fn instance(&self, tenant: &TenantId, code: &InstanceCode) -> Result<Option<JobInstance>>;

    /// All instances, of one type if given, by type, then code.
    async fn instances(&self, tenant: &TenantId, job_type: Option<&str>) -> Result<Listing<JobInstance>>;

    /// Accepts an execution as STARTING, and puts it into the queue if it is to wait there. With a claim, its
    /// lease begins in the same transaction; an instance whose job limits its concurrency is refused then
    /// while it is full.
    async fn create_execution(
        &self,
        new: &NewJobExecution,
        claim: Option<&Claim>,
    ) -> Result<(JobExecution, Option<Lease>)>;

    /// Takes the lease of an execution that is STARTING or PAUSED and whose lease is free or has
    /// run out, wherever it waits. The concurrency of its job holds here, too.
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease>;

    /// Asks the worker of an execution to stop it, or stops one that no worker has begun.
    async fn request_stop(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<StopRequest>;

    /// Gives up an execution that will not be restarted.
    async fn abandon(&self, tenant: &TenantId, id: JobExecutionId, by: &Actor) -> Result<()>;

    /// An execution with its steps.
    async fn execution(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<JobExecution>>;

    /// Executions as lists show them, newest first. Whoever wants all of them asks page by page, with
    /// [`ExecutionFilter::before`]: a page is in memory as a whole.
    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
    ) -> Result<Listing<ExecutionSummary>>;

    /// What is left of a damaged execution; none if there is no such one.
    async fn remains(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Option<Remains>>;

    /// The parts of an execution's steps, by step and number.
    async fn partitions(&self, tenant: &TenantId, of: JobExecutionId) -> Result<Vec<JobExecution>>;

    /// How the parts of one step stand, by number; cheap enough for twenty times a second.
    async fn partition_states(
        &self,
        tenant: &TenantId,
        of: JobExecutionId,
        position: u32,
    ) -> Result<Vec<PartitionState>>;

    /// An execution, and those that it goes on from, the latest first, as far as none is missing. Empty if there
    /// is no such execution.
    async fn ancestry(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Vec<Ancestor>>;

    /// The stored warnings of an execution, in the order they came. No step stores more of them than
    /// [`WARNINGS_STORED_MAX`](crate::findings::WARNINGS_STORED_MAX).
    async fn warnings(&self, tenant: &TenantId, id: JobExecutionId) -> Result<Listing<Warning>>;

    /// What [`purge`](Self::purge) would delete, oldest first.
    async fn purgeable(&self, tenant: &TenantId, filter: &ExecutionFilter) -> Result<Vec<Purgeable>>;

    /// Deletes executions that have ended and match the filter, oldest first, with their parts, but never the
    /// latest COMPLETED one of an instance. Returns their ids. It is one transaction, which others wait for:
    /// whoever deletes many asks for a few hundred at a time.
    async fn purge(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        by: &Actor,
    ) -> Result<Vec<JobExecutionId>>;

    /// Adds an event that tells of no other change: something was refused.
    async fn record(&self, tenant: &TenantId, deed: &Deed, by: &Actor) -> Result<()>;

    /// Events of the audit trail, newest first.
    async fn audit(&self, tenant: &TenantId, filter: &AuditFilter) -> Result<Listing<AuditEvent>>;

    /// Deletes the events from before a moment, in transactions of [`EVENTS_PURGED_TOGETHER`] at most, each of
    /// which is an event in turn. Returns how many they were.
    async fn purge_audit(&self, tenant: &TenantId, before: Timestamp, by: &Actor) -> Result<u64>;
}
