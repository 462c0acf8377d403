//! The installation in the data folder, and the tenant of a command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stepbox::batch::audit::AuditFilter;
use stepbox::batch::log::LogLevel;
use stepbox::batch::name::{TenantId, UserName};
use stepbox::config::{PolicyFiles, ReadFrom, Served, TenantConfig};
use stepbox::{Accounts, CompileProcess, Compiler, DatabaseUrl, Stepbox, StorePlace, Tenant};
use tempfile::TempDir;

use crate::error::CliError;
use crate::output::policy_events;
use crate::output::voice::{Entry, Voice};

/// The argument with which this program compiles one component for the process that started it. It is not part of the
/// language, and so on no help page.
const COMPILE: &str = "__compile";

/// Whether this process has to compile one component, and nothing else.
pub(crate) fn is_compile_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE)
}

/// Where an installation is: its data folder, and its store.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) data_dir: PathBuf,
    /// `None` for the store in the data folder.
    pub(crate) database_url: Option<DatabaseUrl>,
}

impl Location {
    /// Refuses a password on a command line, since all users of this machine may have seen it.
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

    /// Where its store is.
    pub(crate) fn store(&self) -> StorePlace<'_> {
        match &self.database_url {
            Some(url) => StorePlace::Database(url),
            None => StorePlace::DataFolder(&self.data_dir),
        }
    }
}

/// What a command does if there is no data folder yet, or nothing of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The command makes the folder, or begins with the tenant.
    Begins,
    /// The command shows what every installation has, and makes nothing.
    Looks,
    /// The command refuses, since it would find nothing.
    Refuses,
}

/// The location for a command. If the folder does not exist, a temporary folder replaces it for as long as the command
/// runs.
pub(crate) fn settle(
    location: Location,
    beginning: Beginning,
    voice: Voice,
) -> Result<(Location, Option<TempDir>), CliError> {
    // An error here is reported when the folder is opened.
    let is_there = location.data_dir.try_exists().unwrap_or(true);
    if is_there || location.database_url.is_some() || beginning == Beginning::Begins {
        return Ok((location, None));
    }
    let looked_at = std::path::absolute(&location.data_dir).unwrap_or_else(|_| location.data_dir.clone());
    if beginning == Beginning::Refuses {
        return Err(CliError::NoDataFolder { looked_at });
    }
    let message = format!(
        "there is no data folder `{}`: only what every installation has is shown",
        looked_at.display()
    );
    voice.say(&Entry::new(LogLevel::Info, "no-data-folder", message));
    let folder = tempfile::tempdir().map_err(CliError::Start)?;
    // Does not exist yet, so that it gets the rights of a new data folder.
    let data_dir = folder.path().join("data");
    Ok((Location { data_dir, ..location }, Some(folder)))
}

/// Refuses a tenant that has nothing in the store. Every change leaves an event in the audit trail, so the trail
/// shows it.
pub(crate) async fn refuse_unknown(tenant: &Tenant, beginning: Beginning) -> Result<(), CliError> {
    if *tenant.id() == TenantId::default() || beginning != Beginning::Refuses {
        return Ok(());
    }
    let is_known = !tenant.audit(&AuditFilter { limit: 1, ..AuditFilter::default() }).await?.is_empty()
        || !tenant.instances(None).await?.is_empty();
    if is_known { Ok(()) } else { Err(CliError::NoTenant(tenant.id().clone())) }
}

/// An open installation, and the content of the operator's files.
pub(crate) struct Opened {
    pub(crate) stepbox: Stepbox,
    pub(crate) files: PolicyFiles,
    /// The tenants that it was opened for, and the file of each.
    pub(crate) tenants: Vec<(TenantId, ReadFrom)>,
}

/// Opens the installation for these tenants. Relative paths in parameters begin in the current folder. `voice`
/// reports a new data folder, and things that cannot be used now.
pub(crate) async fn open(
    Location { data_dir, database_url }: &Location,
    served: &Served,
    lease_ms: u64,
    voice: Option<Voice>,
) -> Result<Opened, CliError> {
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    let files = PolicyFiles::read(data_dir, &here)?;
    let itself = CompileProcess::of_this_program([COMPILE.into()]).map_err(CliError::Start)?;
    let is_new = !data_dir.exists();
    let compiler = Compiler::Process(files.limit(itself));
    let mut builder = Stepbox::builder(data_dir).compiler(compiler).lease_ms(lease_ms);
    let configs = configs(&files, served, voice)?;
    for path in files.own_paths(configs.iter().map(|(_, config)| config)) {
        builder = builder.own_path(path);
    }
    let suspended: Vec<_> =
        configs.iter().filter(|(_, config)| config.is_suspended).map(|(tenant, _)| tenant.clone()).collect();
    let tenants = configs.iter().map(|(tenant, config)| (tenant.clone(), config.read_from.clone())).collect();
    for (tenant, config) in configs {
        builder = builder.tenant(tenant, config.policy);
    }
    if let Some(url) = database_url {
        builder = builder.database_url(url.clone());
    }
    if let Some(shared) = files.shared_storage()? {
        builder = builder.shared_storage(shared);
    }
    let stepbox = builder.open().await?;
    suspended.iter().try_for_each(|tenant| stepbox.suspend_tenant(tenant))?;
    if let Some(voice) = voice.filter(|_| is_new) {
        let message = format!("new data folder `{}`", data_dir.display());
        voice.say(&Entry::new(LogLevel::Info, "data-folder-made", message));
    }
    Ok(Opened { stepbox, files, tenants })
}

/// The configuration of the tenants. If all tenants are served, a tenant with a wrong file is left out and reported.
fn configs(
    files: &PolicyFiles,
    served: &Served,
    voice: Option<Voice>,
) -> Result<Vec<(TenantId, TenantConfig)>, CliError> {
    match served {
        Served::Named(tenants) => {
            tenants.iter().map(|tenant| Ok((tenant.clone(), files.tenant(tenant)?))).collect()
        }
        Served::All => {
            let read = |tenant: TenantId| match files.tenant(&tenant) {
                Ok(config) => Some((tenant, config)),
                Err(error) => {
                    if let Some(voice) = voice {
                        voice.say(&policy_events::refused(Some(&tenant), &error));
                    }
                    None
                }
            };
            Ok(files.all_tenants()?.into_iter().filter_map(read).collect())
        }
    }
}

/// The tenant, for a named user or for the operating system's user.
pub(crate) fn tenant(stepbox: &Stepbox, id: &TenantId, user: Option<&str>) -> Result<Tenant, CliError> {
    let tenant = stepbox.tenant(id)?;
    Ok(acting(user).map_or_else(|| tenant.clone(), |user| tenant.acting_as(&user)))
}

/// The users of the installation, for the same user.
pub(crate) fn accounts(stepbox: &Stepbox, user: Option<&str>) -> Accounts {
    let accounts = stepbox.accounts();
    acting(user).map_or_else(|| accounts.clone(), |user| accounts.acting_as(&user))
}

/// The name of the user who runs the command. An account without a name, as in some containers, stays unknown.
fn acting(user: Option<&str>) -> Option<String> {
    let account = || whoami::username().ok().filter(|name| UserName::new(name.as_str()).is_ok());
    user.map(str::to_owned).or_else(account)
}
