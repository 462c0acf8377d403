//! Rules of the audit trail that the file itself enforces.

use stepbox_batch::audit::{AuditFilter, Deed};
use stepbox_batch::execution::ExecutionFilter;
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::name::ConnectorCode;
use stepbox_batch::ports::{AuditTrail, Executions, Instances, Inventory, Leases};
use stepbox_store_testing::sample::*;

use super::{TemporaryStore, empty_store};

/// A store in which every kind of change is possible.
async fn filled() -> TemporaryStore {
    let store = empty_store().await;
    store.put_component(&tenant(), &component(1, "greet", 1), &ROOM, &by(NOW)).await.unwrap();
    store.put_component(&tenant(), &component(2, "unused", 1), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("idle", "Idle", &[]), &by(NOW)).await.unwrap();
    with_instance(&*store).await;
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    store
}

/// A change that cannot be recorded is not made: both are one transaction.
#[tokio::test]
async fn nothing_happens_that_cannot_be_recorded() {
    let store = filled().await;
    let (paused, _) = in_status(&*store, Paused, Hold::Free).await;
    let (running, _) = in_status(&*store, Started, Hold::Held).await;
    let (failed, _) = in_status(&*store, Failed, Hold::Free).await;
    let (lost, _) = in_status(&*store, Started, Hold::Over).await;
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'full'); END;
                   CREATE TRIGGER kept BEFORE DELETE ON audit_events BEGIN SELECT RAISE(ABORT, 'kept'); END;";
    store.stranger().execute_batch(trigger).unwrap();
    let before = everything(&store).await;

    let (tenant, by) = (tenant(), by(NOW));
    let deed = Deed::component_refused(None, "component-is-empty", "");
    let idle = ConnectorCode::new("idle").unwrap();
    let answers = [
        told(store.put_component(&tenant, &component(3, "new", 1), &ROOM, &by).await),
        told(store.remove_component(&tenant, &digest(2), &by).await),
        told(store.put_connector(&tenant, &connector("new", "New", &["new"]), &by).await),
        told(store.remove_connector(&tenant, &idle, &by).await),
        told(store.create_instance(&instance("new"), &by).await),
        told(store.update_instance(&instance("weekly"), None, &by).await),
        told(store.delete_instance(&tenant, &code("weekly"), None, &by).await),
        told(store.create_execution(&new("nightly"), None).await),
        told(store.claim(&tenant, paused.id, &claim("w-2", NOW), &by).await),
        told(store.request_stop(&tenant, running.id, &by).await),
        told(store.abandon(&tenant, failed.id, &by).await),
        told(store.purge(&tenant, &ExecutionFilter::default(), &by).await),
        told(store.record(&tenant, &deed, &by).await),
        told(store.purge_audit(&tenant, NOW, &by).await),
    ];
    assert_eq!(answers, ["store-unavailable"; 14]);
    assert_eq!(stepbox_store_testing::sample::lost(&*store, NOW).await, [], "not even that it is set aside");
    assert_eq!(everything(&store).await, before);
    assert_eq!(stored(&*store, lost.id).await.status, Started);
}

async fn everything(store: &TemporaryStore) -> String {
    let tenant = tenant();
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        store.components(&tenant).await.unwrap(),
        store.connectors(&tenant).await.unwrap(),
        store.instances(&tenant, None).await.unwrap(),
        store.executions(&tenant, &ExecutionFilter::default()).await.unwrap(),
        store.audit(&tenant, &AuditFilter::default()).await.unwrap(),
    )
}

#[tokio::test]
async fn an_event_is_never_changed() {
    let store = filled().await;
    let error = store.stranger().execute("UPDATE audit_events SET user_name = 'peter'", []).unwrap_err();
    assert_eq!(error.to_string(), "an audit event is never changed");
}

#[tokio::test]
async fn damage_is_told() {
    let store = empty_store().await;
    with_instance(&*store).await;
    let insert = "INSERT INTO audit_events (tenant, at, action, subject, detail)
                  VALUES ('default', 1, 'execution-forgotten', '', '{}')";
    store.stranger().execute(insert, []).unwrap();
    let trail = store.audit(&tenant(), &AuditFilter::default()).await.unwrap();
    assert_eq!(trail.len(), 1, "the others are there");
    let damaged: Vec<_> = trail.damaged.iter().map(|row| (row.number, row.reason.as_str())).collect();
    let expected = "`action` of audit event 2: there is no action `execution-forgotten`";
    assert_eq!(damaged, [(Some(2), expected)]);
}
