//! Built from the operator's files as the host has read them.

use stepbox::config::{self, ConfigWarning, TenantConfig};
use stepbox::{ComponentsPolicy, FilesPolicy, SigningKey, Tenant, TenantStanding};
use stepbox_batch::name::TenantId;

use super::{
    CheckedFile, Components, FileError, FileWarning, HttpLists, Network, Policy, Quotas, Secret, Storage,
};
use crate::step::Limits;

impl CheckedFile {
    /// Built from a file that was checked.
    pub fn of(config::CheckedFile { name, config }: &config::CheckedFile) -> Self {
        let error = config.as_ref().err().map(|error| FileError {
            code: error.code().to_owned(),
            message: error.to_string(),
            help: error.help(),
        });
        let config = config.as_ref().ok();
        let warning = |warning: &ConfigWarning| FileWarning {
            message: warning.message.clone(),
            help: warning.help.clone(),
        };
        let warnings = config.into_iter().flat_map(|config| &config.warnings).map(warning).collect();
        let suspended = config.is_some_and(|config| config.is_suspended);
        Self { file: name.clone(), suspended, error, warnings }
    }
}

impl Policy {
    /// Built from what the operator's files say of a tenant.
    pub fn of(tenant: &TenantId, config: &TenantConfig) -> Self {
        let TenantConfig { policy, is_suspended, file, .. } = config;
        let shown = Self::of_policy(tenant, policy, *is_suspended);
        Self { file: file.display().to_string(), is_default: !file.exists(), ..shown }
    }

    /// Built from a tenant of this process, whose policy need not come from a file.
    pub fn of_tenant(tenant: &Tenant) -> Self {
        let is_suspended = tenant.standing() != TenantStanding::Active;
        Self::of_policy(tenant.id(), &tenant.policy(), is_suspended)
    }

    fn of_policy(tenant: &TenantId, policy: &stepbox::Policy, is_suspended: bool) -> Self {
        let folders = match &policy.files {
            FilesPolicy::Anywhere { .. } => None,
            FilesPolicy::Beneath(folders) => {
                Some(folders.iter().map(|folder| folder.display().to_string()).collect())
            }
        };
        let (loopback, private) = (policy.network.allow_loopback, policy.network.allow_private);
        let [hosts, schemes, methods, ports] = policy.http.lists().map(|(_, values)| values);
        let ComponentsPolicy { upload, signed_by, quota } = &policy.components;
        let names = |keys: &Vec<SigningKey>| keys.iter().map(|key| key.name().to_owned()).collect();
        Self {
            tenant: tenant.to_string(),
            file: String::new(),
            is_default: false,
            suspended: is_suspended,
            network: Network { loopback, private },
            http: HttpLists { hosts, schemes, methods, ports },
            folders,
            limits: Limits::of(&policy.limits),
            quotas: Quotas::of(&policy.quotas),
            secrets: secrets(policy),
            storages: storages(policy),
            components: Components::of(*upload, signed_by.as_ref().map(names), *quota),
        }
    }
}

impl Quotas {
    /// Built from the quotas of a policy.
    pub fn of(quotas: &stepbox::Quotas) -> Self {
        Self {
            running_max: quotas.running_max as u64,
            queued_max: quotas.queued_max,
            memory_bytes_max: quotas.memory_bytes_max,
            processors_max: Some(quotas.processors_max as u64).filter(|max| *max < usize::MAX as u64),
            disk_bytes_max: quotas.disk_bytes_max,
            disk_files_max: quotas.disk_files_max,
            http_connections_max: quotas.http_connections_max,
            stop_grace_ms: quotas.stop_grace_ms,
            uploaded_bytes_max: quotas.uploaded_bytes_max,
            uploaded_files_max: quotas.uploaded_files_max,
        }
    }
}

fn secrets(policy: &stepbox::Policy) -> Vec<Secret> {
    let usable = policy.secrets.usable().map(|secret| Secret {
        name: secret.name().to_owned(),
        hosts: Some(secret.hosts().collect()),
        problem: None,
    });
    let unusable = policy.secrets.all_unusable().map(|secret| Secret {
        name: secret.name.clone(),
        hosts: None,
        problem: Some(secret.problem.clone()),
    });
    usable.chain(unusable).collect()
}

fn storages(policy: &stepbox::Policy) -> Vec<Storage> {
    let usable = policy.storages.usable().map(|storage| Storage {
        name: storage.name().to_owned(),
        storage_type: Some(storage.storage_type().to_owned()),
        address: Some(storage.address()),
        problem: None,
    });
    let unusable = policy.storages.all_unusable().map(|storage| Storage {
        name: storage.name.clone(),
        storage_type: None,
        address: None,
        problem: Some(storage.problem.clone()),
    });
    usable.chain(unusable).collect()
}
