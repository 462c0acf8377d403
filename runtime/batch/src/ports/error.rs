//! Why a store refused a call, or could not answer it.

use crate::component_quota::ComponentQuotaError;
use crate::execution::status::BatchStatus;
use crate::name::{Digest, InstanceCode, JobExecutionId, UserName};
use crate::uploaded_file::FileQuotaError;

/// Why a store refused a call, or could not answer it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A thing of that name exists already.
    #[error("the {kind} `{name}` exists already")]
    AlreadyExists {
        /// `instance`, `connector`, `component`, `user`, `identity`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// That version of a component was released, and the bytes of a release never change.
    #[error("the component `{reference}` exists already with other bytes: {digest}")]
    VersionExists {
        /// `normalise@1.2.0`.
        reference: String,
        /// The digest of the released bytes.
        digest: Digest,
    },
    /// The tenant has no room for one more component.
    #[error("the component is refused: {0}")]
    ComponentQuota(#[source] ComponentQuotaError),
    /// The tenant has no room for one more uploaded file.
    #[error("the file is refused: {0}")]
    FileQuota(#[source] FileQuotaError),
    /// This tenant has no such thing of that name.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// `instance`, `execution`, …
        kind: &'static str,
        /// Its name or number.
        name: String,
    },
    /// The thing is still needed by another one.
    #[error("the {kind} `{name}` is used by {user}")]
    InUse {
        /// `component`, `connector`, `instance`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The thing that needs it.
        user: String,
    },
    /// The instance was changed after the caller had read it.
    #[error("the instance `{code}` has version {current} now")]
    StaleVersion {
        /// The instance.
        code: InstanceCode,
        /// Its version.
        current: u64,
    },
    /// The status of the execution does not allow the request.
    #[error("execution {id} is {status}: {reason}")]
    WrongStatus {
        /// The execution.
        id: JobExecutionId,
        /// Its status.
        status: BatchStatus,
        /// Why it is refused.
        reason: &'static str,
    },
    /// Another execution of the same instance and parameters has not ended.
    #[error("execution {id} of the same instance and parameters has not ended")]
    NotUnique {
        /// The other execution.
        id: JobExecutionId,
    },
    /// The same request was accepted before, under the same key.
    #[error("execution {id} was accepted under the same key before")]
    AlreadyPublished {
        /// The execution of the first request.
        id: JobExecutionId,
    },
    /// Another request was accepted before under the same key.
    #[error("the key was used for another request before, which became execution {id}")]
    IdempotencyConflict {
        /// The execution of the first request.
        id: JobExecutionId,
    },
    /// The tenant has as many waiting entries in the queue as it may have.
    #[error("{max} executions wait in the queue, and no more may")]
    QueueFull {
        /// How many entries may wait.
        max: u64,
    },
    /// As many executions of the instance run as its job allows.
    #[error("the job of `{instance}` runs {max} at a time, and execution {id} does")]
    ConcurrencyReached {
        /// The instance.
        instance: InstanceCode,
        /// How many executions of it may run.
        max: u32,
        /// One of the running executions.
        id: JobExecutionId,
    },
    /// The installation would be left without an operator who may come in.
    #[error("`{0}` is the last operator of the installation who may come in")]
    LastOperator(UserName),
    /// The installation has users already, so its first operator cannot be created.
    #[error("the installation has users already")]
    HasUsers,
    /// The user has as many tokens as a user may have.
    #[error("`{owner}` has {max} tokens, and a user may have no more")]
    TooManyTokens {
        /// The owner of the tokens.
        owner: UserName,
        /// How many tokens a user may have.
        max: u32,
    },
    /// The user keeps as many views of executions in the tenant as a user may.
    #[error("{max} views are kept, and a user may keep no more in a tenant")]
    TooManyViews {
        /// How many views a user may keep.
        max: u32,
    },
    /// Another worker holds the execution: the worker that lost the lease must stop all its work on it.
    #[error("the lease of execution {id} was lost to another worker")]
    LeaseLost {
        /// The execution.
        id: JobExecutionId,
    },
    /// Another process keeps the database locked.
    #[error("the store is busy: {detail}")]
    Busy {
        /// Which database, and how long the store waited for it.
        detail: String,
    },
    /// The database was written by a newer version.
    #[error("the store {store} has schema version {found}; this program knows versions up to {known}")]
    NewerVersion {
        /// The address of the store.
        store: String,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// The database is of an older version, or empty.
    ///
    /// An operator must bring it up to date.
    #[error("the store {store} has {}, and this program needs schema version {known}", schema(*found))]
    OlderVersion {
        /// The address of the store.
        store: String,
        /// The version found; 0 for an empty database.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// The database cannot hold every text.
    #[error("the store {store} has the encoding {encoding}, and this program needs UTF8")]
    OtherEncoding {
        /// The address of the store.
        store: String,
        /// The encoding of the database.
        encoding: String,
    },
    /// A stored value cannot be read.
    #[error("the store holds a {what} that cannot be read: {detail}")]
    Corrupt {
        /// The row and the column.
        what: String,
        /// Why.
        detail: String,
    },
    /// The database exists, but does not let this program work: the user, the rights, the tables or the file are
    /// wrong.
    #[error("the store {store} failed: {detail}")]
    Refused {
        /// The address of the store.
        store: String,
        /// The message of the database.
        detail: String,
    },
    /// This program was built without that kind of store.
    #[error("this program was built without {store}: the feature `{feature}` of its libraries is off")]
    NotBuiltIn {
        /// Which store, for people.
        store: &'static str,
        /// The cargo feature that builds it in.
        feature: &'static str,
    },
    /// The database cannot be opened, reached or written, for example because the disk is full.
    #[error("the store {store} failed: {detail}")]
    Unavailable {
        /// The address of the store.
        store: String,
        /// The message of the database.
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
            Self::FileQuota(_) => "file-quota",
            Self::NotFound { .. } => "not-found",
            Self::InUse { .. } => "in-use",
            Self::StaleVersion { .. } => "stale-version",
            Self::WrongStatus { .. } => "wrong-status",
            Self::NotUnique { .. } => "not-unique",
            Self::AlreadyPublished { .. } => "already-published",
            Self::IdempotencyConflict { .. } => "idempotency-conflict",
            Self::QueueFull { .. } => "queue-full",
            Self::ConcurrencyReached { .. } => "concurrency-reached",
            Self::LastOperator(_) => "last-operator",
            Self::HasUsers => "has-users",
            Self::TooManyTokens { .. } => "too-many-tokens",
            Self::TooManyViews { .. } => "too-many-views",
            Self::LeaseLost { .. } => "lease-lost",
            Self::Busy { .. } => "store-busy",
            Self::NewerVersion { .. } => "store-newer-version",
            Self::OtherEncoding { .. } => "store-other-encoding",
            Self::OlderVersion { .. } => "store-older-version",
            Self::Corrupt { .. } => "store-corrupt",
            Self::Refused { .. } => "store-refused",
            Self::NotBuiltIn { .. } => "store-not-built-in",
            Self::Unavailable { .. } => "store-unavailable",
        }
    }

    /// What a caller may expect if it asks again.
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::NewerVersion { .. } | Self::OtherEncoding { .. } | Self::NotBuiltIn { .. } => {
                Outlook::Final
            }
            Self::OlderVersion { .. } | Self::Corrupt { .. } | Self::Refused { .. } => Outlook::Lasting,
            _ => Outlook::Passing,
        }
    }
}

/// What a caller may expect if it asks the store again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Another answer after some time, or to another question.
    Passing,
    /// The same answer until the store is mended.
    ///
    /// Only some calls may fail in this way, for example at a damaged row, while others succeed.
    Lasting,
    /// The same answer to each question, for as long as this program runs.
    Final,
}

fn schema(version: u32) -> String {
    if version == 0 { "no schema yet".to_owned() } else { format!("schema version {version}") }
}

/// The outcome of a call to the repository.
pub type Result<T> = std::result::Result<T, RepositoryError>;
