//! What a tenant's jobs may touch at most. A step gets what its job asks for, cut down to this.

use std::path::PathBuf;

use stepbox_batch::error::ElementError;
use stepbox_connectors::Folders;
use stepbox_sandbox::{GrantError, HttpGrant, HttpPolicy, NetworkPolicy};

/// What a tenant's jobs may touch at most.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which files the native elements and the steps' granted folders may be.
    pub files: FilesPolicy,
    /// Which addresses requests may go to, whatever host name they were granted by.
    pub network: NetworkPolicy,
    /// Which requests may be sent at most, whatever was granted.
    pub http: HttpPolicy,
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
        }
    }

    /// What a person may do on their own machine: use their files, relative to `base`, and public
    /// addresses.
    pub fn own_machine(base: impl Into<PathBuf>) -> Self {
        Self { files: FilesPolicy::Anywhere { base: base.into() }, ..Self::nothing() }
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
