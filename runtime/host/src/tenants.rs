//! The tenants of an installation: who they are, what each may do now, and what of theirs runs here.
//!
//! A tenant's policy may change at any time. What a step began with stays its own until it ends; the next step, the next
//! execution and the next question go by the new policy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use stepbox_batch::counters::Tally;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::run_context::RunContext;
use stepbox_connectors::NamedStorage;
use stepbox_sandbox::Share;

use crate::error::Error;
use crate::metrics::TenantMeters;
use crate::policy::Policy;

/// Whether anything of a tenant begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStanding {
    /// Its executions are accepted and begun.
    Active,
    /// Nothing of it is accepted or begun in this process. What runs goes on, what waits keeps its place, and
    /// everything can be looked at and stopped.
    Suspended,
    /// This process does not know it any more; what it has in the store is as it was.
    Removed,
}

/// The tenants, by name.
#[derive(Default)]
pub(crate) struct Tenants(RwLock<BTreeMap<TenantId, Arc<TenantState>>>);

/// What all of a tenant's handles share.
pub(crate) struct TenantState {
    now: RwLock<Now>,
    pub(crate) share: Share,
    /// Counts the limits and refusals that its components and uploads run into.
    pub(crate) tally: Arc<Tally>,
    /// Counts and times its runs.
    pub(crate) meters: Arc<TenantMeters>,
    /// How many of its executions run here that take no place in the queue.
    running: Arc<AtomicUsize>,
    /// All that run here.
    runs: Mutex<BTreeMap<JobExecutionId, Weak<RunContext>>>,
}

/// What may change.
struct Now {
    policy: Arc<Policy>,
    standing: TenantStanding,
}

/// A place among a tenant's running executions. It is free again once this is dropped.
#[derive(Debug)]
pub(crate) struct RunningPlace(Arc<AtomicUsize>);

/// That an execution runs here. It no longer does once this is dropped.
pub(crate) struct RunsHere {
    tenant: Arc<TenantState>,
    id: JobExecutionId,
}

impl Tenants {
    pub(crate) fn get(&self, id: &TenantId) -> Option<Arc<TenantState>> {
        self.read().get(id).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(TenantId, Arc<TenantState>)> {
        self.read().iter().map(|(id, state)| (id.clone(), state.clone())).collect()
    }

    /// The first of these tenants that is not there.
    pub(crate) fn first_unknown<'a>(&self, wanted: &'a [TenantId]) -> Option<&'a TenantId> {
        let tenants = self.read();
        wanted.iter().find(|wanted| !tenants.contains_key(wanted))
    }

    /// The tenants among these that are active, each with how many of its executions may run; empty means all.
    pub(crate) fn active(&self, wanted: &[TenantId]) -> Vec<(TenantId, u64)> {
        let is_wanted = |id: &TenantId| wanted.is_empty() || wanted.contains(id);
        let tenants = self.all().into_iter();
        let tenants =
            tenants.filter(|(id, state)| is_wanted(id) && state.standing() == TenantStanding::Active);
        tenants.map(|(id, state)| (id, state.policy().quotas.running_max as u64)).collect()
    }

    /// Gives a policy to a tenant that is there already, or to one that `new` makes. A new tenant is not seen before it
    /// has its standing.
    pub(crate) fn set(
        &self,
        id: &TenantId,
        policy: Policy,
        standing: Option<TenantStanding>,
        new: impl FnOnce(Policy) -> TenantState,
    ) -> Arc<TenantState> {
        let mut tenants = self.write();
        let state = match tenants.get(id) {
            Some(state) => {
                state.change(policy);
                state.clone()
            }
            None => Arc::new(new(policy)),
        };
        if let Some(standing) = standing {
            state.set_standing(standing);
        }
        tenants.entry(id.clone()).or_insert(state).clone()
    }

    /// Takes a tenant out.
    pub(crate) fn remove(&self, id: &TenantId) -> Option<Arc<TenantState>> {
        self.write().remove(id)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<TenantId, Arc<TenantState>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<TenantId, Arc<TenantState>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TenantState {
    pub(crate) fn new(policy: Policy, share: Share, meters: Arc<TenantMeters>) -> Self {
        let now = Now { policy: Arc::new(policy), standing: TenantStanding::Active };
        Self {
            now: RwLock::new(now),
            share,
            meters,
            tally: Arc::default(),
            running: Arc::default(),
            runs: Mutex::default(),
        }
    }

    /// The policy of now. A caller that works by it keeps it, also when it changes.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).policy.clone()
    }

    pub(crate) fn standing(&self) -> TenantStanding {
        self.now.read().unwrap_or_else(PoisonError::into_inner).standing
    }

    fn change(&self, policy: Policy) {
        self.share.set_limits(policy.quotas.of_share());
        self.now.write().unwrap_or_else(PoisonError::into_inner).policy = Arc::new(policy);
    }

    pub(crate) fn set_standing(&self, standing: TenantStanding) {
        self.now.write().unwrap_or_else(PoisonError::into_inner).standing = standing;
    }

    /// A place among the running executions, if the quota has one.
    pub(crate) fn running_place(&self) -> Result<RunningPlace, Error> {
        let max = self.policy().quotas.running_max;
        // Counted first: if there is no room after all, dropping the place takes it back.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = RunningPlace(self.running.clone());
        if before < max { Ok(place) } else { Err(Error::TooManyRunning { max }) }
    }

    /// Notes that an execution runs here, for as long as the answer lives.
    pub(crate) fn runs_here(self: &Arc<Self>, id: JobExecutionId, run: &Arc<RunContext>) -> RunsHere {
        self.runs().insert(id, Arc::downgrade(run));
        RunsHere { tenant: self.clone(), id }
    }

    /// Asks all that runs here to rest at its next checkpoint. Returns how many there are.
    pub(crate) fn pause_all(&self) -> usize {
        let running: Vec<_> = self.runs().values().filter_map(Weak::upgrade).collect();
        running.iter().for_each(|run| run.request_pause());
        running.len()
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<JobExecutionId, Weak<RunContext>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for RunsHere {
    fn drop(&mut self) {
        self.tenant.runs().remove(&self.id);
    }
}

/// Refuses a policy with a setting that cannot be, or that has no effect.
pub(crate) fn check_policy(
    tenant: &TenantId,
    policy: &Policy,
    shared: Option<&NamedStorage>,
) -> Result<(), Error> {
    let wrong = |source| Error::Policy { tenant: tenant.clone(), source };
    policy.http.check(policy.network).map_err(wrong)?;
    policy.check_secrets().map_err(|source| Error::Secret { tenant: tenant.clone(), source })?;
    let wrong = |source| Error::Storages { tenant: tenant.clone(), source };
    policy.check_storages().map_err(wrong)?;
    policy.components.check().map_err(|source| Error::ComponentsPolicy { tenant: tenant.clone(), source })?;
    let Some(shared) = shared else { return Ok(()) };
    shared.check_network(policy.network.allow_loopback, policy.network.allow_private).map_err(wrong)?;
    policy.storages.check_apart(shared).map_err(wrong)
}
