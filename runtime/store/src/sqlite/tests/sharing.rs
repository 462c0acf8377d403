//! Other connections to the same file, and a disk that other programs have filled.

use serde_json::json;
use stepbox_batch::execution::Save;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::job::JobInstance;
use stepbox_batch::ports::{ExecutionJournal, Executions, Instances, Leases};
use stepbox_store_testing::sample::*;

use super::{SqliteOptions, SqliteStore, empty_store, store_with};

#[tokio::test]
async fn two_stores_on_one_file_see_each_other_at_once() {
    let one = empty_store().await;
    let two = SqliteStore::open(one.path()).unwrap();
    with_instance(&*one).await;
    let (execution, lease) = started(&two).await;
    assert_eq!(stored(&*one, execution.id).await, execution);

    one.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert!(two.requests(&lease).await.unwrap().stop);

    one.rescue_lost(NOW).await.unwrap();
    let late = two.save(&lease, Save { step: Some(&step()), ..Save::default() }).await;
    assert_eq!(told(late), "lease-lost", "the fence holds between connections");
}

#[tokio::test]
async fn says_busy_when_another_process_does_not_let_go() {
    let store = store_with(SqliteOptions { busy_timeout_ms: 1, ..SqliteOptions::default() });
    with_instance(&*store).await;
    let stranger = store.stranger();
    stranger.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let error = store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap_err();
    let expected = format!(
        "the store is busy: another process kept `{}` locked for more than 1 ms",
        store.path().display()
    );
    assert_eq!((error.code(), error.to_string()), ("store-busy", expected));
    let found = store.instances(&tenant(), None).await.unwrap();
    assert_eq!(found.len(), 1, "who only looks need not wait");

    stranger.execute_batch("ROLLBACK").unwrap();
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
}

#[tokio::test]
async fn says_when_the_disk_is_full_and_writes_nothing_by_halves() {
    let store = store_with(SqliteOptions { size_bytes_max: Some(512 << 10), ..SqliteOptions::default() });
    with_instance(&*store).await;
    let (mut execution, lease) = started(&*store).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    let before = stored(&*store, execution.id).await;

    let mut large = warning("large");
    large.item = "x".repeat(1 << 20);
    execution.status = BatchStatus::Completed;
    let mut changed = step();
    changed.warning_count = 1;
    let warnings = [warning("small"), large];
    let save =
        Save { execution: Some(&execution), step: Some(&changed), warnings: &warnings, ..Save::default() };
    let error = store.save(&lease, save).await.unwrap_err();
    let expected = format!(
        "the store {} failed: the disk is full, or the file has reached the 524288 bytes it may have; \
         nothing of this call was written",
        store.path().display()
    );
    assert_eq!((error.code(), error.to_string()), ("store-unavailable", expected));
    assert_eq!(stored(&*store, execution.id).await, before);
    assert_eq!(store.warnings(&tenant(), execution.id).await.unwrap(), []);

    let save = Save { execution: Some(&execution), is_last: true, ..Save::default() };
    store.save(&lease, save).await.unwrap();
    assert_eq!(stored(&*store, execution.id).await.status, BatchStatus::Completed, "what fits still goes");
}

#[tokio::test]
async fn goes_on_after_a_full_disk_once_there_is_room() {
    let store = store_with(SqliteOptions { size_bytes_max: Some(2 << 20), ..SqliteOptions::default() });
    let filling = |n: usize| JobInstance {
        raw_parameters: json!({"text": "x".repeat(50 << 10)}),
        ..instance(&format!("i{n}"))
    };
    let mut count = 0;
    while told(store.create_instance(&filling(count), &by(NOW)).await) == "ok" {
        count += 1;
    }
    assert!(count > 3, "{count}");
    assert_eq!(store.instances(&tenant(), None).await.unwrap().len(), count);
    // What a deleted one has taken is free, but for its version.
    for gone in ["i0", "i1", "i2"] {
        store.delete_instance(&tenant(), &code(gone), None, &by(NOW)).await.unwrap();
    }
    store.create_instance(&filling(count), &by(NOW)).await.unwrap();
}
