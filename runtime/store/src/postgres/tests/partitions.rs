//! Tables that an operator has partitioned by time, as `docs/operators.md` describes.

use stepbox_batch::execution::ExecutionFilter;
use stepbox_batch::ports::{Executions, Instances};
use stepbox_store_testing::conformance;
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::Server;

use super::super::schema::SCHEMA_VERSION;
use super::super::{PostgresOptions, PostgresStore};

/// The script of the documents, with its two numbers replaced.
fn script(next: u64, end: u64) -> String {
    let script = include_str!("../../../../../docs/partition-postgres.sql");
    script.replace(":next", &next.to_string()).replace(":end", &end.to_string())
}

#[tokio::test]
async fn what_was_there_stays_and_everything_goes_on() {
    let server = Server::shared();
    let url = server.database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    let options = PostgresOptions::default();
    let store = PostgresStore::open(&url, options.clone()).await.unwrap();
    with_instance(&store).await;
    let (before, lease) = started(&store).await;
    let (gone, _) =
        in_status(&store, stepbox_batch::execution::status::BatchStatus::Failed, Hold::Free).await;
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    drop(store);

    let next = gone.id.0 + 3;
    server.sql(name, &script(next, next + 1000)).unwrap();
    assert_eq!(PostgresStore::migrate(&url, &options).await.unwrap().version, SCHEMA_VERSION);
    let store = PostgresStore::open(&url, options).await.unwrap();
    assert_eq!(stored(&store, before.id).await, before);
    let mut execution = before.clone();
    move_to(&store, &lease, &mut execution, stepbox_batch::execution::status::BatchStatus::Completed).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(waiting(&store).await.id.0);
    }
    assert!(ids[0] > gone.id.0 && ids.is_sorted() && ids[3] > next, "{ids:?}, after {}", gone.id);
    let parts =
        "SELECT (SELECT count(*) > 0 FROM job_executions_1), (SELECT count(*) > 0 FROM job_executions_2)";
    assert_eq!(server.sql(name, parts).unwrap(), "t|t");
    store.delete_instance(&tenant(), &code("nightly"), None, &by(NOW)).await.unwrap_err();
    server
        .sql(name, "DELETE FROM job_executions; DELETE FROM job_instances; DELETE FROM audit_events")
        .unwrap();

    conformance::saves::hold_any_text(&store).await;
    server.sql(name, "DELETE FROM job_executions; DELETE FROM job_instances").unwrap();
    conformance::queue::what_a_lost_worker_held_goes_on_elsewhere(&store).await;
    server.sql(name, "DELETE FROM job_executions; DELETE FROM job_instances").unwrap();
    conformance::queue::parts_wait_with_the_age_of_the_whole(&store).await;
    server.sql(name, "DELETE FROM job_executions; DELETE FROM job_instances").unwrap();
    conformance::narrowing::goes_by_the_warnings_of_all_steps(&store).await;
    server.sql(name, "DELETE FROM job_executions; DELETE FROM job_instances").unwrap();
    conformance::purging::takes_steps_and_warnings_along(&store).await;

    let drop = "DROP TABLE warnings_1, step_executions_1;
                ALTER TABLE job_executions DETACH PARTITION job_executions_1; DROP TABLE job_executions_1";
    server.sql(name, drop).unwrap();
    waiting(&store).await;
}
