//! Frequent statements read only the rows that they need, however long the history is. The tests ask the server for
//! its plans, with a million ended executions, and count the pages that a claim touches.

use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::Enqueue;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{ExecutionFilter, JobExecution, Save, filter_text};
use stepbox_batch::name::{JobExecutionId, JobName};
use stepbox_store_testing::sample::*;
use stepbox_test_postgres::Server;

use super::super::connection::{Db, Named};
use super::super::executions::{self, conditions, count_statement, list_of, list_statement};
use super::super::value::{Value, named, numbered};
use super::super::{
    Address, PostgresOptions, PostgresStore, audit, claim, credentials, instance_rights, leases, outbox,
    parts, purging, queue, rescue, saves, steps, submit, tokens, workers,
};
use crate::record::audit::AuditRecord;
use crate::save::{LeaseRecord, NewRecord, SaveRecord};

/// The tables that grow with time.
const BIG: [&str; 10] = [
    "job_executions",
    "step_executions",
    "warnings",
    "audit_events",
    "queue_entries",
    "execution_events",
    "sessions",
    "tokens",
    "members",
    "instance_right_users",
];

/// Indexes that have only rows of executions that run or wait.
const SMALL: [&str; 6] = [
    "job_executions_running",
    "job_executions_open_parts",
    "job_executions_set_aside",
    "queue_entries_waiting",
    "queue_entries_delayed",
    "queue_entries_queued",
];

/// Two tenants, a thousand instances, a million ended executions, a long queue, and the rows that belong to them.
/// The indexes are created again at the end, which takes a third of the time.
const ENDED: &str = "
    SET session_replication_role = replica;
    CREATE TEMP TABLE indexes AS
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname ~ '_(by_|open|running|wholes)';
    DO $$ DECLARE name TEXT; BEGIN
        FOR name IN SELECT indexname FROM indexes LOOP EXECUTE 'DROP INDEX ' || name; END LOOP;
    END $$;
    INSERT INTO job_executions
        (tenant, instance, status, stoppable, created_at, started_at, ended_at, updated_at, attempt, lease_token,
         worker, exit_code, exit_description, parameters_key, failures, context, parameters, job, job_name)
    SELECT CASE n % 2 WHEN 0 THEN 'default' ELSE 'other' END, 'i' || n % 1000, CASE n % 20 WHEN 3 THEN 6 ELSE 1 END,
           TRUE, n, n, n, n, 1, 1, 'w', 'COMPLETED', '', '', '[]', '{}', '{}', '{}', 'j' || n % 10
    FROM generate_series(1, 1000000) n;
    INSERT INTO step_executions
    SELECT CASE n % 2 WHEN 0 THEN 'default' ELSE 'other' END, n, 0, 'greet', 1, 'COMPLETED', '', n, n, n,
           1, 1, 0, 0, 1, 1, FALSE, 0, NULL, 1, 0, '{}', '{}', '[]', '[]', NULL
    FROM generate_series(800000, 1000000) n;
    INSERT INTO warnings SELECT 'default', n, 1, 1, 1, 'greet', 'c', 'r', 'p', 'i' FROM generate_series(2, 200000, 2) n;
    INSERT INTO audit_events (tenant, at, action, subject, detail)
    SELECT 'default', n, CASE n % 50 WHEN 0 THEN 'execution-purged' ELSE 'execution-submitted' END, n, '{}'
    FROM generate_series(1, 200000) n;
    INSERT INTO execution_events
    SELECT n, CASE n % 50 WHEN 0 THEN 'other' ELSE 'default' END, n, n, 3, 1, 0 FROM generate_series(1, 200000) n;
    UPDATE execution_event_stream SET last = 200000;
    INSERT INTO job_instances SELECT 'default', 'i' || n, 'l', 'acme', 'greet', 'export', '{}'
    FROM generate_series(1, 1000) n;
    INSERT INTO queue_lanes (tenant, type, job, instance) VALUES ('default', 'export', 'greet', '');
    INSERT INTO queue_entries
        (tenant, execution_id, lane, state, priority, turn, available_at, losses, attempts_max)
    SELECT 'default', n, (SELECT max(id) FROM queue_lanes), 0, 0, n, 0, 0, 5 FROM generate_series(1, 100000) n;
    INSERT INTO users
    SELECT 'u' || n, 'l', FALSE, FALSE, n, NULL, NULL, NULL, NULL FROM generate_series(1, 20000) n;
    INSERT INTO members SELECT 'default', 'u' || n, 'author' FROM generate_series(1, 20000) n;
    INSERT INTO instance_rights SELECT 'default', 'i' || n, 'edit' FROM generate_series(1, 1000) n;
    INSERT INTO instance_right_users
    SELECT 'default', 'i' || n % 1000 + 1, 'edit', 'u' || n FROM generate_series(1, 20000) n;
    INSERT INTO sessions SELECT 'h' || n, 'u' || n % 20000 + 1, n, n, n FROM generate_series(1, 100000) n;
    INSERT INTO tokens (hash, name, owner, tenant, scopes, created_at, expires_at)
    SELECT 'h' || n, 'n', 'u' || n % 20000 + 1, CASE n % 500 WHEN 0 THEN 'default' ELSE 't' || n % 500 END, '[]', n, n
    FROM generate_series(1, 100000) n;
    DO $$ DECLARE definition TEXT; BEGIN
        FOR definition IN SELECT indexdef FROM indexes LOOP EXECUTE definition; END LOOP;
    END $$;
    ANALYZE;";

/// Statements with parameters, by their purpose.
struct Plans {
    db: Db,
    /// Whether a statement may read all rows of a tenant: a list does so, until it has enough rows.
    is_tenant_enough: bool,
    wrong: Vec<String>,
}

impl Plans {
    /// Checks the plan for these values, and the plan for any values.
    async fn check(&mut self, what: &str, sql: &str, values: Named<'_, '_>) {
        let rows = self.db.rows(&format!("EXPLAIN {sql}"), values).await;
        let rows = rows.unwrap_or_else(|trouble| panic!("{what}: {trouble:?}"));
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
        self.look(what, &plan);

        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        let (text, order) = numbered(sql, &names);
        self.db.run(&format!("PREPARE any_values AS {text}")).await.unwrap();
        let nulls = vec!["NULL"; order.len()].join(", ");
        let nulls = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
        let rows = self.db.rows(&format!("EXPLAIN EXECUTE any_values{nulls}"), &[]).await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
        self.look(&format!("{what}, any values"), &plan);
        self.db.run("DEALLOCATE any_values").await.unwrap();
    }

    /// A plan must read a big table by an index, with a condition on more than the tenant, unless the index has
    /// only the rows that are asked for.
    fn look(&mut self, what: &str, plan: &[String]) {
        let is_wrong = |line: &String, next: Option<&String>| {
            let Some((_, scan)) = line.split_once("->").or(Some(("", line))) else { return false };
            let is_big = BIG.iter().any(|table| scan.contains(&format!(" on {table} ")));
            let is_small_index = SMALL.iter().any(|index| scan.contains(&format!(" using {index} ")));
            let condition =
                next.filter(|next| next.contains("Index Cond:") || next.contains("Recheck Cond:"));
            let is_bound = condition.is_some_and(|found| self.is_tenant_enough || found.contains(" AND "));
            let is_read = ["Seq Scan", "Index Scan", "Index Only", "Bitmap Heap"]
                .iter()
                .any(|kind| scan.contains(kind));
            is_big && is_read && !is_small_index && !is_bound
        };
        if plan.iter().enumerate().any(|(index, line)| is_wrong(line, plan.get(index + 1))) {
            self.wrong.push(format!("{what}:\n{}", plan.join("\n")));
        }
    }
}

/// A database of its own, with empty tables.
struct Tables {
    server: &'static Server,
    url: String,
    options: PostgresOptions,
}

impl Tables {
    async fn empty() -> Self {
        let server = Server::shared();
        let url = server.database().unwrap();
        let options = PostgresOptions { response_timeout_ms: 600_000, ..PostgresOptions::default() };
        PostgresStore::migrate(&url, &options).await.unwrap();
        Self { server, url, options }
    }

    fn fill(&self, sql: &str) {
        self.server.sql(self.url.rsplit('/').next().unwrap(), sql).unwrap();
    }

    async fn open(&self) -> Db {
        let address = Address::parse(&self.url, &self.options).unwrap();
        let db = Db::open(&address, &self.options).await.unwrap();
        db.bound(&self.options).await.unwrap();
        db
    }
}

#[tokio::test]
async fn no_hot_statement_reads_a_table_from_end_to_end() {
    let tables = Tables::empty().await;
    tables.fill(ENDED);
    let db = tables.open().await;
    db.run("SET plan_cache_mode = force_generic_plan").await.unwrap();
    let mut plans = Plans { db, is_tenant_enough: false, wrong: Vec::new() };
    worker_statements(&mut plans).await;
    queue_statements(&mut plans).await;
    plans.is_tenant_enough = true;
    lists(&mut plans).await;
    access(&mut plans).await;
    assert!(plans.wrong.is_empty(), "{}", plans.wrong.join("\n\n"));
}

async fn worker_statements(plans: &mut Plans) {
    let lease = named! {
        "tenant": "default", "id": 5_i64, "token": 1_i64, "now": 1_i64, "lease_expires_at": 2_i64,
        "position": 0_i64, "processed": 1_i64, "total": None::<i64>, "is_estimate": false,
    };
    plans.check("heartbeat", leases::HEARTBEAT, &lease).await;
    plans.check("requests", leases::REQUESTS, &lease).await;
    plans.check("progress", leases::SAVE_TRACKING, &lease).await;
    plans.check("lost leases", rescue::LOST, &lease).await;
    plans.check("parts left behind", rescue::LEFT_BEHIND, &lease).await;

    let execution = execution_to_save();
    let (step, warnings) = (step(), [warning("one"), warning("two")]);
    let whole = Save {
        execution: Some(&execution),
        context: Some(&execution.context),
        step: Some(&step),
        checkpoint: None,
        warnings: &warnings,
        is_last: true,
    };
    let parts = [
        ("a step", Save { step: Some(&step), ..Save::default() }),
        ("warnings", Save { warnings: &warnings, ..Save::default() }),
        ("all", whole),
    ];
    for (what, save) in parts {
        let lease = LeaseRecord { tenant: "default".to_owned(), id: 5, token: 1 };
        let save = SaveRecord::from(save);
        let (sql, values) = saves::statement(&lease, &save, 1);
        plans.check(&format!("save of {what}"), &sql, &values).await;
    }
}

fn execution_to_save() -> JobExecution {
    let mut execution = new("i7").accepted(None);
    execution.status = BatchStatus::Completed;
    execution
}

async fn queue_statements(plans: &mut Plans) {
    let owners = || ["default", "other"].iter().collect::<Value<'_>>();
    let nothing: [&str; 0] = [];
    let values = named! {
        "now": 1_i64, "limit": 16_i64, "lease_expires_at": 2_i64, "worker": "w",
        "paused": 10_i64, "event_user": None::<&str>, "event_action": "execution-resumed", "event_detail": "{}",
        "ids": vec![1_i64, 2],
    };
    let mut values = Vec::from(values);
    values.push(("tenants", owners()));
    values.push(("owners", owners()));
    values.push(("served", owners()));
    values.push(("jobs", nothing.iter().collect()));
    values.push(("types", nothing.iter().collect()));
    let take = claim::take_statement();
    let rows = [
        ("work", queue::HAS_WORK),
        ("promotion", queue::PROMOTE),
        ("what waits", claim::HEADS),
        ("who runs what", claim::STANDINGS),
        ("taking", take.as_str()),
        ("steps of what is taken", claim::STEPS),
    ];
    for (what, sql) in rows {
        plans.check(what, sql, &values).await;
    }
    let mut new = new("i7");
    new.queue = Some(Enqueue { queued_max: Some(1000), ..Enqueue::at_once(NOW) });
    let record = NewRecord::from(&new.accepted(None));
    let event = AuditRecord::new(&Deed::execution_submitted(JobExecutionId(0), &new), &new.by);
    let values = submit::values(&submit::Place::new(&new, false), &record, None, &event);
    plans.check("publishing", submit::ACCEPT, &values).await;
    let values = named! {
        "tenant": "default", "instance": "i7", "key": "", "now": 1_i64, "max": 1_i64, "id": 5_i64,
    };
    plans.check("doubles", submit::DOUBLE, &values).await;
    plans.check("concurrency", claim::RUNNING, &values).await;
    plans.check("entry", &queue::entry_statement(), &values).await;
    plans.check("what is held", workers::HELD, &values).await;
}

async fn lists(plans: &mut Plans) {
    let all = ExecutionFilter { limit: 20, ..ExecutionFilter::default() };
    let several = vec![BatchStatus::Failed, BatchStatus::Stopped];
    let greet = JobName::new("j2").unwrap();
    let everything = "-status:FAILED -instance:a profile:b,c type:export -type:x connector:acme -connector:x -job:x \
                      job:a,b step:a,b -step:c user:julia -user:max took:1s..1m warnings:1..10 restarted:yes 41 words";
    let filters = [
        ("latest", all.clone()),
        ("of an instance", ExecutionFilter { instance: Some(code("i7")), ..all.clone() }),
        ("in a status", ExecutionFilter { statuses: vec![BatchStatus::Started], ..all.clone() }),
        ("that failed", ExecutionFilter { statuses: vec![BatchStatus::Failed], ..all.clone() }),
        ("in several statuses", ExecutionFilter { statuses: several.clone(), ..all.clone() }),
        ("of a job", ExecutionFilter { job: Some(greet.clone()), ..all.clone() }),
        ("of a job, in several", ExecutionFilter { job: Some(greet), statuses: several, ..all.clone() }),
        ("since a moment", ExecutionFilter { created_since: Some(Timestamp(500_000)), ..all.clone() }),
        ("without hidden ones", ExecutionFilter { hidden: vec![code("i7")], ..all.clone() }),
        ("before one", ExecutionFilter { before: Some(JobExecutionId(500_000)), ..all.clone() }),
        ("of an age", ExecutionFilter { created_before: Some(Timestamp(500_000)), ..all.clone() }),
        ("of everything there is to say", narrowed(&all, everything)),
        ("of a user", narrowed(&all, "user:julia")),
        ("of a user, that run", narrowed(&all, "user:julia status:STARTED,STOPPING")),
        ("that failed and are not continued", narrowed(&all, "restarted:no")),
        ("with a word", narrowed(&all, "words")),
        (
            "of an instance, in a status",
            ExecutionFilter {
                instance: Some(code("i7")),
                statuses: vec![BatchStatus::Stopped],
                ..all.clone()
            },
        ),
    ];
    for (what, filter) in filters {
        let tenant = tenant();
        let (sql, values) = list_statement(&tenant, &filter);
        plans.check(&format!("executions: {what}"), &sql, &values).await;
        let (sql, values) = count_statement(&tenant, &filter, 10_001);
        plans.check(&format!("count: {what}"), &sql, &values).await;
        let (conditions, mut values) = conditions(&tenant, &filter);
        values.push(("limit", audit::limit_of(filter.limit)));
        plans.check(&format!("purge: {what}"), &purging::statement(&conditions), &values).await;
    }
    let values =
        named! {"tenant": "default", "id": 5_i64, "ids": vec![5_i64, 7], "limit": 20_i64, "skip": 7_i64};
    let one = list_of("e.tenant = :tenant AND e.id = :id", "DESC");
    plans.check("an execution", &one, &values).await;
    plans.check("its steps", steps::OF_EXECUTIONS, &values).await;
    plans.check("its steps in a list", steps::SHOWN, &values).await;
    plans.check("those it goes on from", executions::ANCESTRY, &values).await;
    let of = named! {"tenant": "default", "of": 7_i64, "position": 0_i64};
    plans.check("parts", &parts::statement(), &of).await;
    plans.check("how parts stand", &parts::states_statement(), &of).await;
    plans.check("its warnings", steps::WARNINGS, &values).await;
    plans.check("some of its warnings", steps::SOME_WARNINGS, &values).await;
    let events = named! {
        "tenant": "default", "after": 199_000_i64, "last": 200_000_i64, "since": 0_i64, "limit": 20_i64,
    };
    for is_of_tenant in [false, true] {
        plans.check("events", &outbox::page_statement(is_of_tenant), &events).await;
        plans.check("progress of all", &outbox::checkpointed_statement(is_of_tenant), &events).await;
    }
}

fn narrowed(filter: &ExecutionFilter, text: &str) -> ExecutionFilter {
    let read = filter_text::parse(text, NOW, &jiff::tz::TimeZone::UTC).unwrap();
    ExecutionFilter { limit: filter.limit, ..read }
}

async fn access(plans: &mut Plans) {
    let values = named! {
        "hash": "h7", "tenant": "default", "now": 1_i64, "lasts": 5_i64, "idle": 5_i64, "user": "u7",
        "others": 49_i64, "limit": 100_i64, "id": 7_i64, "owner": "u7", "instance": "i7",
    };
    let of_token = tokens::principal_statement();
    let [of_tenant, of_owner] = [false, true].map(|is_of_owner| tokens::list_statement(true, is_of_owner));
    let rows = [
        ("whose session it is", credentials::PRINCIPAL_OF_SESSION),
        ("the use of a session", credentials::TOUCH_SESSION),
        ("too many sessions", credentials::TOO_MANY),
        ("expired sessions", credentials::EXPIRED),
        ("a link", credentials::LINK),
        ("whose token it is", of_token.as_str()),
        ("tokens of a tenant", of_tenant.as_str()),
        ("tokens of an owner", of_owner.as_str()),
        ("a token and those made with it", tokens::FAMILY),
        ("lists of an instance", instance_rights::LISTS),
    ];
    for (what, sql) in rows {
        plans.check(what, sql, &values).await;
    }
}

/// Waiting entries, the first hundred of them with their executions.
const WAITING: &str = "
    SET session_replication_role = replica;
    INSERT INTO queue_lanes (tenant, type, job, instance) VALUES ('default', 'export', 'greet', '') ON CONFLICT DO NOTHING;
    INSERT INTO queue_tenants VALUES ('default', 0) ON CONFLICT DO NOTHING;
    INSERT INTO queue_entries
        (tenant, execution_id, lane, state, priority, turn, available_at, losses, attempts_max)
    SELECT 'default', n, (SELECT max(id) FROM queue_lanes), 0, 0, n, 0, 0, 5
    FROM generate_series(:from, :to) n;
    INSERT INTO job_executions
        (id, tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token, exit_code,
         exit_description, parameters_key, failures, context, parameters, job)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'default', 'i', 2, TRUE, n, n, 0, 0, '', '', '', '[]', '{}', '{}', '{}'
    FROM generate_series(:from, :from + 99) n;
    ANALYZE;";

/// Regression: with the plans that a connection has from an empty queue, the server would read a long queue from
/// end to end.
#[tokio::test]
async fn plans_are_made_anew_for_tables_that_have_grown() {
    let tables = Tables::empty().await;
    tables.fill("VACUUM ANALYZE");
    let mut db = tables.open().await;
    let (text, order) = numbered(&claim::take_statement(), &PARAMETERS.map(|(name, _)| name));
    db.run(&format!("SET plan_cache_mode = force_generic_plan; PREPARE take AS {text}")).await.unwrap();
    let literals: Vec<_> = order.into_iter().map(|index| PARAMETERS[index].1).collect();
    let execute = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) EXECUTE take({})", literals.join(", "));
    pages_of(&db, &execute, &[]).await;
    let fill = WAITING.replace(":from", "1").replace(":to", "200000").replace("ANALYZE", "SELECT 1");
    tables.fill(&fill);
    let with_old_plans = pages_of(&db, &execute, &[]).await;
    db.plan_anew().await.unwrap();
    let with_new_plans = pages_of(&db, &execute, &[]).await;
    assert!(with_new_plans * 4 < with_old_plans, "{with_new_plans} pages instead of {with_old_plans}");
}

/// The values for the claim of one entry, as literals.
const PARAMETERS: [(&str, &str); 10] = [
    ("owners", "ARRAY['default']"),
    ("ids", "ARRAY[7]"),
    ("lease_expires_at", "2"),
    ("now", "1"),
    ("worker", "'w'"),
    ("paused", "10"),
    ("event_user", "NULL"),
    ("event_action", "'execution-resumed'"),
    ("event_detail", "'{}'"),
    ("served", "ARRAY['default']"),
];

/// Counts pages instead of seconds, because pages are the same on every machine.
#[tokio::test]
async fn a_claim_touches_as_many_pages_with_a_million_entries_as_with_a_thousand() {
    let tables = Tables::empty().await;
    let mut pages = Vec::new();
    for (from, to) in [(1, 1000), (1001, 1_000_000)] {
        let fill = WAITING.replace(":from", &from.to_string()).replace(":to", &to.to_string());
        tables.fill(&fill);
        pages.push(pages_of_a_claim(&tables.open().await, from).await);
    }
    let [few, many] = pages[..] else { panic!("{pages:?}") };
    assert!(many * 2 <= few * 3, "{few} pages with a thousand entries, {many} with a million");
}

async fn pages_of_a_claim(db: &Db, first: i64) -> u64 {
    let nothing: [&str; 0] = [];
    let mut values = Vec::from(named! {
        "now": 1_i64, "limit": 16_i64, "lease_expires_at": 2_i64, "worker": "w",
        "paused": 10_i64, "event_user": None::<&str>, "event_action": "execution-resumed", "event_detail": "{}",
        "ids": (first..first + 16).collect::<Vec<_>>(),
    });
    values.push(("tenants", ["default"].iter().collect()));
    values.push(("owners", ["default"; 16].iter().collect()));
    values.push(("served", ["default"].iter().collect()));
    values.push(("jobs", nothing.iter().collect()));
    values.push(("types", nothing.iter().collect()));
    let take = claim::take_statement();
    let mut pages = 0;
    for sql in [queue::HAS_WORK, queue::PROMOTE, claim::HEADS, claim::STANDINGS, &take] {
        pages += pages_of(db, &format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {sql}"), &values).await;
    }
    pages
}

/// How many pages a statement touches, from its own explanation; its changes are rolled back. The count of each
/// part of the plan includes the parts below it. The changes of a `WITH` are below no other part.
async fn pages_of(db: &Db, explained: &str, values: Named<'_, '_>) -> u64 {
    db.run("BEGIN").await.unwrap();
    let rows = db.rows(explained, values).await.unwrap();
    db.run("ROLLBACK").await.unwrap();
    let plan: Vec<_> = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    let lines = plan.iter().filter(|line| line.contains("Buffers: shared"));
    let counts = lines.flat_map(|line| line.split_whitespace()).filter_map(|word| word.split_once('='));
    let pages = counts.filter(|(name, _)| matches!(*name, "hit" | "read"));
    pages.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}
