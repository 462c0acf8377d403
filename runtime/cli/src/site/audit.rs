//! The audit trail.

use stepbox::batch::audit::{AuditEventId, AuditFilter};
use stepbox_api::audit::AuditEvent;
use stepbox_api::list::Row;
use stepbox_client::Pages;

use super::pages::{Numbered as _, in_order};
use super::{Here, Site};
use crate::error::CliError;

/// Which audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trail {
    /// That of the tenant.
    Tenant,
    /// That of the installation, which has what belongs to no tenant.
    Installation,
}

/// Events, newest first.
pub(crate) enum Events {
    Here(Here, Trail, AuditFilter),
    There(Pages<AuditEvent>),
}

impl Site {
    /// The events that match a filter, page by page; the limit of the filter is left to the reader.
    pub(crate) fn audit(&self, trail: Trail, filter: AuditFilter) -> Events {
        match self {
            Self::Here(here) => Events::Here(here.clone(), trail, filter),
            Self::There(there) => {
                let filter = stepbox_client::AuditFilter {
                    action: filter.action.map(|action| action.to_string()),
                    user: filter.user,
                    since: filter.since.map(|since| since.to_string()),
                    before: filter.before.map(|before| before.0),
                };
                Events::There(match trail {
                    Trail::Tenant => there.tenant.audit(&filter),
                    Trail::Installation => there.tenant.client().audit(&filter),
                })
            }
        }
    }

    /// Deletes the events that are older than this number of days, and returns how many there were.
    pub(crate) async fn purge_audit(&self, trail: Trail, older_than_days: u32) -> Result<u64, CliError> {
        match self {
            Self::Here(here) => Ok(match trail {
                Trail::Tenant => here.tenant.purge_audit(older_than_days).await?,
                Trail::Installation => here.accounts.purge_audit(older_than_days).await?,
            }),
            Self::There(there) => match trail {
                Trail::Tenant => Ok(there.tenant.purge_audit(older_than_days).await?),
                Trail::Installation => Ok(there.tenant.client().purge_audit(older_than_days).await?),
            },
        }
    }
}

impl Events {
    /// The next rows, at most `rows` of them.
    pub(crate) async fn next(&mut self, rows: u32) -> Result<Vec<Row<AuditEvent>>, CliError> {
        match self {
            Self::Here(here, trail, filter) => {
                let page = AuditFilter { limit: rows, ..filter.clone() };
                let found = match trail {
                    Trail::Tenant => here.tenant.audit(&page).await?,
                    Trail::Installation => here.accounts.audit(&page).await?,
                };
                let page = in_order(&found, AuditEvent::of);
                filter.before = page.last().map(|row| AuditEventId(row.number())).or(filter.before);
                Ok(page)
            }
            Self::There(events) => Ok(events.page(rows).await?),
        }
    }
}
