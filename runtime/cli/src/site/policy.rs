//! What the policy of the tenant says.

use super::Site;
use crate::error::CliError;

impl Site {
    /// Whether the policy accepts only signed components.
    pub(crate) async fn requires_signatures(&self) -> Result<bool, CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.policy().components.signed_by.is_some()),
            Self::There(there) => Ok(there.tenant.policy().await?.components.signed_by.is_some()),
        }
    }
}
