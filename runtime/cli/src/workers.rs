//! `stepbox workers`: the processes that take executions from the queue.

use stepbox_api::worker::{Worker, WorkerState};

use crate::args::queue::Workers;
use crate::error::CliError;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::words::skew;
use crate::output::{Answer, talk};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Workers) -> Result<Answer, CliError> {
    let Workers::List { all, format } = verb;
    let mut workers = site.workers().await?;
    workers.retain(|row| all || row.whole().is_none_or(|worker| worker.state != WorkerState::Lost));
    if workers.is_empty() {
        talk("no worker lives; `stepbox worker` starts one");
    }
    Ok(list::answer(format.format, &workers, table))
}

fn table(workers: &[&Worker]) -> Table {
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
    Table::of(columns, workers, |worker| {
        let runs = worker.running.iter().map(|held| format!("{} {}", held.execution, held.instance));
        let runs: Vec<_> = runs.collect();
        [
            worker.name.clone(),
            worker.state.to_string(),
            worker.concurrency.to_string(),
            takes(worker),
            worker.started_at.clone(),
            worker.seen_at.clone(),
            clock(worker),
            if runs.is_empty() { "-".to_owned() } else { runs.join(", ") },
        ]
    })
}

/// The difference between the clock of its machine and the store's.
fn clock(worker: &Worker) -> String {
    match worker.clock_skew_ms {
        None => "-".to_owned(),
        Some(ms) if ms.unsigned_abs() < 1000 => "right".to_owned(),
        Some(ms) => format!("{} the store's", skew(ms)),
    }
}

fn takes(worker: &Worker) -> String {
    let mut parts = Vec::new();
    parts.extend((!worker.jobs.is_empty()).then(|| format!("jobs {}", worker.jobs.join(", "))));
    parts.extend((!worker.types.is_empty()).then(|| format!("types {}", worker.types.join(", "))));
    parts.extend((!worker.tenants.is_empty()).then(|| format!("tenants {}", worker.tenants.join(", "))));
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}
