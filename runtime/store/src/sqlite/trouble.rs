//! What SQLite says, turned into what people can act on.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use stepbox_batch::repository::{RepositoryError, Result};

use super::SqliteOptions;

/// The outcome of work on a connection, before anybody explained it.
pub(super) type Outcome<T> = std::result::Result<T, Trouble>;

/// Either SQLite failed, or the answer is no, or this crate has a defect.
#[derive(Debug)]
pub(super) enum Trouble {
    Sqlite(rusqlite::Error),
    Repository(RepositoryError),
    /// The work panicked.
    Defect,
}

impl Trouble {
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

/// Which file it is, and how it was opened: what an error has to name.
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

    /// An error of SQLite's for a caller.
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
            // Not from SQLite but from reading a column: not the type that the schema promises.
            None => self.corrupt("row", said),
        }
    }

    /// There is no working with this file.
    pub(super) fn unavailable(&self, detail: impl Into<String>) -> RepositoryError {
        RepositoryError::Unavailable { store: self.path.display().to_string(), detail: detail.into() }
    }

    /// The file is there, and is not for us as it is.
    fn refused(&self, detail: impl Into<String>) -> RepositoryError {
        RepositoryError::Refused { store: self.path.display().to_string(), detail: detail.into() }
    }

    fn corrupt(&self, what: &str, detail: String) -> RepositoryError {
        RepositoryError::Corrupt { what: format!("{what} of `{}`", self.path.display()), detail }
    }
}
