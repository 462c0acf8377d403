//! Which worker holds which execution, and the rescue after the loss of a worker.

use async_trait::async_trait;

use super::error::Result;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::execution::lease::{Claim, Lease};
use crate::execution::rescue::{Rescued, Whose};
use crate::name::{JobExecutionId, TenantId};

/// Leases that are taken by the number of an execution, that end early, or that have expired.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes the lease of an execution that is STARTING or PAUSED and whose lease is free or has expired, whether
    /// or not the execution is in the queue.
    ///
    /// A pause that was requested is over: the execution is resumed, with the parts of its steps. A part that pauses
    /// with its whole is refused. The limit of executions of one instance at a time applies here, too.
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease>;

    /// Ends the leases of a worker that is known to be dead, of all tenants, so that no one waits for them to
    /// expire.
    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()>;

    /// Shortens leases whose last heartbeat is in the future, of all tenants.
    ///
    /// This happens if a clock was ahead, and was corrected. A shortened lease lasts from now on as long as it did
    /// from that heartbeat.
    async fn cut_leases(&self, now: Timestamp) -> Result<()>;

    /// Rescues every execution whose worker let its lease expire, of all tenants.
    ///
    /// An execution that was in the queue waits there again; any other execution ends, with a readable reason and
    /// an end time. A part whose whole has ended ends with it.
    ///
    /// Each execution is rescued by itself, by its stored state at that moment. An execution that cannot be rescued
    /// is set aside with the reason, and the others are still rescued.
    async fn rescue_lost(&self, now: Timestamp) -> Result<Vec<Rescued>> {
        self.rescue_lost_of(now, &Whose::All).await
    }

    /// The same as [`rescue_lost`](Self::rescue_lost), but only for some workers.
    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>>;
}
