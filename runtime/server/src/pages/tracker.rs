//! The process tracker: which executions there are, and how far they are.

mod bulk;
mod moving;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;

use serde::Deserialize;
use stepbox::Tenant;
use stepbox::batch::access::{InstanceRight, Right, Thing};
use stepbox::batch::execution::{ExecutionFilter, SEARCHED_MAX, filter_text};
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox_api::execution::Execution;
use stepbox_api::list::DamagedRow;
use stepbox_web::frame::part;
use stepbox_web::list::Count;
use stepbox_web::pages::tracker::{self as page, Row, Tracker, View};
use stepbox_web::{Head, Place, Reader};

use super::answer::{Page, Saved};
use super::form::Query;
use super::visit::Visit;
use crate::access::{Executions, History, May};
use crate::conventions::failure::Failure;
use crate::conventions::list::{Asked as AskedList, List};
use crate::routes::executions::some;
use crate::table::Table;

/// How many executions a page has.
const ROWS: u32 = 50;
/// How many matches are counted.
const COUNTED_MAX: u32 = 10_000;
/// How many failed executions are counted beside their view.
const FAILED_COUNTED_MAX: u32 = 1_000;

pub(super) fn routes(table: Table) -> Table {
    let table = table
        .get("/tenants/{tenant}/executions", "The process tracker.", list)
        .get("/tenants/{tenant}/executions.csv", "The executions of the process tracker, as a file.", csv)
        .get("/tenants/{tenant}/executions/moving", "What moves in the process tracker.", moving::stream);
    views::routes(bulk::routes(table))
}

/// What the address of the tracker says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    filter: String,
    /// Only executions older than this one.
    before: Option<u64>,
    /// Only executions newer than this one.
    after: Option<u64>,
}

/// A way into the tracker.
type Visitor = Visit<May<History, Executions>>;

/// The filter of a text, without what the reader may not see. Days are those of the reader.
fn filter_of(text: &str, tenant: &Tenant, reader: &Reader) -> Result<ExecutionFilter, Failure> {
    let read = filter_text::parse(text, tenant.now(), &reader.zone);
    Ok(read.map_err(stepbox::Error::from)?)
}

impl Visitor {
    fn filter_of(&self, text: &str) -> Result<ExecutionFilter, Failure> {
        let filter = filter_of(text, self.may.tenant(), &self.reader)?;
        Ok(ExecutionFilter { hidden: self.may.principal().barred_from(InstanceRight::History), ..filter })
    }

    async fn counted(&self, filter: &ExecutionFilter, max: u32) -> Result<Count, Failure> {
        let rows = self.may.tenant().count_executions(filter, max + 1).await?;
        Ok(Count { rows: rows.min(max.into()), is_more: rows > max.into() })
    }

    /// The views that the reader keeps; `None` for somebody who is no user of the installation.
    async fn views(&self) -> Result<Option<Vec<View>>, Failure> {
        let principal = self.may.principal();
        let Some(user) = principal.user.as_ref().filter(|_| principal.token.is_none()) else {
            return Ok(None);
        };
        let views = self.may.tenant().views(user).await?;
        Ok(Some(views.into_iter().map(|view| View { name: view.name, filter: view.filter }).collect()))
    }

    /// The labels of these instances, of those that the reader may see.
    async fn labels(
        &self,
        codes: impl Iterator<Item = &InstanceCode>,
    ) -> Result<BTreeMap<InstanceCode, String>, Failure> {
        let mut labels = BTreeMap::new();
        for code in codes {
            if labels.contains_key(code) || !self.may(Right::View, Thing::Instance(code)) {
                continue;
            }
            if let Ok(Some(instance)) = self.may.tenant().find_instance(code).await {
                labels.insert(code.clone(), instance.label);
            }
        }
        Ok(labels)
    }

    /// Whether the reader may act upon executions of an instance that no list is about.
    fn may_act(&self) -> bool {
        let Ok(any) = InstanceCode::new("_".repeat(100)) else { return false };
        self.may(Right::Launch, Thing::Execution(&any))
    }
}

async fn list(visit: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let views = visit.views().await?;
    let mut tracker =
        Tracker { filter: asked.filter.clone(), views, may_act: visit.may_act(), ..Tracker::default() };
    let head = Head::new(Place::Tracker, "Process tracker");
    let filter = match visit.filter_of(&asked.filter) {
        Ok(filter) => filter,
        Err(failure) => {
            tracker.problem = Some(failure.problem().clone());
            return Ok(Page::refused(&failure, frame.page(&head, &page::page(&frame, &tracker))));
        }
    };
    fill(&visit, &asked, &filter, &mut tracker).await?;
    let head = head.live(frame.at(&moving_address(&asked, &tracker)));
    Ok(Page::ok(frame.page(&head, &page::page(&frame, &tracker))))
}

/// Looks up the rows of the page, and what is around them.
async fn fill(
    visit: &Visitor,
    asked: &Asked,
    filter: &ExecutionFilter,
    tracker: &mut Tracker,
) -> Result<(), Failure> {
    let tenant = visit.may.tenant();
    let is_forwards = asked.after.is_some() && asked.before.is_none();
    let wanted = ExecutionFilter {
        before: asked.before.map(JobExecutionId),
        after: asked.after.map(JobExecutionId),
        is_oldest_first: is_forwards,
        // One more than is shown tells whether there is another page.
        limit: ROWS + 1,
        ..filter.clone()
    };
    let found = tenant.executions(&wanted).await?;
    let mut numbers: Vec<u64> = found
        .items
        .iter()
        .map(|row| row.id.0)
        .chain(found.damaged.iter().filter_map(|row| row.number))
        .collect();
    numbers.sort_unstable_by_key(|number| if is_forwards { *number } else { u64::MAX - *number });
    let has_more = numbers.len() > ROWS as usize;
    numbers.truncate(ROWS as usize);
    let labels = visit.labels(found.items.iter().map(|row| &row.instance)).await?;
    tracker.rows = found
        .items
        .iter()
        .filter(|row| numbers.contains(&row.id.0))
        .map(|row| Row {
            execution: Execution::listed(row),
            label: labels.get(&row.instance).cloned(),
            may_act: visit.may(Right::Launch, Thing::Execution(&row.instance)),
        })
        .collect();
    tracker.rows.sort_by_key(|row| std::cmp::Reverse(row.execution.id));
    tracker.damaged = found
        .damaged
        .iter()
        .filter(|row| row.number.is_some_and(|number| numbers.contains(&number)))
        .map(DamagedRow::of)
        .collect();
    (tracker.has_newer, tracker.has_older) = match is_forwards {
        true => (has_more, !numbers.is_empty()),
        false => (asked.before.is_some(), has_more),
    };
    tracker.count = Some(visit.counted(filter, COUNTED_MAX).await?);
    tracker.searched = filter.narrowing.text.as_ref().map(|_| SEARCHED_MAX.into());
    let failed = visit.filter_of(page::FAILED)?;
    tracker.failed = Some(visit.counted(&failed, FAILED_COUNTED_MAX).await?);
    Ok(())
}

/// The address of the page's stream: its filter, its newest execution, and those that go on.
fn moving_address(asked: &Asked, tracker: &Tracker) -> String {
    let newest = tracker.rows.iter().map(|row| row.execution.id).max();
    let open = tracker.rows.iter().filter(|row| !row.execution.status.has_ended());
    let open: Vec<_> = open.map(|row| row.execution.id.to_string()).collect();
    // New rows come to the first page alone.
    let since = match tracker.has_newer {
        false => format!("&since={}", newest.unwrap_or(0)),
        true => String::new(),
    };
    format!("executions/moving?filter={}&open={}{since}", part(&asked.filter), open.join("."))
}

async fn csv(visit: Visitor, Query(asked): Query<Asked>) -> Result<Saved<Execution>, Failure> {
    let filter = visit.filter_of(&asked.filter)?;
    let tenant = visit.may.tenant().clone();
    let list = List::paged(AskedList::all_as("text/csv"), move |after, limit| {
        some(tenant.clone(), filter.clone(), after, limit)
    });
    Ok(Saved { name: "executions.csv", list })
}
