//! What happens to a tenant's executions, as a stream.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::ports::{EventPage, Listing};

use super::Tenant;
use crate::error::Error;

impl Tenant {
    /// The events of this tenant's executions after a number, in their order, at most `limit` of them. Begin with
    /// [`EventNumber::BEGINNING`], and go on with [`EventPage::next`]. Events are kept for a week.
    ///
    /// A reader that keeps the number with its own work deals with each event at least once, whichever process wrote
    /// it. Parts of a step that was split are executions of their own, with `part_of`.
    pub async fn events(&self, after: EventNumber, limit: u32) -> Result<EventPage, Error> {
        Ok(self.installation.repository.events_after(Some(&self.id), after, limit).await?)
    }

    /// Returns when there may be an event after that number, or after so many milliseconds. Events of other tenants may
    /// end the wait, too: ask again with the [`EventPage::next`] of the page that follows.
    pub async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        self.installation.repository.wait_for_events(after, timeout_ms).await;
    }

    /// How far the steps of this tenant's running executions are that were saved at that moment or later, oldest save
    /// first, at most `limit` of them. A checkpoint is no event: ask now and then.
    pub async fn checkpointed(&self, since: Timestamp, limit: u32) -> Result<Listing<Checkpointed>, Error> {
        Ok(self.installation.repository.checkpointed(Some(&self.id), since, limit).await?)
    }
}
