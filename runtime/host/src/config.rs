//! What the operator writes into files, and what they mean: `policy.yaml` and `tenants/NAME.yaml` in the data folder.
//!
//! [`PolicyFiles`] reads them for whoever opens an installation. [`PolicyWatch`] looks at them again while it is open, so
//! that a change counts without a restart.

mod error;
mod policy_file;
mod policy_files;
mod stamp;
mod watch;

pub use error::{ConfigError, ConfigWarning};
pub use policy_file::POLICY_FILE;
pub use policy_files::{CheckedFile, PolicyFiles, TENANTS_FOLDER, TenantConfig};
pub use stamp::ReadFrom;
pub use watch::{PolicyEvent, PolicyWatch, Served};
