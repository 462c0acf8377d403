//! Tenants never see each other's data.

use stepbox_batch::audit::AuditFilter;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, Lease, NewJobExecution, Save, Tracking};
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{ConnectorCode, TenantId};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

/// Another tenant looks for everything of one tenant, and tries to change it, with every method that takes a tenant
/// or a lease.
pub async fn never_see_each_other(store: &dyn JobRepository) {
    let stranger = TenantId::new("stranger").unwrap();
    store.put_component(&tenant(), &component(1, "greet", 1), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    with_instance(store).await;
    let (running, lease) = started(store).await;
    let warnings = [warning("private")];
    let save = Save { step: Some(&step()), warnings: &warnings, ..Save::default() };
    store.save(&lease, save).await.unwrap();
    let (ended, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let waiting = waiting(store).await;
    let before = store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap();

    // Looking: nothing is found.
    assert_eq!(store.connectors(&stranger).await.unwrap(), []);
    assert_eq!(store.components(&stranger).await.unwrap(), []);
    assert_eq!(store.instances(&stranger, None).await.unwrap(), []);
    assert_eq!(store.instance(&stranger, &code("nightly")).await.unwrap(), None);
    assert_eq!(store.executions(&stranger, &ExecutionFilter::default()).await.unwrap(), []);
    assert_eq!(store.execution(&stranger, running.id).await.unwrap(), None);
    assert_eq!(store.warnings(&stranger, running.id).await.unwrap(), []);
    assert_eq!(store.remains(&stranger, running.id).await.unwrap(), None);
    assert_eq!(store.partitions(&stranger, running.id).await.unwrap(), []);
    assert_eq!(store.partition_states(&stranger, running.id, 0).await.unwrap(), []);
    assert_eq!(store.ancestry(&stranger, running.id).await.unwrap(), []);
    assert_eq!(store.purgeable(&stranger, &ExecutionFilter::default()).await.unwrap(), []);
    assert_eq!(store.audit(&stranger, &AuditFilter::default()).await.unwrap(), []);

    // Changing: there is nothing to change.
    let acme = ConnectorCode::new("acme").unwrap();
    let theirs = JobInstance { tenant: stranger.clone(), ..instance("nightly") };
    let new = NewJobExecution { tenant: stranger.clone(), ..new("nightly") };
    let forged = Lease { tenant: stranger.clone(), ..lease.clone() };
    let answers = [
        told(store.remove_connector(&stranger, &acme, &by(NOW)).await),
        told(store.remove_component(&stranger, &digest(1), &by(NOW)).await),
        told(store.update_instance(&theirs, None, &by(NOW)).await),
        told(store.delete_instance(&stranger, &code("nightly"), None, &by(NOW)).await),
        told(store.create_execution(&new, None).await),
        told(store.claim(&stranger, waiting.id, &claim("w-9", NOW), &by(NOW)).await),
        told(store.request_stop(&stranger, running.id, &by(NOW)).await),
        told(store.abandon(&stranger, waiting.id, &by(NOW)).await),
    ];
    assert_eq!(answers, ["not-found"; 8]);
    let answers = [
        told(store.heartbeat(&forged, NOW, LEASE_MS).await),
        told(store.requests(&forged).await),
        told(store.save(&forged, Save { step: Some(&step()), ..Save::default() }).await),
        told(store.save_tracking(&forged, 0, Tracking::default(), NOW).await),
    ];
    assert_eq!(answers, ["lease-lost"; 4]);
    assert_eq!(store.purge(&stranger, &ExecutionFilter::default(), &by(NOW)).await.unwrap(), []);
    assert_eq!(store.purge_audit(&stranger, NOW.plus_ms(1), &by(NOW)).await.unwrap(), 0);

    // The same names: no name is taken, and nothing of the other tenant can be continued.
    store.put_component(&stranger, &component(1, "greet", 2), &ROOM, &by(NOW)).await.unwrap();
    store.put_connector(&stranger, &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    store.create_instance(&theirs, &by(NOW)).await.unwrap();
    let restart = NewJobExecution { restart_of: Some(ended.id), ..new };
    assert_eq!(told(store.create_execution(&restart, None).await), "not-found");

    // The other tenant deletes its things; nothing of the first tenant is deleted.
    store.delete_instance(&stranger, &code("nightly"), None, &by(NOW)).await.unwrap();
    store.remove_connector(&stranger, &acme, &by(NOW)).await.unwrap();
    assert!(!store.remove_component(&stranger, &digest(1), &by(NOW)).await.unwrap());
    assert_eq!(store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap(), before);
    assert_eq!(store.warnings(&tenant(), running.id).await.unwrap(), warnings);
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), 1);
    assert_eq!(store.connectors(&tenant()).await.unwrap()[0].jobs.len(), 1);
    assert_eq!(store.components(&tenant()).await.unwrap().len(), 1);
}
