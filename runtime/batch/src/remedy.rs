//! What can be done about an error, as a value. Each front end puts it in its own words.
//!
//! An error has a text for everyone ("wait until workers have taken some"). If the next action is a command, a
//! request or a change of the policy, the error has a [`Remedy`] as well: the command line names the command and
//! the key of its policy file, and an HTTP API names its own address.
//!
//! The JSON form of a remedy is stored with failures. New kinds and fields may be added, but none is removed. A
//! reader leaves out a kind that it does not know.

use serde::{Deserialize, Serialize};

use crate::name::JobExecutionId;

/// Something that can be done about an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Remedy {
    /// Look at the list of these things.
    List {
        /// The kind of things.
        what: Listed,
    },
    /// Look at a connector.
    ShowConnector {
        /// The code of the connector.
        connector: String,
    },
    /// Look at an execution.
    ShowExecution {
        /// The execution.
        execution: JobExecutionId,
    },
    /// Read the log of an execution.
    ReadLog {
        /// The execution.
        execution: JobExecutionId,
    },
    /// Stop an execution.
    StopExecution {
        /// The execution.
        execution: JobExecutionId,
    },
    /// Restart an execution from its last checkpoint.
    RestartExecution {
        /// The execution.
        execution: JobExecutionId,
    },
    /// Restart an execution: with the job as it was, or with the newest settings of the same steps, or with changed
    /// steps run from their beginning.
    RestartWithOtherSteps {
        /// The execution.
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
        /// The list to extend.
        list: HttpList,
        /// The host, scheme, method or port.
        value: String,
    },
    /// Policy: allow connections to closed addresses.
    OpenNetwork {
        /// Which addresses.
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
        /// The name of the secret in the job.
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
    /// Policy: allow uploads of new components.
    AllowUploads,
}

/// Things that can be listed.
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
    /// Workers that are alive.
    Workers,
    /// Users of the installation.
    Users,
    /// Members of the tenant.
    Members,
    /// Tokens.
    Tokens,
}

impl Listed {
    /// The name of the list: `connectors`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connectors => "connectors",
            Self::Jobs => "jobs",
            Self::Components => "components",
            Self::Instances => "instances",
            Self::Executions => "executions",
            Self::Workers => "workers",
            Self::Users => "users",
            Self::Members => "members",
            Self::Tokens => "tokens",
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
    /// The name of these addresses: `loopback`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
        }
    }

    /// The name of these addresses in a sentence: `loopback addresses`.
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

    /// Failures are stored with this form.
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
