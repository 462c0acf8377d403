//! The workers that may take executions of a tenant, and its queue.

use maud::{Markup, html};
use stepbox_api::execution::Execution;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::queue::{QueueEntry, QueueState};
use stepbox_api::tenant::QueueDepths;
use stepbox_api::worker::{RunningExecution, Worker, WorkerState};

use crate::blocks::{column, head, number_column, own, section, state, table, warning};
use crate::frame::Frame;
use crate::icons::icon;
use crate::list::none;

/// What the page shows.
#[derive(Debug)]
pub struct Work {
    /// The workers.
    pub workers: Vec<Row<Worker>>,
    /// How many entries are in the queue.
    pub depths: QueueDepths,
    /// From when on the oldest waiting entry could be claimed.
    pub oldest: Option<String>,
    /// The first entries of the queue, in the order in which they begin.
    pub queue: Vec<Queued>,
}

/// An execution in the queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The execution.
    pub execution: Execution,
    /// Its place.
    pub entry: QueueEntry,
}

impl Work {
    fn living(&self) -> impl Iterator<Item = &Worker> {
        let known = self.workers.iter().filter_map(Row::whole);
        known.filter(|worker| worker.state == WorkerState::Working)
    }

    /// How many executions can run at a time.
    pub fn slots(&self) -> u64 {
        self.living().map(|worker| u64::from(worker.concurrency)).sum()
    }

    /// The types of jobs that wait although no worker takes them, with how many of the first entries wait so.
    pub fn waits_for_nobody(&self) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for Queued { execution, entry } in &self.queue {
            let is_due = entry.state == QueueState::Waiting;
            if !is_due || self.living().any(|worker| takes(worker, execution)) {
                continue;
            }
            match found.iter_mut().find(|(kind, _)| *kind == execution.r#type) {
                Some((_, count)) => *count += 1,
                None => found.push((execution.r#type.clone(), 1)),
            }
        }
        found
    }
}

/// Whether a worker takes executions of that job.
fn takes(worker: &Worker, execution: &Execution) -> bool {
    (worker.jobs.is_empty() || worker.jobs.contains(&execution.job))
        && (worker.types.is_empty() || worker.types.contains(&execution.r#type))
}

/// The page.
pub fn show(frame: &Frame, work: &Work) -> Markup {
    html! {
        (head(&html! { "Workers and queue" }, &html! {}, &live_switch()))
        (figures(frame, work))
        (for_nobody(work))
        (section("who", &html! { "Workers" }, &html! {}, &workers(frame, work)))
        (section("queue", &html! { "Queue" }, &html! { span.muted { "in the order in which they begin" } }, &queue(frame, work)))
    }
}

/// The switch of live updates.
pub(super) fn live_switch() -> Markup {
    html! {
        button.button.needs-script type="button" aria-pressed="true" data-live-switch aria-keyshortcuts="r" { (icon("i-live")) "Live" }
    }
}

/// The numbers at the head of the page. A live part.
pub fn figures(frame: &Frame, work: &Work) -> Markup {
    let reader = &frame.reader;
    let shown = html! {
        div { dt { "Waiting" } dd { (reader.number(work.depths.waiting)) } }
        @if let Some(oldest) = work.oldest.as_deref().and_then(|oldest| reader.took(oldest, None)) {
            div { dt { "The oldest waits for" } dd { (oldest) } }
        }
        div { dt { "Delayed" } dd { (reader.number(work.depths.delayed)) } }
        div { dt { "Running" } dd { (reader.number(work.depths.claimed)) " " small { "of " (reader.number(work.slots())) " slots of all workers" } } }
    };
    let said = format!("{} waiting, {} running", work.depths.waiting, work.depths.claimed);
    html! {
        dl.figures #work-figures data-live data-title={ "(" (work.depths.waiting) ") Workers and queue · Stepbox" } data-said=(said) { (shown) }
    }
}

/// What waits although no worker takes it. A live part.
pub fn for_nobody(work: &Work) -> Markup {
    let found = work.waits_for_nobody();
    html! {
        div #work-for-nobody data-live {
            @for (kind, count) in &found {
                div.note.warn {
                    h2 { (warning(&html! { "No worker takes jobs of type " code { (own(kind)) } })) }
                    p { (count) " of the first in the queue wait for one. Start a worker without " code { "--types" } ", or with " code { "--types " (own(kind)) } "." }
                }
            }
        }
    }
}

/// The workers and what each runs. A live part.
pub fn workers(frame: &Frame, work: &Work) -> Markup {
    let columns = html! {
        (column("Worker")) (column("State")) (column("Slots")) (column("Runs")) (column("Takes")) (column("Heard of")) (column("Since"))
    };
    let rows = html! { @for row in &work.workers { (worker_row(frame, row)) } };
    html! {
        div #work-workers data-live {
            @if work.workers.is_empty() {
                (none("No worker listens. What is put into the queue waits until one does:"))
                pre.shell tabindex="0" aria-label="Command" { "stepbox worker --concurrency 4" }
            } @else {
                (table("Workers and what each runs", &columns, &rows))
            }
        }
    }
}

fn worker_row(frame: &Frame, row: &Row<Worker>) -> Markup {
    let worker = match row {
        Row::Whole(worker) => worker,
        Row::Damaged(DamagedRow { name, damaged, .. }) => {
            return html! {
                tr { th.title scope="row" { (own(name)) } td.wide colspan="6" { (warning(&html! { "damaged: " (own(damaged)) })) } }
            };
        }
    };
    let running = worker.running.len();
    html! {
        tr {
            th.title scope="row" { (own(&worker.name)) }
            td data-label="State" { (worker_state(worker.state)) }
            td.nowrap data-label="Slots" {
                @if worker.state == WorkerState::Lost { span.muted { "–" } } @else { (running) " of " (worker.concurrency) }
            }
            td.wide data-label="Runs" { (runs(frame, &worker.running)) }
            td.wide data-label="Takes" { (own(&taken(worker))) }
            td.nowrap data-label="Heard of" {
                (frame.reader.moment(&worker.seen_at))
                @if let Some(skew) = worker.clock_skew_ms.filter(|skew| skew.unsigned_abs() >= 1000) {
                    span.sub { (warning(&html! { "its clock differs by " (frame.reader.span(skew.unsigned_abs())) })) }
                }
            }
            td.nowrap data-label="Since" { (frame.reader.moment(&worker.started_at)) }
        }
    }
}

fn worker_state(found: WorkerState) -> Markup {
    match found {
        WorkerState::Working => state("COMPLETED", "s-completed", "Working"),
        WorkerState::ShuttingDown => state("PAUSING", "s-pausing", "Shutting down"),
        WorkerState::Lost => state("UNKNOWN", "s-unknown", "Lost"),
    }
}

fn runs(frame: &Frame, running: &[RunningExecution]) -> Markup {
    html! {
        @if running.is_empty() { span.muted { "nothing of yours" } }
        @for (place, held) in running.iter().take(20).enumerate() {
            @if place > 0 { ", " }
            a href=(frame.at(&format!("executions/{}", held.execution))) { (held.execution) } " " (own(&held.instance))
        }
        @if running.len() > 20 { " and " (running.len() - 20) " more" }
    }
}

/// What a worker takes, in words.
fn taken(worker: &Worker) -> String {
    match (worker.types.is_empty(), worker.jobs.is_empty()) {
        (true, true) => "everything".to_owned(),
        (false, true) => format!("jobs of type {}", worker.types.join(", ")),
        (true, false) => format!("the jobs {}", worker.jobs.join(", ")),
        (false, false) => format!("the jobs {} of type {}", worker.jobs.join(", "), worker.types.join(", ")),
    }
}

/// The queue. A live part.
pub fn queue(frame: &Frame, work: &Work) -> Markup {
    let columns = html! {
        (number_column("Place")) (column("Execution")) (column("State")) (number_column("Priority")) (column("From when on")) (number_column("Workers lost"))
    };
    let all = work.depths.waiting + work.depths.delayed;
    let rows = html! { @for (place, queued) in work.queue.iter().enumerate() { (queued_row(frame, place + 1, queued)) } };
    html! {
        div #work-queue data-live {
            @if work.queue.is_empty() {
                (none("Nothing waits."))
            } @else {
                (table("Executions in the queue", &columns, &rows))
                @if all > work.queue.len() as u64 {
                    p.small.muted { "The first " (work.queue.len()) " of " (frame.reader.number(all)) "; the tracker has all of them." }
                }
            }
        }
    }
}

fn queued_row(frame: &Frame, place: usize, Queued { execution, entry }: &Queued) -> Markup {
    let shown = match entry.state {
        QueueState::Waiting => state("QUEUED", "s-waiting", "Waiting"),
        QueueState::Delayed => state("QUEUED", "s-delayed", "Delayed"),
        QueueState::Claimed => state("STARTED", "s-started", "Claimed"),
        QueueState::Paused => state("PAUSED", "s-paused", "Paused"),
    };
    html! {
        tr {
            td.num data-label="Place" { (place) }
            th.title scope="row" {
                a href=(frame.at(&format!("executions/{}", execution.id))) { span.id { (execution.id) } (own(&execution.instance)) }
                span.sub { (own(&execution.r#type)) }
            }
            td data-label="State" { (shown) }
            td.num data-label="Priority" { (entry.priority) }
            td.nowrap data-label="From when on" { (frame.reader.moment(&entry.available_at)) }
            td.num data-label="Workers lost" { (entry.losses) " of " (entry.attempts_max) }
        }
    }
}
