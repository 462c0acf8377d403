//! What the policy of the tenant says.

use stepbox_api::policy::Policy;

use super::Tenant;
use crate::error::ClientError;

impl Tenant {
    /// The policy, with its defaults.
    pub async fn policy(&self) -> Result<Policy, ClientError> {
        self.get(&["policy"]).await
    }
}
