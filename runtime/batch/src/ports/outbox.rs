//! The events of executions.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::clock::Timestamp;
use crate::execution::event::{Checkpointed, EventNumber, ExecutionEvent};
use crate::name::TenantId;

/// What happened to executions, in the order in which it became visible. Every change of an execution writes its event in
/// the same transaction; [`crate::execution::event`] has the kinds.
///
/// A reader keeps the number of the last event it has dealt with, and asks for what came after. An event never appears
/// before a number that a reader was given, so no reader misses one, and a reader that keeps its number with its own
/// work deals with each event at least once.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// The events after a number, of one tenant or of all, in their order. Events of executions that were purged are not
    /// among them.
    async fn events_after(
        &self,
        tenant: Option<&TenantId>,
        after: EventNumber,
        limit: u32,
    ) -> Result<EventPage>;

    /// Returns when there may be an event after that number, of any tenant, or after that many milliseconds.
    async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64);

    /// The steps of running executions that were saved at that moment or later, of one tenant or of all, oldest save
    /// first.
    async fn checkpointed(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Listing<Checkpointed>>;

    /// Deletes events from before a moment, and those beyond the newest `kept_max`, of all tenants, some thousands at a
    /// time. Returns how many they were.
    async fn drop_events(&self, before: Timestamp, kept_max: u64) -> Result<u64>;
}

/// A page of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, in the order of their numbers.
    pub events: Listing<ExecutionEvent>,
    /// The number to ask with next: no event up to it is still to come.
    pub next: EventNumber,
    /// Whether nothing between the number that was asked for and this page has been dropped for its age. If something
    /// has, the reader has to look at the executions themselves.
    pub is_complete: bool,
}
