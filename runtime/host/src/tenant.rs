//! All that a tenant can do. Nothing here can be told to look at another tenant.

mod audit;
mod components;
mod connectors;
mod events;
mod executions;
mod instances;
mod left_over;
mod queue;
mod reimport;

use std::fmt;
use std::sync::Arc;

use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::counters::Counters;
use stepbox_batch::name::{NameError, TenantId, UserName};

use crate::error::Error;
use crate::installation::{Installation, TenantRef};
use crate::policy::Policy;
use crate::tenants::{TenantStanding, TenantState};

pub use components::{Inspected, Upload, receive_component};
pub use executions::{Purge, Purged, RunOptions, Running};
pub use instances::{InstanceEdit, NewInstance};
pub use left_over::NotRemoved;
pub use queue::PublishOptions;
pub use reimport::Reimport;

/// A tenant of an installation, and on whose behalf things are done there. Cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    installation: Arc<Installation>,
    id: TenantId,
    state: Arc<TenantState>,
    /// An invalid name is refused when something is done.
    user: Option<Result<UserName, NameError>>,
    /// Whether the operator holds it.
    is_operators: bool,
}

impl Tenant {
    pub(crate) fn new(installation: Arc<Installation>, id: TenantId, state: Arc<TenantState>) -> Self {
        Self { installation, id, state, user: None, is_operators: false }
    }

    pub(crate) fn for_operator(self) -> Self {
        Self { is_operators: true, ..self }
    }

    /// Which one.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What time it is for the store, with which every moment that is handed in is compared.
    pub fn now(&self) -> Timestamp {
        self.installation.clock.now()
    }

    /// The same tenant for a user of it: all that is done through this handle stands in the audit trail
    /// under that name. Who that is, and that they may, is for the embedder to know. Nothing can be done under a name
    /// that no [`UserName`] may have.
    #[must_use]
    pub fn acting_as(&self, user: &str) -> Self {
        Self { user: Some(UserName::new(user)), ..self.clone() }
    }

    /// Who acts, now.
    fn by(&self) -> Result<Actor, Error> {
        let user = self.user.clone().transpose().map_err(Error::Name)?;
        Ok(Actor::new(user.as_ref().map(UserName::as_str), self.installation.clock.now()))
    }

    /// How often its components and uploads ran into a limit or a refusal, since the process began.
    pub fn counters(&self) -> Counters {
        self.state.tally.counters()
    }

    /// What its jobs may touch at most, as it is now; [`Stepbox::set_tenant`](crate::Stepbox::set_tenant) changes it.
    pub fn policy(&self) -> Arc<Policy> {
        self.state.policy()
    }

    /// Whether anything of it begins.
    pub fn standing(&self) -> TenantStanding {
        self.state.standing()
    }

    /// The tenant, for the life of its jobs.
    fn here(&self) -> TenantRef<'_> {
        TenantRef { installation: &self.installation, id: &self.id, state: &self.state }
    }

    /// Refuses to begin anything of a tenant that is suspended or gone.
    fn refuse_unless_active(&self) -> Result<(), Error> {
        match self.state.standing() {
            TenantStanding::Active => Ok(()),
            TenantStanding::Suspended => Err(Error::TenantSuspended(self.id.clone())),
            TenantStanding::Removed => Err(Error::UnknownTenant(self.id.clone())),
        }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("policy", &self.policy())
            .finish_non_exhaustive()
    }
}
