//! Job executions: looked up and listed.

use rusqlite::types::Value;
use rusqlite::{Connection as Db, Row as SqlRow, named_params, params_from_iter};
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    Ancestor, Choice, ExecutionFilter, ExecutionSummary, JobExecution, Narrowing, Range, Remains,
    SEARCHED_MAX, Took,
};
use stepbox_batch::name::{JobExecutionId, StepName, TenantId};
use stepbox_batch::ports::Listing;

use super::row::{fields, first};
use super::steps;
use super::trouble::{Outcome, listed};
use crate::record::execution::{
    COLUMNS, ExecutionRecord, Jobs, ancestor, columns_of_lists, not_found, standing as read_standing,
};
use crate::record::{Listed, json, stored, stored_id};

pub(super) const STANDING: &str =
    "SELECT status, stoppable, lease_expires_at, set_aside IS NOT NULL AS is_set_aside,
            partition_of IS NOT NULL AS is_part, stop_requested_at IS NOT NULL AS is_stopping,
            pause_requested_at IS NOT NULL AS is_pausing
     FROM job_executions WHERE tenant = :tenant AND id = :id";

/// The values of an execution that decide which requests are allowed. PostgreSQL locks the row here; SQLite lets
/// one process write at a time.
pub(super) fn standing(db: &Db, tenant: &str, id: i64) -> Outcome<Standing> {
    let mut statement = db.prepare_cached(STANDING)?;
    let rows = statement.query(named_params! {":tenant": tenant, ":id": id})?;
    first(rows, |row| read_standing(id, row))?.ok_or_else(|| not_found(id).into())
}

pub(super) fn get(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<JobExecution>> {
    let sql = format!("SELECT {COLUMNS} FROM job_executions e WHERE e.tenant = :tenant AND e.id = :id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)})?;
    let found = first(rows, |row| ExecutionRecord::read(row))?;
    found.map(|record| with_steps(db, tenant, record)).transpose()
}

/// The executions as lists show them. Contexts and checkpoints are not read.
pub(super) fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &ExecutionFilter,
) -> Outcome<Listing<ExecutionSummary>> {
    let (sql, values) = list_statement(tenant, filter);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut jobs) = (Listing::default(), Jobs::default());
    while let Some(row) = rows.next()? {
        let id = row.get("id")?;
        let summary = summary(db, tenant, row, &mut jobs);
        found.push(listed(Listed::numbered("execution", id), summary)?);
    }
    Ok(found)
}

fn summary(db: &Db, tenant: &TenantId, row: &SqlRow<'_>, jobs: &mut Jobs) -> Outcome<ExecutionSummary> {
    let record = ExecutionRecord::read(row)?;
    let steps = steps::shown(db, tenant, record.id)?;
    Ok(record.into_summary(steps, jobs)?)
}

/// The statement of a list, and its values.
///
/// The newest executions in several statuses are the newest of the newest in each status: SQLite reads as many of each
/// as the list may have, and not all of them.
pub(super) fn list_statement(tenant: &TenantId, filter: &ExecutionFilter) -> (String, Vec<Value>) {
    let (columns, limit, order) = (columns_of_lists(), limit(filter), order(filter));
    let (source, conditions, values) = match (index(filter), &filter.statuses[..]) {
        (BY_STATUS, [_, _, ..]) => {
            let any = ExecutionFilter { statuses: Vec::new(), ..filter.clone() };
            let (_, conditions, values) = conditions(tenant, &any);
            let of_status = |status: &BatchStatus| {
                format!(
                    "SELECT id FROM (
                         SELECT id FROM job_executions e INDEXED BY {BY_STATUS}
                         WHERE {conditions} AND status = {} ORDER BY id {order} LIMIT {limit})",
                    status.number()
                )
            };
            let of_each = filter.statuses.iter().map(of_status).collect::<Vec<_>>().join(" UNION ALL ");
            ("job_executions e".to_owned(), format!("tenant = ?1 AND id IN ({of_each})"), values)
        }
        _ => conditions(tenant, filter),
    };
    (format!("SELECT {columns} FROM {source} WHERE {conditions} ORDER BY id {order} LIMIT {limit}"), values)
}

/// The statement that counts the executions of a filter, up to a number.
pub(super) fn count_statement(tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> (String, Vec<Value>) {
    let (source, conditions, values) = conditions(tenant, filter);
    (format!("SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {conditions} LIMIT {max})"), values)
}

/// How many executions match, counted up to `max`.
pub(super) fn count(db: &Db, tenant: &TenantId, filter: &ExecutionFilter, max: u32) -> Outcome<u64> {
    let (sql, values) = count_statement(tenant, filter, max);
    let count: i64 = db.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// An execution continues an older one only, so a damaged number cannot lead in a circle.
pub(super) const ANCESTRY: &str = "WITH RECURSIVE line (id, started_at, restart_of) AS (
         SELECT id, started_at, restart_of FROM job_executions WHERE tenant = :tenant AND id = :id
         UNION ALL
         SELECT e.id, e.started_at, e.restart_of FROM line JOIN job_executions e
             ON e.tenant = :tenant AND e.id = line.restart_of AND line.restart_of < line.id)
     SELECT id, started_at, restart_of FROM line ORDER BY id DESC";

/// An execution and those that it continues.
pub(super) fn ancestry(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Vec<Ancestor>> {
    let mut statement = db.prepare_cached(ANCESTRY)?;
    let values = named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)};
    let mut rows = statement.query(values)?;
    let mut line = Vec::new();
    while let Some(row) = rows.next()? {
        line.push(ancestor(row)?);
    }
    Ok(line)
}

/// The readable rest of a damaged execution.
pub(super) fn remains(db: &Db, tenant: &TenantId, id: JobExecutionId) -> Outcome<Option<Remains>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM job_executions WHERE tenant = :tenant AND id = :id")?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": stored_id(id)})?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut remains = Remains { damage: Vec::new(), fields: fields(row, "")? };
    let whole = ExecutionRecord::read(row).and_then(|record| Ok(record.into_execution(Vec::new())?));
    remains
        .damage
        .extend(listed(Listed::numbered("execution", row.get("id")?), whole)?.err().map(|row| row.reason));
    steps::remains(db, tenant, stored_id(id), &mut remains)?;
    Ok(Some(remains))
}

/// The index of lists in a status.
const BY_STATUS: &str = "job_executions_by_status";
/// The index of all executions but parts. It has every column that a list is narrowed by.
const WHOLES: &str = "job_executions_wholes";

/// The index to use. It is named because SQLite does not know which values are rare, and would sometimes use the wrong
/// one. An index without a column that is asked for would have to read rows that are not wanted.
fn index(filter: &ExecutionFilter) -> &'static str {
    let ExecutionFilter { instance, job, statuses, narrowing, .. } = filter;
    let is_narrow = !Narrowing { is_restarted: None, ..narrowing.clone() }.is_all();
    // Few executions have not ended.
    let is_open = !statuses.is_empty() && statuses.iter().all(|status| !status.has_ended());
    match (is_narrow, instance, job, statuses.is_empty()) {
        (true, ..) if is_open => BY_STATUS,
        (true, ..) => WHOLES,
        (false, Some(_), ..) => "job_executions_by_instance",
        (false, None, Some(_), _) => "job_executions_by_job",
        (false, None, None, false) => BY_STATUS,
        (false, None, None, true) => WHOLES,
    }
}

/// The filter as SQL, in which parameter `?1` is the tenant: the table with the index to use, and the conditions.
pub(super) fn conditions(tenant: &TenantId, filter: &ExecutionFilter) -> (String, String, Vec<Value>) {
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
    let mut sql = Conditions { texts: vec!["partition_of IS NULL".to_owned()], values: Vec::new() };
    sql.add("tenant = ?", tenant.to_string());
    if let Some(code) = instance {
        sql.add("instance = ?", code.to_string());
    }
    if let Some(job) = job {
        sql.add("job_name = ?", job.to_string());
    }
    if !hidden.is_empty() {
        sql.add("instance NOT IN (SELECT value FROM json_each(?))", json(hidden));
    }
    if let Some(moment) = created_since {
        sql.add("created_at >= ?", moment.0);
    }
    if let Some(moment) = created_before {
        sql.add("created_at < ?", moment.0);
    }
    if let Some(id) = before {
        sql.add("id < ?", stored_id(*id));
    }
    if let Some(id) = after {
        sql.add("id > ?", stored_id(*id));
    }
    match statuses[..] {
        [] => {}
        [status] => sql.add("status = ?", i64::from(status.number())),
        _ => {
            let numbers: Vec<_> = statuses.iter().map(|status| status.number().to_string()).collect();
            sql.texts.push(format!("status IN ({})", numbers.join(", ")));
        }
    }
    sql.narrow(narrowing);
    (format!("job_executions e INDEXED BY {}", index(filter)), sql.texts.join(" AND "), sql.values)
}

/// Conditions and the values of their parameters.
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// The parameter that has this value.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// Adds a condition on one value, for which the `?` stands.
    fn add(&mut self, text: &str, value: impl Into<Value>) {
        let parameter = self.bind(value);
        self.texts.push(text.replace('?', &parameter));
    }

    /// Adds the conditions on a column that may be null.
    fn choose<T: serde::Serialize>(&mut self, column: &str, Choice { any_of, none_of }: &Choice<T>) {
        const LIST: &str = "IN (SELECT value FROM json_each(?))";
        if !any_of.is_empty() {
            self.add(&format!("{column} {LIST}"), json(any_of));
        }
        if !none_of.is_empty() {
            self.add(&format!("({column} IS NULL OR {column} NOT {LIST})"), json(none_of));
        }
    }

    fn range(&mut self, what: &str, Range { min, max }: Range) {
        if let Some(min) = min {
            self.add(&format!("{what} >= ?"), stored(min));
        }
        if let Some(max) = max {
            self.add(&format!("{what} <= ?"), stored(max));
        }
    }

    fn narrow(&mut self, narrowing: &Narrowing) {
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
        if !ids.is_empty() {
            let ids: Vec<_> = ids.iter().map(|id| stored_id(*id)).collect();
            self.add("id IN (SELECT value FROM json_each(?))", json(&ids));
        }
        if !not_statuses.is_empty() {
            let numbers: Vec<_> = not_statuses.iter().map(|status| status.number().to_string()).collect();
            self.texts.push(format!("status NOT IN ({})", numbers.join(", ")));
        }
        self.choose("instance", instances);
        self.choose("job_name", jobs);
        self.choose("job_type", types);
        self.choose("connector", connectors);
        self.choose("user_name", users);
        for (names, not) in [(&steps.any_of, ""), (&steps.none_of, "NOT ")] {
            if !names.is_empty() {
                // Each name in its quotes, so that no part of another one is found.
                let has = |name: &StepName| format!("instr(step_names, {}) > 0", self.bind(json(name)));
                let has_any = names.iter().map(has).collect::<Vec<_>>().join(" OR ");
                self.texts.push(format!("{not}({has_any})"));
            }
        }
        self.range("warning_count", *warnings);
        if let Some(Took { ms, now }) = took.filter(|took| took.ms.min.is_some() || took.ms.max.is_some()) {
            let took = format!("coalesce(ended_at, {}) - started_at", self.bind(now.0));
            for (sign, bound) in [(">=", ms.min), ("<=", ms.max)] {
                if let Some(bound) = bound {
                    let bound = self.bind(stored(bound));
                    self.texts.push(format!("{took} {sign} {bound}"));
                }
            }
        }
        if let Some(is_restarted) = is_restarted {
            let not = if *is_restarted { "" } else { "NOT " };
            self.texts.push(format!(
                "{not}EXISTS (SELECT 1 FROM job_executions n INDEXED BY job_executions_by_restart
                     WHERE n.tenant = ?1 AND n.restart_of = e.id)"
            ));
        }
        if let Some(text) = text {
            let text = self.bind(text.to_ascii_lowercase());
            // The codes that executions have, also those of instances that are gone, one look at the index for each.
            let next = |beyond: &str| {
                format!(
                    "SELECT min(f.instance) FROM job_executions f INDEXED BY job_executions_by_instance
                     WHERE f.tenant = ?1 AND f.partition_of IS NULL{beyond}"
                )
            };
            let (first, next) = (next(""), next(" AND f.instance > c.code"));
            self.texts.push(format!(
                "instance IN (
                     WITH RECURSIVE c (code) AS (
                         SELECT ({first}) UNION ALL SELECT ({next}) FROM c WHERE c.code IS NOT NULL)
                     SELECT c.code FROM c WHERE instr(lower(c.code), {text}) > 0
                     UNION ALL
                     SELECT i.code FROM job_instances i WHERE i.tenant = ?1 AND instr(lower(i.label), {text}) > 0)"
            ));
            self.texts.push(format!(
                "id >= coalesce((SELECT w.id FROM job_executions w INDEXED BY {WHOLES}
                     WHERE w.tenant = ?1 AND w.partition_of IS NULL ORDER BY w.id DESC LIMIT 1 OFFSET {}), 0)",
                SEARCHED_MAX - 1
            ));
        }
    }
}

/// Lists are newest first, unless the filter says otherwise.
fn order(filter: &ExecutionFilter) -> &'static str {
    if filter.is_oldest_first { "ASC" } else { "DESC" }
}

/// For SQLite, a negative limit means all.
pub(super) fn limit(filter: &ExecutionFilter) -> i64 {
    if filter.limit == 0 { -1 } else { filter.limit.into() }
}

pub(super) fn with_steps(db: &Db, tenant: &TenantId, record: ExecutionRecord) -> Outcome<JobExecution> {
    let steps = steps::of(db, tenant, record.id)?;
    Ok(record.into_execution(steps)?)
}
