//! The installation in the data folder, and the tenant that a command line speaks for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stepbox::batch::log::LogLevel;
use stepbox::batch::name::{TenantId, UserName};
use stepbox::{CompileProcess, Compiler, DatabaseUrl, Stepbox, StorePlace, Tenant};

use crate::error::CliError;
use crate::output::voice::{Entry, Voice};
use crate::policy_file::PolicyFile;

/// What makes this program compile one component for the one that started it. No word of the language,
/// and so on no help page.
const COMPILE: &str = "__compile";

/// Whether this process is to compile one component, and nothing else.
pub(crate) fn is_compile_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE)
}

/// Where an installation is.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) data_dir: PathBuf,
    /// None for the store in the data folder.
    pub(crate) database_url: Option<DatabaseUrl>,
}

impl Place {
    /// Refuses a password that everybody on this machine has seen by now.
    pub(crate) fn new(data_dir: PathBuf, database_url: Option<DatabaseUrl>) -> Result<Self, CliError> {
        let is_argument = |argument: OsString| {
            let argument = argument.to_string_lossy();
            argument == "--database-url" || argument.starts_with("--database-url=")
        };
        let has_password = database_url.as_ref().is_some_and(DatabaseUrl::has_password);
        match has_password && std::env::args_os().any(is_argument) {
            true => Err(CliError::PasswordShown),
            false => Ok(Self { data_dir, database_url }),
        }
    }

    /// Its store.
    pub(crate) fn store(&self) -> StorePlace<'_> {
        match &self.database_url {
            Some(url) => StorePlace::Database(url),
            None => StorePlace::DataFolder(&self.data_dir),
        }
    }
}

/// Opens the installation for some tenants, to whom the same policy applies. Relative paths in parameters begin
/// in the current folder.
pub(crate) async fn open(
    Place { data_dir, database_url }: &Place,
    tenants: &[TenantId],
    lease_ms: u64,
    voice: Voice,
) -> Result<Stepbox, CliError> {
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    let file = PolicyFile::in_folder(data_dir)?;
    let itself = CompileProcess::of_this_program([COMPILE.into()]).map_err(CliError::Start)?;
    let is_new = !data_dir.exists();
    let compiler = Compiler::Process(file.limit(itself));
    let mut builder = Stepbox::builder(data_dir).compiler(compiler).lease_ms(lease_ms);
    for tenant in tenants {
        builder = builder.tenant(tenant.clone(), file.policy(data_dir, &here)?);
    }
    if let Some(url) = database_url {
        builder = builder.database_url(url.clone());
    }
    if let Some(shared) = file.shared_storage(data_dir)? {
        builder = builder.shared_storage(shared);
    }
    for path in file.own_paths(data_dir) {
        builder = builder.own_path(path);
    }
    let stepbox = builder.open().await?;
    if is_new {
        let message = format!("new data folder `{}`", data_dir.display());
        voice.say(&Entry::new(LogLevel::Info, "data-folder-made", message));
    }
    Ok(stepbox)
}

/// The tenant, for a user or for whoever runs this process.
pub(crate) fn tenant(stepbox: &Stepbox, id: &TenantId, user: Option<&str>) -> Result<Tenant, CliError> {
    let tenant = stepbox.tenant(id)?;
    // An account without a name, as in some containers, stays unknown.
    let account = || whoami::username().ok().filter(|name| UserName::new(name.as_str()).is_ok());
    let user = user.map(str::to_owned).or_else(account);
    Ok(user.map_or_else(|| tenant.clone(), |user| tenant.acting_as(&user)))
}
