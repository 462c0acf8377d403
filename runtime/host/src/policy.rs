//! The most that a tenant's jobs may touch. A step gets the requests of its job, cut down to this policy.

mod asked;

use std::path::{Component, PathBuf};
use std::sync::Arc;

use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::job::LimitOverrides;
use stepbox_batch::uploaded_file::FileQuota;
use stepbox_connectors::{ConnectorError, Folders, NamedStorage, Reach, Storages, Wall};
use stepbox_sandbox::{
    FolderGrant, GrantError, HttpGrant, HttpPolicy, NetworkPolicy, Secret, SecretError, Secrets, ShareLimits,
};

use crate::components_policy::ComponentsPolicy;

pub use asked::AskedGrant;

/// The most that a tenant's jobs may touch.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The files that native elements and the granted folders of steps may use.
    pub files: FilesPolicy,
    /// The storages that jobs may name, beside the files.
    pub storages: Storages,
    /// The addresses that requests may go to, whatever host name was granted.
    pub network: NetworkPolicy,
    /// The requests that may be sent at most, whatever was granted.
    pub http: HttpPolicy,
    /// The secrets that requests may contain.
    ///
    /// The step does not know their values.
    pub secrets: Secrets,
    /// How much one step may use at most, whatever its job says.
    pub limits: LimitOverrides,
    /// Which components may be uploaded and run.
    pub components: ComponentsPolicy,
    /// How much all jobs of the tenant may use together.
    pub quotas: Quotas,
}

/// How much a tenant's jobs may use together.
///
/// All quotas except the first two apply to one process. No quota can be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// How many executions may run at a time.
    ///
    /// For executions that workers take from the queue, this counts over all workers. Further executions wait
    /// in the queue, or are refused as `too-many-running`.
    pub running_max: usize,
    /// How many executions may wait in the queue.
    ///
    /// Further executions are refused as `queue-full`.
    pub queued_max: u64,
    /// How much memory all running components may use together, in bytes.
    ///
    /// A component that asks for more fails its step.
    pub memory_bytes_max: u64,
    /// How many components may compute at a time.
    ///
    /// If several tenants compute, each gets its share of the processors, and never more than this.
    pub processors_max: usize,
    /// How many bytes steps may have written to files, in executions that have not ended.
    ///
    /// A step that writes more gets an error.
    pub disk_bytes_max: u64,
    /// How many files and folders steps may have created in these executions.
    pub disk_files_max: u64,
    /// How many connections of their requests may be open, including those that are kept open for later
    /// requests.
    ///
    /// The step that needs one more gets an error.
    pub http_connections_max: u64,
    /// How long a component that never checks for a stop may continue after a stop request, in milliseconds.
    pub stop_grace_ms: u64,
    /// How many bytes the uploaded files may have together.
    ///
    /// It counts over all processes. A further file is refused as `file-quota`.
    pub uploaded_bytes_max: u64,
    /// How many files may be uploaded.
    ///
    /// It counts over all processes. A further file is refused as `file-quota`.
    pub uploaded_files_max: u64,
}

impl Default for Quotas {
    /// 64 running executions and 100,000 that wait, 1 GiB of memory (a quarter of what all tenants may use
    /// together), all processors, 10 GiB in 100,000 files on the disk, 256 connections, 5 seconds, and 10 GiB in 1,000
    /// uploaded files.
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
            uploaded_bytes_max: 10 << 30,
            uploaded_files_max: 1_000,
        }
    }
}

impl Quotas {
    /// How much may be uploaded.
    pub(crate) fn of_files(&self) -> FileQuota {
        FileQuota { count_max: self.uploaded_files_max, total_bytes_max: self.uploaded_bytes_max }
    }

    /// The quotas that the sandbox enforces.
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

/// The files that a tenant's jobs may use.
#[derive(Debug, Clone)]
pub enum FilesPolicy {
    /// All files that the process may use.
    ///
    /// This is for a user's own machine, and not for tenants.
    Anywhere {
        /// The folder where relative paths start.
        base: PathBuf,
    },
    /// Only files below these folders.
    ///
    /// Relative paths start in the first folder.
    Beneath(Vec<PathBuf>),
}

impl Policy {
    /// No files, no secrets, and only granted hosts with public addresses.
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

    /// The policy for a user's own machine: files, relative to `base`, and hosts with public addresses.
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

    /// Allows jobs to name one more storage.
    #[must_use]
    pub fn with_storage(mut self, storage: NamedStorage) -> Self {
        self.storages.add(storage);
        self
    }

    /// Limits how much one step may use at most, whatever its job says.
    ///
    /// A limit that is not set is decided by the job.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitOverrides) -> Self {
        self.limits = limits;
        self
    }

    /// Sets which components may be uploaded and run.
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

    /// Allows requests to this machine itself, for development.
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

    /// Allows jobs to name one more secret, which is sent to the secret's hosts.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secrets.add(secret);
        self
    }

    /// Whether each secret has an effect, together with the other secrets and the restrictions of the policy.
    /// If not, the installation does not open.
    pub(crate) fn check_secrets(&self) -> Result<(), SecretError> {
        self.secrets.check(&self.http, self.network)
    }

    /// Whether each storage has its own name, and uses no TLS only if the network is open. If not, the
    /// installation does not open.
    pub(crate) fn check_storages(&self) -> Result<(), ConnectorError> {
        self.storages.check(self.network.allow_loopback, self.network.allow_private)
    }

    /// The hosts to which a line of a job's `grants.http` sends a secret, if the policy allows them.
    pub(crate) fn secret_within(&self, secret: &Secret, grant: &str) -> Result<Vec<String>, GrantError> {
        Ok(HttpGrant::parse(grant)?.takes(secret, &self.http, self.network))
    }

    /// The part of a line of a job's `grants.files` that the policy allows: the whole line, or `None` if the
    /// policy does not allow its folder. Links are not followed here. When the step runs, links cannot lead
    /// out of the allowed folders either.
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

    /// The part of a line of a job's `grants.http` that the policy allows, as lines of the same form.
    pub(crate) fn http_within(&self, grant: &str) -> Result<Vec<String>, GrantError> {
        Ok(HttpGrant::parse(grant)?.within(&self.http, self.network))
    }

    /// The folder where relative paths start, from the root of the file system; `None` if no files are
    /// allowed.
    pub(crate) fn beginning(&self) -> Option<String> {
        let folder = match &self.files {
            FilesPolicy::Anywhere { base } => Some(base),
            FilesPolicy::Beneath(folders) => folders.first(),
        };
        let folder = std::path::absolute(folder?).ok()?;
        // If the path is not UTF-8, paths start in the base folder of the worker.
        folder.into_os_string().into_string().ok()
    }

    /// The access of native elements: the files of the policy without those behind the wall, and the
    /// storages.
    pub(crate) fn reach(&self, wall: &Arc<Wall>) -> Reach {
        let folders = match &self.files {
            FilesPolicy::Anywhere { base } => Folders::anywhere(base),
            FilesPolicy::Beneath(folders) => Folders::beneath(folders),
        };
        Reach::from(folders.behind(wall.clone())).with_storages(self.storages.clone())
    }
}
