//! The audit trail.

use stepbox_api::audit::AuditEvent;
use stepbox_api::request::{PurgeAudit, PurgedAudit};

use super::{Tenant, field};
use crate::ask::Ask;
use crate::error::ClientError;
use crate::pages::Pages;

/// Which events of the audit trail to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this action: `instance-created`.
    pub action: Option<String>,
    /// Only those of this user.
    pub user: Option<String>,
    /// Only those at this moment and later, in RFC 3339.
    pub since: Option<String>,
    /// Only those before the event of this number.
    pub before: Option<u64>,
}

impl AuditFilter {
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let Self { action, user, since, before } = self;
        let fields = [
            field("action", action.as_ref()),
            field("user", user.as_ref()),
            field("since", since.as_ref()),
            field("before", *before),
        ];
        fields.into_iter().flatten().collect()
    }
}

impl Tenant {
    /// The events that match a filter, newest first.
    pub fn audit(&self, filter: &AuditFilter) -> Pages<AuditEvent> {
        self.pages(&["audit"], filter.fields())
    }

    /// Deletes the events that are more than this number of days old, and returns how many there were.
    pub async fn purge_audit(&self, older_than_days: u32) -> Result<u64, ClientError> {
        let ask = Ask::post(self.path(&["audit", "purge"])).json(&PurgeAudit { older_than_days })?;
        let purged: PurgedAudit = self.json(ask).await?;
        Ok(purged.events)
    }
}
