//! What can be done about an error, as a value: each front end puts it in words of its own.
//!
//! Errors have a text for everybody ("wait until workers have taken some"). Where the next action is a command, a
//! request or a change of the policy, the error has a [`Remedy`] as well: the command line names the command and the
//! key of its policy file, and an HTTP API names its own address.
//!
//! The JSON form of a remedy is stored with failures. Kinds and fields are only ever added; a kind that a reader does
//! not know is left out.

use serde::{Deserialize, Serialize};

use crate::name::JobExecutionId;

/// Something that can be done about an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Remedy {
    /// Look at the list of such things.
    List {
        /// Of which things.
        what: Listed,
    },
    /// Look at a connector.
    ShowConnector {
        /// Its code.
        connector: String,
    },
    /// Look at an execution.
    ShowExecution {
        /// Which one.
        execution: JobExecutionId,
    },
    /// Read the log of an execution.
    ReadLog {
        /// Which one.
        execution: JobExecutionId,
    },
    /// Stop an execution.
    StopExecution {
        /// Which one.
        execution: JobExecutionId,
    },
    /// Restart an execution from its last checkpoint.
    RestartExecution {
        /// Which one.
        execution: JobExecutionId,
    },
    /// Restart an execution with the job as it was, with the newest settings of the same steps, or let changed steps
    /// begin again.
    RestartWithOtherSteps {
        /// Which one.
        execution: JobExecutionId,
    },
    /// Restart the execution with the newest components.
    RestartWithNewestComponents,
    /// Start a new execution of the instance.
    RunAnew,
    /// Upload the component again.
    UploadComponent,
    /// Remove components that nothing needs.
    RemoveComponents,
    /// Bring the store's schema up to date.
    MigrateStore,
    /// Policy: allow requests with this value.
    AllowRequests {
        /// In which list.
        list: HttpList,
        /// The host, scheme, method or port.
        value: String,
    },
    /// Policy: open addresses.
    OpenNetwork {
        /// Which ones.
        network: Network,
    },
    /// Policy: allow a secret to be sent to a host.
    AllowSecret {
        /// The name of the secret.
        secret: String,
        /// The host.
        host: String,
    },
    /// Policy: add a secret.
    AddSecret {
        /// The name that a job has for it.
        secret: String,
    },
    /// Policy: add a storage.
    AddStorage,
    /// Policy: raise a quota of the tenant.
    RaiseQuota {
        /// The name of the quota: `running_max`.
        quota: String,
    },
    /// Policy: raise a quota of the tenant's components.
    RaiseComponentQuota {
        /// The name of the quota: `count_max`.
        quota: String,
    },
    /// Policy: raise a limit of compiling a component.
    RaiseCompileLimit {
        /// The name of the limit: `time_ms_max`.
        limit: String,
    },
    /// Policy: let new components in.
    AllowUploads,
}

/// Things of which there is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// Connectors.
    Connectors,
    /// Jobs.
    Jobs,
    /// Uploaded components.
    Components,
    /// Job instances.
    Instances,
    /// Job executions.
    Executions,
    /// Workers that live.
    Workers,
}

impl Listed {
    /// Their name: `connectors`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connectors => "connectors",
            Self::Jobs => "jobs",
            Self::Components => "components",
            Self::Instances => "instances",
            Self::Executions => "executions",
            Self::Workers => "workers",
        }
    }
}

/// A list of the policy for HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpList {
    /// Hosts.
    Hosts,
    /// Schemes.
    Schemes,
    /// Methods.
    Methods,
    /// Ports.
    Ports,
}

impl HttpList {
    /// The name of the list: `hosts`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Schemes => "schemes",
            Self::Methods => "methods",
            Self::Ports => "ports",
        }
    }
}

/// Addresses that are closed unless a policy opens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The machine itself.
    Loopback,
    /// Private networks.
    Private,
}

impl Network {
    /// Their name: `loopback`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
        }
    }

    /// What the addresses are called: `loopback addresses`.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Loopback => "loopback addresses",
            Self::Private => "private addresses",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Failures hold this form.
    #[test]
    fn the_stored_form_stays_as_it_is() {
        let execution = JobExecutionId(7);
        let rows = [
            (Remedy::List { what: Listed::Workers }, json!({ "kind": "list", "what": "workers" })),
            (Remedy::RestartExecution { execution }, json!({ "kind": "restart-execution", "execution": 7 })),
            (
                Remedy::AllowRequests { list: HttpList::Hosts, value: "a.example".to_owned() },
                json!({ "kind": "allow-requests", "list": "hosts", "value": "a.example" }),
            ),
            (
                Remedy::OpenNetwork { network: Network::Loopback },
                json!({ "kind": "open-network", "network": "loopback" }),
            ),
            (Remedy::RunAnew, json!({ "kind": "run-anew" })),
        ];
        for (remedy, stored) in rows {
            assert_eq!(serde_json::to_value(&remedy).unwrap(), stored);
            assert_eq!(serde_json::from_value::<Remedy>(stored).unwrap(), remedy);
        }
        assert!(serde_json::from_value::<Remedy>(json!({ "kind": "of-a-newer-version" })).is_err());
    }
}
