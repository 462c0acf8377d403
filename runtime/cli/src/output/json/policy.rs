//! What the operator's files say.

use std::collections::BTreeMap;

use serde::Serialize;
use stepbox::batch::component_quota::ComponentQuota;
use stepbox::batch::name::TenantId;
use stepbox::config::{CheckedFile, ConfigWarning, TenantConfig};
use stepbox::{ComponentsPolicy, FilesPolicy, Quotas, SigningKey};

use super::LimitsView;

/// A file, and whether it can be used: `error` is null if it can.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedFileView {
    file: String,
    suspended: bool,
    error: Option<ConfigErrorView>,
    warnings: Vec<ConfigWarningView>,
}

#[derive(Debug, Serialize)]
struct ConfigErrorView {
    code: &'static str,
    message: String,
    help: Option<String>,
}

/// What the file names, and what cannot be used now.
#[derive(Debug, Serialize)]
struct ConfigWarningView {
    message: String,
    help: String,
}

impl CheckedFileView {
    pub(crate) fn of(CheckedFile { name, config }: &CheckedFile) -> Self {
        let error = config.as_ref().err().map(|error| ConfigErrorView {
            code: error.code(),
            message: error.to_string(),
            help: error.help(),
        });
        let config = config.as_ref().ok();
        Self {
            file: name.clone(),
            suspended: config.is_some_and(|config| config.is_suspended),
            error,
            warnings: config.map_or_else(Vec::new, |config| warnings(&config.warnings)),
        }
    }
}

fn warnings(warnings: &[ConfigWarning]) -> Vec<ConfigWarningView> {
    let view = |warning: &ConfigWarning| ConfigWarningView {
        message: warning.message.clone(),
        help: warning.help.clone(),
    };
    warnings.iter().map(view).collect()
}

/// The policy that a tenant goes by. A list that is null allows everything, a limit that is null is the job's to set.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyView {
    tenant: String,
    file: String,
    suspended: bool,
    network: NetworkView,
    http: BTreeMap<&'static str, Option<Vec<String>>>,
    folders: Option<Vec<String>>,
    limits: LimitsView,
    quotas: QuotasView,
    secrets: Vec<PolicySecretView>,
    storages: Vec<PolicyStorageView>,
    components: PolicyComponentsView,
}

#[derive(Debug, Serialize)]
struct NetworkView {
    loopback: bool,
    private: bool,
}

/// `processors_max` is null for all processors.
#[derive(Debug, Serialize)]
struct QuotasView {
    running_max: usize,
    queued_max: u64,
    memory_bytes_max: u64,
    processors_max: Option<usize>,
    disk_bytes_max: u64,
    disk_files_max: u64,
    http_connections_max: u64,
    stop_grace_ms: u64,
}

/// `problem` is null if the secret can be used; `hosts` is null if it cannot.
#[derive(Debug, Serialize)]
struct PolicySecretView {
    name: String,
    hosts: Option<Vec<String>>,
    problem: Option<String>,
}

/// `problem` is null if the storage can be used; the others are null if it cannot.
#[derive(Debug, Serialize)]
struct PolicyStorageView {
    name: String,
    #[serde(rename = "type")]
    storage_type: Option<&'static str>,
    address: Option<String>,
    problem: Option<String>,
}

/// `signed_by` is null where no signature is asked for.
#[derive(Debug, Serialize)]
struct PolicyComponentsView {
    upload: bool,
    signed_by: Option<Vec<String>>,
    count_max: u64,
    size_bytes_max: u64,
    total_bytes_max: u64,
}

impl PolicyView {
    pub(crate) fn of(tenant: &TenantId, TenantConfig { policy, is_suspended, file, .. }: &TenantConfig) -> Self {
        let folders = match &policy.files {
            FilesPolicy::Anywhere { .. } => None,
            FilesPolicy::Beneath(folders) => {
                Some(folders.iter().map(|folder| folder.display().to_string()).collect())
            }
        };
        let network = &policy.network;
        let secrets = policy.secrets.usable().map(|secret| PolicySecretView {
            name: secret.name().to_owned(),
            hosts: Some(secret.hosts().collect()),
            problem: None,
        });
        let unusable = policy.secrets.all_unusable().map(|secret| PolicySecretView {
            name: secret.name.clone(),
            hosts: None,
            problem: Some(secret.problem.clone()),
        });
        let storages = policy.storages.usable().map(|storage| PolicyStorageView {
            name: storage.name().to_owned(),
            storage_type: Some(storage.storage_type()),
            address: Some(storage.address()),
            problem: None,
        });
        let gone = policy.storages.all_unusable().map(|storage| PolicyStorageView {
            name: storage.name.clone(),
            storage_type: None,
            address: None,
            problem: Some(storage.problem.clone()),
        });
        Self {
            tenant: tenant.to_string(),
            file: file.display().to_string(),
            suspended: *is_suspended,
            network: NetworkView { loopback: network.allow_loopback, private: network.allow_private },
            http: policy.http.lists().into(),
            folders,
            limits: LimitsView::of(&policy.limits),
            quotas: QuotasView::of(&policy.quotas),
            secrets: secrets.chain(unusable).collect(),
            storages: storages.chain(gone).collect(),
            components: PolicyComponentsView::of(&policy.components),
        }
    }
}

impl QuotasView {
    fn of(quotas: &Quotas) -> Self {
        let Quotas {
            running_max,
            queued_max,
            memory_bytes_max,
            processors_max,
            disk_bytes_max,
            disk_files_max,
            http_connections_max,
            stop_grace_ms,
        } = *quotas;
        let processors_max = Some(processors_max).filter(|max| *max < usize::MAX);
        Self {
            running_max,
            queued_max,
            memory_bytes_max,
            processors_max,
            disk_bytes_max,
            disk_files_max,
            http_connections_max,
            stop_grace_ms,
        }
    }
}

impl PolicyComponentsView {
    fn of(ComponentsPolicy { upload, signed_by, quota }: &ComponentsPolicy) -> Self {
        let ComponentQuota { count_max, size_bytes_max, total_bytes_max } = *quota;
        let name = |key: &SigningKey| key.name().to_owned();
        let signed_by = signed_by.as_ref().map(|keys| keys.iter().map(name).collect());
        Self { upload: *upload, signed_by, count_max, size_bytes_max, total_bytes_max }
    }
}
