//! All that a tenant can do. Nothing here can be told to look at another tenant.

mod components;
mod connectors;
mod executions;
mod instances;

use std::sync::Arc;

use stepbox_batch::name::TenantId;

use crate::policy::Policy;
use crate::stepbox::Installation;

pub use components::{Inspected, receive_component};
pub use executions::{Purge, RestartOptions, RunOptions, Running};
pub use instances::{InstanceEdit, NewInstance};

/// A tenant of an installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenant {
    installation: Arc<Installation>,
    id: TenantId,
    policy: Policy,
}

impl Tenant {
    pub(crate) fn new(installation: Arc<Installation>, id: TenantId, policy: Policy) -> Self {
        Self { installation, id, policy }
    }

    /// Which one.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What its jobs may touch at most.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}
