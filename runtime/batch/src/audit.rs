//! Who did what, and when: the events of the audit trails, one of each tenant and one of the installation.
//!
//! A repository writes the event in the same transaction as the change. So each change is recorded, and each
//! recorded change did happen. This module decides the content of an event for all stores. No event holds values of
//! parameters: they may be private.

mod access;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::cut::cut;
use crate::execution::new::NewJobExecution;
use crate::execution::rescue::Fate;
use crate::execution::status::BatchStatus;
use crate::inventory::{Component, Connector};
use crate::job::{Job, JobInstance};
use crate::name::{ConnectorCode, Digest, InstanceCode, JobExecutionId};
use crate::uploaded_file::UploadedFile;

/// How long the reason of a refusal may be, in bytes; the rest is cut off. The limit is needed because a reason may
/// quote the refused input.
const REASON_BYTES_MAX: usize = 1 << 10;

/// The number of an event, given by the store; later events have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditEventId(pub u64);

impl fmt::Display for AuditEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditAction {
    /// A component was checked and kept.
    ComponentUploaded,
    /// A component was refused.
    ComponentRefused,
    /// A component was removed.
    ComponentRemoved,
    /// A connector was installed or replaced, and its steps got the grants that it asks for.
    ConnectorInstalled,
    /// A connector was removed.
    ConnectorRemoved,
    /// A job instance was created.
    InstanceCreated,
    /// A job instance was changed.
    InstanceChanged,
    /// A job instance was deleted.
    InstanceDeleted,
    /// A file was uploaded.
    FileUploaded,
    /// An uploaded file was removed, or its time was over.
    FileRemoved,
    /// An execution was accepted.
    ExecutionSubmitted,
    /// An execution was accepted that continues another one.
    ExecutionRestarted,
    /// A paused execution continues, or waits for a worker that continues it.
    ExecutionResumed,
    /// A stop of an execution was requested.
    ExecutionStopRequested,
    /// A pause of an execution was requested.
    ExecutionPauseRequested,
    /// An execution was abandoned.
    ExecutionAbandoned,
    /// The worker of an execution was lost.
    ExecutionLost,
    /// An execution could be neither run nor rescued, and was set aside.
    ExecutionSetAside,
    /// Damage of an execution was mended.
    ExecutionRepaired,
    /// An execution was deleted.
    ExecutionPurged,
    /// A user was created.
    UserCreated,
    /// A user was changed.
    UserChanged,
    /// A user was removed.
    UserRemoved,
    /// A link was made with which a password can be set.
    PasswordLinkCreated,
    /// The password of a user was set.
    PasswordSet,
    /// A user signed in.
    SignedIn,
    /// Somebody tried to sign in and was refused.
    SignInFailed,
    /// A session was ended, or all sessions of a user.
    SignedOut,
    /// A user got another role in the tenant, or lost it.
    RoleChanged,
    /// The lists of who has which right at an instance were changed.
    InstanceRightsChanged,
    /// A token was created.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// Events of this trail were deleted.
    AuditPurged,
}

impl AuditAction {
    /// All actions.
    pub const ALL: [Self; 33] = [
        Self::ComponentUploaded,
        Self::ComponentRefused,
        Self::ComponentRemoved,
        Self::ConnectorInstalled,
        Self::ConnectorRemoved,
        Self::InstanceCreated,
        Self::InstanceChanged,
        Self::InstanceDeleted,
        Self::FileUploaded,
        Self::FileRemoved,
        Self::ExecutionSubmitted,
        Self::ExecutionRestarted,
        Self::ExecutionResumed,
        Self::ExecutionStopRequested,
        Self::ExecutionPauseRequested,
        Self::ExecutionAbandoned,
        Self::ExecutionLost,
        Self::ExecutionSetAside,
        Self::ExecutionRepaired,
        Self::ExecutionPurged,
        Self::UserCreated,
        Self::UserChanged,
        Self::UserRemoved,
        Self::PasswordLinkCreated,
        Self::PasswordSet,
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::RoleChanged,
        Self::InstanceRightsChanged,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::AuditPurged,
    ];

    /// The stable name of the action.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComponentUploaded => "component-uploaded",
            Self::ComponentRefused => "component-refused",
            Self::ComponentRemoved => "component-removed",
            Self::ConnectorInstalled => "connector-installed",
            Self::ConnectorRemoved => "connector-removed",
            Self::InstanceCreated => "instance-created",
            Self::InstanceChanged => "instance-changed",
            Self::InstanceDeleted => "instance-deleted",
            Self::FileUploaded => "file-uploaded",
            Self::FileRemoved => "file-removed",
            Self::ExecutionSubmitted => "execution-submitted",
            Self::ExecutionRestarted => "execution-restarted",
            Self::ExecutionResumed => "execution-resumed",
            Self::ExecutionStopRequested => "execution-stop-requested",
            Self::ExecutionPauseRequested => "execution-pause-requested",
            Self::ExecutionAbandoned => "execution-abandoned",
            Self::ExecutionLost => "execution-lost",
            Self::ExecutionSetAside => "execution-set-aside",
            Self::ExecutionRepaired => "execution-repaired",
            Self::ExecutionPurged => "execution-purged",
            Self::UserCreated => "user-created",
            Self::UserChanged => "user-changed",
            Self::UserRemoved => "user-removed",
            Self::PasswordLinkCreated => "password-link-created",
            Self::PasswordSet => "password-set",
            Self::SignedIn => "signed-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SignedOut => "signed-out",
            Self::RoleChanged => "role-changed",
            Self::InstanceRightsChanged => "instance-rights-changed",
            Self::TokenCreated => "token-created",
            Self::TokenRevoked => "token-revoked",
            Self::AuditPurged => "audit-purged",
        }
    }

    /// The kind of thing that it was done to: the first word of the action's name, or `user` if a user did it to
    /// themselves or had it done to them.
    pub fn kind(self) -> &'static str {
        match self {
            Self::PasswordLinkCreated
            | Self::PasswordSet
            | Self::SignedIn
            | Self::SignInFailed
            | Self::SignedOut
            | Self::RoleChanged => "user",
            other => other.as_str().split('-').next().unwrap_or_default(),
        }
    }

    /// Whether the events of this action are in the trail of the installation, and not in that of a tenant. Events
    /// of tokens and of purges are in the trail that they belong to.
    pub fn is_of_installation(self) -> bool {
        matches!(
            self,
            Self::UserCreated
                | Self::UserChanged
                | Self::UserRemoved
                | Self::PasswordLinkCreated
                | Self::PasswordSet
                | Self::SignedIn
                | Self::SignInFailed
                | Self::SignedOut
        )
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no action `{0}`")]
pub struct UnknownAction(String);

impl FromStr for AuditAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

/// What was done to what.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What was done.
    pub action: AuditAction,
    /// The name, code or number of the thing that it was done to; its kind is [`AuditAction::kind`].
    ///
    /// Empty if the thing has no name.
    pub subject: String,
    /// Further facts.
    ///
    /// A JSON object.
    pub detail: Value,
}

/// An event of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// The number that the store gave the event.
    pub id: AuditEventId,
    /// Who did it, and when.
    pub by: Actor,
    /// What was done.
    pub deed: Deed,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only events of this action.
    pub action: Option<AuditAction>,
    /// Only events of this user.
    pub user: Option<String>,
    /// Only events of this moment and later.
    pub since: Option<Timestamp>,
    /// Only events with a smaller id, to page backwards.
    pub before: Option<AuditEventId>,
    /// How many events at most; 0 means all.
    pub limit: u32,
}

/// Each function makes the event of one action.
impl Deed {
    fn new(action: AuditAction, subject: impl ToString, detail: Value) -> Self {
        Self { action, subject: subject.to_string(), detail }
    }

    /// A component was checked and kept.
    pub fn component_uploaded(component: &Component) -> Self {
        let Component { digest, world, size_bytes, signer, .. } = component;
        let signed_by = signer.as_ref().map(|signer| &signer.name);
        let detail =
            json!({ "digest": digest, "world": world, "size_bytes": size_bytes, "signed_by": signed_by });
        Self::new(AuditAction::ComponentUploaded, component.reference(), detail)
    }

    /// A component was refused.
    ///
    /// `digest` is `None` if the upload was not read to its end.
    pub fn component_refused(digest: Option<&Digest>, code: &str, reason: &str) -> Self {
        let detail = json!({ "digest": digest, "code": code, "reason": cut(reason, REASON_BYTES_MAX) });
        Self::new(AuditAction::ComponentRefused, "", detail)
    }

    /// A component of that name and version was removed.
    pub fn component_removed(reference: &str, digest: &Digest) -> Self {
        Self::new(AuditAction::ComponentRemoved, reference, json!({ "digest": digest }))
    }

    /// A connector was installed.
    ///
    /// The event has the grants and the limits of its steps, and the components that they pin.
    pub fn connector_installed(connector: &Connector) -> Self {
        let Connector { code, label, jobs } = connector;
        let detail = json!({ "label": label, "jobs": jobs.iter().map(granted).collect::<Vec<_>>() });
        Self::new(AuditAction::ConnectorInstalled, code, detail)
    }

    /// A connector was removed.
    pub fn connector_removed(code: &ConnectorCode) -> Self {
        Self::new(AuditAction::ConnectorRemoved, code, json!({}))
    }

    /// An instance was created.
    pub fn instance_created(instance: &JobInstance) -> Self {
        let JobInstance { code, label, connector, job, raw_parameters, .. } = instance;
        let parameters: Vec<_> = raw_parameters.as_object().into_iter().flat_map(Map::keys).collect();
        let detail = json!({ "connector": connector, "job": job, "label": label, "parameters": parameters });
        Self::new(AuditAction::InstanceCreated, code, detail)
    }

    /// An instance was changed.
    ///
    /// The event has its new label, or `null` if it kept the old one, and the names of the parameters that were
    /// set, changed or removed.
    pub fn instance_changed(before: &JobInstance, after: &JobInstance) -> Self {
        let label = (before.label != after.label).then_some(&after.label);
        let parameters = changed(&before.raw_parameters, &after.raw_parameters);
        let detail = json!({ "label": label, "parameters": parameters });
        Self::new(AuditAction::InstanceChanged, &after.code, detail)
    }

    /// An instance was deleted.
    pub fn instance_deleted(code: &InstanceCode) -> Self {
        Self::new(AuditAction::InstanceDeleted, code, json!({}))
    }

    /// A file was uploaded.
    pub fn file_uploaded(file: &UploadedFile) -> Self {
        let UploadedFile { id, name, size_bytes, digest, .. } = file;
        let detail = json!({ "name": name, "size_bytes": size_bytes, "digest": digest });
        Self::new(AuditAction::FileUploaded, id, detail)
    }

    /// An uploaded file was removed.
    pub fn file_removed(file: &UploadedFile) -> Self {
        Self::new(AuditAction::FileRemoved, &file.id, json!({ "name": file.name }))
    }

    /// An execution was accepted, to begin or to continue another one.
    pub fn execution_submitted(id: JobExecutionId, new: &NewJobExecution) -> Self {
        let NewJobExecution { instance, job, restart_of, changes, .. } = new;
        let components = pinned(job);
        match restart_of {
            None => {
                let detail = json!({ "instance": instance, "job": job.name, "components": components });
                Self::new(AuditAction::ExecutionSubmitted, id, detail)
            }
            Some(earlier) => {
                let mut detail = json!({
                    "instance": instance, "job": job.name, "components": components, "restart_of": earlier,
                });
                if !changes.is_empty() {
                    detail["changes"] = json!(changes);
                }
                Self::new(AuditAction::ExecutionRestarted, id, detail)
            }
        }
    }

    /// A paused execution continues with that worker.
    pub fn execution_resumed(id: JobExecutionId, worker: &str) -> Self {
        Self::new(AuditAction::ExecutionResumed, id, json!({ "worker": worker }))
    }

    /// A stop of an execution was requested.
    pub fn execution_stop_requested(id: JobExecutionId) -> Self {
        Self::new(AuditAction::ExecutionStopRequested, id, json!({}))
    }

    /// A pause of an execution was requested.
    pub fn execution_pause_requested(id: JobExecutionId) -> Self {
        Self::new(AuditAction::ExecutionPauseRequested, id, json!({}))
    }

    /// A paused execution waits for any worker.
    pub fn execution_resumed_in_queue(id: JobExecutionId) -> Self {
        Self::new(AuditAction::ExecutionResumed, id, json!({ "worker": null }))
    }

    /// An execution was abandoned.
    pub fn execution_abandoned(id: JobExecutionId) -> Self {
        Self::new(AuditAction::ExecutionAbandoned, id, json!({}))
    }

    /// The worker of an execution was lost.
    ///
    /// The execution waits for another worker, or it ended.
    pub fn execution_lost(id: JobExecutionId, worker: &str, fate: Fate) -> Self {
        let becomes = match fate {
            Fate::Requeued(_) => "queued again",
            Fate::Stopped => "STOPPED",
            Fate::Failed => "FAILED",
            Fate::SetAside => "set aside",
        };
        Self::new(AuditAction::ExecutionLost, id, json!({ "worker": worker, "becomes": becomes }))
    }

    /// An execution could be neither run nor rescued, for that reason.
    pub fn execution_set_aside(id: JobExecutionId, reason: &str) -> Self {
        let detail = json!({ "reason": cut(reason, REASON_BYTES_MAX) });
        Self::new(AuditAction::ExecutionSetAside, id, detail)
    }

    /// An execution was damaged, and was mended in that way.
    pub fn execution_repaired(id: JobExecutionId, problem: &str, remedy: &str) -> Self {
        let detail = json!({ "problem": cut(problem, REASON_BYTES_MAX), "remedy": remedy });
        Self::new(AuditAction::ExecutionRepaired, id, detail)
    }

    /// An execution of an instance was deleted.
    ///
    /// `status` is its last status.
    pub fn execution_purged(id: JobExecutionId, instance: &str, status: BatchStatus) -> Self {
        let detail = json!({ "instance": instance, "status": status.as_str() });
        Self::new(AuditAction::ExecutionPurged, id, detail)
    }

    /// `events` events from before that moment were deleted.
    pub fn audit_purged(before: Timestamp, events: u64) -> Self {
        Self::new(AuditAction::AuditPurged, "", json!({ "before_ms": before, "events": events }))
    }
}

/// The grants and the limits of a job's steps, and the components of the steps.
fn granted(job: &Job) -> Value {
    let step =
        |step: &crate::job::Step| json!({ "name": step.name, "grants": step.grants, "limits": step.limits });
    let steps: Vec<_> = job.steps.iter().map(step).collect();
    json!({ "name": job.name, "components": pinned(job), "steps": steps })
}

/// The components of a job, each once.
fn pinned(job: &Job) -> Vec<Value> {
    let pinned: BTreeMap<_, _> = job.components().map(|one| (&one.name, &one.digest)).collect();
    pinned.into_iter().map(|(name, digest)| json!({ "name": name, "digest": digest })).collect()
}

/// The names of the values that differ, in the order of their first appearance.
fn changed<'a>(before: &'a Value, after: &'a Value) -> Vec<&'a str> {
    let names = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let gone = names(before).filter(|name| after.get(name).is_none());
    let differs = names(after).filter(|name| before.get(name) != after.get(name));
    gone.chain(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_name_of_its_own() {
        for action in AuditAction::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
            let kinds = ["component", "connector", "instance", "file", "execution", "user", "token", "audit"];
            assert!(kinds.contains(&action.kind()), "{action}");
        }
        let error = "execution-forgotten".parse::<AuditAction>().unwrap_err();
        assert_eq!(error.to_string(), "there is no action `execution-forgotten`");
    }

    #[test]
    fn names_of_changed_parameters_are_told_and_values_are_not() {
        let rows = [
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3, "c": null}), "b c"),
            (json!({"secret": "x", "b": 2}), json!({"b": 2}), "secret"),
            (json!({"a": {"deep": 1}}), json!({"a": {"deep": 2}}), "a"),
            (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), ""),
            (json!({}), json!({}), ""),
        ];
        for (before, after, expected) in rows {
            assert_eq!(changed(&before, &after).join(" "), expected, "{before} {after}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_off() {
        let deed = Deed::component_refused(None, "component-malformed", &"ü".repeat(2000));
        let reason = deed.detail["reason"].as_str().unwrap();
        assert!(reason.len() <= REASON_BYTES_MAX && reason.starts_with('ü'), "{}", reason.len());
        assert_eq!(deed.detail["digest"], Value::Null);
    }
}
