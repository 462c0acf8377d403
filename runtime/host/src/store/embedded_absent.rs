//! Replaces the embedded store in a program that is built without it.

use std::path::PathBuf;
use std::sync::Arc;

use stepbox_batch::ports::{Finding, JobRepository, RepositoryError, StoreReport};

use crate::error::Error;

/// No file has a schema that this program could use.
pub(super) const SCHEMA_VERSION: u32 = 0;

const ABSENT: RepositoryError =
    RepositoryError::NotBuiltIn { store: "the embedded store (SQLite)", feature: "sqlite" };

pub(super) async fn look(_: PathBuf) -> Result<StoreReport, Error> {
    Err(ABSENT.into())
}

pub(super) async fn check(_: PathBuf, _: bool) -> Result<Vec<Finding>, Error> {
    Err(ABSENT.into())
}

pub(super) async fn migrate(_: PathBuf) -> Result<(), Error> {
    Err(ABSENT.into())
}

pub(super) fn open(_: PathBuf) -> Result<Arc<dyn JobRepository>, RepositoryError> {
    Err(ABSENT)
}
