//! The installation in the data folder, and the tenant that a command line speaks for.

use std::path::Path;

use stepbox::batch::name::TenantId;
use stepbox::{CompileProcess, Compiler, Stepbox, Tenant};

use crate::error::CliError;
use crate::output::talk;
use crate::policy_file::PolicyFile;

/// What makes this program compile one component for the one that started it. No word of the language,
/// and so on no help page.
const COMPILE: &str = "__compile";

/// Whether this process is to compile one component, and nothing else.
pub(crate) fn is_compile_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE)
}

/// Opens the installation for some tenants, to whom the same policy applies. Relative paths in parameters begin
/// in the current folder.
pub(crate) async fn open(data_dir: &Path, tenants: &[TenantId], lease_ms: u64) -> Result<Stepbox, CliError> {
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    let file = PolicyFile::in_folder(data_dir)?;
    let itself = CompileProcess::of_this_program([COMPILE.into()]).map_err(CliError::Start)?;
    let is_new = !data_dir.exists();
    let compiler = Compiler::Process(file.limit(itself));
    let mut builder = Stepbox::builder(data_dir).compiler(compiler).lease_ms(lease_ms);
    for tenant in tenants {
        builder = builder.tenant(tenant.clone(), file.policy(data_dir, &here)?);
    }
    let stepbox = builder.open().await?;
    if is_new {
        talk(format!("new data folder `{}`", data_dir.display()));
    }
    Ok(stepbox)
}

/// The tenant, for a user or for whoever runs this process.
pub(crate) fn tenant(stepbox: &Stepbox, id: &TenantId, user: Option<&str>) -> Result<Tenant, CliError> {
    let tenant = stepbox.tenant(id)?;
    // An account without a name, as in some containers, stays unknown.
    let user = user.map(str::to_owned).or_else(|| whoami::username().ok());
    Ok(user.map_or_else(|| tenant.clone(), |user| tenant.acting_as(&user)))
}
