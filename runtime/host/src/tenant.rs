//! All that a tenant can do. Nothing here can be told to look at another tenant.

mod components;
mod connectors;
mod executions;
mod instances;

use std::fmt;
use std::sync::Arc;

use stepbox_batch::name::TenantId;

use crate::policy::Policy;
use crate::stepbox::{Installation, TenantState};

pub use components::{Inspected, Upload, receive_component};
pub use executions::{Purge, RestartOptions, RunOptions, Running};
pub use instances::{InstanceEdit, NewInstance};

/// A tenant of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    installation: Arc<Installation>,
    id: TenantId,
    state: TenantState,
    /// Whether the operator holds it.
    is_operators: bool,
}

impl Tenant {
    pub(crate) fn new(installation: Arc<Installation>, id: TenantId, state: TenantState) -> Self {
        Self { installation, id, state, is_operators: false }
    }

    pub(crate) fn for_operator(self) -> Self {
        Self { is_operators: true, ..self }
    }

    /// Which one.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What its jobs may touch at most.
    pub fn policy(&self) -> &Policy {
        &self.state.policy
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("id", &self.id).field("policy", self.policy()).finish_non_exhaustive()
    }
}
