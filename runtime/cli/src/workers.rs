//! `stepbox workers`: the processes that take executions from the queue.

use stepbox::{Stepbox, WorkerStatus};
use stepbox_api::worker::Worker;

use crate::args::queue::Workers;
use crate::error::CliError;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::words::skew;
use crate::output::{Answer, talk};

pub(crate) async fn carry_out(stepbox: &Stepbox, verb: Workers) -> Result<Answer, CliError> {
    let Workers::List { all, format } = verb;
    let mut workers = stepbox.workers().await?;
    workers.items.retain(|worker| all || worker.is_alive);
    if workers.rows() == 0 {
        talk("no worker lives; `stepbox worker` starts one");
    }
    Ok(list::answer(format.format, &workers, table, Worker::of))
}

fn table(workers: &[WorkerStatus]) -> Table {
    let columns = [
        Column::Left("worker"),
        Column::Left("state"),
        Column::Right("concurrency"),
        Column::Left("takes"),
        Column::Left("started"),
        Column::Left("last seen"),
        Column::Left("clock"),
        Column::Left("runs"),
    ];
    Table::of(columns, workers, |status| {
        let runs: Vec<_> =
            status.running.iter().map(|held| format!("{} {}", held.id, held.instance)).collect();
        [
            status.worker.name.clone(),
            status.state().to_string(),
            status.worker.concurrency.to_string(),
            takes(status),
            status.worker.started_at.to_string(),
            status.worker.seen_at.to_string(),
            clock(status),
            if runs.is_empty() { "-".to_owned() } else { runs.join(", ") },
        ]
    })
}

/// The difference between the clock of its machine and the store's.
fn clock(status: &WorkerStatus) -> String {
    match status.worker.clock_skew_ms {
        None => "-".to_owned(),
        Some(ms) if ms.unsigned_abs() < 1000 => "right".to_owned(),
        Some(ms) => format!("{} the store's", skew(ms)),
    }
}

fn takes(status: &WorkerStatus) -> String {
    let filter = &status.worker.filter;
    let mut parts = Vec::new();
    parts.extend((!filter.jobs.is_empty()).then(|| {
        let jobs: Vec<_> = filter.jobs.iter().map(ToString::to_string).collect();
        format!("jobs {}", jobs.join(", "))
    }));
    parts.extend((!filter.types.is_empty()).then(|| format!("types {}", filter.types.join(", "))));
    let tenants: Vec<_> = status.worker.tenants.iter().map(ToString::to_string).collect();
    parts.extend((!tenants.is_empty()).then(|| format!("tenants {}", tenants.join(", "))));
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}
