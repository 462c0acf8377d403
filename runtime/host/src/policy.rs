//! What a tenant's jobs may touch at most. A step gets what its job asks for, cut down to this.

use std::path::PathBuf;

use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::error::ElementError;
use stepbox_connectors::Folders;
use stepbox_sandbox::{GrantError, HttpGrant, HttpPolicy, NetworkPolicy};

use crate::components_policy::ComponentsPolicy;

/// What a tenant's jobs may touch at most.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which files the native elements and the steps' granted folders may be.
    pub files: FilesPolicy,
    /// Which addresses requests may go to, whatever host name they were granted by.
    pub network: NetworkPolicy,
    /// Which requests may be sent at most, whatever was granted.
    pub http: HttpPolicy,
    /// Which components may come in, and be run.
    pub components: ComponentsPolicy,
    /// How much they may use together.
    pub quotas: Quotas,
}

/// How much a tenant's jobs may use together, in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// How many executions may run at a time. One more is refused, as `too-many-running`.
    pub running_max: usize,
    /// What all running components may take together, in bytes. One that asks for more fails its step.
    pub memory_bytes_max: u64,
    /// How long a component that never asks may go on after a stop was requested, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Default for Quotas {
    /// 64 executions, 1 GiB, a quarter of what all tenants may take together, and 5 seconds.
    fn default() -> Self {
        Self { running_max: 64, memory_bytes_max: 1 << 30, stop_grace_ms: 5_000 }
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
    /// No files, and of the granted hosts those at public addresses.
    pub fn nothing() -> Self {
        Self {
            files: FilesPolicy::Beneath(Vec::new()),
            network: NetworkPolicy::default(),
            http: HttpPolicy::default(),
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
            quotas: Quotas { memory_bytes_max: 4 << 30, ..Quotas::default() },
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

    /// What it leaves of a line of a job's `grants.http`, as lines of the same form.
    pub fn http_within(&self, grant: &str) -> Result<Vec<String>, GrantError> {
        Ok(HttpGrant::parse(grant)?.within(&self.http, self.network))
    }

    /// The files as the native elements see them.
    pub(crate) fn folders(&self) -> Result<Folders, ElementError> {
        match &self.files {
            FilesPolicy::Anywhere { base } => Ok(Folders::anywhere(base)),
            FilesPolicy::Beneath(folders) => Ok(Folders::beneath(folders)?),
        }
    }
}
