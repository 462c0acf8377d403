//! The queue and its workers.

use serde::Serialize;
use stepbox::batch::queue::{Held, QueueEntry};
use stepbox::{Published, WorkerStatus};

use crate::output::words;
use crate::workers::state;

/// What became of the wish to publish.
#[derive(Debug, Serialize)]
pub(crate) struct PublishedView {
    id: u64,
    was_there: bool,
}

impl PublishedView {
    pub(crate) fn of(published: Published) -> Self {
        Self { id: published.id().0, was_there: matches!(published, Published::ThereAlready(_)) }
    }
}

/// An execution's place in the queue.
#[derive(Debug, Serialize)]
pub(crate) struct QueueEntryView {
    state: &'static str,
    priority: i16,
    available_at: String,
    losses: u32,
    attempts_max: u32,
}

impl QueueEntryView {
    pub(super) fn of(entry: &QueueEntry) -> Self {
        let QueueEntry { state, priority, available_at, losses, attempts_max } = *entry;
        let (state, available_at) = (state.as_str(), words::moment(available_at));
        Self { state, priority, available_at, losses, attempts_max }
    }
}

/// A worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerView {
    name: String,
    state: &'static str,
    concurrency: u32,
    jobs: Vec<String>,
    types: Vec<String>,
    tenants: Vec<String>,
    started_at: String,
    seen_at: String,
    clock_skew_ms: Option<i64>,
    running: Vec<HeldView>,
}

/// What a worker runs.
#[derive(Debug, Serialize)]
struct HeldView {
    tenant: String,
    execution: u64,
    instance: String,
}

impl WorkerView {
    pub(crate) fn of(status: &WorkerStatus) -> Self {
        let worker = &status.worker;
        let held = |held: &Held| HeldView {
            tenant: held.tenant.to_string(),
            execution: held.id.0,
            instance: held.instance.to_string(),
        };
        Self {
            name: worker.name.clone(),
            state: state(status),
            concurrency: worker.concurrency,
            jobs: worker.filter.jobs.iter().map(ToString::to_string).collect(),
            types: worker.filter.types.clone(),
            tenants: worker.tenants.iter().map(ToString::to_string).collect(),
            started_at: words::moment(worker.started_at),
            seen_at: words::moment(worker.seen_at),
            clock_skew_ms: worker.clock_skew_ms,
            running: status.running.iter().map(held).collect(),
        }
    }
}
