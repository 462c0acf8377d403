//! An installation of Stepbox for an embedder: its tenants, its worker, and its health.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{Checkpointed, EventNumber};
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::{EventPage, Listing};
use stepbox_batch::worker::{Worker as Registered, WorkerStatus};

use crate::access::Accounts;
use crate::error::Error;
use crate::installation::Installation;
use crate::metrics::AtScrape;
use crate::own_files;
use crate::policy::Policy;
use crate::tenant::Tenant;
use crate::tenants::{TenantStanding, check_policy};
use crate::worker::{Worker, WorkerOptions, start_worker};

/// An installation of Stepbox: a store, a sandbox, native elements and tenants.
///
/// A clone is cheap.
#[derive(Debug, Clone)]
pub struct Stepbox {
    pub(crate) installation: Arc<Installation>,
}

impl Stepbox {
    /// Returns a tenant that was added with the builder or with [`set_tenant`](Self::set_tenant).
    pub fn tenant(&self, id: &TenantId) -> Result<Tenant, Error> {
        match self.installation.tenants.get(id) {
            Some(state) => Ok(Tenant::new(self.installation.clone(), id.clone(), state)),
            None => Err(Error::UnknownTenant(id.clone())),
        }
    }

    /// Adds a tenant, or changes the policy of an existing tenant.
    ///
    /// A step that is running keeps its policy until it ends. Everything that begins later uses the new
    /// policy, including its quotas. A worker for all tenants works for a new tenant at once.
    ///
    /// Fails like [`Builder::open`](crate::Builder::open) if the policy has a setting that is invalid or has
    /// no effect. The tenant then keeps its earlier policy.
    pub fn set_tenant(&self, id: &TenantId, policy: Policy) -> Result<Tenant, Error> {
        self.set_tenant_as(id, policy, None)
    }

    /// The same, with the standing of the tenant from the first moment on. `None` does not change the
    /// standing; a new tenant is then active.
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

    /// Stops accepting and beginning executions of a tenant in this process.
    ///
    /// Publish, run, resume and restart are refused as `tenant-suspended`, and the worker takes no executions
    /// of the tenant from the queue. Running executions continue, and everything can be read and stopped.
    /// [`resume_tenant`](Self::resume_tenant) ends the suspension.
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

    /// Removes a tenant from this process.
    ///
    /// Its running executions become PAUSED at their next checkpoint. Returns how many executions these are.
    /// The tenant's data stay in the store and are available again when the tenant is set again.
    pub fn remove_tenant(&self, id: &TenantId) -> Result<usize, Error> {
        let state = self.installation.tenants.remove(id).ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        state.set_standing(TenantStanding::Removed);
        Ok(state.pause_all())
    }

    /// The tenants of this process, with their standing.
    pub fn tenants(&self) -> Vec<(TenantId, TenantStanding)> {
        let tenants = self.installation.tenants.all().into_iter();
        tenants.map(|(id, state)| (id, state.standing())).collect()
    }

    /// Protects one more file from every job, from now on: see
    /// [`Builder::own_path`](crate::Builder::own_path).
    pub(crate) fn keep_file(&self, path: &Path) -> Result<(), Error> {
        let absolute = std::path::absolute(path).map_err(|source| Error::DataFolder {
            path: path.to_owned(),
            action: "cannot be opened",
            source,
        })?;
        self.installation.wall.extend_around(absolute);
        Ok(())
    }

    /// The events of all tenants after a number, including tenants that this process does not have: see
    /// [`Tenant::events`].
    pub async fn events(&self, after: EventNumber, limit: u32) -> Result<EventPage, Error> {
        Ok(self.installation.repository.events_after(None, after, limit).await?)
    }

    /// The users of the installation, and what they and their programs come in with.
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.installation.clone())
    }

    /// The number of the newest event, to begin with what comes after it.
    pub async fn newest_event(&self) -> Result<EventNumber, Error> {
        // A page that is not full ends with the newest number, and nobody calls a tenant so.
        let nobody = TenantId::new("-".repeat(100))?;
        let page = self.installation.repository.events_after(Some(&nobody), EventNumber::BEGINNING, 1);
        Ok(page.await?.next)
    }

    /// Waits until there may be an event after this number, of any tenant: see [`Tenant::wait_for_events`].
    pub async fn wait_for_events(&self, after: EventNumber, timeout_ms: u64) {
        self.installation.repository.wait_for_events(after, timeout_ms).await;
    }

    /// The progress of steps of all tenants: see [`Tenant::checkpointed`].
    pub async fn checkpointed(&self, since: Timestamp, limit: u32) -> Result<Listing<Checkpointed>, Error> {
        Ok(self.installation.repository.checkpointed(None, since, limit).await?)
    }

    /// The store's current time.
    pub fn now(&self) -> Timestamp {
        self.installation.clock.now()
    }

    /// The current health of this installation.
    pub fn health(&self) -> Health {
        Health { ms_since_tick: self.installation.sandbox.ms_since_tick() }
    }

    /// The same tenant, for the operator of the installation.
    ///
    /// The operator may upload components even if the tenant may not (`ComponentsPolicy::upload`). Signatures
    /// and quotas apply to the operator too.
    pub fn operator_of(&self, id: &TenantId) -> Result<Tenant, Error> {
        self.tenant(id).map(Tenant::for_operator)
    }

    /// Starts a worker in this process.
    ///
    /// An installation has at most one worker at a time.
    pub async fn start_worker(&self, options: WorkerOptions) -> Result<Worker, Error> {
        start_worker(self.installation.clone(), options).await
    }

    /// The workers that are registered in this store, by name, and the executions that each one runs.
    pub async fn workers(&self) -> Result<Listing<WorkerStatus>, Error> {
        let (repository, now) = (&self.installation.repository, self.installation.clock.now());
        let (workers, held) = (repository.workers().await?, repository.held(now).await?);
        let status = |worker: Registered| WorkerStatus {
            // A worker that was seen in the future had a clock that was ahead.
            is_alive: now.0.abs_diff(worker.seen_at.0) < self.installation.lease_ms,
            running: held.iter().filter(|held| held.worker == worker.name).cloned().collect(),
            worker,
        };
        let mut listing = workers.map(status);
        listing.damaged.extend(held.damaged.iter().cloned());
        Ok(listing)
    }

    /// The counters and timers of this process since it began, and the number of waiting executions in the
    /// store.
    ///
    /// The result is a text for Prometheus of the type [`METRICS_TYPE`](crate::METRICS_TYPE). It contains the
    /// names of the tenants.
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

/// The current health of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The time since the sandbox last checked whether running components must end, in milliseconds.
    ///
    /// The check runs every 10 ms, if the machine is not overloaded. Without it, no time limit works. If the
    /// value is several seconds, end the process.
    pub ms_since_tick: u64,
}
