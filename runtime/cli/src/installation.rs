//! The installation in the data folder, as the one tenant that a command line speaks for.

use std::path::Path;

use stepbox::batch::name::TenantId;
use stepbox::{Stepbox, Tenant};

use crate::error::CliError;
use crate::output::talk;
use crate::policy_file;

/// Opens the installation. Relative paths in parameters begin in the current folder.
pub(crate) async fn open(data_dir: &Path) -> Result<Tenant, CliError> {
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    let policy = policy_file::policy(data_dir, &here)?;
    let is_new = !data_dir.exists();
    let id = TenantId::default();
    let stepbox = Stepbox::builder(data_dir).tenant(id.clone(), policy).open().await?;
    if is_new {
        talk(format!("new data folder `{}`", data_dir.display()));
    }
    Ok(stepbox.tenant(&id)?)
}
