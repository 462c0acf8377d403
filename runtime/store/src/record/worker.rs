//! A row of `workers`.

use serde::{Deserialize, Serialize};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::QueueFilter;
use stepbox_batch::ports::Result;
use stepbox_batch::worker::{Held, Worker};

use super::columns::Columns;
use super::{Row, json};

/// How long a silent worker stays listed, in milliseconds: a day.
pub(crate) const FORGOTTEN_MS: i64 = 24 * 3_600_000;

/// A worker as columns hold it.
#[derive(Debug, Clone)]
pub(crate) struct WorkerRecord {
    pub name: String,
    pub started_at: i64,
    pub seen_at: i64,
    pub concurrency: i64,
    pub is_stopping: bool,
    pub takes: String,
    pub clock_skew_ms: Option<i64>,
}

/// The JSON in `takes`. An empty list means all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TakesForm {
    tenants: Vec<String>,
    jobs: Vec<String>,
    types: Vec<String>,
}

impl From<&Worker> for WorkerRecord {
    fn from(worker: &Worker) -> Self {
        let takes = TakesForm {
            tenants: worker.tenants.iter().map(ToString::to_string).collect(),
            jobs: worker.filter.jobs.iter().map(ToString::to_string).collect(),
            types: worker.filter.types.clone(),
        };
        Self {
            name: worker.name.clone(),
            started_at: worker.started_at.0,
            seen_at: worker.seen_at.0,
            concurrency: worker.concurrency.into(),
            is_stopping: worker.is_stopping,
            takes: json(&takes),
            clock_skew_ms: worker.clock_skew_ms,
        }
    }
}

/// Every column of [`WorkerRecord`].
pub(crate) const COLUMNS: &str = "name, started_at, seen_at, concurrency, is_stopping, takes, clock_skew_ms";

impl WorkerRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            name: row.text("name")?,
            started_at: row.number("started_at")?,
            seen_at: row.number("seen_at")?,
            concurrency: row.number("concurrency")?,
            is_stopping: row.flag("is_stopping")?,
            takes: row.text("takes")?,
            clock_skew_ms: row.maybe_number("clock_skew_ms")?,
        })
    }

    pub(crate) fn into_worker(self) -> Result<Worker> {
        let row = Row(format!("worker `{}`", self.name));
        let takes: TakesForm = row.json("takes", &self.takes)?;
        let jobs = takes.jobs.into_iter().map(|job| row.name("takes", job)).collect::<Result<_>>()?;
        let tenants = takes.tenants.into_iter().map(|tenant| row.name("takes", tenant));
        Ok(Worker {
            started_at: Timestamp(self.started_at),
            seen_at: Timestamp(self.seen_at),
            concurrency: row.count("concurrency", self.concurrency)?,
            is_stopping: self.is_stopping,
            clock_skew_ms: self.clock_skew_ms,
            filter: QueueFilter { jobs, types: takes.types },
            tenants: tenants.collect::<Result<_>>()?,
            name: self.name,
        })
    }
}

/// An execution that a worker runs: `worker`, `tenant`, `id` and `instance`.
pub(crate) fn held<C: Columns>(row: &C) -> std::result::Result<Held, C::Error> {
    let id = row.number("id")?;
    let name = Row(format!("execution {id}"));
    Ok(Held {
        worker: row.text("worker")?,
        tenant: name.name("tenant", row.text("tenant")?)?,
        id: name.id("id", id)?,
        instance: name.name("instance", row.text("instance")?)?,
    })
}
