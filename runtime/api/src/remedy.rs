//! Next actions after an error, for programs: a user interface can make a button of each.

use serde::{Deserialize, Serialize};
use stepbox_batch::remedy;

/// A next action after an error. `kind` selects the action.
///
/// New versions add kinds. A reader uses `unknown` for each kind that it does not know.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Remedy {
    /// Look at a list.
    List {
        /// `connectors`, `jobs`, `components`, `instances`, `executions` or `workers`.
        what: String,
    },
    /// Look at a connector.
    ShowConnector {
        /// Its code.
        connector: String,
    },
    /// Look at an execution.
    ShowExecution {
        /// Its number.
        execution: u64,
    },
    /// Read the log of an execution.
    ReadLog {
        /// Its number.
        execution: u64,
    },
    /// Stop an execution.
    StopExecution {
        /// Its number.
        execution: u64,
    },
    /// Restart an execution from its last checkpoint.
    RestartExecution {
        /// Its number.
        execution: u64,
    },
    /// Restart an execution with the job as it was, or with other settings of its steps.
    RestartWithOtherSteps {
        /// Its number.
        execution: u64,
    },
    /// Restart the execution with the newest components.
    RestartWithNewestComponents,
    /// Start a new execution of the instance.
    RunAnew,
    /// Upload the component again.
    UploadComponent,
    /// Remove components that nothing needs.
    RemoveComponents,
    /// Bring the schema of the store up to date.
    MigrateStore,
    /// Change the policy: allow requests with this value.
    AllowRequests {
        /// `hosts`, `schemes`, `methods` or `ports`.
        list: String,
        /// The value that the list has to allow.
        value: String,
    },
    /// Change the policy: open addresses.
    OpenNetwork {
        /// `loopback` or `private`.
        network: String,
    },
    /// Change the policy: allow a secret to be sent to a host.
    AllowSecret {
        /// The name of the secret.
        secret: String,
        /// The host.
        host: String,
    },
    /// Change the policy: add a secret.
    AddSecret {
        /// The job's name for it.
        secret: String,
    },
    /// Change the policy: add a storage.
    AddStorage,
    /// Change the policy: raise a quota of the tenant.
    RaiseQuota {
        /// The name of the quota.
        quota: String,
    },
    /// Change the policy: raise a quota of the tenant's components.
    RaiseComponentQuota {
        /// The name of the quota.
        quota: String,
    },
    /// Change the policy: raise a limit of compiling a component.
    RaiseCompileLimit {
        /// The name of the limit.
        limit: String,
    },
    /// Change the policy: let new components in.
    AllowUploads,
    /// A remedy of a newer version.
    #[serde(other)]
    Unknown,
}

impl Remedy {
    /// Built from a remedy.
    pub fn of(remedy: &remedy::Remedy) -> Self {
        use remedy::Remedy as Known;
        match remedy.clone() {
            Known::List { what } => Self::List { what: what.as_str().to_owned() },
            Known::ShowConnector { connector } => Self::ShowConnector { connector },
            Known::ShowExecution { execution } => Self::ShowExecution { execution: execution.0 },
            Known::ReadLog { execution } => Self::ReadLog { execution: execution.0 },
            Known::StopExecution { execution } => Self::StopExecution { execution: execution.0 },
            Known::RestartExecution { execution } => Self::RestartExecution { execution: execution.0 },
            Known::RestartWithOtherSteps { execution } => {
                Self::RestartWithOtherSteps { execution: execution.0 }
            }
            Known::RestartWithNewestComponents => Self::RestartWithNewestComponents,
            Known::RunAnew => Self::RunAnew,
            Known::UploadComponent => Self::UploadComponent,
            Known::RemoveComponents => Self::RemoveComponents,
            Known::MigrateStore => Self::MigrateStore,
            Known::AllowRequests { list, value } => {
                Self::AllowRequests { list: list.as_str().to_owned(), value }
            }
            Known::OpenNetwork { network } => Self::OpenNetwork { network: network.as_str().to_owned() },
            Known::AllowSecret { secret, host } => Self::AllowSecret { secret, host },
            Known::AddSecret { secret } => Self::AddSecret { secret },
            Known::AddStorage => Self::AddStorage,
            Known::RaiseQuota { quota } => Self::RaiseQuota { quota },
            Known::RaiseComponentQuota { quota } => Self::RaiseComponentQuota { quota },
            Known::RaiseCompileLimit { limit } => Self::RaiseCompileLimit { limit },
            Known::AllowUploads => Self::AllowUploads,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};
    use stepbox_batch::name::JobExecutionId;

    use super::*;
    use crate::testing::survives;

    /// The form on the wire equals the stored form today. A test of the domain fixes the stored form.
    #[test]
    fn every_remedy_survives_a_wire() {
        use remedy::{HttpList, Listed, Network, Remedy as Known};
        let (execution, text) = (JobExecutionId(7), || "a".to_owned());
        let remedies = [
            Known::List { what: Listed::Connectors },
            Known::List { what: Listed::Jobs },
            Known::List { what: Listed::Components },
            Known::List { what: Listed::Instances },
            Known::List { what: Listed::Executions },
            Known::List { what: Listed::Workers },
            Known::List { what: Listed::Users },
            Known::List { what: Listed::Members },
            Known::List { what: Listed::Tokens },
            Known::ShowConnector { connector: text() },
            Known::ShowExecution { execution },
            Known::ReadLog { execution },
            Known::StopExecution { execution },
            Known::RestartExecution { execution },
            Known::RestartWithOtherSteps { execution },
            Known::RestartWithNewestComponents,
            Known::RunAnew,
            Known::UploadComponent,
            Known::RemoveComponents,
            Known::MigrateStore,
            Known::AllowRequests { list: HttpList::Ports, value: text() },
            Known::OpenNetwork { network: Network::Private },
            Known::AllowSecret { secret: text(), host: text() },
            Known::AddSecret { secret: text() },
            Known::AddStorage,
            Known::RaiseQuota { quota: text() },
            Known::RaiseComponentQuota { quota: text() },
            Known::RaiseCompileLimit { limit: text() },
            Known::AllowUploads,
        ];
        for remedy in &remedies {
            assert_eq!(survives(&Remedy::of(remedy)), to_value(remedy).unwrap());
        }
        let newer = json!({ "kind": "of-a-newer-version", "what": 7 });
        assert_eq!(from_value::<Remedy>(newer).unwrap(), Remedy::Unknown);
    }
}
