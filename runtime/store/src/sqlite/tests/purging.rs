//! Large deletions: in small transactions, whose space is given back to the disk.

use std::fs;

use stepbox_batch::audit::AuditFilter;
use stepbox_batch::execution::ExecutionFilter;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{AuditTrail, EVENTS_PURGED_TOGETHER, Executions};
use stepbox_store_testing::sample::*;

use super::history::History;
use super::{TemporaryStore, empty_store};

const EXECUTIONS: u32 = 3000;

async fn filled() -> TemporaryStore {
    let store = empty_store().await;
    History { executions: EXECUTIONS, warnings_each: 10 }.write(store.path());
    store
}

fn count(store: &TemporaryStore, table: &str) -> u32 {
    store.stranger().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn takes_as_many_as_are_asked_for_until_none_are_left_and_gives_their_room_back() {
    let store = filled().await;
    let few = ExecutionFilter { limit: 400, ..ExecutionFilter::default() };
    let checkpoint =
        || store.stranger().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    checkpoint();
    let before = fs::metadata(store.path()).unwrap().len();
    let mut purged: Vec<JobExecutionId> = Vec::new();
    loop {
        let going = store.purgeable(&tenant(), &few).await.unwrap();
        let gone = store.purge(&tenant(), &few, &by(NOW)).await.unwrap();
        assert!(gone.len() <= 400);
        assert_eq!(going.iter().map(|going| going.id).collect::<Vec<_>>(), gone);
        if gone.is_empty() {
            break;
        }
        purged.extend(gone);
    }
    assert!(purged.is_sorted());
    // The last success of each instance is kept; five of the 51 instances have no success.
    let left = count(&store, "job_executions");
    assert_eq!(left, 46);
    assert_eq!(count(&store, "warnings"), 10 * left);
    assert_eq!(count(&store, "step_executions"), left);
    let parts = u32::try_from(purged.len()).unwrap();
    assert!(parts + left <= EXECUTIONS && parts + left > EXECUTIONS * 9 / 10, "parts went with their wholes");
    let free: u32 = store.stranger().pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
    assert_eq!(free, 0, "all room was given back");
    checkpoint();
    let after = fs::metadata(store.path()).unwrap().len();
    assert!(after * 2 < before, "{after} bytes of {before} are left");
}

#[tokio::test]
async fn keeps_the_room_of_a_file_that_was_made_without_giving_it_back() {
    let store = filled().await;
    store.stranger().execute_batch("PRAGMA auto_vacuum = none; VACUUM").unwrap();
    let gone = store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    assert!(gone.len() > 2000);
    let free: u32 = store.stranger().pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
    assert!(free > 0);
}

#[tokio::test]
async fn each_part_of_a_purge_of_the_audit_trail_says_what_it_deleted() {
    let store = empty_store().await;
    let many = EVENTS_PURGED_TOGETHER * 2 + 5;
    History { executions: many, warnings_each: 0 }.write(store.path());
    let before = stepbox_batch::clock::Timestamp(NOW.0 + 1);
    let gone = store.purge_audit(&tenant(), before, &by(before)).await.unwrap();
    assert_eq!(gone, u64::from(many));
    let left = store.audit(&tenant(), &AuditFilter::default()).await.unwrap();
    let told: Vec<_> = left.iter().map(|event| event.deed.detail["events"].as_u64().unwrap()).collect();
    assert_eq!(told, [5, EVENTS_PURGED_TOGETHER.into(), EVENTS_PURGED_TOGETHER.into()]);
}
