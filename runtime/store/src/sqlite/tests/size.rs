//! How long lists take, and how much memory they need, beside a long history.
//!
//! `STEPBOX_STORE_SIZE=100000 cargo test --release -p stepbox-store size -- --ignored --nocapture` measures with
//! that many executions and ten times as many warnings. `STEPBOX_STORE_SIZE_FILE` keeps the store in that file.
#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stepbox_batch::audit::AuditFilter;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, filter_text};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{AuditTrail, Executions, Instances, JobQueue, Parts, Workers};
use stepbox_store_testing::sample::*;

use super::SqliteStore;
use super::history::History;

/// How long any list or show may take at most.
const LIST_MAX: Duration = Duration::from_millis(50);

#[tokio::test]
#[ignore = "a measurement, which takes a minute and a gigabyte of disk"]
async fn lists_are_quick_beside_a_long_history() {
    let executions: u32 = std::env::var("STEPBOX_STORE_SIZE").map_or(100_000, |size| size.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var("STEPBOX_STORE_SIZE_FILE").map(PathBuf::from);
    let file = kept.unwrap_or_else(|_| folder.path().join("stepbox.db"));
    let store = SqliteStore::open(&file).unwrap();
    if listed(&store, &ExecutionFilter { limit: 1, ..ExecutionFilter::default() }).await.is_empty() {
        History { executions, warnings_each: 10 }.write(&file);
    }
    let mut slow = Vec::new();
    for (what, took) in all_lists(&store, executions).await {
        println!("{what:40} {took:?}");
        if took > LIST_MAX {
            slow.push(what);
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

/// A page of the filter that a person has typed.
fn narrowed(text: &str) -> ExecutionFilter {
    let filter = filter_text::parse(text, NOW, &jiff::tz::TimeZone::UTC).unwrap();
    ExecutionFilter { limit: 20, ..filter }
}

async fn all_lists(store: &SqliteStore, executions: u32) -> Vec<(&'static str, Duration)> {
    let tenant = tenant();
    let all = ExecutionFilter { limit: 20, ..ExecutionFilter::default() };
    let nightly = ExecutionFilter { instance: Some(code("nightly")), ..all.clone() };
    let failed = ExecutionFilter { statuses: vec![BatchStatus::Failed], ..all.clone() };
    let rows = [
        ("list", all.clone()),
        ("list of an instance", nightly.clone()),
        ("list in a status", failed.clone()),
        (
            "list of an instance, in a status",
            ExecutionFilter { statuses: failed.statuses.clone(), ..nightly.clone() },
        ),
        (
            "list of an instance, in a status, nothing",
            ExecutionFilter { statuses: vec![BatchStatus::Stopped], ..nightly },
        ),
        (
            "list in a status, nothing",
            ExecutionFilter { statuses: vec![BatchStatus::Stopped], ..all.clone() },
        ),
        ("list of an age", ExecutionFilter { created_before: Some(EARLIER), ..all.clone() }),
        (
            "list of an age, nothing",
            ExecutionFilter { created_before: Some(stepbox_batch::clock::Timestamp(1)), ..all },
        ),
        ("list of a user, nothing", narrowed("user:nobody")),
        ("list of a duration, nothing", narrowed("took:>1d")),
        ("list with a word, nothing", narrowed("nowhere")),
        ("list of what failed and is not continued", narrowed("restarted:no")),
    ];
    let mut took = Vec::new();
    for (what, filter) in rows {
        let begun = Instant::now();
        store.executions(&tenant, &filter).await.unwrap();
        took.push((what, begun.elapsed()));
    }
    let id = JobExecutionId(u64::from(executions) / 200 * 100);
    macro_rules! measure {
        ($what:literal, $asked:expr) => {{
            let begun = Instant::now();
            $asked.await.unwrap();
            took.push(($what, begun.elapsed()));
        }};
    }
    measure!("show", store.execution(&tenant, id));
    measure!("count", store.count_executions(&tenant, &ExecutionFilter::default(), 10_001));
    measure!("count of a user, nothing", store.count_executions(&tenant, &narrowed("user:nobody"), 10_001));
    measure!("count with a word, nothing", store.count_executions(&tenant, &narrowed("nowhere"), 10_001));
    measure!("warnings", store.warnings(&tenant, id));
    measure!("parts", store.partitions(&tenant, id));
    measure!("how parts stand", store.partition_states(&tenant, id, 0));
    measure!("ancestry", store.ancestry(&tenant, id));
    measure!("remains", store.remains(&tenant, id));
    measure!("instances", store.instances(&tenant, None));
    measure!("audit", store.audit(&tenant, &AuditFilter { limit: 20, ..AuditFilter::default() }));
    let julia = AuditFilter { limit: 20, user: Some("nobody".to_owned()), ..AuditFilter::default() };
    measure!("audit of somebody, nothing", store.audit(&tenant, &julia));
    measure!("queue depths", store.queue_depths());
    measure!("held", store.held(NOW));
    let once = ExecutionFilter { limit: 500, created_before: Some(EARLIER), ..ExecutionFilter::default() };
    measure!("what a purge finds", store.purgeable(&tenant, &once));
    took
}
