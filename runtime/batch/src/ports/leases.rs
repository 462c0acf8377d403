//! Who holds what, and what becomes of it when a worker is lost.

use async_trait::async_trait;

use super::error::Result;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::execution::lease::{Claim, Lease};
use crate::execution::rescue::{Rescued, Whose};
use crate::name::{JobExecutionId, TenantId};

/// Leases that are taken by the number of an execution, that end early, or that have run out.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes the lease of an execution that is STARTING or PAUSED and whose lease is free or has run out, whether or
    /// not it is in the queue. The concurrency of its job holds here, too.
    async fn claim(&self, tenant: &TenantId, id: JobExecutionId, claim: &Claim, by: &Actor) -> Result<Lease>;

    /// Ends the leases of a worker that is known to be dead, of all tenants, so that nothing waits for them to run out.
    async fn expire_leases(&self, worker: &str, now: Timestamp) -> Result<()>;

    /// Cuts leases whose last heartbeat lies in the future, of all tenants: a clock was ahead, and was put right. From
    /// now on they last as long as they did from that heartbeat.
    async fn cut_leases(&self, now: Timestamp) -> Result<()>;

    /// Takes every execution whose worker let its lease run out, of all tenants. An execution that was in the queue
    /// waits there again; any other ends, with a readable reason and an end time. A part whose whole has ended ends
    /// with it.
    ///
    /// Each execution is rescued by itself, on what is stored of it at that moment. An execution that cannot be rescued
    /// is set aside with its reason, and the others are rescued all the same.
    async fn rescue_lost(&self, now: Timestamp) -> Result<Vec<Rescued>> {
        self.rescue_lost_of(now, &Whose::All).await
    }

    /// [`rescue_lost`](Self::rescue_lost), of some workers alone.
    async fn rescue_lost_of(&self, now: Timestamp, whose: &Whose) -> Result<Vec<Rescued>>;
}
