//! The events of a tenant's executions, as a stream.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::ports::{EventPage, Listing};

use super::Tenant;
use crate::error::Error;

impl Tenant {
    /// Returns the events of this tenant's executions after a number, in order, at most `limit` of them.
    ///
    /// Begin with [`EventNumber::BEGINNING`], and continue with [`EventPage::next`]. Events are kept for a
    /// week.
    ///
    /// A reader that stores the number together with its own work handles each event at least once, whichever
    /// process wrote the event. Parts of a step that was split are executions of their own, with `part_of`.
    pub async fn events(&self, after: EventNumber, limit: u32) -> Result<EventPage, Error> {
        Ok(self.installation.repository.events_after(Some(&self.id), after, limit).await?)
    }

    /// Waits until there may be an event after this number, but at most `timeout_ms` milliseconds.
    ///
    /// Events of other tenants may also end the wait. So call [`events`](Self::events) then, and wait again
    /// with the [`EventPage::next`] of that page.
    pub async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        self.installation.repository.wait_for_events(after, timeout_ms).await;
    }

    /// The progress of steps of this tenant's running executions that were saved at `since` or later.
    ///
    /// The oldest save comes first, and there are at most `limit` steps. A checkpoint is not an event, so
    /// call this regularly.
    pub async fn checkpointed(&self, since: Timestamp, limit: u32) -> Result<Listing<Checkpointed>, Error> {
        Ok(self.installation.repository.checkpointed(Some(&self.id), since, limit).await?)
    }
}
