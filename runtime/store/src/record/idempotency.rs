//! Rows of `idempotency_keys`.

use sha2::{Digest as _, Sha256};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::Idempotency;
use stepbox_batch::name::{Digest, JobExecutionId, TenantId};
use stepbox_batch::ports::{RepositoryError, Result};

use super::Row;
use super::columns::Columns;

/// A row of `idempotency_keys`, without its execution.
#[derive(Debug)]
pub(crate) struct KeyRecord {
    pub tenant: String,
    /// The SHA-256 of the caller and of the key: a key may be long, and says nothing to readers of the table.
    pub key: String,
    pub request: String,
    pub created_at: i64,
    /// A row of that moment or earlier counts as absent.
    pub forgotten_at: i64,
}

impl KeyRecord {
    pub(crate) fn new(tenant: &TenantId, idempotency: &Idempotency, now: Timestamp) -> Self {
        let Idempotency { principal, key, request } = idempotency;
        // The length separates the two texts.
        let named = format!("{} {principal}{key}", principal.len());
        Self {
            tenant: tenant.to_string(),
            key: Digest::from_bytes(Sha256::digest(named).into()).to_string(),
            request: request.to_string(),
            created_at: now.0,
            forgotten_at: Idempotency::forgotten_at(now).0,
        }
    }

    /// The execution of the first request with the key, from the columns `request` and `execution_id`.
    pub(crate) fn first<C: Columns>(&self, row: &C) -> std::result::Result<JobExecutionId, C::Error> {
        let id = Row("idempotency key".to_owned()).id("execution_id", row.number("execution_id")?)?;
        match row.text("request")? == self.request {
            true => Ok(id),
            false => Err(RepositoryError::IdempotencyConflict { id }.into()),
        }
    }
}

/// Refuses a second request.
pub(crate) fn refuse(first: Option<JobExecutionId>) -> Result<()> {
    first.map_or(Ok(()), |id| Err(RepositoryError::AlreadyPublished { id }))
}
