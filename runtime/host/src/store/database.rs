//! The store in a PostgreSQL database.

use std::sync::Arc;

use stepbox_batch::ports::{Finding, JobRepository, Result, StoreReport};
use stepbox_store::{PostgresOptions, PostgresSchema, PostgresStore};

/// The name of a database in error messages.
pub(super) fn name_of(url: &str) -> Result<String> {
    PostgresStore::name_of(url)
}

pub(super) async fn look(url: &str) -> Result<StoreReport> {
    let store = PostgresStore::name_of(url)?;
    let PostgresSchema { server, version, known } =
        PostgresStore::check(url, &PostgresOptions::default()).await?;
    let (server, problems) = (Some(server), Vec::new());
    Ok(StoreReport { store, server, version, known_version: known, problems, findings: Vec::new() })
}

pub(super) async fn check(url: &str, mends: bool) -> Result<Vec<Finding>> {
    PostgresStore::check_contents(url, &PostgresOptions::default(), mends).await
}

pub(super) async fn migrate(url: &str) -> Result<()> {
    PostgresStore::migrate(url, &PostgresOptions::default()).await.map(drop)
}

pub(super) async fn open(url: &str) -> Result<Arc<dyn JobRepository>> {
    Ok(Arc::new(PostgresStore::open(url, PostgresOptions::default()).await?))
}
