//! What a request wants to do.

use super::role::Role;

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Look at connectors, jobs, steps, instances, the queue, workers, the policy and quotas.
    View,
    /// Look at the executions of instances: what they did, wrote and said.
    History,
    /// Launch, stop, pause, resume, restart, import again, abandon; and upload input files.
    Launch,
    /// Create, change and delete instances; install and remove connectors and steps.
    Edit,
    /// Decide about members, roles, rights per instance and others' tokens; read the audit trail; purge.
    Administer,
    /// Decide about users, tenants and tokens of the installation, and read its audit trail.
    Operate,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 6] =
        [Self::View, Self::History, Self::Launch, Self::Edit, Self::Administer, Self::Operate];

    /// The name of the right.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::History => "history",
            Self::Launch => "launch",
            Self::Edit => "edit",
            Self::Administer => "administer",
            Self::Operate => "operate",
        }
    }

    /// The weakest role that has the right; `None` if no role of a tenant has it.
    pub const fn least_role(self) -> Option<Role> {
        match self {
            Self::View | Self::History => Some(Role::Viewer),
            Self::Launch => Some(Role::Operator),
            Self::Edit => Some(Role::Author),
            Self::Administer => Some(Role::Administrator),
            Self::Operate => None,
        }
    }
}
