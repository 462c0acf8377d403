//! Job executions: looked up and listed.

use std::collections::BTreeMap;

use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    Ancestor, ExecutionFilter, ExecutionSummary, JobExecution, Narrowing, Range, Remains, SEARCHED_MAX,
    StepExecution,
};
use stepbox_batch::name::{JobExecutionId, StepName, TenantId};
use stepbox_batch::ports::Listing;
use tokio_postgres::Row as SqlRow;

use super::audit::limit_of;
use super::connection::{Db, Named};
use super::steps;
use super::trouble::{Outcome, listed};
use super::value::{Value, escaped, named};
use crate::record::columns::Columns;
use crate::record::execution::{
    COLUMNS, ExecutionRecord, Jobs, ancestor, columns_of_lists, not_found, standing as read_standing,
};
use crate::record::{Listed, stored, stored_id};

/// A call that reads with several statements sees one moment of the data.
pub(super) const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The values of an execution that decide which requests are allowed. Its row is locked until the transaction ends.
pub(super) async fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let sql = "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL AS is_set_aside,
                      partition_of IS NOT NULL AS is_part, stop_requested_at IS NOT NULL AS is_stopping,
                      pause_requested_at IS NOT NULL AS is_pausing
               FROM job_executions
               WHERE tenant = :tenant AND id = :id FOR NO KEY UPDATE";
    let found = db.row(sql, &named! {"tenant": tenant, "id": id}).await?;
    read_standing(id, &found.ok_or_else(|| not_found(id))?)
}

/// An execution with its steps, as of one moment, in one round trip.
pub(super) async fn get(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<JobExecution>> {
    let id = stored_id(id);
    let sql = format!("SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let values = named! {"tenant": tenant.as_str(), "id": id, "ids": vec![id]};
    let statements: [(&str, Named<'_, '_>); 2] = [(&sql, &values), (steps::OF_EXECUTIONS, &values)];
    db.prepare_all(statements.into_iter()).await?;
    let (_, found, steps, _) = tokio::try_join!(
        biased;
        db.run(ONE_MOMENT),
        db.rows(&sql, &values),
        db.rows(steps::OF_EXECUTIONS, &values),
        db.run("COMMIT"),
    )?;
    Ok(with_steps(&found, &steps)?.pop())
}

/// An execution without its steps, in the transaction that has locked its row.
pub(super) async fn locked(db: &Db, tenant: &TenantId, id: i64) -> Outcome<Option<JobExecution>> {
    let sql = format!("SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let found = db.rows(&sql, &named! {"tenant": tenant.as_str(), "id": id}).await?;
    Ok(with_steps(&found, &[])?.pop())
}

/// The executions as lists show them, as of one moment. Contexts and checkpoints are not read.
pub(super) async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
) -> Outcome<Listing<ExecutionSummary>> {
    let (sql, values) = list_statement(tenant, filter);
    db.prepare_all([(sql.as_str(), &values[..])].into_iter()).await?;
    let (_, found) = tokio::try_join!(biased; db.run(ONE_MOMENT), db.rows(&sql, &values))?;
    let ids = found.iter().map(|row| row.number("id")).collect::<Outcome<Vec<_>>>()?;
    let values = named! {"tenant": tenant.as_str(), "ids": ids};
    let (steps, _) = tokio::try_join!(biased; db.rows(steps::SHOWN, &values), db.run("COMMIT"))?;
    let mut of: BTreeMap<i64, Vec<&SqlRow>> = BTreeMap::new();
    for row in &steps {
        of.entry(row.number("execution_id")?).or_default().push(row);
    }
    let (mut listing, mut jobs) = (Listing::default(), Jobs::default());
    for row in &found {
        let id = row.number("id")?;
        let summary = summary(row, &of.remove(&id).unwrap_or_default(), &mut jobs);
        listing.push(listed(Listed::numbered("execution", id), summary)?);
    }
    Ok(listing)
}

fn summary(row: &SqlRow, steps: &[&SqlRow], jobs: &mut Jobs) -> Outcome<ExecutionSummary> {
    let steps = steps.iter().map(|row| Ok(steps::step(row)?.1)).collect::<Outcome<_>>()?;
    Ok(ExecutionRecord::read(row)?.into_summary(steps, jobs)?)
}

/// The statement of a list, and its values.
///
/// The newest executions in several statuses are the newest of the newest in each status: the server reads as many of
/// each as the list may have, and not all of them. What a person narrows a list by is looked up in the index alone; only
/// the rows that match are read.
pub(super) fn list_statement<'a>(
    tenant: &'a TenantId,
    filter: &'a ExecutionFilter,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let (mut conditions, mut values) = conditions(tenant, filter);
    values.push(("limit", limit_of(filter.limit)));
    let order = if filter.is_oldest_first { "ASC" } else { "DESC" };
    let matching = |conditions: &str| {
        format!("SELECT e.id FROM job_executions e WHERE {conditions} ORDER BY e.id {order} LIMIT :limit")
    };
    if !filter.narrowing.is_all() {
        conditions = format!("e.tenant = :tenant AND e.id = ANY(ARRAY({}))", matching(&conditions));
    } else if let (None, None, [_, _, ..]) = (&filter.instance, &filter.job, &filter.statuses[..]) {
        let of_status = |status: &BatchStatus| {
            let conditions = conditions.replace(IN_STATUSES, &format!("e.status = {}", status.number()));
            format!("({})", matching(&conditions))
        };
        let of_each = filter.statuses.iter().map(of_status).collect::<Vec<_>>().join(" UNION ALL ");
        conditions = format!("e.tenant = :tenant AND e.id = ANY(ARRAY({of_each}))");
        values.retain(|(name, _)| *name != "statuses");
    }
    (list_of(&conditions, order), values)
}

/// The statement that counts the executions of a filter, up to a number.
pub(super) fn count_statement<'a>(
    tenant: &'a TenantId,
    filter: &'a ExecutionFilter,
    max: u32,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let (conditions, mut values) = conditions(tenant, filter);
    values.push(("max", i64::from(max).into()));
    let sql = format!(
        "SELECT count(*) AS count FROM (SELECT FROM job_executions e WHERE {conditions} LIMIT :max) found"
    );
    (sql, values)
}

/// How many executions match, counted up to `max`.
pub(super) async fn count(db: &Db, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Outcome<u64> {
    let (sql, values) = count_statement(tenant, filter, max);
    let row = db.row(&sql, &values).await?;
    Ok(row.map(|row| row.number("count")).transpose()?.unwrap_or(0).unsigned_abs())
}

pub(super) fn list_of(conditions: &str, order: &str) -> String {
    let columns = columns_of_lists();
    format!("SELECT {columns} FROM job_executions e WHERE {conditions} ORDER BY e.id {order} LIMIT :limit")
}

/// An execution continues an older one only, so a damaged number cannot lead in a circle.
pub(super) const ANCESTRY: &str = "WITH RECURSIVE line (id, started_at, restart_of) AS (
         SELECT id, started_at, restart_of FROM job_executions WHERE tenant = :tenant AND id = :id
         UNION ALL
         SELECT e.id, e.started_at, e.restart_of FROM line JOIN job_executions e
             ON e.tenant = :tenant AND e.id = line.restart_of AND line.restart_of < line.id)
     SELECT id, started_at, restart_of FROM line ORDER BY id DESC";

/// An execution and those that it continues.
pub(super) async fn ancestry(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Vec<Ancestor>> {
    let found = db.rows(ANCESTRY, &named! {"tenant": tenant.as_str(), "id": stored_id(id)}).await?;
    found.iter().map(ancestor).collect()
}

/// The readable rest of a damaged execution.
pub(super) async fn remains(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<Remains>> {
    let values = named! {"tenant": tenant.as_str(), "id": stored_id(id), "ids": vec![stored_id(id)]};
    let sql = "SELECT * FROM job_executions WHERE tenant = :tenant AND id = :id";
    let Some(row) = db.row(sql, &values).await? else { return Ok(None) };
    let mut remains = Remains { damage: Vec::new(), fields: fields(&row, "") };
    let whole = ExecutionRecord::read(&row).and_then(|record| Ok(record.into_execution(Vec::new())?));
    let damaged = listed(Listed::numbered("execution", stored_id(id)), whole)?.err();
    remains.damage.extend(damaged.map(|row| row.reason));
    for row in db.rows(steps::OF_EXECUTIONS, &values).await? {
        let position = row.number("position")?;
        let damaged = listed(Listed::numbered("step", position), steps::step(&row))?.err();
        remains.damage.extend(damaged.map(|row| row.reason));
        remains.fields.extend(fields(&row, &format!("step {position} ")));
    }
    Ok(Some(remains))
}

/// The columns of a row that have a value.
fn fields(row: &SqlRow, of: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for column in row.columns() {
        let name = column.name();
        let text = match row.maybe_text(name) {
            Ok(text) => text,
            Err(_) => match (row.maybe_number(name), row.flag(name), row.maybe_bytes(name)) {
                (Ok(number), ..) => number.map(|number| number.to_string()),
                (_, Ok(flag), _) => Some(flag.to_string()),
                (.., Ok(bytes)) => bytes.map(|bytes| format!("{} bytes", bytes.len())),
                _ => None,
            },
        };
        fields.extend(text.map(|text| (format!("{of}{name}"), text)));
    }
    fields
}

const IN_STATUSES: &str = "e.status = ANY(:statuses)";

/// The filter as SQL. Only conditions that are set are written, so that each form can use its index.
pub(super) fn conditions<'a>(
    tenant: &'a TenantId,
    filter: &'a ExecutionFilter,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let ExecutionFilter {
        instance,
        job,
        statuses,
        hidden,
        created_since,
        created_before,
        narrowing,
        before,
        after,
        is_oldest_first: _,
        limit: _,
    } = filter;
    let numbers = || statuses.iter().map(|status| i64::from(status.number()));
    let status = match statuses[..] {
        [] => None,
        [status] => Some(("e.status = :status", "status", i64::from(status.number()).into())),
        _ => Some((IN_STATUSES, "statuses", numbers().collect::<Vec<_>>().into())),
    };
    let codes = || hidden.iter().map(|code| code.as_str()).collect::<Value<'_>>();
    let wanted = [
        Some(("e.tenant = :tenant", "tenant", tenant.as_str().into())),
        instance.as_ref().map(|code| ("e.instance = :instance", "instance", code.as_str().into())),
        job.as_ref().map(|job| ("e.job_name = :job", "job", job.as_str().into())),
        status,
        (!hidden.is_empty()).then(|| ("e.instance <> ALL(:hidden)", "hidden", codes())),
        created_since.map(|moment| ("e.created_at >= :created_since", "created_since", moment.0.into())),
        created_before.map(|moment| ("e.created_at < :created_before", "created_before", moment.0.into())),
        before.map(|id| ("e.id < :before", "before", stored_id(id).into())),
        after.map(|id| ("e.id > :after", "after", stored_id(id).into())),
    ];
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for (text, name, value) in wanted.into_iter().flatten() {
        texts.push(text);
        values.push((name, value));
    }
    texts.push("e.partition_of IS NULL");
    if !narrowing.is_all() {
        texts.push(NARROWING);
        values.extend(narrowed(narrowing));
    }
    (texts.join(" AND "), values)
}

/// The conditions on a column that may be null.
macro_rules! choice {
    ($column:literal, $values:literal) => {
        concat!(
            " AND (cardinality(CAST(:",
            $values,
            " AS TEXT[])) = 0 OR e.",
            $column,
            " = ANY(CAST(:",
            $values,
            " AS TEXT[])))",
            " AND (e.",
            $column,
            " IS NULL OR e.",
            $column,
            " <> ALL(CAST(:not_",
            $values,
            " AS TEXT[])))",
        )
    };
}
/// What a person narrows a list by, as one text for all there is to say: a connection keeps each text that it has
/// prepared, and people think of many.
const NARROWING: &str = concat!(
    "(cardinality(CAST(:ids AS BIGINT[])) = 0 OR e.id = ANY(CAST(:ids AS BIGINT[])))
     AND e.status <> ALL(CAST(:not_statuses AS BIGINT[]))",
    choice!("instance", "instances"),
    choice!("job_name", "jobs"),
    choice!("job_type", "types"),
    choice!("connector", "connectors"),
    choice!("user_name", "users"),
    " AND (cardinality(CAST(:steps AS TEXT[])) = 0
           OR EXISTS (SELECT FROM unnest(CAST(:steps AS TEXT[])) w (step) WHERE strpos(e.step_names, w.step) > 0))
     AND NOT EXISTS (SELECT FROM unnest(CAST(:not_steps AS TEXT[])) w (step) WHERE strpos(e.step_names, w.step) > 0)
     AND (CAST(:warnings_min AS BIGINT) IS NULL OR e.warning_count >= :warnings_min)
     AND (CAST(:warnings_max AS BIGINT) IS NULL OR e.warning_count <= :warnings_max)
     AND (CAST(:took_min AS BIGINT) IS NULL OR coalesce(e.ended_at, :took_now) - e.started_at >= :took_min)
     AND (CAST(:took_max AS BIGINT) IS NULL OR coalesce(e.ended_at, :took_now) - e.started_at <= :took_max)
     AND (CAST(:restarted AS BIGINT) IS NULL
          OR (CAST(:restarted AS BIGINT) = 1) = EXISTS (
              SELECT FROM job_executions n WHERE n.tenant = e.tenant AND n.restart_of = e.id))
     AND (CAST(:text AS TEXT) IS NULL OR (
          (strpos(lower(e.instance), :text) > 0 OR e.instance IN (
              SELECT i.code FROM job_instances i WHERE i.tenant = :tenant AND strpos(lower(i.label COLLATE \"C\"), :text) > 0))
          AND e.id >= coalesce((
              SELECT w.id FROM job_executions w WHERE w.tenant = :tenant AND w.partition_of IS NULL
              ORDER BY w.id DESC LIMIT 1 OFFSET CAST(:searched AS BIGINT)), 0)))"
);

/// The values of [`NARROWING`].
fn narrowed(narrowing: &Narrowing) -> [(&'static str, Value<'_>); 22] {
    let Narrowing {
        ids,
        not_statuses,
        instances,
        jobs,
        types,
        connectors,
        steps,
        users,
        warnings,
        took,
        is_restarted,
        text,
    } = narrowing;
    // Each name in its quotes, so that no part of another one is found.
    let quoted =
        |names: &[StepName]| Value::Texts(names.iter().map(|name| format!("\"{name}\"").into()).collect());
    let number = |number: Option<u64>| Value::Number(number.map(stored));
    let ms = took.map_or(Range::default(), |took| took.ms);
    [
        ("ids", ids.iter().map(|id| stored_id(*id)).collect::<Vec<_>>().into()),
        (
            "not_statuses",
            not_statuses.iter().map(|status| i64::from(status.number())).collect::<Vec<_>>().into(),
        ),
        ("instances", instances.any_of.iter().map(|code| code.as_str()).collect()),
        ("not_instances", instances.none_of.iter().map(|code| code.as_str()).collect()),
        ("jobs", jobs.any_of.iter().map(|name| name.as_str()).collect()),
        ("not_jobs", jobs.none_of.iter().map(|name| name.as_str()).collect()),
        ("types", types.any_of.iter().collect()),
        ("not_types", types.none_of.iter().collect()),
        ("connectors", connectors.any_of.iter().map(|code| code.as_str()).collect()),
        ("not_connectors", connectors.none_of.iter().map(|code| code.as_str()).collect()),
        ("users", users.any_of.iter().collect()),
        ("not_users", users.none_of.iter().collect()),
        ("steps", quoted(&steps.any_of)),
        ("not_steps", quoted(&steps.none_of)),
        ("warnings_min", number(warnings.min)),
        ("warnings_max", number(warnings.max)),
        ("took_min", number(ms.min)),
        ("took_max", number(ms.max)),
        ("took_now", Value::Number(took.map(|took| took.now.0))),
        ("restarted", Value::Number(is_restarted.map(i64::from))),
        (
            "text",
            Value::Text(text.as_ref().map(|text| escaped(&text.to_ascii_lowercase()).into_owned().into())),
        ),
        ("searched", Value::Number(Some(i64::from(SEARCHED_MAX) - 1))),
    ]
}

/// The executions of these rows, in their order, each with its steps.
pub(super) fn with_steps(executions: &[SqlRow], steps: &[SqlRow]) -> Outcome<Vec<JobExecution>> {
    let mut of: BTreeMap<i64, Vec<StepExecution>> = BTreeMap::new();
    for row in steps {
        let (id, step) = steps::step(row)?;
        of.entry(id).or_default().push(step);
    }
    let execution = |row: &SqlRow| {
        let record = ExecutionRecord::read(row)?;
        let steps = of.remove(&record.id).unwrap_or_default();
        Ok(record.into_execution(steps)?)
    };
    executions.iter().map(execution).collect()
}
