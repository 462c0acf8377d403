//! Kinds of errors: they decide exit codes and HTTP statuses.

use crate::ports::error::RepositoryError;

/// A kind of error.
///
/// An exit code and an HTTP status belong to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong.
    BadRequest,
    /// Parameters break their constraints.
    Violations,
    /// Something that the request names does not exist.
    NotFound,
    /// The policy does not allow the request.
    Forbidden,
    /// The request conflicts with something that exists already, such as another thing of the same name.
    Conflict,
    /// The thing to be removed is still used.
    InUse,
    /// The thing was changed since the caller read it.
    Stale,
    /// The request is right, but the state of the thing does not allow it now.
    WrongState,
    /// A quota, a limit or the queue is full.
    ///
    /// The request may succeed later.
    TooMany,
    /// A component is refused.
    ComponentRefused,
    /// The store or the data folder cannot be used.
    StoreUnavailable,
    /// Any other error.
    Unexpected,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 12] = {
        use ErrorKind::*;
        [
            BadRequest,
            Violations,
            NotFound,
            Forbidden,
            Conflict,
            InUse,
            Stale,
            WrongState,
            TooMany,
            ComponentRefused,
            StoreUnavailable,
            Unexpected,
        ]
    };
}

impl RepositoryError {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::VersionExists { .. } | Self::ComponentQuota(_) => ErrorKind::ComponentRefused,
            Self::AlreadyExists { .. } | Self::IdempotencyConflict { .. } => ErrorKind::Conflict,
            Self::InUse { .. } => ErrorKind::InUse,
            Self::LastOperator(_) | Self::HasUsers => ErrorKind::WrongState,
            Self::StaleVersion { .. } => ErrorKind::Stale,
            Self::NotUnique { .. } | Self::AlreadyPublished { .. } | Self::WrongStatus { .. } => {
                ErrorKind::WrongState
            }
            Self::QueueFull { .. } | Self::ConcurrencyReached { .. } | Self::FileQuota(_) => {
                ErrorKind::TooMany
            }
            Self::TooManyTokens { .. } | Self::TooManyViews { .. } => ErrorKind::TooMany,
            Self::LeaseLost { .. } => ErrorKind::Unexpected,
            Self::Busy { .. }
            | Self::NewerVersion { .. }
            | Self::OlderVersion { .. }
            | Self::OtherEncoding { .. }
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::NotBuiltIn { .. }
            | Self::Unavailable { .. } => ErrorKind::StoreUnavailable,
        }
    }
}
