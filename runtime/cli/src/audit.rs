//! `stepbox audit`: who did what, and when.

use stepbox::batch::audit::{AuditEventId, AuditFilter};
use stepbox_api::audit::AuditEvent;

use crate::args::audit::Audit;
use crate::error::CliError;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::words::{beginning, counted};
use crate::output::{Answer, talk};
use crate::site::{Events, Site, Trail};

/// How many characters of an event's detail a line of text shows. JSON has the whole detail.
const DETAIL_CHARACTERS_SHOWN: usize = 100;

pub(crate) async fn carry_out(site: &Site, verb: Audit) -> Result<Answer, CliError> {
    match verb {
        Audit::List { since, action, by, before, limit, installation, format } => {
            let before = before.map(AuditEventId);
            let filter = AuditFilter { action, user: by, since, before, limit };
            list(site.audit(trail(installation), filter), limit, format.format).await
        }
        Audit::Purge { older_than_days, installation } => {
            let events = site.purge_audit(trail(installation), older_than_days).await?;
            talk(format!("deleted {}", counted(events, "event")));
            Ok(Answer::nothing())
        }
    }
}

fn trail(is_of_installation: bool) -> Trail {
    if is_of_installation { Trail::Installation } else { Trail::Tenant }
}

async fn list(mut events: Events, limit: u32, format: Format) -> Result<Answer, CliError> {
    let written = list::write(format, limit, async |rows| events.next(rows).await, table).await?;
    match written.last {
        None => talk("there are no such events"),
        Some(last) if written.rows == limit => talk(format!("there may be older ones: `--before {last}`")),
        Some(_) => {}
    }
    Ok(Answer::nothing())
}

/// The runtime, an unknown user, or a user. No user can have the name of one of the others.
fn who(event: &AuditEvent) -> String {
    match &event.user {
        _ if event.runtime => "(runtime)".to_owned(),
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
        let detail = match event.detail.as_object() {
            Some(detail) if detail.is_empty() => String::new(),
            _ => event.detail.to_string(),
        };
        [
            event.id.to_string(),
            event.at.clone(),
            who(event),
            event.action.clone(),
            event.subject.name.clone(),
            beginning(&detail, DETAIL_CHARACTERS_SHOWN),
        ]
    })
}
