//! What a store says of itself.

use async_trait::async_trait;

use super::error::Result;
use crate::clock::Timestamp;
use crate::name::InstallationId;

/// Which installation a store belongs to, and what time it is there.
#[async_trait]
pub trait Installation: Send + Sync + 'static {
    /// Which installation the store belongs to. The id was made with the store.
    async fn installation(&self) -> Result<InstallationId>;

    /// The time of the store's clock, if the store has a clock that all its users share. All moments that are written
    /// come from that clock then.
    async fn store_now(&self) -> Result<Option<Timestamp>>;
}
