//! SQLite's errors, turned into errors on which people can act.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use stepbox_batch::ports::{Damaged, RepositoryError, Result};

use super::SqliteOptions;
use crate::record::{Listed, damage_of};

/// The outcome of work on a connection, not yet explained for a caller.
pub(super) type Outcome<T> = std::result::Result<T, Trouble>;

/// SQLite failed, the request is refused, or this crate has a defect.
#[derive(Debug)]
pub(crate) enum Trouble {
    Sqlite(rusqlite::Error),
    Repository(RepositoryError),
    /// The work panicked.
    Defect,
}

impl Trouble {
    /// Whether the cause is in the rows of one execution, so that work on other executions can continue. A cause in
    /// the whole store is not: it is locked, full, unreadable or gone.
    pub(super) fn is_of_one_row(&self) -> bool {
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                // Not an error of SQLite, but of reading a column.
                None => true,
                Some(
                    ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::Unknown, // malformed JSON
                ) => true,
                Some(_) => false,
            },
            Self::Repository(RepositoryError::Corrupt { .. }) | Self::Defect => true,
            Self::Repository(_) => false,
        }
    }

    /// The cause, for people.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Sqlite(error) => error.to_string(),
            Self::Repository(error) => error.to_string(),
            Self::Defect => "a defect of Stepbox ended each attempt".to_owned(),
        }
    }

    pub(super) fn explain(self, place: &Place) -> RepositoryError {
        match self {
            Self::Sqlite(error) => place.explain_sqlite(&error),
            Self::Repository(error) => error,
            Self::Defect => {
                place.unavailable("a defect of Stepbox ended this call; nothing of it was written")
            }
        }
    }
}

/// The result of a row for a list: damage stays with the row, any other trouble fails the list.
pub(super) fn listed<T>(row: Listed, outcome: Outcome<T>) -> Outcome<std::result::Result<T, Damaged>> {
    let reason = match outcome {
        Ok(item) => return Ok(Ok(item)),
        // Not an error of SQLite, but of reading a column.
        Err(Trouble::Sqlite(error)) if error.sqlite_error_code().is_none() => error.to_string(),
        Err(Trouble::Repository(error)) => damage_of(error)?,
        Err(trouble) => return Err(trouble),
    };
    Ok(Err(row.damaged(reason)))
}

/// A column's text as far as it is readable, to name a row.
pub(super) fn legible(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    })
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<RepositoryError> for Trouble {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

/// The path of a file and the options with which it was opened, for errors.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub path: PathBuf,
    pub options: SqliteOptions,
}

impl Place {
    /// The outcome for a caller.
    pub(super) fn explain<T>(&self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|trouble| trouble.explain(self))
    }

    /// An error of SQLite for a caller.
    pub(super) fn explain_sqlite(&self, error: &rusqlite::Error) -> RepositoryError {
        let said = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RepositoryError::Busy {
                detail: format!(
                    "another process kept `{}` locked for more than {} ms",
                    self.path.display(),
                    self.options.busy_timeout_ms
                ),
            },
            Some(ErrorCode::DiskFull) => self.unavailable(match self.options.size_bytes_max {
                None => "the disk is full; nothing of this call was written".to_owned(),
                Some(max) => format!(
                    "the disk is full, or the file has reached the {max} bytes it may have; \
                     nothing of this call was written"
                ),
            }),
            Some(ErrorCode::NotADatabase) => {
                self.refused("it is not an SQLite database; name another file, or move this one away")
            }
            Some(ErrorCode::DatabaseCorrupt) => self.corrupt("page", said),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                self.refused(format!("it, or its folder, must not be written ({said})"))
            }
            Some(ErrorCode::CannotOpen) => self.unavailable(format!(
                "it cannot be opened; the folder must exist and may be written by this user ({said})"
            )),
            Some(ErrorCode::SystemIoFailure) => {
                self.unavailable(format!("reading or writing it failed ({said})"))
            }
            Some(_) => self.unavailable(said),
            // Not an error of SQLite, but of reading a column: it does not have the type that the schema promises.
            None => self.corrupt("row", said),
        }
    }

    /// The file cannot be opened, read or written.
    pub(super) fn unavailable(&self, detail: impl Into<String>) -> RepositoryError {
        RepositoryError::Unavailable { store: self.path.display().to_string(), detail: detail.into() }
    }

    /// The file exists, but cannot be used as it is.
    fn refused(&self, detail: impl Into<String>) -> RepositoryError {
        RepositoryError::Refused { store: self.path.display().to_string(), detail: detail.into() }
    }

    fn corrupt(&self, what: &str, detail: String) -> RepositoryError {
        RepositoryError::Corrupt { what: format!("{what} of `{}`", self.path.display()), detail }
    }
}
