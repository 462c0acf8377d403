//! The audit trail: who did what, and when.

use stepbox_batch::audit::{AuditEvent, AuditFilter, Deed};
use stepbox_batch::name::Digest;
use stepbox_batch::ports::{Listing, RepositoryError};
use stepbox_sandbox::ComponentError;

use super::Tenant;
use super::executions::days_before;
use crate::error::Error;

impl Tenant {
    /// Returns events of the audit trail, newest first.
    ///
    /// For the next page, ask for the events before the id of the last one.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Listing<AuditEvent>, Error> {
        Ok(self.installation.repository.audit(&self.id, filter).await?)
    }

    /// Deletes the events that are older than this number of days, and adds an event that records the
    /// deletion.
    ///
    /// Returns the number of deleted events.
    pub async fn purge_audit(&self, older_than_days: u32) -> Result<u64, Error> {
        let by = self.by()?;
        let before = days_before(by.at, older_than_days);
        Ok(self.installation.repository.purge_audit(&self.id, before, &by).await?)
    }

    /// Counts and records the refusal of a component. Does nothing for other errors.
    pub(super) async fn record_refusal(&self, digest: Option<&Digest>, error: &Error) -> Result<(), Error> {
        if !is_refusal(error) {
            return Ok(());
        }
        self.state.tally.refused_upload();
        let deed = Deed::component_refused(digest, error.code(), &error.to_string());
        Ok(self.installation.repository.record(&self.id, &deed, &self.by()?).await?)
    }
}

/// Whether an upload failed because of the component, and not because of this machine or the transfer.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Component(error) => {
            !matches!(error, ComponentError::Unreadable { .. } | ComponentError::CompilerLost { .. })
        }
        Error::Repository(error) => {
            matches!(error, RepositoryError::VersionExists { .. } | RepositoryError::ComponentQuota(_))
        }
        Error::Signature(_) | Error::UploadClosed => true,
        _ => false,
    }
}
