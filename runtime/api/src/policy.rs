//! The operator's files: the policies of tenants.

use serde::{Deserialize, Serialize};
use stepbox_batch::component_quota::ComponentQuota;

use crate::step::Limits;

/// The views of what the host has read.
#[cfg(feature = "host")]
mod of_the_host;

/// A file of the operator, and whether it can be used.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedFile {
    /// As it is called in the data folder: `policy.yaml`, `tenants/acme.yaml`.
    pub file: String,
    /// Whether nothing begins of the tenants that use it.
    pub suspended: bool,
    /// What is wrong with it; `null` if it can be used.
    pub error: Option<FileError>,
    /// The things that it names and that cannot be used now.
    pub warnings: Vec<FileWarning>,
}

/// What is wrong with a file.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// The stable code, a heading in docs/errors.md.
    pub code: String,
    /// What is wrong, with its place.
    pub message: String,
    /// The next action; `null` if there is none.
    pub help: Option<String>,
}

/// A thing that a file names and that cannot be used now. Only the steps that need it fail.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWarning {
    /// What is wrong.
    pub message: String,
    /// The next action.
    pub help: String,
}

/// The effective policy of a tenant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The name of the tenant.
    pub tenant: String,
    /// The file that it comes from. The file may not exist; then this is the default policy.
    pub file: String,
    /// Whether the file does not exist.
    #[serde(default)]
    pub is_default: bool,
    /// Whether nothing of the tenant begins.
    pub suspended: bool,
    /// Which special addresses are open to requests.
    pub network: Network,
    /// The limits for granted requests.
    pub http: HttpLists,
    /// The folders in which jobs read and write; `null` for all files that the user of the process may use.
    pub folders: Option<Vec<String>>,
    /// The most that one step may use; a `null` leaves the limit to the job.
    pub limits: Limits,
    /// The most that all jobs may use together.
    pub quotas: Quotas,
    /// The secrets that jobs may name.
    pub secrets: Vec<Secret>,
    /// The storages that jobs may name.
    pub storages: Vec<Storage>,
    /// Which components may be uploaded and run.
    pub components: Components,
}

/// Which special addresses are open to requests.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// This machine itself.
    pub loopback: bool,
    /// Private networks.
    pub private: bool,
}

/// The limits for granted requests; a list that is `null` allows all.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpLists {
    /// Names of hosts.
    pub hosts: Option<Vec<String>>,
    /// `http` and `https`.
    pub schemes: Option<Vec<String>>,
    /// `GET`, `POST`, …
    pub methods: Option<Vec<String>>,
    /// Numbers of ports.
    pub ports: Option<Vec<String>>,
}

/// The most that all jobs of a tenant may use together.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Executions that run at a time.
    pub running_max: u64,
    /// Executions that wait in the queue.
    pub queued_max: u64,
    /// Memory of all running components, in bytes.
    pub memory_bytes_max: u64,
    /// Components that compute at a time; `null` for as many as there are processors.
    pub processors_max: Option<u64>,
    /// Bytes that steps have written in executions that have not ended.
    pub disk_bytes_max: u64,
    /// Files and folders that steps have created in these executions.
    pub disk_files_max: u64,
    /// Open connections of requests.
    pub http_connections_max: u64,
    /// How long a component that does not check for a stop may run after a stop request, in milliseconds.
    pub stop_grace_ms: u64,
    /// Bytes of all uploaded files.
    #[serde(default)]
    pub uploaded_bytes_max: u64,
    /// Uploaded files.
    #[serde(default)]
    pub uploaded_files_max: u64,
}

/// A secret that jobs may name.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// The hosts that may receive it; `null` if it cannot be used now.
    pub hosts: Option<Vec<String>>,
    /// Why it cannot be used now; `null` if it can.
    pub problem: Option<String>,
}

/// A storage that jobs may name.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// `local` or `s3`; `null` if it cannot be used now.
    #[serde(rename = "type")]
    pub storage_type: Option<String>,
    /// The place of its files; `null` if it cannot be used now.
    pub address: Option<String>,
    /// Why it cannot be used now; `null` if it can.
    pub problem: Option<String>,
}

/// Which components may be uploaded and run.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Components {
    /// Whether the tenant may upload new ones.
    pub upload: bool,
    /// The names of the accepted keys; `null` if no signature is required.
    pub signed_by: Option<Vec<String>>,
    /// How many components may be stored.
    pub count_max: u64,
    /// The largest size of one component, in bytes.
    pub size_bytes_max: u64,
    /// The largest size of all components together, in bytes.
    pub total_bytes_max: u64,
}

impl Components {
    /// Built from a quota, and from the rules for uploads and signatures.
    pub fn of(upload: bool, signed_by: Option<Vec<String>>, quota: ComponentQuota) -> Self {
        let ComponentQuota { count_max, size_bytes_max, total_bytes_max } = quota;
        Self { upload, signed_by, count_max, size_bytes_max, total_bytes_max }
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::job::LimitOverrides;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn policies_and_files_survive_a_wire() {
        let error =
            FileError { code: "policy-file-malformed".to_owned(), message: "m".to_owned(), help: None };
        let warning = FileWarning { message: "w".to_owned(), help: "h".to_owned() };
        let file = "tenants/acme.yaml".to_owned();
        survives(&CheckedFile { file, suspended: true, error: Some(error), warnings: vec![warning] });
        let quota = ComponentQuota { count_max: 1, size_bytes_max: 2, total_bytes_max: 3 };
        let policy = Policy {
            tenant: "acme".to_owned(),
            file: "policy.yaml".to_owned(),
            is_default: true,
            suspended: false,
            network: Network { loopback: true, private: false },
            http: HttpLists { ports: Some(vec!["443".to_owned()]), ..HttpLists::default() },
            folders: Some(vec!["/srv".to_owned()]),
            limits: Limits::of(&LimitOverrides { memory_bytes_max: Some(7), ..LimitOverrides::default() }),
            quotas: Quotas {
                running_max: 1,
                queued_max: 2,
                memory_bytes_max: 3,
                processors_max: None,
                disk_bytes_max: 4,
                disk_files_max: 5,
                http_connections_max: 6,
                stop_grace_ms: 7,
                uploaded_bytes_max: 8,
                uploaded_files_max: 9,
            },
            secrets: vec![Secret { name: "crm".to_owned(), hosts: None, problem: Some("gone".to_owned()) }],
            storages: vec![Storage {
                name: "archive".to_owned(),
                storage_type: Some("local".to_owned()),
                address: Some("/srv/archive".to_owned()),
                problem: None,
            }],
            components: Components::of(true, None, quota),
        };
        assert_eq!(survives(&policy)["storages"][0]["type"], "local");
    }
}
