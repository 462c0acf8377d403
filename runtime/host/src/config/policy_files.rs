//! The operator's files of an installation: one policy for all tenants, or one policy for each tenant.

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

/// The folder in the data folder with the policies of single tenants, each in a file `NAME.yaml`.
const TENANTS_FOLDER: &str = "tenants";

/// The end of the name of a tenant's file.
const SUFFIX: &str = ".yaml";

/// `policy.yaml` and `tenants/NAME.yaml` in a data folder.
///
/// A tenant with a file of its own uses only that file. All other tenants use `policy.yaml`. Without a file,
/// nothing is opened.
///
/// Settings for the whole process are in `policy.yaml` only: the storage that machines share, and the limits
/// of compiling a component.
#[derive(Debug)]
pub struct PolicyFiles {
    data_dir: PathBuf,
    base: PathBuf,
    common: PolicyFile,
    /// The state of `policy.yaml` before it was read.
    common_stamp: Stamp,
}

/// The settings of the files for one tenant.
#[derive(Debug)]
pub struct TenantConfig {
    /// The most that the tenant's jobs may touch.
    pub policy: Policy,
    /// Whether no execution of the tenant may begin.
    pub is_suspended: bool,
    /// The settings that are right in the file but cannot be used on this machine now.
    pub warnings: Vec<ConfigWarning>,
    /// The file with these settings; it may be missing.
    pub file: PathBuf,
    /// Other files that the file names, with secrets and keys.
    pub named: Vec<PathBuf>,
    /// The files that the settings were read from, so that each later change is found.
    pub read_from: ReadFrom,
}

/// A file of the operator and its content.
#[derive(Debug)]
pub struct CheckedFile {
    /// The name of the file in the data folder: `policy.yaml`, `tenants/acme.yaml`.
    pub name: String,
    /// The settings for a tenant that uses the file, or what is wrong with the file.
    pub config: Result<TenantConfig, ConfigError>,
}

impl PolicyFiles {
    /// Reads the files of a data folder.
    ///
    /// Relative paths in parameters of jobs start in `base`, unless a policy names folders.
    pub fn read(data_dir: &Path, base: &Path) -> Result<Self, ConfigError> {
        let file = data_dir.join(POLICY_FILE);
        let common_stamp = Stamp::of(&file, None);
        let common = PolicyFile::read(&file, data_dir)?;
        Ok(Self { data_dir: data_dir.to_owned(), base: base.to_owned(), common, common_stamp })
    }

    /// Checks all files of a data folder.
    ///
    /// A wrong file does not keep the others from being checked.
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

    /// The tenants that have a file of their own, sorted by name.
    ///
    /// A file whose name is not a valid tenant name is left out.
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

    /// The default tenant and all tenants that have a file of their own, sorted by name.
    pub fn all_tenants(&self) -> Result<Vec<TenantId>, ConfigError> {
        let mut tenants = self.tenants()?;
        tenants.push(TenantId::default());
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }

    /// The settings of the files for a tenant.
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

    /// The path of a tenant's own file, whether or not it exists.
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

    /// The files of some tenants, and the files that they name.
    ///
    /// No job may touch them.
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

    /// The folder with the files.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Reads the files again.
    pub(super) fn again(&self) -> Result<Self, ConfigError> {
        Self::read(&self.data_dir, &self.base)
    }

    /// The state of `policy.yaml` before it was read.
    pub(super) fn common_stamp(&self) -> &Stamp {
        &self.common_stamp
    }

    /// Whether the settings for the whole process are different in `other`.
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

/// Whether the path does not exist. If the data folder is not a folder, opening the store reports it.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
