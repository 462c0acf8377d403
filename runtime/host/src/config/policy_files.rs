//! The operator's files of an installation: one policy for all tenants, or one for each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stepbox_batch::name::TenantId;
use stepbox_connectors::NamedStorage;
use stepbox_sandbox::CompileProcess;

use super::error::{ConfigError, ConfigWarning};
use super::policy_file::{POLICY_FILE, PolicyFile};
use super::stamp::{ReadFrom, Stamp};
use crate::policy::Policy;

/// The folder in the data folder that has policies of single tenants, each in a file `NAME.yaml`.
pub const TENANTS_FOLDER: &str = "tenants";

/// How a tenant's file ends.
const SUFFIX: &str = ".yaml";

/// `policy.yaml` and `tenants/NAME.yaml` in a data folder. A tenant with a file of its own goes by that one alone, each
/// other one by `policy.yaml`; without a file, nothing is opened.
///
/// What holds for the whole process stands in `policy.yaml` only: the storage that machines share, and what compiling a
/// component may cost.
#[derive(Debug)]
pub struct PolicyFiles {
    data_dir: PathBuf,
    base: PathBuf,
    common: PolicyFile,
    /// The state that `policy.yaml` was in before it was read.
    common_stamp: Stamp,
}

/// What the files say of one tenant.
#[derive(Debug)]
pub struct TenantConfig {
    /// What its jobs may touch at most.
    pub policy: Policy,
    /// Whether nothing of it is to begin.
    pub is_suspended: bool,
    /// What is as it should be in the file, and cannot be used on this machine now.
    pub warnings: Vec<ConfigWarning>,
    /// The file that says so; it may not be there.
    pub file: PathBuf,
    /// Other files that the file names, with secrets and keys.
    pub named: Vec<PathBuf>,
    /// What it was read from, so that each later change is found.
    pub read_from: ReadFrom,
}

/// A file of the operator, and what it comes to.
#[derive(Debug)]
pub struct CheckedFile {
    /// As it is called in the data folder: `policy.yaml`, `tenants/acme.yaml`.
    pub name: String,
    /// What it says of a tenant that goes by it, or what is wrong with it.
    pub config: Result<TenantConfig, ConfigError>,
}

impl PolicyFiles {
    /// Reads the files of a data folder. Relative paths in parameters of jobs begin in `base`, unless a policy names
    /// folders.
    pub fn read(data_dir: &Path, base: &Path) -> Result<Self, ConfigError> {
        let file = data_dir.join(POLICY_FILE);
        let common_stamp = Stamp::of(&file, None);
        let common = PolicyFile::read(&file, data_dir)?;
        Ok(Self { data_dir: data_dir.to_owned(), base: base.to_owned(), common, common_stamp })
    }

    /// Looks at all files of a data folder: one that is wrong keeps no other from being looked at.
    pub fn check(data_dir: &Path, base: &Path) -> Result<Vec<CheckedFile>, ConfigError> {
        let files = Self {
            data_dir: data_dir.to_owned(),
            base: base.to_owned(),
            common: PolicyFile::default(),
            common_stamp: Stamp::default(),
        };
        let common = Self::read(data_dir, base).and_then(|files| {
            files.shared_storage()?;
            files.config(&files.common, data_dir.join(POLICY_FILE), ReadFrom::default())
        });
        let mut checked = vec![CheckedFile { name: POLICY_FILE.to_owned(), config: common }];
        for tenant in files.tenants()? {
            let name = format!("{TENANTS_FOLDER}/{tenant}{SUFFIX}");
            checked.push(CheckedFile { name, config: files.tenant(&tenant) });
        }
        Ok(checked)
    }

    /// The tenants that have a file of their own, by name. A file whose name no tenant can have is left out.
    pub fn tenants(&self) -> Result<Vec<TenantId>, ConfigError> {
        let folder = self.data_dir.join(TENANTS_FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(ConfigError::unreadable(&folder)(error)),
        };
        let tenant = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            TenantId::new(name.strip_suffix(SUFFIX)?).ok()
        };
        let mut tenants: Vec<_> = entries.filter_map(|entry| tenant(entry.ok()?)).collect();
        tenants.sort();
        Ok(tenants)
    }

    /// The default tenant, and all that have a file of their own, by name.
    pub fn all_tenants(&self) -> Result<Vec<TenantId>, ConfigError> {
        let mut tenants = self.tenants()?;
        tenants.push(TenantId::default());
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }

    /// What the files say of a tenant.
    pub fn tenant(&self, id: &TenantId) -> Result<TenantConfig, ConfigError> {
        let own = self.file_of(id);
        let mut read_from = ReadFrom([(own.clone(), Stamp::of(&own, None))].into());
        if !is_there(&own)? {
            let path = self.data_dir.join(POLICY_FILE);
            read_from.0.insert(path.clone(), self.common_stamp.clone());
            return self.config(&self.common, path, read_from);
        }
        let file = PolicyFile::read(&own, &self.data_dir)?;
        file.refuse_common(&own)?;
        self.config(&file, own, read_from)
    }

    fn config(
        &self,
        file: &PolicyFile,
        path: PathBuf,
        mut read_from: ReadFrom,
    ) -> Result<TenantConfig, ConfigError> {
        let named = file.named_files(&self.data_dir);
        read_from.0.extend(named.iter().map(|path| (path.clone(), Stamp::of(path, None))));
        let mut warnings = Vec::new();
        let policy = file.policy(&path, &self.data_dir, &self.base, &mut warnings)?;
        let is_suspended = file.is_suspended();
        Ok(TenantConfig { policy, is_suspended, warnings, file: path, named, read_from })
    }

    /// Where a tenant's own file is, or would be.
    pub fn file_of(&self, id: &TenantId) -> PathBuf {
        self.data_dir.join(TENANTS_FOLDER).join(format!("{id}{SUFFIX}"))
    }

    /// The storage that workers on several machines share.
    pub fn shared_storage(&self) -> Result<Option<NamedStorage>, ConfigError> {
        self.common.shared_storage(&self.data_dir.join(POLICY_FILE), &self.data_dir)
    }

    /// Sets the limits of compiling that `policy.yaml` names.
    pub fn limit(&self, process: CompileProcess) -> CompileProcess {
        self.common.limit(process)
    }

    /// What the files of some tenants are, and the files that they name: no job is to come near them.
    pub fn own_paths<'a>(&self, tenants: impl IntoIterator<Item = &'a TenantConfig>) -> Vec<PathBuf> {
        let mut paths = vec![self.data_dir.join(POLICY_FILE)];
        paths.extend(self.common.named_files(&self.data_dir));
        for tenant in tenants {
            paths.push(tenant.file.clone());
            paths.extend(tenant.named.iter().cloned());
        }
        paths.sort();
        paths.dedup();
        paths
    }

    /// The folder that the files are in.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Reads them again.
    pub(super) fn again(&self) -> Result<Self, ConfigError> {
        Self::read(&self.data_dir, &self.base)
    }

    /// The state that `policy.yaml` was in before it was read.
    pub(super) fn common_stamp(&self) -> &Stamp {
        &self.common_stamp
    }

    /// Whether what holds for the whole process is another in these.
    pub(super) fn differs_for_process(&self, other: &Self) -> bool {
        !self.common.is_same_for_process(&other.common)
    }
}

fn is_there(path: &Path) -> Result<bool, ConfigError> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(ConfigError::unreadable(path)(error)),
    }
}

/// Whether there is nothing. A data folder that is no folder is told when the store is opened.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
