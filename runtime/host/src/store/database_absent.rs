//! Replaces the store in a PostgreSQL database in a program that is built without it.

use std::sync::Arc;

use stepbox_batch::ports::{Finding, JobRepository, RepositoryError, Result, StoreReport};

const ABSENT: RepositoryError =
    RepositoryError::NotBuiltIn { store: "the store in a PostgreSQL database", feature: "postgres" };

pub(super) fn name_of(_: &str) -> Result<String> {
    Err(ABSENT)
}

pub(super) async fn look(_: &str) -> Result<StoreReport> {
    Err(ABSENT)
}

pub(super) async fn check(_: &str, _: bool) -> Result<Vec<Finding>> {
    Err(ABSENT)
}

pub(super) async fn migrate(_: &str) -> Result<()> {
    Err(ABSENT)
}

pub(super) async fn open(_: &str) -> Result<Arc<dyn JobRepository>> {
    Err(ABSENT)
}
