//! Frequent statements read only the rows that they need, however long the history is. The tests ask SQLite which
//! index it uses.

use rusqlite::Connection;
use rusqlite::types::Value;
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{Choice, ExecutionFilter, Narrowing, filter_text};
use stepbox_batch::name::{JobExecutionId, JobName};
use stepbox_store_testing::sample::access::name;
use stepbox_store_testing::sample::*;

use super::super::{
    audit, claim, credentials, endings, executions, idempotency, instances, leases, outbox, parts, purging,
    queue, rescue, steps, submit, tokens,
};
use super::empty_store;
use super::history::History;
use crate::record::audit::Trail;

/// The tables that grow with time.
const BIG: [&str; 6] =
    ["job_executions", "step_executions", "warnings", "audit_events", "sessions", "tokens"];

/// A statement's plan, one line for each table it reads. Names of parameters have no values here.
fn plan(db: &Connection, sql: &str, values: &[Value]) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for (index, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value).unwrap();
    }
    let (mut rows, mut lines) = (statement.raw_query(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get("detail").unwrap());
    }
    lines
}

/// Whether a line reads a growing table without an index, or only by the tenant.
fn is_wrong(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    let [how, table, ..] = words[..] else { return false };
    let is_big = BIG.contains(&table) || matches!(table, "e" | "l" | "s");
    let is_by_tenant_alone = line.ends_with("(tenant=?)")
        && !line.contains("job_executions_wholes")
        && !line.contains("audit_events_by_moment")
        && !line.contains("job_executions_leased")
        && !line.contains("job_executions_open");
    // There are few executions that are set aside.
    let is_scan = how == "SCAN" && !line.contains("job_executions_set_aside");
    is_big && (is_scan || is_by_tenant_alone)
}

#[tokio::test]
async fn no_hot_statement_reads_a_table_from_end_to_end() {
    let store = empty_store().await;
    History { executions: 2000, warnings_each: 1 }.write(store.path());
    for has_statistics in [false, true] {
        let db = store.stranger();
        if has_statistics {
            db.execute_batch("ANALYZE").unwrap();
        }
        let mut wrong = Vec::new();
        let mut check = |what: String, index: &str, sql: &str, values: &[Value]| {
            let plan = plan(&db, sql, values);
            let has_index = plan.iter().any(|line| line.contains(index));
            if !has_index || plan.iter().any(|line| is_wrong(line)) {
                wrong.push(format!("{what}: {index}\n{}", plan.join("\n")));
            }
        };
        for (what, index, filter) in execution_lists() {
            let (sql, values) = executions::list_statement(&tenant(), &filter);
            check(format!("list {what}"), index, &sql, &values);
            let (sql, values) = purging::purge_statement(&tenant(), &filter);
            check(format!("purge {what}"), index, &sql, &values);
            let (sql, values) = executions::count_statement(&tenant(), &filter, 10_001);
            check(format!("count {what}"), index, &sql, &values);
        }
        for (index, filter) in audit_lists() {
            let (sql, values) = audit::list_statement(Trail::Tenant(&tenant()), &filter);
            check(format!("audit {filter:?}"), index, &sql, &values);
        }
        let made = [
            ("how parts stand", "job_executions_by_partition", parts::states_statement()),
            ("events", "PRIMARY KEY", outbox::page_statement(false)),
            ("events of a tenant", "execution_events_by_tenant", outbox::page_statement(true)),
            ("progress", "job_executions_by_lease", outbox::checkpointed_statement(false)),
            ("progress of a tenant", "job_executions_leased", outbox::checkpointed_statement(true)),
            ("whose token it is", "sqlite_autoindex_tokens_1", tokens::principal_statement()),
        ];
        for (what, index, sql) in &made {
            check((*what).to_owned(), index, sql, &[]);
        }
        for (tenant, owner) in [(None, None), (Some(tenant()), None), (Some(tenant()), Some(name("julia")))] {
            let index = if owner.is_some() { "tokens_by_owner" } else { "tokens_by_tenant" };
            let (sql, values) = tokens::list_statement(tenant.as_ref(), owner.as_ref());
            check("tokens".to_owned(), index, &sql, &values);
        }
        for (what, index, sql) in STATEMENTS {
            check(what.to_owned(), index, sql, &[]);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }
}

fn execution_lists() -> Vec<(&'static str, &'static str, ExecutionFilter)> {
    let all = ExecutionFilter { limit: 20, ..ExecutionFilter::default() };
    let (by_instance, by_status, by_job, wholes) = (
        "job_executions_by_instance",
        "job_executions_by_status",
        "job_executions_by_job",
        "job_executions_wholes",
    );
    let nightly = ExecutionFilter { instance: Some(code("nightly")), ..all.clone() };
    let failed = ExecutionFilter { statuses: vec![BatchStatus::Failed], ..all.clone() };
    let several = vec![BatchStatus::Failed, BatchStatus::Stopped];
    let greet = ExecutionFilter { job: Some(JobName::new("greet").unwrap()), ..all.clone() };
    let old = Some(Timestamp(NOW.0 - 1_000_000));
    let of_julia = Narrowing {
        users: Choice { any_of: vec!["julia".to_owned()], none_of: Vec::new() },
        ..Narrowing::default()
    };
    let running =
        ExecutionFilter { statuses: vec![BatchStatus::Started, BatchStatus::Stopping], ..all.clone() };
    vec![
        ("all", wholes, all.clone()),
        ("before one", wholes, ExecutionFilter { before: Some(JobExecutionId(1000)), ..all.clone() }),
        ("of an age", wholes, ExecutionFilter { created_before: old, ..all.clone() }),
        ("of an instance", by_instance, nightly.clone()),
        ("of an instance and age", by_instance, ExecutionFilter { created_before: old, ..nightly.clone() }),
        (
            "of an instance, in a status",
            by_instance,
            ExecutionFilter { statuses: failed.statuses.clone(), ..nightly },
        ),
        ("in a status", by_status, failed.clone()),
        ("in several statuses", by_status, ExecutionFilter { statuses: several.clone(), ..all.clone() }),
        ("of a job", by_job, greet.clone()),
        ("of a job, in several statuses", by_job, ExecutionFilter { statuses: several, ..greet.clone() }),
        ("of a job and age", by_job, ExecutionFilter { created_since: old, ..greet }),
        ("since a moment", wholes, ExecutionFilter { created_since: old, ..all.clone() }),
        ("without hidden ones", wholes, ExecutionFilter { hidden: vec![code("nightly")], ..all.clone() }),
        (
            "that failed and are not continued",
            by_status,
            narrowed(&failed, Narrowing { is_restarted: Some(false), ..Narrowing::default() }),
        ),
        ("in a status, of an age", by_status, ExecutionFilter { created_before: old, ..failed.clone() }),
        ("of a user", wholes, narrowed(&all, of_julia.clone())),
        ("of a user, that failed", wholes, narrowed(&failed, of_julia.clone())),
        ("of a user, that run", by_status, narrowed(&running, of_julia)),
        ("of everything there is to say", wholes, narrowed(&all, everything())),
        (
            "with a number",
            wholes,
            narrowed(&all, Narrowing { ids: vec![JobExecutionId(7)], ..Narrowing::default() }),
        ),
    ]
}

fn narrowed(filter: &ExecutionFilter, narrowing: Narrowing) -> ExecutionFilter {
    ExecutionFilter { narrowing, ..filter.clone() }
}

/// A narrowing of every kind.
fn everything() -> Narrowing {
    let text = "-status:FAILED -instance:a profile:b,c type:export -type:x connector:acme -connector:x -job:x job:a,b \
                step:a,b -step:c user:julia -user:max took:1s..1m warnings:1..10 restarted:yes 41 some words";
    filter_text::parse(text, NOW, &jiff::tz::TimeZone::UTC).unwrap().narrowing
}

fn audit_lists() -> Vec<(&'static str, AuditFilter)> {
    let all = AuditFilter { limit: 20, ..AuditFilter::default() };
    let action = Some(AuditAction::ExecutionSubmitted);
    vec![
        ("audit_events_by_moment", all.clone()),
        ("audit_events_by_moment", AuditFilter { since: Some(NOW), ..all.clone() }),
        ("audit_events_by_moment", AuditFilter { user: Some("julia".to_owned()), ..all.clone() }),
        ("audit_events_by_action", AuditFilter { action, ..all.clone() }),
        ("audit_events_by_action", AuditFilter { action, since: Some(NOW), ..all }),
    ]
}

/// The expected index of each of the other statements.
const STATEMENTS: [(&str, &str, &str); 27] = [
    ("an execution", "PRIMARY KEY", executions::STANDING),
    ("a key", "PRIMARY KEY", idempotency::FIRST),
    ("those it goes on from", "PRIMARY KEY", executions::ANCESTRY),
    ("a second restart", "job_executions_by_restart", submit::NEXT),
    ("its steps", "sqlite_autoindex_step_executions_1", steps::SHOWN),
    ("its warnings", "warnings_by_execution", steps::WARNINGS),
    ("some of its warnings", "warnings_by_execution", steps::SOME_WARNINGS),
    ("old events", "audit_events_by_moment", audit::OLD_ONES),
    ("deletion of events", "PRIMARY KEY", audit::PURGE),
    ("what was lost", "job_executions_by_lease", rescue::LOST),
    ("parts that stop", "job_executions_open_parts", endings::OPEN_PARTITIONS),
    ("what runs of an instance", "job_executions_leased", claim::RUNNING),
    ("lanes", "job_executions_leased", claim::LANES),
    ("a double", "job_executions_open", submit::DOUBLE),
    ("depths", "queue_entries_by_tenant", queue::DEPTHS),
    ("what keeps an instance", "job_executions_open", instances::RUNNING),
    ("leases of a clock that was ahead", "job_executions_by_lease", leases::FUTURE),
    ("leases of a worker", "job_executions_by_lease", leases::EXPIRE),
    ("whether a worker has a lease", "job_executions_by_lease", leases::HELD),
    ("whose session it is", "sqlite_autoindex_sessions_1", credentials::PRINCIPAL_OF_SESSION),
    ("roles of a session's user", "members_by_user", credentials::PRINCIPAL_OF_SESSION),
    ("lists of a tenant", "sqlite_autoindex_instance_rights_1", credentials::PRINCIPAL_OF_SESSION),
    ("the use of a session", "sqlite_autoindex_sessions_1", credentials::TOUCH_SESSION),
    ("too many sessions", "sessions_by_user", credentials::TOO_MANY),
    ("expired sessions", "sessions_by_end", credentials::EXPIRED),
    ("a token and those made with it", "tokens_by_maker", tokens::FAMILY),
    ("a link", "sqlite_autoindex_one_time_links_1", credentials::LINK),
];
