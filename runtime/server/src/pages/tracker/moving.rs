//! What moves in the tracker: the rows that go on, and the line of those that have come.

use std::time::Duration;

use serde::Deserialize;
use stepbox::Tenant;
use stepbox::batch::access::{InstanceRight, Principal, Thing};
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, Narrowing};
use stepbox::batch::name::JobExecutionId;
use stepbox_api::execution::Execution;
use stepbox_web::Reader;
use stepbox_web::frame::Frame;
use stepbox_web::pages::tracker::{new_rows, parts_of_row, summary};

use super::{ROWS, Visitor, filter_of};
use crate::conventions::failure::Failure;
use crate::pages::form::Query;
use crate::pages::live::{Look, Moving, Watching};
use crate::streams::broadcaster::Signal;
use crate::streams::event_stream::EventStream;

/// How many new or running executions are counted.
const COUNTED_MAX: u32 = 1_000;
/// How often the times of rows that go on are written again.
const TICK: Duration = Duration::from_secs(5);

/// What the address of the stream says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    filter: String,
    /// The numbers of the page's executions that go on, with dots between.
    #[serde(default)]
    open: String,
    /// The newest execution of the page; absent if the page has no line of new ones.
    since: Option<u64>,
}

pub(super) async fn stream(
    visit: Visitor,
    (Query(asked), watching): (Query<Asked>, Watching),
) -> Result<EventStream, Failure> {
    filter_of(&asked.filter, visit.may.tenant(), &visit.reader)?;
    let numbers = asked.open.split('.').filter(|number| !number.is_empty());
    let open: Result<Vec<u64>, _> = numbers.map(str::parse).collect();
    let open = open.ok().filter(|open| open.len() <= ROWS as usize);
    let wrong =
        || Failure::bad_request("query-invalid", "the query is wrong: `open` has numbers of one page");
    let tracked = Tracked {
        frame: visit.frame().await?,
        tenant: visit.may.tenant().clone(),
        filter: asked.filter,
        open: open.ok_or_else(wrong)?,
        since: asked.since,
    };
    watching.stream(&visit, tracked)
}

/// The moving parts of a page.
struct Tracked {
    frame: Frame,
    tenant: Tenant,
    filter: String,
    open: Vec<u64>,
    since: Option<u64>,
}

impl Moving for Tracked {
    fn thing(&self) -> Thing<'_> {
        Thing::Executions
    }

    fn hears(&self, signal: &Signal) -> bool {
        let own = self.tenant.id();
        match signal {
            Signal::Events(events) => {
                events.iter().any(|event| event.tenant == *own && event.part_of.is_none())
            }
            Signal::Progress(steps) => {
                steps.iter().any(|step| step.tenant == *own && self.open.contains(&step.id.0))
            }
            Signal::Gap(_) => true,
        }
    }

    fn every(&self) -> Option<Duration> {
        (!self.open.is_empty()).then_some(TICK)
    }

    async fn look(&mut self, principal: &Principal, reader: &Reader) -> Result<Look, Failure> {
        self.frame.reader = reader.clone();
        let hidden = principal.barred_from(InstanceRight::History);
        let mut parts = Vec::new();
        if !self.open.is_empty() {
            let ids = self.open.iter().map(|id| JobExecutionId(*id)).collect();
            let narrowing = Narrowing { ids, ..Narrowing::default() };
            let filter = ExecutionFilter { hidden: hidden.clone(), narrowing, ..ExecutionFilter::default() };
            let found = self.tenant.executions(&filter).await?;
            for row in &found.items {
                parts.extend(parts_of_row(&self.frame, &Execution::listed(row)));
            }
            // What has ended was told now, and changes no more.
            let ended = found.items.iter().filter(|row| row.status.has_ended());
            let ended: Vec<u64> = ended.map(|row| row.id.0).collect();
            self.open.retain(|id| !ended.contains(id));
        }
        if let Some(since) = self.since {
            let filter = filter_of(&self.filter, &self.tenant, reader)?;
            let after = Some(JobExecutionId(since));
            let filter = ExecutionFilter { hidden: hidden.clone(), after, ..filter };
            let count = self.tenant.count_executions(&filter, COUNTED_MAX).await?;
            parts.push(("new-rows".to_owned(), new_rows(&self.frame, &self.filter, count)));
        }
        let statuses = vec![BatchStatus::Started, BatchStatus::Stopping, BatchStatus::Pausing];
        let running = ExecutionFilter { hidden, statuses, ..ExecutionFilter::default() };
        let running = self.tenant.count_executions(&running, COUNTED_MAX).await?;
        parts.push(("tracker-summary".to_owned(), summary(&self.frame, running)));
        Ok(Look { parts, ..Look::default() })
    }
}
