//! PostgreSQL's errors, turned into errors on which people can act.

use std::error::Error as _;

use stepbox_batch::cut::cut;
use stepbox_batch::ports::{Damaged, RepositoryError, Result};
use tokio_postgres::error::SqlState;

use super::schema::SCHEMA_VERSION;
use crate::record::{Listed, damage_of};

/// How much of a server's message is passed on, in bytes.
const WORDS_BYTES_MAX: usize = 1 << 10;

/// The outcome of work on a connection, not yet explained for a caller.
pub(super) type Outcome<T> = std::result::Result<T, Trouble>;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server returned an error, or could not be reached.
    Server(tokio_postgres::Error),
    /// The connection was closed, or the network failed, in the middle of a request.
    HungUp {
        /// The request: the first word of the statement.
        request: String,
        error: tokio_postgres::Error,
    },
    /// A column is not of the type that the schema promises.
    Column(tokio_postgres::Error),
    /// There was no answer within that many milliseconds.
    Silent(u64),
    /// All connections were in use for that many milliseconds.
    Crowded { connections: usize, waited_ms: u64 },
    /// The database was written by a newer version.
    Newer(u32),
    /// The database has an encoding that cannot hold every text.
    Encoding(String),
    /// The database cannot be used by this program.
    Unfit(String),
    /// The request is refused.
    Repository(RepositoryError),
}

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The transaction was rolled back because of others: repeat it at once.
    Repeat,
    /// The connection is lost, and its last call may or may not have been made: repeat the call on another
    /// connection, if a second call does no harm.
    Reconnect,
    /// Nothing helps.
    Nothing,
}

impl Trouble {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Server(error) => match error.code() {
                None => Remedy::Reconnect,
                Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                    Remedy::Repeat
                }
                Some(state) if is_unreachable(state) => Remedy::Reconnect,
                Some(_) => Remedy::Nothing,
            },
            Self::Silent(_) | Self::HungUp { .. } => Remedy::Reconnect,
            Self::Column(_) | Self::Crowded { .. } | Self::Newer(_) | Self::Encoding(_) => Remedy::Nothing,
            Self::Unfit(_) | Self::Repository(_) => Remedy::Nothing,
        }
    }

    /// Whether the cause is in the rows of one execution, so that work on other executions can continue. A cause in
    /// the whole store is not: it is locked, full, in doubt or gone.
    pub(super) fn is_of_one_row(&self) -> bool {
        match self {
            // Data, constraints, triggers, and data that the server reports as corrupt.
            Self::Server(error) => error
                .code()
                .and_then(|state| state.code().get(..2))
                .is_some_and(|class| matches!(class, "22" | "23" | "P0" | "XX")),
            Self::Column(_) | Self::Repository(RepositoryError::Corrupt { .. }) => true,
            _ => false,
        }
    }

    /// The cause, for people.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Server(error) | Self::Column(error) => told(error),
            Self::HungUp { request, error } => hung_up(request, error),
            Self::Repository(error) => error.to_string(),
            _ => "the store failed".to_owned(),
        }
    }

    /// The error for a caller, with the name of the store.
    pub(super) fn explain(self, store: &str) -> RepositoryError {
        let unavailable = |detail: String| RepositoryError::Unavailable { store: store.to_owned(), detail };
        match self {
            Self::Server(error) => explain_server(&error, store),
            Self::Column(error) => {
                RepositoryError::Corrupt { what: format!("row of {store}"), detail: told(&error) }
            }
            Self::HungUp { request, error } => unavailable(hung_up(&request, &error)),
            Self::Silent(ms) => unavailable(format!("it gave no answer for {ms} ms")),
            Self::Crowded { connections, waited_ms } => RepositoryError::Busy {
                detail: format!("all {connections} connections to {store} were in use for {waited_ms} ms"),
            },
            Self::Newer(found) => {
                RepositoryError::NewerVersion { store: format!("`{store}`"), found, known: SCHEMA_VERSION }
            }
            Self::Encoding(encoding) => {
                RepositoryError::OtherEncoding { store: format!("`{store}`"), encoding }
            }
            Self::Unfit(detail) => unavailable(detail),
            Self::Repository(error) => error,
        }
    }
}

/// The result of a row for a list: damage stays with the row, any other trouble fails the list.
pub(super) fn listed<T>(row: Listed, outcome: Outcome<T>) -> Outcome<std::result::Result<T, Damaged>> {
    let reason = match outcome {
        Ok(item) => return Ok(Ok(item)),
        Err(Trouble::Column(error)) => told(&error),
        Err(Trouble::Repository(error)) => damage_of(error)?,
        Err(trouble) => return Err(trouble),
    };
    Ok(Err(row.damaged(reason)))
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<RepositoryError> for Trouble {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

/// An outcome for a caller.
pub(super) fn explained<T>(outcome: Outcome<T>, store: &str) -> Result<T> {
    outcome.map_err(|trouble| trouble.explain(store))
}

fn explain_server(error: &tokio_postgres::Error, store: &str) -> RepositoryError {
    let unavailable = |detail: String| RepositoryError::Unavailable { store: store.to_owned(), detail };
    let refused = |detail: String| RepositoryError::Refused { store: store.to_owned(), detail };
    let Some(state) = error.code() else { return unavailable(told(error)) };
    let said = told(error);
    match state {
        &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        | &SqlState::LOCK_NOT_AVAILABLE
        | &SqlState::TOO_MANY_CONNECTIONS
        | &SqlState::QUERY_CANCELED => RepositoryError::Busy { detail: format!("{store} says: {said}") },
        &SqlState::DISK_FULL => unavailable(format!("its disk is full ({said})")),
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            unavailable(format!("it must not be written; it may be a standby ({said})"))
        }
        &SqlState::UNDEFINED_TABLE => {
            refused(format!("it has no tables of Stepbox's, or others are in the way ({said})"))
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            refused(format!("the user needs the rights to the tables of Stepbox ({said})"))
        }
        &SqlState::INVALID_PASSWORD
        | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | &SqlState::INVALID_CATALOG_NAME => refused(said),
        _ => unavailable(said),
    }
}

/// The message for a request that got no answer.
fn hung_up(request: &str, error: &tokio_postgres::Error) -> String {
    format!(
        "it hung up before it had answered to {request} ({}): it was restarted, or ended the session, or what it sent \
         was no answer",
        told(error)
    )
}

/// The server or the network is gone, for some time or for good.
fn is_unreachable(state: &SqlState) -> bool {
    let class = state.code().get(..2);
    class == Some("08")
        || matches!(
            state,
            &SqlState::ADMIN_SHUTDOWN
                | &SqlState::CRASH_SHUTDOWN
                | &SqlState::CANNOT_CONNECT_NOW
                | &SqlState::READ_ONLY_SQL_TRANSACTION
                | &SqlState::TOO_MANY_CONNECTIONS
                | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        )
}

/// The server's message in one line, or why there was no answer. Details are left out, because they quote stored
/// data.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return cut(said.message(), WORDS_BYTES_MAX).to_owned();
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
