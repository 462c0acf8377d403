//! The events of executions.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::clock::Timestamp;
use crate::execution::event::{Checkpointed, EventNumber, ExecutionEvent};
use crate::name::TenantId;

/// The events of executions, in the order in which they became visible.
///
/// Every change of an execution writes its event in the same transaction; [`crate::execution::event`] has the
/// kinds.
///
/// A reader keeps the number of the last event that it has handled, and asks for the events after that number.
/// After a reader has got a number, no event with a smaller number appears any more, so the reader misses no event.
/// A reader that saves the number together with its own work handles each event at least once.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// The events after a number, of one tenant or of all tenants, in their order.
    ///
    /// Events of purged executions are left out.
    async fn events_after(
        &self,
        tenant: Option<&TenantId>,
        after: EventNumber,
        limit: u32,
    ) -> Result<EventPage>;

    /// Returns when there may be an event after that number, of any tenant; after `timeout_ms` milliseconds at the
    /// latest.
    async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64);

    /// The steps of running executions that were saved at that moment or later, of one tenant or of all tenants,
    /// oldest save first.
    async fn checkpointed(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Listing<Checkpointed>>;

    /// Deletes events of all tenants: those from before a moment, and those that are not among the newest
    /// `kept_max`.
    ///
    /// Each transaction deletes some thousands. Returns how many events were deleted.
    async fn drop_events(&self, before: Timestamp, kept_max: u64) -> Result<u64>;
}

/// A page of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, in the order of their numbers.
    pub events: Listing<ExecutionEvent>,
    /// The number to ask with next: no event up to this number will appear later.
    pub next: EventNumber,
    /// Whether all events between the number that was asked for and this page still exist.
    ///
    /// If some were dropped because of their age, the reader must look at the executions themselves.
    pub is_complete: bool,
}
