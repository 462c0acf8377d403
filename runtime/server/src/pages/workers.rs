//! The workers and the queue.

use std::time::Duration;

use stepbox::batch::access::{InstanceRight, Principal, Right, Thing};
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::queue::QueueState;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::TenantId;
use stepbox_api::execution::Execution;
use stepbox_api::list::Row;
use stepbox_api::queue::QueueEntry;
use stepbox_api::tenant::QueueDepths;
use stepbox_api::worker::{Worker, WorkerState};
use stepbox_web::pages::workers::{self as page, Queued, Work};
use stepbox_web::{Frame, Head, Place, Reader};

use super::answer::Page;
use super::live::{Look, Moving, Watching};
use super::visit::Visit;
use crate::access::{May, TheTenant, View};
use crate::conventions::failure::Failure;
use crate::streams::broadcaster::Signal;
use crate::streams::event_stream::EventStream;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/tenants/{tenant}/workers", "The workers and the queue of a tenant.", show).get(
        "/tenants/{tenant}/workers/moving",
        "What moves in the page of workers.",
        watch,
    )
}

/// How many entries of the queue the page has.
const QUEUE_MAX: usize = 50;
/// How often a page that is watched looks without an event: the workers report without one.
const LOOK_EVERY: Duration = Duration::from_secs(10);

async fn show(visit: Visit<May<View, TheTenant>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let work = work(&visit.may, visit.may.principal()).await?;
    let head = Head::new(Place::Workers, "Workers and queue").live(frame.at("workers/moving"));
    Ok(Page::ok(frame.page(&head, &page::show(&frame, &work))))
}

/// The page that somebody watches.
struct Watched {
    may: May<View, TheTenant>,
    frame: Frame,
}

impl Moving for Watched {
    fn thing(&self) -> Thing<'_> {
        Thing::Tenant
    }

    fn hears(&self, signal: &Signal) -> bool {
        is_of_tenant(signal, self.may.tenant().id())
    }

    fn every(&self) -> Option<Duration> {
        Some(LOOK_EVERY)
    }

    async fn look(&mut self, principal: &Principal, reader: &Reader) -> Result<Look, Failure> {
        self.frame.reader = reader.clone();
        let work = work(&self.may, principal).await?;
        Ok(Look { parts: page::moving(&self.frame, &work), ..Look::default() })
    }
}

async fn watch(visit: Visit<May<View, TheTenant>>, watching: Watching) -> Result<EventStream, Failure> {
    let watched = Watched { may: visit.may.also::<TheTenant>("").await?, frame: visit.frame().await? };
    watching.stream(&visit, watched)
}

/// Whether a signal is about an execution of the tenant.
pub(super) fn is_of_tenant(signal: &Signal, tenant: &TenantId) -> bool {
    match signal {
        Signal::Events(events) => events.iter().any(|event| event.tenant == *tenant),
        Signal::Progress(steps) => steps.iter().any(|step| step.tenant == *tenant),
        Signal::Gap(_) => true,
    }
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
