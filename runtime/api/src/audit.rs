//! The audit trail.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::audit;

/// An event of the audit trail.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its number. Later events have higher ones.
    pub id: u64,
    /// When it was done.
    pub at: String,
    /// The user who did it; `null` if no user was given.
    pub user: Option<String>,
    /// Whether Stepbox did it by itself.
    pub runtime: bool,
    /// What was done: `instance-created`.
    pub action: String,
    /// The subject of the action.
    pub subject: Subject,
    /// Details, which depend on the action. A JSON object.
    pub detail: Value,
}

/// The subject of an action.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `component`, `connector`, `instance`, `execution`, `user`, `token` or `audit`.
    pub kind: String,
    /// Its name or number.
    pub name: String,
}

impl AuditEvent {
    /// Built from a stored event.
    pub fn of(event: &audit::AuditEvent) -> Self {
        let audit::AuditEvent { id, by, deed } = event;
        Self {
            id: id.0,
            at: by.at.to_string(),
            user: by.user.clone(),
            runtime: by.is_runtime,
            action: deed.action.to_string(),
            subject: Subject { kind: deed.action.kind().to_owned(), name: deed.subject.clone() },
            detail: deed.detail.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::actor::Actor;
    use stepbox_batch::audit::{AuditEventId, Deed};

    use super::*;
    use crate::testing::{NOW, instance, survives};

    #[test]
    fn an_event_survives_a_wire() {
        let deed = Deed::instance_created(&instance());
        let event = audit::AuditEvent { id: AuditEventId(3), by: Actor::new(Some("julia"), NOW), deed };
        let shown = survives(&AuditEvent::of(&event));
        assert_eq!(
            (&shown["action"], &shown["subject"]["kind"]),
            (&"instance-created".into(), &"instance".into())
        );
    }
}
