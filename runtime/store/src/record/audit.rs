//! Events of the audit trail.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditEvent, AuditEventId, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::Result;

use super::columns::Columns;
use super::{Row, json};

/// Stored instead of a user if the runtime acts itself. A user's name is never empty.
const RUNTIME: &str = "";

/// An actor as a column holds it.
pub(crate) fn user_name(by: &Actor) -> Option<String> {
    if by.is_runtime { Some(RUNTIME.to_owned()) } else { by.user.clone() }
}

/// The actor of a column, at that moment.
pub(crate) fn actor(user_name: Option<String>, at: Timestamp) -> Actor {
    match user_name {
        Some(name) if name == RUNTIME => Actor::stepbox(at),
        user => Actor { user, is_runtime: false, at },
    }
}

/// A row of `audit_events`, without its tenant.
#[derive(Debug)]
pub(crate) struct AuditRecord {
    /// 0 until the store has given the event a number.
    pub id: i64,
    pub at: i64,
    pub user_name: Option<String>,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

/// Every column of [`AuditRecord`].
pub(crate) const COLUMNS: &str = "id, at, user_name, action, subject, detail";

impl AuditRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            id: row.number("id")?,
            at: row.number("at")?,
            user_name: row.maybe_text("user_name")?,
            action: row.text("action")?,
            subject: row.text("subject")?,
            detail: row.text("detail")?,
        })
    }

    pub(crate) fn new(deed: &Deed, by: &Actor) -> Self {
        let (Deed { action, subject, detail }, at) = (deed, by.at);
        Self {
            id: 0,
            at: at.0,
            user_name: user_name(by),
            action: action.to_string(),
            subject: subject.clone(),
            detail: json(detail),
        }
    }

    pub(crate) fn into_event(self) -> Result<AuditEvent> {
        let row = Row(format!("audit event {}", self.id));
        Ok(AuditEvent {
            id: AuditEventId(row.count("id", self.id)?),
            by: actor(self.user_name, Timestamp(self.at)),
            deed: Deed {
                action: self.action.parse().map_err(|error| row.corrupt("action", error))?,
                subject: self.subject,
                detail: row.json("detail", &self.detail)?,
            },
        })
    }
}
