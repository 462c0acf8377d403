//! An installation of Stepbox as an embedder holds it: its tenants, its worker, and how it is.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use stepbox_batch::execution::event::EventNumber;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{EventPage, Listing};
use stepbox_batch::worker::{Worker as Registered, WorkerStatus};

use crate::error::Error;
use crate::installation::Installation;
use crate::metrics::AtScrape;
use crate::own_files;
use crate::policy::Policy;
use crate::tenant::Tenant;
use crate::tenants::{TenantStanding, check_policy};
use crate::worker::{Worker, WorkerOptions, start_worker};

/// An installation of Stepbox: a store, a sandbox, native elements and tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stepbox {
    pub(crate) installation: Arc<Installation>,
}

impl Stepbox {
    /// A tenant that the builder or [`set_tenant`](Self::set_tenant) was told of.
    pub fn tenant(&self, id: &TenantId) -> Result<Tenant, Error> {
        match self.installation.tenants.get(id) {
            Some(state) => Ok(Tenant::new(self.installation.clone(), id.clone(), state)),
            None => Err(Error::UnknownTenant(id.clone())),
        }
    }

    /// Adds a tenant, or changes the policy of one that is there. What a step began with stays its own until it ends;
    /// all that begins from now on goes by the new policy, quotas included. A worker that works for all tenants works
    /// for a new one at once.
    ///
    /// Fails as [`Builder::open`](crate::Builder::open) does on a policy with a setting that cannot be or has no effect; the tenant then keeps
    /// the policy that it had.
    pub fn set_tenant(&self, id: &TenantId, policy: Policy) -> Result<Tenant, Error> {
        self.set_tenant_as(id, policy, None)
    }

    /// The same with how it stands from the first moment on; `None` leaves that as it is, and a new one is active.
    pub(crate) fn set_tenant_as(
        &self,
        id: &TenantId,
        policy: Policy,
        standing: Option<TenantStanding>,
    ) -> Result<Tenant, Error> {
        let installation = &self.installation;
        check_policy(id, &policy, installation.shared.as_ref())?;
        own_files::check(id, &policy, &installation.wall)?;
        let state =
            installation.tenants.set(id, policy, standing, |policy| installation.new_tenant(id, policy));
        Ok(Tenant::new(installation.clone(), id.clone(), state))
    }

    /// Accepts and begins nothing of a tenant any more, in this process: to publish, run, resume or restart is refused as
    /// `tenant-suspended`, and the worker takes nothing of it from the queue. What runs goes on, and everything can be
    /// looked at and stopped. [`resume_tenant`](Self::resume_tenant) ends it.
    pub fn suspend_tenant(&self, id: &TenantId) -> Result<(), Error> {
        self.stand(id, TenantStanding::Suspended)
    }

    /// Ends a suspension.
    pub fn resume_tenant(&self, id: &TenantId) -> Result<(), Error> {
        self.stand(id, TenantStanding::Active)
    }

    fn stand(&self, id: &TenantId, standing: TenantStanding) -> Result<(), Error> {
        let state = self.installation.tenants.get(id).ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        state.set_standing(standing);
        Ok(())
    }

    /// Forgets a tenant in this process. What runs of it here rests as PAUSED at its next checkpoint; the answer is how
    /// many executions that are. What it has in the store stays, and is there again when the tenant is set again.
    pub fn remove_tenant(&self, id: &TenantId) -> Result<usize, Error> {
        let state = self.installation.tenants.remove(id).ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        state.set_standing(TenantStanding::Removed);
        Ok(state.pause_all())
    }

    /// The tenants of this process, and how each stands.
    pub fn tenants(&self) -> Vec<(TenantId, TenantStanding)> {
        let tenants = self.installation.tenants.all().into_iter();
        tenants.map(|(id, state)| (id, state.standing())).collect()
    }

    /// Keeps one more file from every job, from now on: see [`Builder::own_path`](crate::Builder::own_path).
    pub fn keep_file(&self, path: &Path) -> Result<(), Error> {
        let absolute = std::path::absolute(path).map_err(|source| Error::DataFolder {
            path: path.to_owned(),
            action: "cannot be opened",
            source,
        })?;
        self.installation.wall.extend_around(absolute);
        Ok(())
    }

    /// The events of all tenants after a number, also of tenants that this process does not have: see
    /// [`Tenant::events`].
    pub async fn events(&self, after: EventNumber, limit: u32) -> Result<EventPage, Error> {
        Ok(self.installation.repository.events_after(None, after, limit).await?)
    }

    /// What keeps this installation safe, as it is now.
    pub fn health(&self) -> Health {
        Health { ms_since_tick: self.installation.sandbox.ms_since_tick() }
    }

    /// The same tenant, for the operator of the installation: components may come in where the tenant
    /// itself may not upload (`ComponentsPolicy::upload`). Signatures and quotas hold here, too.
    pub fn operator_of(&self, id: &TenantId) -> Result<Tenant, Error> {
        self.tenant(id).map(Tenant::for_operator)
    }

    /// Starts a worker in this process; one at a time for an installation.
    pub async fn start_worker(&self, options: WorkerOptions) -> Result<Worker, Error> {
        start_worker(self.installation.clone(), options).await
    }

    /// The workers that live on this store, by name, and what each runs.
    pub async fn workers(&self) -> Result<Listing<WorkerStatus>, Error> {
        let (repository, now) = (&self.installation.repository, self.installation.clock.now());
        let (workers, held) = (repository.workers().await?, repository.held(now).await?);
        let status = |worker: Registered| WorkerStatus {
            // A worker seen in the future went by a clock that was ahead.
            is_alive: now.0.abs_diff(worker.seen_at.0) < self.installation.lease_ms,
            running: held.iter().filter(|held| held.worker == worker.name).cloned().collect(),
            worker,
        };
        let mut listing = workers.map(status);
        listing.damaged.extend(held.damaged.iter().cloned());
        Ok(listing)
    }

    /// What this process has counted and timed since it began, and how much waits in the store: a text that
    /// Prometheus reads, of the type [`METRICS_TYPE`](crate::METRICS_TYPE). It names the tenants.
    pub async fn metrics(&self) -> String {
        let Installation { metrics, repository, clock, tenants, .. } = &*self.installation;
        let counters = tenants.all().into_iter().map(|(id, state)| (id.to_string(), state.tally.counters()));
        metrics.page(AtScrape {
            depths: metrics.queue_depths(repository.as_ref(), clock.ticks_us()).await,
            now: clock.now(),
            ms_since_tick: self.health().ms_since_tick,
            clock_skew_ms: self.installation.clock_skew_ms(),
            counters: counters.collect(),
        })
    }
}

/// What keeps an installation safe, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// How long ago running components were last asked whether they must end, in milliseconds. That happens
    /// each 10 ms, as far as the machine lets it. Without it no time limit holds: after seconds, end the
    /// process.
    pub ms_since_tick: u64,
}
