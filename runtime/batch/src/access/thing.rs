//! What a request is about, and the scope that a token needs for it.

use super::right::Right;
use super::scope::Scope;
use crate::name::InstanceCode;

/// What a request is about: the installation, or something of the tenant in which the principal acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing<'a> {
    /// The installation: its users, its tenants and its tokens.
    Installation,
    /// The audit trail of the installation.
    InstallationTrail,
    /// The tenant as a whole: standing, quotas, usage, policy, queue and workers; its audit trail when it is purged.
    Tenant,
    /// The connectors and their jobs.
    Connectors,
    /// The components.
    Steps,
    /// The instances as a whole: their list, and new ones.
    ///
    /// Each instance of a list is judged by itself, as [`Instance`](Self::Instance).
    Instances,
    /// One instance.
    Instance(&'a InstanceCode),
    /// The executions of all instances: their list, their events, and their purge.
    ///
    /// Each execution of a list is judged by itself, as [`Execution`](Self::Execution).
    Executions,
    /// An execution of that instance, without the files that its steps have written.
    Execution(&'a InstanceCode),
    /// The files that steps of an execution of that instance have written.
    Outputs(&'a InstanceCode),
    /// The uploaded input files: their list and their contents.
    Files,
    /// The upload of an input file, and its removal.
    ///
    /// A token that is bound to an instance may do it: the id of a file is random, and such a token lists none.
    FileChanges,
    /// Members and their roles, rights per instance, and tokens of others.
    Members,
    /// The audit trail of the tenant.
    Trail,
}

impl<'a> Thing<'a> {
    /// Whether the thing belongs to the installation and not to a tenant.
    pub const fn is_of_installation(self) -> bool {
        matches!(self, Self::Installation | Self::InstallationTrail)
    }

    /// The instance that the thing is, or belongs to.
    pub const fn instance(self) -> Option<&'a InstanceCode> {
        match self {
            Self::Instance(code) | Self::Execution(code) | Self::Outputs(code) => Some(code),
            _ => None,
        }
    }

    /// The scope that a token needs to use the right at the thing. `None` if there is no such right at such a thing:
    /// then nobody has it.
    pub const fn scope(self, right: Right) -> Option<Scope> {
        Some(match (right, self) {
            (Right::View, Self::Tenant) => Scope::ReadExecutions,
            (Right::View, Self::Connectors) => Scope::ReadConnectors,
            (Right::View, Self::Steps) => Scope::ReadSteps,
            (Right::View, Self::Instances | Self::Instance(_)) => Scope::ReadInstances,
            (Right::History, Self::Executions | Self::Execution(_)) => Scope::ReadExecutions,
            (Right::History, Self::Outputs(_)) => Scope::ReadFiles,
            (Right::Launch, Self::Instance(_) | Self::Execution(_)) => Scope::LaunchExecutions,
            (Right::Launch, Self::Files) => Scope::ReadFiles,
            (Right::Launch, Self::FileChanges) => Scope::WriteFiles,
            (Right::Edit, Self::Connectors) => Scope::WriteConnectors,
            (Right::Edit, Self::Steps) => Scope::WriteSteps,
            (Right::Edit, Self::Instances | Self::Instance(_)) => Scope::WriteInstances,
            (Right::Administer, Self::Trail) => Scope::ReadAudit,
            (Right::Administer, Self::Members | Self::Tenant | Self::Executions) => Scope::Administer,
            (Right::Operate, Self::InstallationTrail) => Scope::ReadAudit,
            (Right::Operate, Self::Installation | Self::Tenant) => Scope::Operate,
            _ => return None,
        })
    }
}
