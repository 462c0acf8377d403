//! The files of the operator and their meaning: `policy.yaml` and `tenants/NAME.yaml` in the data folder, and the
//! settings of an identity provider.
//!
//! [`PolicyFiles`] reads them for the program that opens an installation. [`PolicyWatch`] reads them again
//! while the installation is open, so a change applies without a restart.

mod error;
mod identity_provider_file;
mod policy_file;
mod policy_files;
mod stamp;
mod watch;

pub use error::{ConfigError, ConfigWarning};
pub use identity_provider_file::{GroupRole, IdentityProviderConfig};
pub use policy_file::POLICY_FILE;
pub use policy_files::{CheckedFile, PolicyFiles, TenantConfig};
pub use stamp::ReadFrom;
pub use watch::{PolicyEvent, PolicyWatch, Served};
