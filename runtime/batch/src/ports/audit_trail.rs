//! The port of the audit trail.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::actor::Actor;
use crate::audit::{AuditEvent, AuditFilter, Deed};
use crate::clock::Timestamp;
use crate::name::TenantId;

/// How many events of the audit trail are deleted in one transaction.
pub const EVENTS_PURGED_TOGETHER: u32 = 10_000;

/// The audit trails: one of each tenant, and one of the installation.
///
/// Every other port that takes an [`Actor`] writes to it. Only [`purge_audit`](Self::purge_audit) and
/// [`purge_audit_of_installation`](Self::purge_audit_of_installation) delete events.
#[async_trait]
pub trait AuditTrail: Send + Sync + 'static {
    /// Adds an event that belongs to no change, such as a refusal.
    async fn record(&self, tenant: &TenantId, deed: &Deed, by: &Actor) -> Result<()>;

    /// Events, newest first.
    async fn audit(&self, tenant: &TenantId, filter: &AuditFilter) -> Result<Listing<AuditEvent>>;

    /// Deletes the events from before a moment, in transactions of at most [`EVENTS_PURGED_TOGETHER`] events.
    ///
    /// Each of these transactions writes an event of its own. Returns how many events were deleted.
    async fn purge_audit(&self, tenant: &TenantId, before: Timestamp, by: &Actor) -> Result<u64>;

    /// Adds an event to the trail of the installation, which has what belongs to no tenant: users, sign-ins, and
    /// tokens of the installation.
    async fn record_of_installation(&self, deed: &Deed, by: &Actor) -> Result<()>;

    /// Events of the installation, newest first.
    async fn audit_of_installation(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>>;

    /// Deletes the events of the installation from before a moment, as [`purge_audit`](Self::purge_audit) does.
    async fn purge_audit_of_installation(&self, before: Timestamp, by: &Actor) -> Result<u64>;
}
