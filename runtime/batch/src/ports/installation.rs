//! The identity and the clock of a store.

use async_trait::async_trait;

use super::error::Result;
use crate::clock::Timestamp;
use crate::name::InstallationId;

/// The identity and the clock of a store.
#[async_trait]
pub trait Installation: Send + Sync + 'static {
    /// Which installation the store belongs to.
    ///
    /// The id was made with the store.
    async fn installation(&self) -> Result<InstallationId>;

    /// The time of the store's clock; `None` if the store has no clock that all its users share.
    ///
    /// If there is such a clock, all moments that are written come from it.
    async fn store_now(&self) -> Result<Option<Timestamp>>;
}
