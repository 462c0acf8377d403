//! Why a store did not do what it was asked.

use crate::component_quota::ComponentQuotaError;
use crate::execution::status::BatchStatus;
use crate::name::{Digest, InstanceCode, JobExecutionId};

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
    /// The database is of an older version, or empty. An operator has to bring it up to date.
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
    /// This program was built without that kind of store.
    #[error("this program was built without {store}: the feature `{feature}` of its libraries is off")]
    NotBuiltIn {
        /// Which store, for people.
        store: &'static str,
        /// The cargo feature that builds it in.
        feature: &'static str,
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
            Self::NotBuiltIn { .. } => "store-not-built-in",
            Self::Unavailable { .. } => "store-unavailable",
        }
    }

    /// What a caller that asks again may expect.
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

/// What a caller that asks the store again may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Another answer in a while, or to another question.
    Passing,
    /// The same answer until the store is mended. One call may meet it, at a damaged row, while others are answered.
    Lasting,
    /// The same answer to each question, for as long as this program runs.
    Final,
}

fn schema(version: u32) -> String {
    if version == 0 { "no schema yet".to_owned() } else { format!("schema version {version}") }
}

/// The outcome of a call to the repository.
pub type Result<T> = std::result::Result<T, RepositoryError>;
