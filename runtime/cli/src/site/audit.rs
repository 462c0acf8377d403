//! The audit trail.

use stepbox::batch::audit::{AuditEventId, AuditFilter};
use stepbox_api::audit::AuditEvent;
use stepbox_api::list::Row;
use stepbox_client::Pages;

use super::pages::{Numbered as _, in_order};
use super::{Here, Site};
use crate::error::CliError;

/// Events, newest first.
pub(crate) enum Events {
    Here(Here, AuditFilter),
    There(Pages<AuditEvent>),
}

impl Site {
    /// The events that match a filter, page by page; the limit of the filter is left to the reader.
    pub(crate) fn audit(&self, filter: AuditFilter) -> Events {
        match self {
            Self::Here(here) => Events::Here(here.clone(), filter),
            Self::There(there) => Events::There(there.tenant.audit(&stepbox_client::AuditFilter {
                action: filter.action.map(|action| action.to_string()),
                user: filter.user,
                since: filter.since.map(|since| since.to_string()),
                before: filter.before.map(|before| before.0),
            })),
        }
    }

    /// Deletes the events that are older than this number of days, and returns how many there were.
    pub(crate) async fn purge_audit(&self, older_than_days: u32) -> Result<u64, CliError> {
        match self {
            Self::Here(here) => Ok(here.tenant.purge_audit(older_than_days).await?),
            Self::There(there) => Ok(there.tenant.purge_audit(older_than_days).await?),
        }
    }
}

impl Events {
    /// The next rows, at most `rows` of them.
    pub(crate) async fn next(&mut self, rows: u32) -> Result<Vec<Row<AuditEvent>>, CliError> {
        match self {
            Self::Here(here, filter) => {
                let page = AuditFilter { limit: rows, ..filter.clone() };
                let page = in_order(&here.tenant.audit(&page).await?, AuditEvent::of);
                filter.before = page.last().map(|row| AuditEventId(row.number())).or(filter.before);
                Ok(page)
            }
            Self::There(events) => Ok(events.page(rows).await?),
        }
    }
}
