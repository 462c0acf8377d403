//! Tenants.

use serde::{Deserialize, Serialize};

use crate::policy::Quotas;

/// A tenant, as a list has it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSummary {
    /// Its name.
    pub name: String,
    /// Whether its executions may begin.
    pub standing: Standing,
    /// What you are in it: `viewer`, `operator`, `author` or `administrator`.
    pub role: Option<String>,
}

/// Whether executions of a tenant may begin.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// They are accepted and begun.
    Active,
    /// None is accepted or begun.
    Suspended,
}

/// A tenant with its quotas, and what is used of them.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDetails {
    /// Its name.
    pub name: String,
    /// Whether its executions may begin.
    pub standing: Standing,
    /// The most that its jobs may use together.
    pub quotas: Quotas,
    /// What is used of them now.
    pub usage: TenantUsage,
}

/// What a tenant uses now.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantUsage {
    /// Executions that wait in the queue.
    pub queued: u64,
    /// Executions from the queue that workers run.
    pub running: u64,
    /// Components.
    pub components: u64,
    /// The length of all components, in bytes.
    pub component_bytes: u64,
}

/// How many executions of a tenant are in the queue.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepths {
    /// Those that the next free worker may take.
    pub waiting: u64,
    /// Those whose time has not come.
    pub delayed: u64,
    /// Those that a worker has.
    pub claimed: u64,
}

#[cfg(feature = "host")]
mod of_the_host {
    use stepbox::Tenant;
    use stepbox_batch::execution::queue::{QueueDepth, QueueState};
    use stepbox_batch::inventory::Component;

    use super::{QueueDepths, Quotas, Standing, TenantDetails, TenantUsage};

    impl TenantDetails {
        /// Built from a tenant, its components, and its entries in the queue.
        pub fn of(
            tenant: &Tenant,
            standing: Standing,
            components: &[Component],
            depths: &[QueueDepth],
        ) -> Self {
            let QueueDepths { waiting, delayed, claimed } = QueueDepths::of(depths);
            let usage = TenantUsage {
                queued: waiting + delayed,
                running: claimed,
                components: components.len() as u64,
                component_bytes: components.iter().map(|component| component.size_bytes).sum(),
            };
            let quotas = Quotas::of(&tenant.policy().quotas);
            Self { name: tenant.id().to_string(), standing, quotas, usage }
        }
    }

    impl QueueDepths {
        /// Built from the entries of a tenant.
        pub fn of(depths: &[QueueDepth]) -> Self {
            let count =
                |state| depths.iter().filter(|depth| depth.state == state).map(|depth| depth.count).sum();
            Self {
                waiting: count(QueueState::Waiting),
                delayed: count(QueueState::Delayed),
                claimed: count(QueueState::Claimed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_tenant_survives_a_wire() {
        let role = Some("author".to_owned());
        survives(&TenantSummary { name: "acme".to_owned(), standing: Standing::Active, role });
        let usage = TenantUsage { queued: 1, running: 2, components: 3, component_bytes: 4 };
        survives(&usage);
        assert_eq!(survives(&QueueDepths { waiting: 1, delayed: 2, claimed: 3 })["delayed"], 2);
    }
}
