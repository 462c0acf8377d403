//! `stepbox audit`: who did what, and when.

use stepbox::Tenant;
use stepbox::batch::actor::Actor;
use stepbox::batch::audit::{AuditEvent, AuditEventId, AuditFilter};

use crate::args::Audit;
use crate::error::CliError;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::words::{beginning, counted};
use crate::output::{Answer, talk};

/// How many characters of an event's detail a line of text shows. JSON has the whole detail.
const DETAIL_CHARACTERS_SHOWN: usize = 100;

pub(crate) async fn carry_out(tenant: &Tenant, verb: Audit) -> Result<Answer, CliError> {
    match verb {
        Audit::List { since, action, by, before, limit, format } => {
            let before = before.map(AuditEventId);
            let filter = AuditFilter { action, user: by, since, before, limit };
            list(tenant, &filter, format.format).await
        }
        Audit::Purge { older_than_days } => {
            let events = tenant.purge_audit(older_than_days).await?;
            talk(format!("deleted {}", counted(events, "event")));
            Ok(Answer::nothing())
        }
    }
}

async fn list(tenant: &Tenant, filter: &AuditFilter, format: Format) -> Result<Answer, CliError> {
    let page = async |before: Option<u64>, limit| {
        let before = before.map(AuditEventId);
        tenant.audit(&AuditFilter { before, limit, ..filter.clone() }).await
    };
    let (first, number) = (filter.before.map(|id| id.0), |event: &AuditEvent| event.id.0);
    let written =
        list::write(format, filter.limit, first, page, number, table, stepbox_api::audit::AuditEvent::of)
            .await?;
    match written.last {
        None => talk("there are no such events"),
        Some(last) if written.rows == filter.limit => {
            talk(format!("there may be older ones: `--before {last}`"))
        }
        Some(_) => {}
    }
    Ok(Answer::nothing())
}

/// The runtime, an unknown user, or a user. No user can have the name of one of the others.
fn who(by: &Actor) -> String {
    match &by.user {
        _ if by.is_runtime => "(runtime)".to_owned(),
        None => "-".to_owned(),
        Some(user) if user.starts_with(['(', '-', '"']) => format!("{user:?}"),
        Some(user) => user.clone(),
    }
}

fn table(events: &[&AuditEvent]) -> Table {
    let columns = [
        Column::Right("id"),
        Column::Left("at"),
        Column::Left("user"),
        Column::Left("action"),
        Column::Left("subject"),
        Column::Left("detail"),
    ];
    Table::of(columns, events, |event| {
        let detail = match event.deed.detail.as_object() {
            Some(detail) if detail.is_empty() => String::new(),
            _ => event.deed.detail.to_string(),
        };
        [
            event.id.to_string(),
            event.by.at.to_string(),
            who(&event.by),
            event.deed.action.to_string(),
            event.deed.subject.clone(),
            beginning(&detail, DETAIL_CHARACTERS_SHOWN),
        ]
    })
}
