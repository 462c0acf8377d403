//! The page of an execution's log: its last lines, earlier ones, searched, followed and saved.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use stepbox::batch::access::{Principal, Thing};
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::batch::visible::on_one_line;
use stepbox::{LogPage, LogPlace, LogQuery, Tenant};
use stepbox_api::execution::{Execution, LogLine};
use stepbox_web::pages::execution::log as page;
use stepbox_web::{Head, Place, Reader};

use super::super::answer::Page;
use super::super::form::Query;
use super::super::live::{Added, Look, Moving, Watching};
use super::super::visit::Visit;
use super::gathering::numbered;
use super::is_about;
use crate::access::{History, May, OneExecution};
use crate::conventions::download::Download;
use crate::conventions::failure::Failure;
use crate::routes::executions::LogFilter;
use crate::streams::broadcaster::Signal;
use crate::streams::event_stream::EventStream;
use crate::table::Table;

/// How many lines the page has.
const LINES: usize = 2_000;
/// How many lines are shown after the one that the reader wants to see.
const LINES_AFTER: u64 = 1_000;
/// How many lines are in memory at a time while all are sent.
const SAVED: usize = 2_000;
/// How many lines one event of the stream adds at most.
const ADDED: usize = 500;
/// How often the log is read while it is followed.
const READ_EVERY: Duration = Duration::from_secs(1);

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/executions/{execution}/log", "The log of an execution.", show)
        .get("/tenants/{tenant}/executions/{execution}/log/moving", "New lines of the log.", moving)
        .get("/tenants/{tenant}/executions/{execution}/log/text", "The log as a file.", text)
}

/// Which lines are shown. A choice of a form that is not made is empty.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    level: String,
    #[serde(default)]
    step: String,
    #[serde(default)]
    search: String,
    /// Only lines before this one.
    before: Option<u64>,
    /// Lines around this one.
    line: Option<u64>,
    /// Only lines after this one, for a stream.
    after: Option<u64>,
}

impl Wanted {
    fn filter(&self) -> page::Filter {
        let Self { level, step, search, .. } = self.clone();
        page::Filter { level, step, search }
    }

    fn query(&self) -> Result<LogQuery, Failure> {
        let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let Self { level, step, search, .. } = self;
        LogFilter { level: set(level), step: set(step), search: set(search) }.query()
    }
}

async fn show(
    visit: Visit<May<History, OneExecution>>,
    Query(wanted): Query<Wanted>,
) -> Result<Page, Failure> {
    let (frame, tenant, found) = (visit.frame().await?, visit.may.tenant(), visit.may.found());
    let end = wanted.before.or(wanted.line.map(|line| line.saturating_add(LINES_AFTER)));
    let LogPage { lines, next, has_more } = tenant.log_before(found.id, end, wanted.query()?, LINES).await?;
    // A window that was asked for may reach the end all the same.
    let has_later = match end {
        Some(_) => tenant.log_after(found.id, next, LogQuery::default(), 1).await?.next != next,
        None => false,
    };
    let shown = page::Log {
        execution: Execution::of(found),
        steps: found.job.steps.iter().map(|step| step.name.to_string()).collect(),
        filter: wanted.filter(),
        lines: lines.iter().map(|(number, line)| numbered(*number, line)).collect(),
        has_earlier: has_more,
        has_later,
        line: wanted.line,
    };
    let id = found.id.to_string();
    let head = Head::new(Place::Tracker, "Log")
        .below("Process tracker", frame.at("executions"))
        .below(&*id, frame.at(&format!("executions/{id}")));
    let head = match found.status.has_ended() || has_later {
        true => head,
        false => head.live(frame.at(&format!(
            "executions/{id}/log/moving{}",
            shown.filter.query(&format!("after={}", next.lines))
        ))),
    };
    Ok(Page::ok(frame.page(&head, &page::page(&frame, &shown))))
}

/// How far a page has a log that goes on.
pub(super) struct Followed {
    query: LogQuery,
    place: LogPlace,
    /// Whether there are more lines than were read last.
    pub(super) has_more: bool,
}

impl Followed {
    /// A log of which a page has that many lines.
    pub(super) fn after(lines: u64, query: LogQuery) -> Self {
        Self { query, place: LogPlace { lines, bytes: 0 }, has_more: false }
    }

    /// The lines that came since.
    pub(super) async fn added(
        &mut self,
        tenant: &Tenant,
        id: JobExecutionId,
        reader: &Reader,
    ) -> Result<Option<Added>, Failure> {
        let page = tenant.log_after(id, self.place, self.query.clone(), ADDED).await?;
        // A log that is shorter than what the page has is another one.
        if page.next.lines < self.place.lines {
            return Ok(None);
        }
        (self.place, self.has_more) = (page.next, page.has_more);
        let lines: Vec<_> = page.lines.iter().map(|(number, line)| numbered(*number, line)).collect();
        let markup = page::added(reader, &lines, &self.query.search);
        Ok((!lines.is_empty()).then_some(Added { id: "log", markup, last: self.place.lines }))
    }
}

/// A log that is watched.
struct Watched {
    tenant: Tenant,
    id: JobExecutionId,
    instance: InstanceCode,
    /// The path before all pages.
    base: String,
    followed: Followed,
}

impl Moving for Watched {
    fn thing(&self) -> Thing<'_> {
        Thing::Execution(&self.instance)
    }

    fn hears(&self, signal: &Signal) -> bool {
        is_about(signal, self.tenant.id(), self.id)
    }

    fn every(&self) -> Option<Duration> {
        Some(READ_EVERY)
    }

    async fn look(&mut self, _: &Principal, reader: &Reader) -> Result<Look, Failure> {
        // The execution is read first, so that a log that has ended is read to its end.
        let found = self.tenant.execution(self.id).await?;
        let added = self.followed.added(&self.tenant, self.id, reader).await?;
        let parts = vec![("status".to_owned(), page::status(&self.base, &Execution::of(&found)))];
        Ok(Look { parts, added, is_over: found.status.has_ended() && !self.followed.has_more })
    }
}

async fn moving(
    visit: Visit<May<History, OneExecution>>,
    (watching, Query(wanted)): (Watching, Query<Wanted>),
) -> Result<EventStream, Failure> {
    let found = visit.may.found();
    let lines = watching.seen.or(wanted.after).unwrap_or(0);
    let watched = Watched {
        tenant: visit.may.tenant().clone(),
        id: found.id,
        instance: found.instance.clone(),
        base: visit.base.clone(),
        followed: Followed::after(lines, wanted.query()?),
    };
    watching.stream(&visit, watched)
}

/// The log as lines of text, a part in memory at a time.
async fn text(
    visit: Visit<May<History, OneExecution>>,
    Query(wanted): Query<Wanted>,
) -> Result<Download, Failure> {
    let (tenant, id, query) = (visit.may.tenant().clone(), visit.may.found().id, wanted.query()?);
    let pieces = stream::try_unfold(Some(LogPlace::default()), move |place| {
        let (tenant, query) = (tenant.clone(), query.clone());
        async move {
            let Some(place) = place else { return Ok::<_, std::io::Error>(None) };
            let page = tenant.log_after(id, place, query, SAVED).await.map_err(std::io::Error::other)?;
            let text = page.lines.iter().fold(String::new(), |mut text, (number, line)| {
                let LogLine { at, level, step, message } = LogLine::of(line);
                let step = step.unwrap_or_default();
                let (step, message) = (on_one_line(&step), on_one_line(&message));
                let _ = writeln!(text, "{number}\t{at}\t{level}\t{step}\t{message}");
                text
            });
            Ok(Some((Bytes::from(text), page.has_more.then_some(page.next))))
        }
    });
    Ok(Download::streamed(&format!("log-{id}.txt"), pieces))
}
