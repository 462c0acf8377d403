//! The page of an execution, what is done with it there, and the page of its warnings.

mod gathering;
mod log;
mod reimport;
#[cfg(test)]
mod tests;
mod warnings;

use std::time::Duration;

use serde::Deserialize;
use stepbox::batch::access::{Principal, Thing};
use stepbox::batch::name::{InstanceCode, JobExecutionId, TenantId};
use stepbox::{LogQuery, RestartOptions, Tenant};
use stepbox_api::problem::Problem;
use stepbox_web::frame::{Frame, part};
use stepbox_web::pages::execution as page;
use stepbox_web::{Head, Markup, Place, Reader};

use super::answer::{Go, Page};
use super::form::Query;
use super::live::{Look, Moving, Watching};
use super::visit::Visit;
use crate::access::{History, Launch, May, OneExecution, RightOf};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, With};
use crate::streams::broadcaster::Signal;
use crate::streams::event_stream::EventStream;
use crate::table::Table;
use log::Followed;

pub(super) fn routes(table: Table) -> Table {
    let table = table
        .get("/tenants/{tenant}/executions/{execution}", "The page of an execution.", show)
        .get("/tenants/{tenant}/executions/{execution}/moving", "What moves in its page.", moving)
        .post("/tenants/{tenant}/executions/{execution}/stop", "Stop an execution.", stop)
        .post("/tenants/{tenant}/executions/{execution}/pause", "Pause an execution.", pause)
        .post("/tenants/{tenant}/executions/{execution}/resume", "Resume an execution.", resume)
        .post("/tenants/{tenant}/executions/{execution}/restart", "Restart an execution.", restart)
        .get("/tenants/{tenant}/executions/{execution}/abandon", "Ask before it is given up.", ask)
        .post("/tenants/{tenant}/executions/{execution}/abandon", "Give an execution up.", abandon);
    log::routes(warnings::routes(reimport::routes(table)))
}

/// The way to an execution.
fn at<R: RightOf>(visit: &Visit<May<R, OneExecution>>, id: JobExecutionId) -> String {
    format!("{}/tenants/{}/executions/{id}", visit.base, part(visit.may.tenant().id().as_str()))
}

/// The whole page, with why something was refused.
fn whole(frame: &Frame, shown: &page::Shown, problem: Option<&Problem>) -> Markup {
    let id = shown.execution.id;
    let title = format!("{id} {}", shown.execution.instance);
    let head = Head::new(Place::Tracker, title).below("Process tracker", frame.at("executions"));
    let head = match shown.execution.status.has_ended() {
        true => head,
        false => head.live(frame.at(&format!("executions/{id}/moving?after={}", shown.log_lines))),
    };
    frame.page(&head, &page::page(frame, shown, problem))
}

async fn show(visit: Visit<May<History, OneExecution>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let shown = gathering::all(visit.may.tenant(), visit.may.principal(), visit.may.found()).await?;
    Ok(Page::ok(whole(&frame, &shown, None)))
}

/// An execution that is watched.
struct Watched {
    tenant: Tenant,
    id: JobExecutionId,
    instance: InstanceCode,
    frame: Frame,
    followed: Followed,
}

/// Whether a signal is about an execution or its parts.
fn is_about(signal: &Signal, tenant: &TenantId, id: JobExecutionId) -> bool {
    match signal {
        Signal::Events(events) => events
            .iter()
            .any(|event| event.tenant == *tenant && (event.id == id || event.part_of == Some(id))),
        Signal::Progress(steps) => steps.iter().any(|step| step.tenant == *tenant && step.id == id),
        Signal::Gap(_) => true,
    }
}

impl Moving for Watched {
    fn thing(&self) -> Thing<'_> {
        Thing::Execution(&self.instance)
    }

    fn hears(&self, signal: &Signal) -> bool {
        is_about(signal, self.tenant.id(), self.id)
    }

    fn every(&self) -> Option<Duration> {
        // Otherwise the log is read when something happens, so a page of an execution that waits costs nothing.
        self.followed.has_more.then_some(Duration::ZERO)
    }

    async fn look(&mut self, principal: &Principal, reader: &Reader) -> Result<Look, Failure> {
        let found = self.tenant.execution(self.id).await?;
        let shown = gathering::moving(&self.tenant, principal, &found).await?;
        let parts = page::moving(&self.frame, reader, &shown);
        let added = self.followed.added(&self.tenant, self.id, reader).await?;
        Ok(Look { parts, added, is_over: found.status.has_ended() && !self.followed.has_more })
    }
}

/// How many lines of the log the page has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<u64>,
}

async fn moving(
    visit: Visit<May<History, OneExecution>>,
    (watching, Query(After { after })): (Watching, Query<After>),
) -> Result<EventStream, Failure> {
    let found = visit.may.found();
    let lines = watching.seen.or(after).unwrap_or(0);
    let watched = Watched {
        tenant: visit.may.tenant().clone(),
        id: found.id,
        instance: found.instance.clone(),
        frame: visit.frame().await?,
        followed: Followed::after(lines, LogQuery::default()),
    };
    watching.stream(&visit, watched)
}

async fn stop(visit: Visit<May<Launch, OneExecution>>, (): ()) -> Result<Go, Failure> {
    let id = visit.may.found().id;
    visit.may.tenant().stop_execution(id).await?;
    Ok(Go::to(at(&visit, id)))
}

async fn pause(visit: Visit<May<Launch, OneExecution>>, (): ()) -> Result<Go, Failure> {
    let id = visit.may.found().id;
    visit.may.tenant().pause_execution(id).await?;
    Ok(Go::to(at(&visit, id)))
}

async fn resume(
    visit: Visit<May<Launch, OneExecution>>,
    (With(tools), Caller(who)): (With, Caller),
) -> Result<Go, Failure> {
    tools.limits.launch(&who)?;
    let id = visit.may.found().id;
    visit.may.tenant().publish_resume(id).await?;
    Ok(Go::to(at(&visit, id)))
}

async fn restart(
    visit: Visit<May<Launch, OneExecution>>,
    (With(tools), Caller(who)): (With, Caller),
) -> Result<Go, Failure> {
    tools.limits.launch(&who)?;
    let id = visit.may.found().id;
    let restarted = visit.may.tenant().publish_restart(id, &RestartOptions::default(), None).await?;
    Ok(Go::to(at(&visit, restarted.id())))
}

async fn ask(visit: Visit<May<Launch, OneExecution>>, (): ()) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let shown = gathering::moving(visit.may.tenant(), visit.may.principal(), visit.may.found()).await?;
    let id = shown.execution.id;
    let head = Head::new(Place::Tracker, "Abandon")
        .below("Process tracker", frame.at("executions"))
        .below(id.to_string(), frame.at(&format!("executions/{id}")));
    Ok(Page::ok(frame.page(&head, &page::abandon(&frame, &shown))))
}

async fn abandon(visit: Visit<May<Launch, OneExecution>>, (): ()) -> Result<Go, Failure> {
    let id = visit.may.found().id;
    visit.may.tenant().abandon_execution(id).await?;
    Ok(Go::to(at(&visit, id)))
}
