//! Everything that a tenant can do. No function here can reach another tenant.

mod audit;
mod components;
mod connectors;
mod events;
mod executions;
mod files;
mod forms;
mod guarded;
mod instances;
mod left_over;
mod members;
mod outputs;
mod queue;
mod reimport;

use std::fmt;
use std::sync::Arc;

use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::counters::Counters;
use stepbox_batch::instance_form::FormRights;
use stepbox_batch::name::{NameError, TenantId, UserName};

use crate::error::Error;
use crate::installation::{Installation, TenantRef};
use crate::policy::Policy;
use crate::tenants::{TenantStanding, TenantState};

pub(crate) use executions::days_before;
pub(crate) use instances::checked_label;

pub use components::{Inspected, Upload, receive_component};
pub use executions::{Purge, Purged, RunOptions, Running};
pub use files::FileOptions;
pub use forms::FormAsk;
pub use instances::{InstanceEdit, NewInstance};
pub use left_over::NotRemoved;
pub use outputs::ExecutionOutput;
pub use queue::{Publication, PublishOptions};
pub use reimport::Reimport;

/// A tenant of an installation, and the user who acts there.
///
/// A clone is cheap.
#[derive(Clone)]
pub struct Tenant {
    installation: Arc<Installation>,
    id: TenantId,
    state: Arc<TenantState>,
    /// The user who acts. An invalid name is refused at the first action.
    user: Option<Result<UserName, NameError>>,
    /// Whether this is the operator's handle.
    is_operators: bool,
    rights: FormRights,
}

impl Tenant {
    pub(crate) fn new(installation: Arc<Installation>, id: TenantId, state: Arc<TenantState>) -> Self {
        Self { installation, id, state, user: None, is_operators: false, rights: FormRights::Every }
    }

    pub(crate) fn for_operator(self) -> Self {
        Self { is_operators: true, ..self }
    }

    /// The id of the tenant.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The store's current time.
    ///
    /// Every time that a caller passes is compared with it.
    pub fn now(&self) -> Timestamp {
        self.installation.clock.now()
    }

    /// The same tenant for one of its users: the audit trail shows everything that is done through this
    /// handle under that name.
    ///
    /// The embedder must authenticate the user and check the user's rights. If the name is not a valid
    /// [`UserName`], every action is refused.
    #[must_use]
    pub fn acting_as(&self, user: &str) -> Self {
        Self { user: Some(UserName::new(user)), ..self.clone() }
    }

    /// The same tenant for a viewer with these rights at forms.
    ///
    /// Values of parameters that the viewer may not see are left out of everything that this handle returns, and it
    /// refuses changes of parameters that the viewer may not change. A new handle hides and refuses nothing.
    #[must_use]
    pub fn seen_with(&self, rights: FormRights) -> Self {
        Self { rights, ..self.clone() }
    }

    /// The acting user and the current time.
    fn by(&self) -> Result<Actor, Error> {
        let user = self.user.clone().transpose().map_err(Error::Name)?;
        Ok(Actor::new(user.as_ref().map(UserName::as_str), self.installation.clock.now()))
    }

    /// How often its components and uploads have reached a limit or were refused, since the process began.
    pub fn counters(&self) -> Counters {
        self.state.tally.counters()
    }

    /// The current policy, which is the most that its jobs may touch.
    ///
    /// [`Stepbox::set_tenant`](crate::Stepbox::set_tenant) changes it.
    pub fn policy(&self) -> Arc<Policy> {
        self.state.policy()
    }

    /// Whether executions of the tenant may begin.
    pub fn standing(&self) -> TenantStanding {
        self.state.standing()
    }

    /// The tenant, for the life of its jobs.
    fn here(&self) -> TenantRef<'_> {
        TenantRef { installation: &self.installation, id: &self.id, state: &self.state }
    }

    /// Refuses to begin an execution of a tenant that is suspended or removed.
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
