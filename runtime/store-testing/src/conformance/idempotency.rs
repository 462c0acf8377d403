//! Keys of callers: a request that is sent twice has one effect.

use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::Enqueue;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, IDEMPOTENCY_KEPT_MS, Idempotency, NewJobExecution};
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{JobRepository, RepositoryError, Result};

use crate::sample::*;

fn key(principal: &str, key: &str, request: u8) -> Idempotency {
    Idempotency { principal: principal.to_owned(), key: key.to_owned(), request: digest(request) }
}

fn with_key(given: Idempotency) -> NewJobExecution {
    NewJobExecution {
        queue: Some(Enqueue::at_once(NOW)),
        idempotency: Some(given),
        by: by(NOW),
        ..new("nightly")
    }
}

/// `new`, the number of the execution that was there, or the code of an error.
async fn publish(store: &dyn JobRepository, new: &NewJobExecution) -> String {
    in_words(store.create_execution(new, None).await.map(|_| ()))
}

fn in_words(told: Result<()>) -> String {
    match told {
        Ok(()) => "new".to_owned(),
        Err(RepositoryError::AlreadyPublished { id }) => format!("again {id}"),
        Err(error) => error.code().to_owned(),
    }
}

async fn executions(store: &dyn JobRepository) -> usize {
    store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap().len()
}

pub async fn a_request_with_a_key_is_accepted_once(store: &dyn JobRepository) {
    with_instance(store).await;
    let first = store.create_execution(&with_key(key("julia", "k", 1)), None).await.unwrap().0.id;
    let rows = [
        (key("julia", "k", 1), format!("again {first}")),
        (key("julia", "k", 2), "idempotency-conflict".to_owned()),
        // Equal when they are put together, and yet other keys.
        (key("juli", "ak", 1), "new".to_owned()),
        (key("max", "k", 2), "new".to_owned()),
        (key("julia", "K", 2), "new".to_owned()),
        (key("", "", 2), "new".to_owned()),
        (key("julia", &"long \0 \u{1a}0".repeat(1000), 2), "new".to_owned()),
    ];
    for (given, expected) in &rows {
        let before = store.published_before(&tenant(), given, NOW).await;
        let before = in_words(before.and_then(|id| match id {
            Some(id) => Err(RepositoryError::AlreadyPublished { id }),
            None => Ok(()),
        }));
        assert_eq!(&before, expected, "{given:?}, looked up");
        assert_eq!(&publish(store, &with_key(given.clone())).await, expected, "{given:?}");
    }
    let elsewhere = TenantId::new("other").unwrap();
    let theirs = store.published_before(&elsewhere, &key("julia", "k", 1), NOW).await.unwrap();
    assert_eq!(theirs, None, "another tenant's key is another key");
    assert_eq!(executions(store).await, 6);
    let submitted = AuditFilter { action: Some(AuditAction::ExecutionSubmitted), ..AuditFilter::default() };
    assert_eq!(store.audit(&tenant(), &submitted).await.unwrap().len(), 6, "a repetition leaves no event");
}

pub async fn of_two_requests_at_once_one_is_accepted(store: &dyn JobRepository) {
    with_instance(store).await;
    for round in 0..5 {
        let new = with_key(key("julia", &round.to_string(), 1));
        let (a, b, c) = tokio::join!(
            store.create_execution(&new, None),
            store.create_execution(&new, None),
            store.create_execution(&new, None)
        );
        let mut told = [a, b, c].map(|told| in_words(told.map(|_| ())));
        told.sort_unstable();
        let newest = store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap()[0].id;
        let again = format!("again {newest}");
        assert_eq!(told, [again.clone(), again, "new".to_owned()]);
    }
    assert_eq!(executions(store).await, 5);
}

/// The key is answered for whatever has happened to the execution and its instance since.
pub async fn a_key_outlives_what_it_published(store: &dyn JobRepository) {
    with_instance(store).await;
    let new = with_key(key("julia", "k", 1));
    let id = store.create_execution(&new, None).await.unwrap().0.id;
    store.request_stop(&tenant(), id, &by(NOW)).await.unwrap();
    let restart = NewJobExecution {
        restart_of: Some(id),
        idempotency: Some(key("julia", "restart", 1)),
        ..with_key(key("", "", 0))
    };
    let next = store.create_execution(&restart, None).await.unwrap().0.id;
    assert_eq!(publish(store, &restart).await, format!("again {next}"), "an execution is restarted once");
    store.request_stop(&tenant(), next, &by(NOW)).await.unwrap();
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap();
    assert_eq!(publish(store, &new).await, format!("again {id}"));
}

/// What is refused keeps no key, so that the caller may try again.
pub async fn a_refused_request_keeps_no_key(store: &dyn JobRepository) {
    let new = with_key(key("julia", "k", 1));
    assert_eq!(publish(store, &new).await, "not-found");
    with_instance(store).await;
    let queue = Enqueue { queued_max: Some(0), ..Enqueue::at_once(NOW) };
    let full = NewJobExecution { queue: Some(queue), ..new.clone() };
    assert_eq!(publish(store, &full).await, "queue-full");
    assert_eq!(publish(store, &new).await, "new");
    assert_eq!(publish(store, &full).await, format!("again {}", newest(store).await));
}

async fn newest(store: &dyn JobRepository) -> JobExecutionId {
    store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap()[0].id
}

pub async fn a_key_is_forgotten_after_a_day(store: &dyn JobRepository) {
    with_instance(store).await;
    let at = |ms: u64| Timestamp(NOW.0 + i64::try_from(ms).unwrap());
    let new = |ms| NewJobExecution { by: by(at(ms)), ..with_key(key("julia", "k", 1)) };
    assert_eq!(publish(store, &new(0)).await, "new");
    let first = newest(store).await;
    assert_eq!(publish(store, &new(IDEMPOTENCY_KEPT_MS - 1)).await, format!("again {first}"));
    assert_eq!(publish(store, &new(IDEMPOTENCY_KEPT_MS)).await, "new", "also if it was not dropped yet");
    let second = newest(store).await;
    assert_ne!(second, first);
    let rows =
        [(at(IDEMPOTENCY_KEPT_MS), 0), (at(IDEMPOTENCY_KEPT_MS + 1), 1), (at(IDEMPOTENCY_KEPT_MS + 1), 0)];
    for (before, gone) in rows {
        assert_eq!(store.drop_keys(before).await.unwrap(), gone, "{before}");
    }
    assert_eq!(publish(store, &new(IDEMPOTENCY_KEPT_MS)).await, "new");
}

/// Several executions are accepted together, and what is refused among them does not affect the others.
pub async fn of_several_requests_each_has_its_answer(store: &dyn JobRepository) {
    with_instance(store).await;
    let a = with_key(key("julia", "a", 1));
    let unique = Enqueue { is_unique: true, ..Enqueue::at_once(NOW) };
    let full = Enqueue { queued_max: Some(3), ..Enqueue::at_once(NOW) };
    let wanted = [
        a.clone(),
        NewJobExecution { instance: code("never"), ..with_key(key("julia", "b", 1)) },
        a.clone(),
        with_key(key("julia", "a", 2)),
        NewJobExecution { idempotency: None, queue: Some(unique), ..a.clone() },
        NewJobExecution { idempotency: None, ..a.clone() },
        NewJobExecution { idempotency: None, queue: Some(full.clone()), ..a.clone() },
        NewJobExecution { idempotency: None, queue: Some(full), ..a },
    ];
    let answers = store.create_executions(&wanted).await.unwrap();
    let told: Vec<_> = answers.into_iter().map(told).collect();
    let expected = "ok not-found already-published idempotency-conflict not-unique ok ok queue-full";
    assert_eq!(told.join(" "), expected);
    assert_eq!(executions(store).await, 3);
    assert!(store.create_executions(&[]).await.unwrap().is_empty());
}

/// A store that keeps keys also accepts what has none, as often as it is asked.
pub async fn without_a_key_every_request_is_accepted(store: &dyn JobRepository) {
    with_instance(store).await;
    let new = NewJobExecution { idempotency: None, ..with_key(key("julia", "k", 1)) };
    for _ in 0..2 {
        assert_eq!(publish(store, &new).await, "new");
    }
    let filter = ExecutionFilter { statuses: vec![BatchStatus::Starting], ..ExecutionFilter::default() };
    assert_eq!(store.executions(&tenant(), &filter).await.unwrap().len(), 2);
}
