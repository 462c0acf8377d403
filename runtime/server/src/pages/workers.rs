//! The workers and the queue.

use stepbox::batch::access::{InstanceRight, Principal, Right, Thing};
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::queue::QueueState;
use stepbox::batch::execution::status::BatchStatus;
use stepbox_api::execution::Execution;
use stepbox_api::list::Row;
use stepbox_api::queue::QueueEntry;
use stepbox_api::tenant::QueueDepths;
use stepbox_api::worker::{Worker, WorkerState};
use stepbox_web::pages::workers::{self as page, Queued, Work};
use stepbox_web::{Head, Place};

use super::answer::Page;
use super::visit::Visit;
use crate::access::{May, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/workers", "The workers and the queue of a tenant.", show)
}

/// How many entries of the queue the page has.
const QUEUE_MAX: usize = 50;

async fn show(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let work = work(&visit.may, visit.may.principal()).await?;
    let head = Head::new(Place::Workers, "Workers and queue");
    Ok(Page::ok(frame.page(&head, &page::show(&frame, &work))))
}

/// The workers and the queue, as far as a principal may see them.
pub(super) async fn work(may: &May<View, TheTenant>, principal: &Principal) -> Result<Work, Failure> {
    let tenant = may.tenant();
    let mut workers = Row::of(&may.workers_for(principal).await?, Worker::of);
    // Those that live come first.
    workers.sort_by_key(|row| row.whole().is_some_and(|worker| worker.state == WorkerState::Lost));
    let depths = tenant.queue_depths().await?;
    let waiting = depths.iter().find(|depth| depth.state == QueueState::Waiting);
    let mut queue = Vec::new();
    if principal.may(Right::History, Thing::Executions) {
        let waiting = ExecutionFilter {
            statuses: vec![BatchStatus::Starting, BatchStatus::Paused],
            hidden: principal.barred_from(InstanceRight::History),
            limit: 2 * QUEUE_MAX as u32,
            ..ExecutionFilter::default()
        };
        for execution in tenant.executions(&waiting).await?.items {
            let Some(entry) = tenant.queue_entry(execution.id).await? else { continue };
            if matches!(entry.state, QueueState::Waiting | QueueState::Delayed) {
                queue.push((execution, entry));
            }
        }
    }
    // As the store hands them out: what may begin now, by priority, then by age.
    queue.sort_by_key(|(execution, entry)| {
        (
            entry.state == QueueState::Delayed,
            std::cmp::Reverse(entry.priority),
            entry.available_at,
            execution.id,
        )
    });
    queue.truncate(QUEUE_MAX);
    let queued = queue.iter().map(|(execution, entry)| Queued {
        execution: Execution::listed(execution),
        entry: QueueEntry::of(entry),
    });
    Ok(Work {
        workers,
        oldest: waiting.map(|depth| depth.oldest.to_string()),
        depths: QueueDepths::of(&depths),
        queue: queued.collect(),
    })
}
