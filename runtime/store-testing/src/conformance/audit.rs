//! The audit trail: an event for each change that a user or the runtime makes, and no other events.

use serde_json::{Value, json};
use stepbox_batch::access::{InstanceRights, Member, Role, UserChange};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditAction, AuditEvent, AuditEventId, AuditFilter, Deed};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{ExecutionFilter, NewJobExecution};
use stepbox_batch::inventory::Component;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{ConnectorCode, JobExecutionId, TenantId};
use stepbox_batch::ports::JobRepository;

use super::uploads::{ROOM_FOR_FILES as FILES, uploaded};
use crate::sample::access::*;
use crate::sample::*;

/// Carries out the action. Returns the subject and the detail that its event must have.
async fn carry_out(store: &dyn JobRepository, action: AuditAction, by: &Actor) -> (String, Value) {
    let (tenant, acme) = (tenant(), ConnectorCode::new("acme").unwrap());
    let pinned = json!([{ "name": "greet", "digest": digest(1) }]);
    match action {
        AuditAction::ComponentUploaded => {
            store.put_component(&tenant, &component(7, "wave", 5), &ROOM, by).await.unwrap();
            let detail =
                json!({ "digest": digest(7), "world": "tasklet", "size_bytes": 4096, "signed_by": null });
            ("wave@1.2.3".to_owned(), detail)
        }
        AuditAction::ComponentRefused => {
            let deed = Deed::component_refused(Some(&digest(8)), "component-is-empty", "it is empty");
            store.record(&tenant, &deed, by).await.unwrap();
            let detail =
                json!({ "digest": digest(8), "code": "component-is-empty", "reason": "it is empty" });
            (String::new(), detail)
        }
        AuditAction::ComponentRemoved => {
            store.remove_component(&tenant, &digest(7), by).await.unwrap();
            ("wave@1.2.3".to_owned(), json!({ "digest": digest(7) }))
        }
        AuditAction::ConnectorInstalled => {
            let mut connector = connector("acme", "Acme", &["greet"]);
            connector.jobs[0].steps[0].grants.http.push("GET https://a.example".to_owned());
            connector.jobs[0].steps[0].limits.memory_bytes_max = Some(1 << 20);
            store.put_connector(&tenant, &connector, by).await.unwrap();
            let step = &connector.jobs[0].steps[0];
            let granted = json!({ "name": "greet", "grants": step.grants, "limits": step.limits });
            let jobs = json!([{ "name": "greet", "components": pinned, "steps": [granted] }]);
            ("acme".to_owned(), json!({ "label": "Acme", "jobs": jobs }))
        }
        AuditAction::ConnectorRemoved => {
            store.remove_connector(&tenant, &acme, by).await.unwrap();
            ("acme".to_owned(), json!({}))
        }
        AuditAction::InstanceCreated => {
            store.create_instance(&instance("nightly"), by).await.unwrap();
            let detail = json!({
                "connector": "acme", "job": "greet", "label": "The nightly one", "parameters": ["greeting"],
            });
            ("nightly".to_owned(), detail)
        }
        AuditAction::InstanceChanged => {
            let raw_parameters = json!({ "greeting": "secret", "times": 2 });
            let changed = JobInstance { raw_parameters, ..instance("nightly") };
            store.update_instance(&changed, None, by).await.unwrap();
            ("nightly".to_owned(), json!({ "label": null, "parameters": ["greeting", "times"] }))
        }
        AuditAction::InstanceDeleted => {
            store.create_instance(&instance("weekly"), by).await.unwrap();
            store.delete_instance(&tenant, &code("weekly"), None, by).await.unwrap();
            ("weekly".to_owned(), json!({}))
        }
        AuditAction::FileUploaded => {
            let file = uploaded(1, 7);
            store.begin_file(&file, &FILES).await.unwrap();
            store.complete_file(&file, &FILES, by).await.unwrap();
            let detail = json!({ "name": file.name, "size_bytes": 7, "digest": file.digest });
            (file.id.to_string(), detail)
        }
        AuditAction::FileRemoved => {
            let file = uploaded(1, 7);
            store.retire_file(&tenant, &file.id, by).await.unwrap();
            (file.id.to_string(), json!({ "name": file.name }))
        }
        AuditAction::ExecutionSubmitted => {
            let new = NewJobExecution { by: by.clone(), ..new("nightly") };
            let (execution, _) = store.create_execution(&new, None).await.unwrap();
            let detail = json!({ "instance": "nightly", "job": "greet", "components": pinned });
            (execution.id.to_string(), detail)
        }
        AuditAction::ExecutionRestarted => {
            let (failed, _) = in_status(store, Failed, Hold::Free).await;
            let new = NewJobExecution { restart_of: Some(failed.id), by: by.clone(), ..new("nightly") };
            let (execution, _) = store.create_execution(&new, None).await.unwrap();
            let detail = json!({
                "instance": "nightly", "job": "greet", "components": pinned, "restart_of": failed.id,
            });
            (execution.id.to_string(), detail)
        }
        AuditAction::ExecutionResumed => {
            let (paused, _) = in_status(store, Paused, Hold::Free).await;
            store.claim(&tenant, paused.id, &claim("w-2", NOW), by).await.unwrap();
            (paused.id.to_string(), json!({ "worker": "w-2" }))
        }
        AuditAction::ExecutionStopRequested => {
            let (running, _) = in_status(store, Started, Hold::Held).await;
            store.request_stop(&tenant, running.id, by).await.unwrap();
            (running.id.to_string(), json!({}))
        }
        AuditAction::ExecutionPauseRequested => {
            let (running, _) = in_status(store, Started, Hold::Held).await;
            store.request_pause(&tenant, running.id, by).await.unwrap();
            (running.id.to_string(), json!({}))
        }
        AuditAction::ExecutionAbandoned => {
            let (failed, _) = in_status(store, Failed, Hold::Free).await;
            store.abandon(&tenant, failed.id, by).await.unwrap();
            (failed.id.to_string(), json!({}))
        }
        AuditAction::ExecutionLost => {
            let (lost, _) = in_status(store, Started, Hold::Over).await;
            store.rescue_lost(NOW).await.unwrap();
            (lost.id.to_string(), json!({ "worker": "w-1", "becomes": "FAILED" }))
        }
        // These two need a damaged row, which no store writes by itself: see `damaged.rs`.
        AuditAction::ExecutionSetAside | AuditAction::ExecutionRepaired => unreachable!("not asked for"),
        AuditAction::ExecutionPurged => {
            let (stopped, _) = in_status(store, Stopped, Hold::Free).await;
            let filter = ExecutionFilter { statuses: vec![Stopped], ..ExecutionFilter::default() };
            store.purge(&tenant, &filter, by).await.unwrap();
            (stopped.id.to_string(), json!({ "instance": "nightly", "status": "STOPPED" }))
        }
        AuditAction::UserCreated => {
            store.create_user(&operator("root"), Some(&password("first")), by).await.unwrap();
            let detail = json!({ "label": "The user root", "is_operator": true, "external": null });
            ("root".to_owned(), detail)
        }
        AuditAction::UserChanged => {
            let label = UserChange { label: Some("Root".to_owned()), ..UserChange::default() };
            store.change_user(&name("root"), &label, by).await.unwrap();
            ("root".to_owned(), json!({ "label": "Root" }))
        }
        AuditAction::UserRemoved => {
            with_user(store, &user("peter")).await;
            store.remove_user(&name("peter"), by).await.unwrap();
            ("peter".to_owned(), json!({}))
        }
        AuditAction::PasswordLinkCreated => {
            store.create_link(&link(1, Some("root")), by).await.unwrap();
            ("root".to_owned(), json!({}))
        }
        AuditAction::PasswordSet => {
            store.set_password(&name("root"), &password("first"), None, by).await.unwrap();
            ("root".to_owned(), json!({ "with_link": false }))
        }
        AuditAction::SignedIn => {
            assert!(store.create_session(&session(1, "root", "first"), by).await.unwrap());
            ("root".to_owned(), json!({ "with": "password", "client": "192.0.2.7" }))
        }
        AuditAction::SignInFailed => {
            let deed = Deed::sign_in_failed(None, Some("192.0.2.7"));
            store.record_of_installation(&deed, by).await.unwrap();
            (String::new(), json!({ "client": "192.0.2.7" }))
        }
        AuditAction::SignedOut => {
            assert!(store.end_session(&session_hash(1), by).await.unwrap());
            ("root".to_owned(), json!({ "sessions": 1 }))
        }
        AuditAction::RoleChanged => {
            let member = Member { user: name("root"), role: Role::Viewer };
            store.set_member(&tenant, &member, by).await.unwrap();
            ("root".to_owned(), json!({ "before": null, "after": "viewer" }))
        }
        AuditAction::InstanceRightsChanged => {
            let rights = InstanceRights { edit: Some([name("root")].into()), ..InstanceRights::default() };
            store.set_instance_rights(&tenant, &code("nightly"), &rights, by).await.unwrap();
            ("nightly".to_owned(), json!({ "edit": ["root"] }))
        }
        AuditAction::TokenCreated => {
            let id = store.create_token(&token(1, "root"), by).await.unwrap();
            let detail = json!({
                "name": "ci 1", "owner": "root", "instance": null, "scopes": ["executions:read"],
                "expires_at_ms": token(1, "root").wish.expires_at, "made_by": null,
            });
            (id.to_string(), detail)
        }
        AuditAction::TokenRevoked => {
            let id = store.create_token(&token(2, "root"), by).await.unwrap();
            store.revoke_token(Some(&tenant), id, None, by).await.unwrap();
            (id.to_string(), json!({ "name": "ci 2", "owner": "root", "along_with": null }))
        }
        AuditAction::AuditPurged => {
            let purged = store.purge_audit(&tenant, Timestamp(0), by).await.unwrap();
            assert_eq!(purged, 0);
            (String::new(), json!({ "before_ms": 0, "events": 0 }))
        }
    }
}

/// A new action needs an arm above.
pub async fn each_action_leaves_its_event(store: &dyn JobRepository) {
    check(store, AuditAction::ConnectorInstalled).await;
    check(store, AuditAction::ConnectorRemoved).await;
    // The following actions need an instance and a component.
    check(store, AuditAction::InstanceCreated).await;
    check(store, AuditAction::ComponentUploaded).await;
    let mut done = trail(store, &AuditFilter::default()).await;
    done.extend(store.audit_of_installation(&AuditFilter::default()).await.unwrap());
    let is_done = |action: &AuditAction| done.iter().any(|event| event.deed.action == *action);
    let needs_damage = |action: &AuditAction| {
        matches!(action, AuditAction::ExecutionSetAside | AuditAction::ExecutionRepaired)
    };
    for action in AuditAction::ALL.into_iter().filter(|action| !is_done(action) && !needs_damage(action)) {
        check(store, action).await;
    }
}

async fn check(store: &dyn JobRepository, action: AuditAction) {
    let by = match action {
        AuditAction::ExecutionLost => Actor::stepbox(NOW),
        _ => Actor::new(Some("julia"), NOW),
    };
    let (subject, detail) = carry_out(store, action, &by).await;
    let newest = AuditFilter { limit: 1, ..AuditFilter::default() };
    let newest = match action.is_of_installation() {
        true => store.audit_of_installation(&newest).await.unwrap().items.remove(0),
        false => trail(store, &newest).await.remove(0),
    };
    let deed = Deed { action, subject, detail };
    assert_eq!(newest, AuditEvent { id: newest.id, by, deed }, "{action}");
}

pub async fn what_is_refused_leaves_no_event(store: &dyn JobRepository) {
    store.put_component(&tenant(), &component(1, "greet", 5), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    with_instance(store).await;
    let (running, _) = in_status(store, Started, Hold::Held).await;
    let (ended, _) = in_status(store, Completed, Hold::Free).await;
    let before = trail(store, &AuditFilter::default()).await;

    let (tenant, by) = (tenant(), by(NOW));
    let nobody = JobExecutionId(999);
    let other_bytes = component(2, "greet", 5);
    let restart = NewJobExecution { restart_of: Some(ended.id), ..new("nightly") };
    let answers = [
        told(store.put_component(&tenant, &other_bytes, &ROOM, &by).await),
        told(store.remove_component(&tenant, &digest(1), &by).await),
        told(store.put_connector(&tenant, &connector("other", "Acme", &[]), &by).await),
        told(store.put_connector(&tenant, &connector("other", "Other", &["greet"]), &by).await),
        told(store.remove_connector(&tenant, &ConnectorCode::new("acme").unwrap(), &by).await),
        told(store.create_instance(&instance("nightly"), &by).await),
        told(store.update_instance(&instance("weekly"), None, &by).await),
        told(store.delete_instance(&tenant, &code("nightly"), None, &by).await),
        told(store.create_execution(&new("weekly"), None).await),
        told(store.create_execution(&restart, None).await),
        told(store.claim(&tenant, running.id, &claim("w-2", NOW), &by).await),
        told(store.request_stop(&tenant, ended.id, &by).await),
        told(store.request_stop(&tenant, nobody, &by).await),
        told(store.abandon(&tenant, running.id, &by).await),
    ];
    assert!(!answers.contains(&"ok"), "{answers:?}");
    // A call that changes nothing writes no event.
    let again = Component { uploaded_at: Timestamp(6), ..component(1, "greet", 5) };
    store.put_component(&tenant, &again, &ROOM, &by).await.unwrap();
    assert_eq!(trail(store, &AuditFilter::default()).await, before);
}

pub async fn comes_newest_first_and_filtered(store: &dyn JobRepository) {
    for (at, user) in [(1, Some("julia")), (2, None), (3, Some("peter"))] {
        let code = format!("i{at}");
        store.create_instance(&instance(&code), &Actor::new(user, Timestamp(at))).await.unwrap();
    }
    let last = Actor::new(Some("julia"), Timestamp(4));
    store.delete_instance(&tenant(), &code("i1"), None, &last).await.unwrap();
    let all = trail(store, &AuditFilter::default()).await;
    assert!(all.is_sorted_by(|later, earlier| later.id > earlier.id));
    assert_eq!(all[2].by.user, None, "nobody said who");
    let none = AuditFilter::default();
    let rows = [
        (none.clone(), "i1 i3 i2 i1"),
        (AuditFilter { limit: 3, ..none.clone() }, "i1 i3 i2"),
        (AuditFilter { action: Some(AuditAction::InstanceDeleted), ..none.clone() }, "i1"),
        (AuditFilter { user: Some("julia".to_owned()), ..none.clone() }, "i1 i1"),
        (AuditFilter { since: Some(Timestamp(3)), ..none.clone() }, "i1 i3"),
        (AuditFilter { before: Some(all[1].id), limit: 1, ..none.clone() }, "i2"),
        (AuditFilter { before: Some(AuditEventId(0)), ..none.clone() }, ""),
    ];
    for (filter, expected) in rows {
        let found: Vec<_> = trail(store, &filter).await.into_iter().map(|event| event.deed.subject).collect();
        assert_eq!(found.join(" "), expected, "{filter:?}");
    }
}

/// The trail of the installation has no event of a tenant, and no tenant's trail has one of the installation.
pub async fn of_the_installation_is_apart(store: &dyn JobRepository) {
    with_instance(store).await;
    for (at, text) in [(1, "a"), (2, "b"), (3, "c")] {
        store.create_user(&user(text), None, &by(Timestamp(at))).await.unwrap();
    }
    let subjects = async |filter: &AuditFilter| {
        let events = store.audit_of_installation(filter).await.unwrap();
        events.iter().map(|event| event.deed.subject.clone()).collect::<Vec<_>>().join(" ")
    };
    let all = AuditFilter::default();
    assert_eq!(subjects(&all).await, "c b a");
    assert_eq!(subjects(&AuditFilter { limit: 1, ..all.clone() }).await, "c");
    let action = Some(AuditAction::UserRemoved);
    assert_eq!(subjects(&AuditFilter { action, ..all.clone() }).await, "");
    let of_tenant = trail(store, &all).await;
    assert_eq!(of_tenant.len(), 1);

    // A purge of one leaves the other.
    assert_eq!(store.purge_audit(&tenant(), Timestamp(0), &by(NOW)).await.unwrap(), 0);
    assert_eq!(subjects(&all).await, "c b a");
    assert_eq!(store.purge_audit_of_installation(Timestamp(3), &by(NOW)).await.unwrap(), 2);
    let left = store.audit_of_installation(&all).await.unwrap();
    let left: Vec<_> = left.iter().map(|event| (event.deed.action.as_str(), &*event.deed.subject)).collect();
    assert_eq!(left, [("audit-purged", ""), ("user-created", "c")]);
    assert_eq!(trail(store, &all).await[1..], of_tenant);
}

pub async fn outlives_what_it_tells_of(store: &dyn JobRepository) {
    with_instance(store).await;
    in_status(store, Failed, Hold::Free).await;
    let before = trail(store, &AuditFilter::default()).await;
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap();
    let after = trail(store, &AuditFilter::default()).await;
    assert_eq!(after[2..], before);
}

pub async fn is_purged_by_age_and_says_so(store: &dyn JobRepository) {
    let other = TenantId::new("other").unwrap();
    let elsewhere = JobInstance { tenant: other.clone(), ..instance("i1") };
    store.create_instance(&elsewhere, &by(Timestamp(1))).await.unwrap();
    for at in [1, 2, 3] {
        store.create_instance(&instance(&format!("i{at}")), &by(Timestamp(at))).await.unwrap();
    }
    let purged = store.purge_audit(&tenant(), Timestamp(3), &by(NOW)).await.unwrap();
    assert_eq!(purged, 2);
    let left: Vec<_> = trail(store, &AuditFilter::default()).await;
    let left: Vec<_> = left.iter().map(|event| (event.deed.action.as_str(), &*event.deed.subject)).collect();
    assert_eq!(left, [("audit-purged", ""), ("instance-created", "i3")]);
    assert_eq!(store.audit(&other, &AuditFilter::default()).await.unwrap().len(), 1);
    assert_eq!(store.purge_audit(&tenant(), Timestamp(3), &by(NOW)).await.unwrap(), 0);
    let newest = trail(store, &AuditFilter { limit: 1, ..AuditFilter::default() }).await.remove(0);
    assert_eq!(newest.deed.detail, json!({ "before_ms": 3, "events": 0 }));
}

async fn trail(store: &dyn JobRepository, filter: &AuditFilter) -> Vec<AuditEvent> {
    store.audit(&tenant(), filter).await.unwrap().items
}
