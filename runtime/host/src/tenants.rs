//! The tenants of an installation: their names, their current policies, and their runs in this process.
//!
//! A tenant's policy may change at any time. A step that is running keeps its policy until it ends. The next
//! step, the next execution and the next request use the new policy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use stepbox_batch::counters::Tally;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::run_context::RunContext;
use stepbox_connectors::NamedStorage;
use stepbox_sandbox::Share;

use crate::describers::Describers;
use crate::error::Error;
use crate::metrics::TenantMeters;
use crate::policy::Policy;
use crate::uploads::Arriving;

/// Whether executions of a tenant may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStanding {
    /// Its executions are accepted and begun.
    Active,
    /// No execution is accepted or begun in this process.
    ///
    /// Running executions continue, waiting executions keep their place, and everything can be read and
    /// stopped.
    Suspended,
    /// This process no longer knows the tenant.
    ///
    /// Its data in the store are unchanged.
    Removed,
}

/// The tenants, by name.
#[derive(Default)]
pub(crate) struct Tenants(RwLock<BTreeMap<TenantId, Arc<TenantState>>>);

/// The state that all handles of a tenant share.
pub(crate) struct TenantState {
    now: RwLock<Now>,
    pub(crate) share: Share,
    /// Counts the limits and refusals of its components and uploads.
    pub(crate) tally: Arc<Tally>,
    /// Counts and times its runs.
    pub(crate) meters: Arc<TenantMeters>,
    /// How many of its executions that did not come from the queue are running here.
    running: Arc<AtomicUsize>,
    /// What its questions about forms share.
    pub(crate) describers: Describers,
    /// The bytes of its uploads that arrive here.
    pub(crate) arriving: Arriving,
    /// All its executions that are running here.
    runs: Mutex<BTreeMap<JobExecutionId, Weak<RunContext>>>,
}

/// The values that may change.
struct Now {
    policy: Arc<Policy>,
    standing: TenantStanding,
}

/// A place among a tenant's running executions. Dropping the value frees the place.
#[derive(Debug)]
pub(crate) struct RunningPlace(Arc<AtomicUsize>);

/// Records that an execution is running here, until the value is dropped.
pub(crate) struct RunsHere {
    tenant: Arc<TenantState>,
    id: JobExecutionId,
}

impl Tenants {
    pub(crate) fn get(&self, id: &TenantId) -> Option<Arc<TenantState>> {
        self.read().get(id).cloned()
    }

    /// All tenants, by name.
    pub(crate) fn all(&self) -> Vec<(TenantId, Arc<TenantState>)> {
        self.read().iter().map(|(id, state)| (id.clone(), state.clone())).collect()
    }

    /// The first of these tenants that does not exist.
    pub(crate) fn first_unknown<'a>(&self, wanted: &'a [TenantId]) -> Option<&'a TenantId> {
        let tenants = self.read();
        wanted.iter().find(|wanted| !tenants.contains_key(wanted))
    }

    /// The active tenants among these, each with the number of its executions that may run; an empty list
    /// means all.
    pub(crate) fn active(&self, wanted: &[TenantId]) -> Vec<(TenantId, u64)> {
        let is_wanted = |id: &TenantId| wanted.is_empty() || wanted.contains(id);
        let tenants = self.all().into_iter();
        let tenants =
            tenants.filter(|(id, state)| is_wanted(id) && state.standing() == TenantStanding::Active);
        tenants.map(|(id, state)| (id, state.policy().quotas.running_max as u64)).collect()
    }

    /// Sets the policy of an existing tenant, or of a new tenant that `new` creates. A new tenant becomes
    /// visible only after its standing is set.
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

    /// Removes a tenant.
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
            describers: Describers::default(),
            arriving: Arriving::default(),
            runs: Mutex::default(),
        }
    }

    /// The current policy. A caller that uses this value keeps it, even if the policy changes.
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

    /// Takes a place among the running executions, if the quota allows one more.
    pub(crate) fn running_place(&self) -> Result<RunningPlace, Error> {
        let max = self.policy().quotas.running_max;
        // The count is increased first. If there is no place, dropping the value decreases it again.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = RunningPlace(self.running.clone());
        if before < max { Ok(place) } else { Err(Error::TooManyRunning { max }) }
    }

    /// Records that an execution is running here, as long as the returned value lives.
    pub(crate) fn runs_here(self: &Arc<Self>, id: JobExecutionId, run: &Arc<RunContext>) -> RunsHere {
        self.runs().insert(id, Arc::downgrade(run));
        RunsHere { tenant: self.clone(), id }
    }

    /// Asks all executions that are running here to pause at their next checkpoint. Returns their number.
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

/// Refuses a policy with a setting that is invalid or that has no effect.
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
