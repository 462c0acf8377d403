//! The saves of workers. All saves that wait when a connection becomes free are committed together.
//!
//! A commit costs the server one wait for its disk (4 ms on an ordinary disk), however large it is. So saves
//! collect while a few connections are busy, and are sent as one transaction per connection: all statements one
//! after the other, and one wait for all of them. Each save is one statement that changes nothing if the lease is
//! lost, so a refused save does not affect the others.
//!
//! A save that is made twice has the same effect as one. So if a connection breaks and the outcome is unknown, the
//! save is tried again on another connection, for some seconds: a restart of the server does not fail a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::standing::Standing;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::flow::Requests;
use stepbox_batch::ports::{RepositoryError, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::connection::Db;
use super::leases::{HELD, lost};
use super::outbox::INSERT;
use super::pool::Connections;
use super::session::Session;
use super::steps;
use super::trouble::{Outcome, Remedy, Trouble};
use super::value::{Value, named};
use crate::numbers::{paused, waiting};
use crate::record::Row;
use crate::record::columns::Columns;
use crate::record::event::NewEvent;
use crate::record::execution::StateRecord;
use crate::save::{LeaseRecord, SaveRecord};

/// How many saves share a transaction at most, so that each gets its answer soon.
const TOGETHER_MAX: usize = 64;
/// How many transactions are in progress at most: one waits for the disk while the next one is sent.
const LANES: usize = 6;
/// How long to wait before a broken connection is replaced, in milliseconds: at first, and at most.
const PAUSE_MS: (u64, u64) = (50, 1000);

/// A save that waits for its turn.
#[derive(Debug)]
struct Pending {
    lease: LeaseRecord,
    save: SaveRecord,
    /// Increases with each save of this process.
    number: i64,
    caller: oneshot::Sender<Result<()>>,
}

/// Takes saves. A save that was handed in is made even if its caller does not wait any more.
#[derive(Debug)]
pub(super) struct Desk {
    requests: mpsc::UnboundedSender<Pending>,
    store: Arc<str>,
    #[cfg(test)]
    commits: Arc<AtomicU64>,
}

impl Desk {
    pub(super) fn open(connections: Connections, store: Arc<str>, patience: Duration) -> Self {
        let (requests, incoming) = mpsc::unbounded_channel();
        let commits = Arc::new(AtomicU64::new(0));
        let lane = Lane { connections, store: store.clone(), patience, commits: commits.clone() };
        tokio::spawn(serve(incoming, lane));
        Self {
            requests,
            store,
            #[cfg(test)]
            commits,
        }
    }

    pub(super) async fn save(&self, lease: LeaseRecord, save: SaveRecord) -> Result<()> {
        let (caller, answer) = oneshot::channel();
        let pending = Pending { lease, save, number: next_number(), caller };
        let gone = || Trouble::Unfit("this program is about to end".to_owned()).explain(&self.store);
        self.requests.send(pending).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How many transactions with saves were committed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

/// A number that is larger than all numbers of this process, and larger than those of processes that ended before.
fn next_number() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_micros()).unwrap_or(0);
    let next = |last: i64| Some(now.max(last + 1));
    match LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
        Ok(last) | Err(last) => now.max(last + 1),
    }
}

async fn serve(mut incoming: mpsc::UnboundedReceiver<Pending>, lane: Lane) {
    let free = Arc::new(Semaphore::new(LANES));
    while let Some(first) = incoming.recv().await {
        let Ok(permit) = free.clone().acquire_owned().await else { break };
        let mut together = vec![first];
        while together.len() < TOGETHER_MAX
            && let Ok(next) = incoming.try_recv()
        {
            together.push(next);
        }
        // Two transactions that touch the same rows must do so in the same order.
        together.sort_by(|a, b| (&a.lease.tenant, a.lease.id).cmp(&(&b.lease.tenant, b.lease.id)));
        let lane = lane.clone();
        tokio::spawn(async move {
            lane.settle(together).await;
            drop(permit);
        });
    }
}

/// Commits saves.
#[derive(Debug, Clone)]
struct Lane {
    connections: Connections,
    store: Arc<str>,
    /// For how long a save is tried again.
    patience: Duration,
    commits: Arc<AtomicU64>,
}

/// The outcome of a save.
enum Fate {
    Done,
    /// The lease was lost, or the status may not follow the stored one.
    Refused,
}

impl Lane {
    /// Commits saves together. If that fails, commits each alone, so that a save that does not fit on the disk does
    /// not fail the others.
    async fn settle(&self, together: Vec<Pending>) {
        match self.patiently(&together).await {
            Ok(fates) => {
                for (pending, fate) in together.into_iter().zip(fates) {
                    let _ = pending.caller.send(fate);
                }
            }
            Err(trouble) if together.len() > 1 && trouble.remedy() != Remedy::Reconnect => {
                for pending in together {
                    let alone = std::slice::from_ref(&pending);
                    let answer = self.patiently(alone).await;
                    let answer = answer.map_err(|trouble| trouble.explain(&self.store));
                    let _ = pending.caller.send(answer.and_then(|mut fates| fates.remove(0)));
                }
            }
            Err(trouble) => {
                let error = trouble.explain(&self.store);
                for pending in together {
                    let _ = pending.caller.send(Err(again(&error)));
                }
            }
        }
    }

    /// Commits saves. Tries again while there is no connection.
    async fn patiently(&self, together: &[Pending]) -> Outcome<Vec<Result<()>>> {
        let end = Instant::now() + self.patience;
        let (mut pause, mut repeats, mut is_again) = (PAUSE_MS.0, 0, false);
        loop {
            let trouble = match self.commit(together, is_again).await {
                Ok(answers) => return Ok(answers),
                Err(trouble) => trouble,
            };
            match trouble.remedy() {
                Remedy::Repeat if repeats < REPEATS_MAX => repeats += 1,
                Remedy::Reconnect if Instant::now() < end => {
                    is_again = true;
                    sleep(Duration::from_millis(pause)).await;
                    pause = (pause * 2).min(PAUSE_MS.1);
                }
                _ => return Err(trouble),
            }
        }
    }

    async fn commit(&self, together: &[Pending], is_again: bool) -> Outcome<Vec<Result<()>>> {
        let session = self.connections.get().await?;
        let fates = match together {
            [alone] => vec![save(&session, alone).await?],
            _ => save_all(&session, together).await?,
        };
        self.commits.fetch_add(1, Ordering::Relaxed);
        let mut answers = Vec::new();
        for (pending, fate) in together.iter().zip(fates) {
            answers.push(match fate {
                Fate::Done => Ok(()),
                Fate::Refused => self.reason(&session, pending, is_again).await?,
            });
        }
        session.give_back();
        Ok(answers)
    }

    async fn reason(&self, session: &Session, pending: &Pending, is_again: bool) -> Outcome<Result<()>> {
        match why(session, pending, is_again).await {
            Ok(()) => Ok(Ok(())),
            Err(Trouble::Repository(refusal)) => Ok(Err(refusal)),
            Err(trouble) => Err(trouble),
        }
    }
}

/// How often work is repeated if other transactions were in the way.
pub(super) const REPEATS_MAX: u32 = 10;

/// A copy of the error for another caller.
fn again(error: &RepositoryError) -> RepositoryError {
    match error {
        RepositoryError::Busy { detail } => RepositoryError::Busy { detail: detail.clone() },
        RepositoryError::NewerVersion { store, found, known } => {
            RepositoryError::NewerVersion { store: store.clone(), found: *found, known: *known }
        }
        RepositoryError::Refused { store, detail } => {
            RepositoryError::Refused { store: store.clone(), detail: detail.clone() }
        }
        RepositoryError::Unavailable { store, detail } => {
            RepositoryError::Unavailable { store: store.clone(), detail: detail.clone() }
        }
        other => RepositoryError::Unavailable { store: "PostgreSQL".to_owned(), detail: other.to_string() },
    }
}

async fn save(db: &Db, pending: &Pending) -> Outcome<Fate> {
    let (sql, values) = statement(&pending.lease, &pending.save, pending.number);
    let row = db.row(&sql, &values).await?;
    Ok(if row.is_some() { Fate::Done } else { Fate::Refused })
}

/// Makes all saves in one transaction and one round trip.
async fn save_all(db: &Db, together: &[Pending]) -> Outcome<Vec<Fate>> {
    let statements: Vec<_> =
        together.iter().map(|one| statement(&one.lease, &one.save, one.number)).collect();
    db.prepare_all(statements.iter().map(|(sql, values)| (sql.as_str(), &values[..]))).await?;
    let saves = statements.iter().map(|(sql, values)| db.row(sql, values));
    let (_, rows, _) = tokio::try_join!(
        biased;
        db.run("BEGIN"),
        async { join_all(saves).await.into_iter().collect::<Outcome<Vec<_>>>() },
        db.run("COMMIT"),
    )?;
    Ok(rows.into_iter().map(|row| if row.is_some() { Fate::Done } else { Fate::Refused }).collect())
}

/// Why a save was refused. A last save gives the lease back; if it is tried again, it may find that the first
/// attempt succeeded.
async fn why(db: &Db, pending: &Pending, is_again: bool) -> Outcome<()> {
    let Pending { lease, save, .. } = pending;
    let sql = "SELECT status, stoppable, lease_token, lease_expires_at, updated_at FROM job_executions
               WHERE tenant = :tenant AND id = :id";
    let values = named! {"tenant": &lease.tenant, "id": lease.id};
    let Some(found) = db.row(sql, &values).await? else { return Err(lost(lease).into()) };
    let row = Row(format!("execution {}", lease.id));
    let status = row.status(found.number("status")?)?;
    let is_mine = found.number("lease_token")? == lease.token;
    match (is_mine, found.maybe_number("lease_expires_at")?.is_some(), &save.execution) {
        (true, true, Some((next, _))) => {
            let stoppable = found.flag("stoppable")?;
            let standing = Standing {
                id: row.id("id", lease.id)?,
                status,
                stoppable,
                lease_expires_at: None,
                is_set_aside: false,
                is_part: false,
                requests: Requests::default(),
            };
            standing.become_status(*next)?;
            // The status may follow by now, so another worker has changed it in between.
            Err(lost(lease).into())
        }
        (true, false, Some((next, state))) if is_again && save.is_last => {
            let is_so =
                status == *next && Timestamp(found.number("updated_at")?) == Timestamp(state.updated_at);
            if is_so { Ok(()) } else { Err(lost(lease).into()) }
        }
        (true, false, None) if is_again && save.is_last => Ok(()),
        _ => Err(lost(lease).into()),
    }
}

/// A save as one statement.
///
/// The statement returns a row if the lease is held and the status may follow. Only parts that have something to
/// write are included, so each combination of parts is a statement of its own, prepared once.
pub(super) fn statement<'a>(
    lease: &'a LeaseRecord,
    save: &'a SaveRecord,
    number: i64,
) -> (String, Vec<(&'static str, Value<'a>)>) {
    let mut values = Vec::from(named! {"tenant": &lease.tenant, "id": lease.id, "token": lease.token});
    let mut sql = execution(save, &mut values);
    if let Some(step) = &save.step {
        let [insert, columns, on_conflict] = steps::PUT;
        sql.push_str(", step AS (");
        sql.extend([insert, "held.tenant, held.id", columns, " FROM held", on_conflict, ")"]);
        values.extend(steps::values(step));
    }
    if !save.warnings.is_empty() {
        sql.push_str(WARNINGS);
        let all = |part: fn(&crate::record::step::WarningRecord) -> &String| {
            save.warnings.iter().map(part).collect::<Value<'_>>()
        };
        values.push(("save_number", number.into()));
        values.push(("warning_steps", all(|warning| &warning.step)));
        values.push(("warning_codes", all(|warning| &warning.code)));
        values.push(("warning_reasons", all(|warning| &warning.reason)));
        values.push(("warning_places", all(|warning| &warning.place)));
        values.push(("warning_items", all(|warning| &warning.item)));
    }
    if save.is_last {
        sql.push_str(LET_GO);
    }
    sql.push_str(&events(save, &mut values));
    sql.push_str(" SELECT FROM held");
    (sql, values)
}

/// The execution's own row: changed or, if there is nothing to change, locked.
fn execution<'a>(save: &'a SaveRecord, values: &mut Vec<(&'static str, Value<'a>)>) -> String {
    let mut changes = Vec::new();
    let mut may_follow = "";
    if let Some((next, state)) = &save.execution {
        let StateRecord { status, exit_code, exit_description, started_at, ended_at, updated_at, failures } =
            state;
        changes.push(
            "status = :status, exit_code = :exit_code, exit_description = :exit_description,
             started_at = :started_at, ended_at = :ended_at, updated_at = :updated_at, failures = :failures",
        );
        may_follow = " AND status = ANY(:from)";
        values.extend(named! {
            "status": *status, "exit_code": exit_code, "exit_description": exit_description,
            "started_at": *started_at, "ended_at": *ended_at, "updated_at": *updated_at,
            "failures": failures, "from": from(*next),
        });
    }
    if let Some(context) = &save.context {
        changes.push("context = :context");
        values.push(("context", context.into()));
    }
    if save.is_last {
        changes.push("lease_expires_at = NULL");
    }
    let columns = "tenant, id, ended_at, updated_at, pause_requested_at";
    match changes.is_empty() {
        true => format!("WITH held AS (SELECT {columns} FROM job_executions WHERE {HELD} FOR NO KEY UPDATE)"),
        false => format!(
            "WITH held AS (UPDATE job_executions SET {} WHERE {HELD}{may_follow} RETURNING {columns})",
            changes.join(", ")
        ),
    }
}

/// The events of a save, those of the step first: one statement gives them their order.
///
/// The stored row decides whether others see a change, so a repeated save makes no second event. Most saves, such
/// as checkpoints, have no events in their statements.
fn events(save: &SaveRecord, values: &mut Vec<(&'static str, Value<'_>)>) -> String {
    let mut rows = Vec::new();
    if let Some(step) = save.step.as_ref().filter(|step| step.ended_at.is_some()) {
        let event = NewEvent::step_ended(0, step.position, step.status, step.updated_at);
        values.push(("step_event", event.kind.into()));
        rows.push(
            "SELECT held.tenant, held.id, CAST(:step_updated_at AS BIGINT) AS at,
                    CAST(:step_event AS BIGINT) AS kind, CAST(:step_status AS BIGINT) AS status,
                    CAST(:step_position AS BIGINT) AS position
             FROM held WHERE NOT EXISTS (
                 SELECT FROM step_executions WHERE tenant = :tenant AND execution_id = :id
                   AND position = :step_position AND ended_at IS NOT NULL)",
        );
    }
    let moved =
        save.execution.as_ref().and_then(|(next, state)| NewEvent::of_status(0, *next, state.updated_at));
    if let Some(event) = moved {
        values.extend(named! {"event": event.kind, "event_status": event.status});
        rows.push(
            "SELECT held.tenant, held.id, CAST(:updated_at AS BIGINT), CAST(:event AS BIGINT),
                    CAST(:event_status AS BIGINT), CAST(NULL AS BIGINT)
             FROM held WHERE NOT EXISTS (
                 SELECT FROM job_executions WHERE tenant = :tenant AND id = :id AND status = :status)",
        );
    }
    match rows.is_empty() {
        true => String::new(),
        false => format!(", events AS ({INSERT} {})", rows.join(" UNION ALL ")),
    }
}

/// The statuses from which a status may follow, including itself.
fn from(next: BatchStatus) -> Vec<i64> {
    let before = BatchStatus::ALL.into_iter().filter(|before| *before == next || before.may_become(next));
    before.map(|before| before.number().into()).collect()
}

const WARNINGS: &str = ", warnings AS (
    INSERT INTO warnings
        (tenant, execution_id, lease_token, save_number, number, step, code, reason, place, item)
    SELECT held.tenant, held.id, :token, :save_number, w.number, w.step, w.code, w.reason, w.place, w.item
    FROM held, unnest(CAST(:warning_steps AS TEXT[]), CAST(:warning_codes AS TEXT[]),
                      CAST(:warning_reasons AS TEXT[]), CAST(:warning_places AS TEXT[]),
                      CAST(:warning_items AS TEXT[]))
         WITH ORDINALITY AS w (step, code, reason, place, item, number)
    ON CONFLICT DO NOTHING)";

/// Releases the entry of an execution that no worker holds any more. It is deleted if the execution has ended. Else it
/// waits for the next worker or, after a pause request, until the execution is resumed.
const LET_GO: &str = concat!(
    ", gone AS (
        DELETE FROM queue_entries WHERE tenant = :tenant AND execution_id = :id
           AND EXISTS (SELECT FROM held WHERE ended_at IS NOT NULL)),
    waits AS (
        UPDATE queue_entries SET state = (
            SELECT CASE WHEN pause_requested_at IS NULL THEN ",
    waiting!(),
    " ELSE ",
    paused!(),
    " END FROM held), available_at = (SELECT updated_at FROM held)
        WHERE tenant = :tenant AND execution_id = :id AND EXISTS (SELECT FROM held WHERE ended_at IS NULL))"
);
