//! What a tenant's jobs may touch at most. A step gets what its job asks for, cut down to this.

mod asked;

use std::path::{Component, PathBuf};
use std::sync::Arc;

use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::job::LimitOverrides;
use stepbox_connectors::{ConnectorError, Folders, NamedStorage, Reach, Storages, Wall};
use stepbox_sandbox::{
    FolderGrant, GrantError, HttpGrant, HttpPolicy, NetworkPolicy, Secret, SecretError, Secrets, ShareLimits,
};

use crate::components_policy::ComponentsPolicy;

pub use asked::AskedGrant;

/// What a tenant's jobs may touch at most.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which files the native elements and the steps' granted folders may be.
    pub files: FilesPolicy,
    /// Which storages jobs may name beside them.
    pub storages: Storages,
    /// Which addresses requests may go to, whatever host name they were granted by.
    pub network: NetworkPolicy,
    /// Which requests may be sent at most, whatever was granted.
    pub http: HttpPolicy,
    /// What requests may take along without their step knowing it.
    pub secrets: Secrets,
    /// How much one step may use at most, whatever its job says.
    pub limits: LimitOverrides,
    /// Which components may come in, and be run.
    pub components: ComponentsPolicy,
    /// How much they may use together.
    pub quotas: Quotas,
}

/// How much a tenant's jobs may use together; but for the first two, in one process. None can be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// How many executions may run at a time, those that workers take from the queue over all workers. One
    /// more waits there, or is refused as `too-many-running`.
    pub running_max: usize,
    /// How many executions may wait in the queue. One more is refused, as `queue-full`.
    pub queued_max: u64,
    /// What all running components may take together, in bytes. One that asks for more fails its step.
    pub memory_bytes_max: u64,
    /// How many components may compute at a time. While several tenants want to, each has its part of the
    /// processors, and never more than this.
    pub processors_max: usize,
    /// What steps may have written to files in executions that have not ended, in bytes. A step that
    /// writes more is told so.
    pub disk_bytes_max: u64,
    /// How many files and folders they may have created in these.
    pub disk_files_max: u64,
    /// How many connections of their requests may be open, those included that are kept for a further
    /// request. One more is refused to its step.
    pub http_connections_max: u64,
    /// How long a component that never asks may go on after a stop was requested, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Default for Quotas {
    /// 64 executions and 100,000 that wait, 1 GiB of memory (a quarter of what all tenants may take together), all processors,
    /// 10 GiB in 100,000 files on the disk, 256 connections, and 5 seconds.
    fn default() -> Self {
        let ShareLimits {
            memory_bytes_max,
            processors_max,
            disk_bytes_max,
            disk_files_max,
            http_connections_max,
        } = ShareLimits::default();
        Self {
            running_max: 64,
            queued_max: 100_000,
            memory_bytes_max,
            processors_max,
            disk_bytes_max,
            disk_files_max,
            http_connections_max,
            stop_grace_ms: 5_000,
        }
    }
}

impl Quotas {
    /// Those that the sandbox keeps.
    pub(crate) fn of_share(&self) -> ShareLimits {
        ShareLimits {
            memory_bytes_max: self.memory_bytes_max,
            processors_max: self.processors_max,
            disk_bytes_max: self.disk_bytes_max,
            disk_files_max: self.disk_files_max,
            http_connections_max: self.http_connections_max,
        }
    }
}

/// Which files a tenant's jobs may use.
#[derive(Debug, Clone)]
pub enum FilesPolicy {
    /// All that the process may use. For somebody's own machine, not for tenants.
    Anywhere {
        /// Where relative paths begin.
        base: PathBuf,
    },
    /// Only those below these folders; relative paths begin in the first one.
    Beneath(Vec<PathBuf>),
}

impl Policy {
    /// No files, no secrets, and of the granted hosts those at public addresses.
    pub fn nothing() -> Self {
        Self {
            files: FilesPolicy::Beneath(Vec::new()),
            storages: Storages::default(),
            network: NetworkPolicy::default(),
            http: HttpPolicy::default(),
            secrets: Secrets::default(),
            limits: LimitOverrides::default(),
            components: ComponentsPolicy::default(),
            quotas: Quotas::default(),
        }
    }

    /// What a person may do on their own machine: use their files, relative to `base`, and public
    /// addresses.
    pub fn own_machine(base: impl Into<PathBuf>) -> Self {
        let files = FilesPolicy::Anywhere { base: base.into() };
        let quota = ComponentQuota {
            count_max: 10_000,
            total_bytes_max: 64 << 30,
            ..ComponentsPolicy::default().quota
        };
        let components = ComponentsPolicy { quota, ..ComponentsPolicy::default() };
        Self {
            files,
            components,
            quotas: Quotas { memory_bytes_max: 4 << 30, disk_bytes_max: 100 << 30, ..Quotas::default() },
            ..Self::nothing()
        }
    }

    /// Allows files below one more folder.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        match &mut self.files {
            FilesPolicy::Beneath(folders) => folders.push(folder.into()),
            FilesPolicy::Anywhere { .. } => {}
        }
        self
    }

    /// Lets jobs name one more storage.
    #[must_use]
    pub fn with_storage(mut self, storage: NamedStorage) -> Self {
        self.storages.add(storage);
        self
    }

    /// Limits how much one step may use at most, whatever its job says. What is not set is left to the job.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitOverrides) -> Self {
        self.limits = limits;
        self
    }

    /// Says which components may come in, and be run.
    #[must_use]
    pub fn with_components(mut self, components: ComponentsPolicy) -> Self {
        self.components = components;
        self
    }

    /// Limits how much the tenant's jobs may use together.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Allows requests to this machine itself. For development.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.network.allow_loopback = true;
        self
    }

    /// Allows requests to private networks.
    #[must_use]
    pub fn with_private_networks(mut self) -> Self {
        self.network.allow_private = true;
        self
    }

    /// Cuts granted requests down to some hosts, schemes, methods and ports.
    #[must_use]
    pub fn with_http(mut self, http: HttpPolicy) -> Self {
        self.http = http;
        self
    }

    /// Lets jobs name one more secret, to be sent to its hosts.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secrets.add(secret);
        self
    }

    /// Whether each secret has an effect beside the others and beside what the policy closes. An
    /// installation does not open before.
    pub(crate) fn check_secrets(&self) -> Result<(), SecretError> {
        self.secrets.check(&self.http, self.network)
    }

    /// Whether each storage has a name of its own, and goes without TLS only where the network is open. An
    /// installation does not open before.
    pub(crate) fn check_storages(&self) -> Result<(), ConnectorError> {
        self.storages.check(self.network.allow_loopback, self.network.allow_private)
    }

    /// The hosts that a line of a job's `grants.http` takes a secret to, as far as the policy allows it.
    pub(crate) fn secret_within(&self, secret: &Secret, grant: &str) -> Result<Vec<String>, GrantError> {
        Ok(HttpGrant::parse(grant)?.takes(secret, &self.http, self.network))
    }

    /// What it leaves of a line of a job's `grants.files`: the line, or none if its folder lies elsewhere than
    /// the policy allows. Links are not followed here; when the step runs, they lead nowhere else either.
    pub(crate) fn folder_within(&self, grant: &str) -> Result<Option<String>, GrantError> {
        let (_, path) = FolderGrant::parse(grant)?;
        let is_allowed = match &self.files {
            FilesPolicy::Anywhere { .. } => true,
            FilesPolicy::Beneath(folders) => {
                let climbs = path.components().any(|part| part == Component::ParentDir);
                !climbs && (path.is_relative() || folders.iter().any(|folder| path.starts_with(folder)))
            }
        };
        Ok(is_allowed.then(|| grant.to_owned()))
    }

    /// What it leaves of a line of a job's `grants.http`, as lines of the same form.
    pub(crate) fn http_within(&self, grant: &str) -> Result<Vec<String>, GrantError> {
        Ok(HttpGrant::parse(grant)?.within(&self.http, self.network))
    }

    /// Where relative paths begin, from the root of the file system; `None` if there are no files.
    pub(crate) fn beginning(&self) -> Option<String> {
        let folder = match &self.files {
            FilesPolicy::Anywhere { base } => Some(base),
            FilesPolicy::Beneath(folders) => folders.first(),
        };
        let folder = std::path::absolute(folder?).ok()?;
        // A path that is no text begins where the worker's do.
        folder.into_os_string().into_string().ok()
    }

    /// What native elements may touch: the files of the policy but what stands behind the wall, and the storages.
    pub(crate) fn reach(&self, wall: &Arc<Wall>) -> Reach {
        let folders = match &self.files {
            FilesPolicy::Anywhere { base } => Folders::anywhere(base),
            FilesPolicy::Beneath(folders) => Folders::beneath(folders),
        };
        Reach::from(folders.behind(wall.clone())).with_storages(self.storages.clone())
    }
}
