//! Purging executions that have ended.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus::{self, *};
use stepbox_batch::execution::{ExecutionFilter, JobExecution, NewJobExecution, Save};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn takes_what_has_ended(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut expected = Vec::new();
    for status in BatchStatus::ALL {
        let (execution, _) = in_status(store, status, Hold::Held).await;
        if status.has_ended() && status != Completed {
            expected.push(execution.id);
        }
    }
    assert_eq!(purge_all(store).await, expected, "oldest first");
    assert_eq!(purge_all(store).await, []);
    for execution in store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap() {
        assert!(!expected.contains(&execution.id));
    }
}

pub async fn keeps_the_last_success_of_each_instance(store: &dyn JobRepository) {
    for code in ["nightly", "weekly"] {
        store.create_instance(&instance(code), &by(NOW)).await.unwrap();
    }
    let mut ids = Vec::new();
    for (code, status) in [
        ("nightly", Completed),
        ("nightly", Completed),
        ("nightly", Failed),
        ("weekly", Completed),
        ("weekly", Stopped),
    ] {
        ids.push(ended(store, code, status).await.id);
    }
    let purged = purge_all(store).await;
    assert_eq!(purged, [ids[0], ids[2], ids[4]]);
    assert_eq!(listed(store, &ExecutionFilter::default()).await, [ids[3], ids[1]]);

    store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap();
    assert_eq!(purge_all(store).await, [ids[1]], "what is no longer there has no last success");
}

pub async fn takes_only_what_matches(store: &dyn JobRepository) {
    for code in ["nightly", "weekly"] {
        store.create_instance(&instance(code), &by(NOW)).await.unwrap();
    }
    let other = TenantId::new("other").unwrap();
    let mut elsewhere = instance("nightly");
    elsewhere.tenant = other.clone();
    store.create_instance(&elsewhere, &by(NOW)).await.unwrap();
    let new = NewJobExecution { tenant: other.clone(), ..new("nightly") };
    let (foreign, _) = store.create_execution(&new, None).await.unwrap();
    store.request_stop(&other, foreign.id, &by(NOW)).await.unwrap();

    let mut ids = Vec::new();
    for (code, status) in [("nightly", Failed), ("weekly", Failed), ("weekly", Stopped), ("weekly", Failed)] {
        ids.push(ended(store, code, status).await.id);
    }
    let all = ExecutionFilter::default();
    let rows = [
        (ExecutionFilter { created_before: Some(EARLIER), ..all.clone() }, vec![]),
        (ExecutionFilter { statuses: vec![Started], ..all.clone() }, vec![]),
        (ExecutionFilter { statuses: vec![Stopped], ..all.clone() }, vec![2]),
        (ExecutionFilter { instance: Some(code("weekly")), limit: 1, ..all.clone() }, vec![1]),
        (ExecutionFilter { before: Some(ids[3]), ..all.clone() }, vec![0]),
        (ExecutionFilter { created_before: Some(NOW), ..all.clone() }, vec![3]),
    ];
    for (filter, expected) in rows {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index]).collect();
        assert_eq!(store.purge(&tenant(), &filter, &by(NOW)).await.unwrap(), expected, "{filter:?}");
    }
    assert!(store.execution(&other, foreign.id).await.unwrap().is_some());
}

pub async fn takes_steps_and_warnings_along(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let warnings = [warning("no name")];
    let save = Save { step: Some(&step()), warnings: &warnings, ..Save::default() };
    store.save(&lease, save).await.unwrap();
    move_to(store, &lease, &mut execution, Failed).await;
    assert_eq!(purge_all(store).await, [execution.id]);

    assert_eq!(store.execution(&tenant(), execution.id).await.unwrap(), None);
    assert_eq!(store.warnings(&tenant(), execution.id).await.unwrap(), []);
    assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
    assert_eq!(told(store.abandon(&tenant(), execution.id, &by(NOW)).await), "not-found");
}

async fn purge_all(store: &dyn JobRepository) -> Vec<JobExecutionId> {
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap()
}

async fn ended(store: &dyn JobRepository, code: &str, status: BatchStatus) -> JobExecution {
    let first = claim("w-1", EARLIER);
    let (mut execution, lease) = store.create_execution(&new(code), Some(&first)).await.unwrap();
    let lease = lease.unwrap();
    execution.started_at = Some(Timestamp(EARLIER.0 + 1));
    move_to(store, &lease, &mut execution, Started).await;
    move_to(store, &lease, &mut execution, status).await;
    execution
}
