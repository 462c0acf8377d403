//! The same for many executions. Each of them is looked up and judged by itself, as if it were asked for alone.

use std::sync::Arc;

use stepbox::batch::access::{InstanceRight, Right, Thing};
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::name::InstanceCode;
use stepbox_api::bulk::{Bulk, BulkAction, BulkAnswer, BulkOutcome};
use stepbox_api::problem::ProblemKind;

use super::executions::{status, wanted};
use crate::access::{Launch, May, OneExecution, ToLaunch};
use crate::conventions::answer::Shown;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, Caller, With};
use crate::table::Table;
use crate::tools::Tools;

pub(super) fn routes(table: Table) -> Table {
    table.post("/tenants/{tenant}/executions/bulk", "Do the same with many executions.", all)
}

/// How many executions at most.
pub(crate) const IDS_MAX: usize = 1_000;

async fn all(
    may: May<Launch, ToLaunch>,
    (With(tools), Caller(who), Body(asked)): (With, Caller, Body<Bulk>),
) -> Result<Shown<BulkAnswer>, Failure> {
    let Bulk { action, ids, filter, expected_count } = asked;
    let ids = match (ids, filter) {
        (Some(ids), None) => ids,
        (None, Some(of)) => {
            let in_status = of.status.map(|of| status(&of.to_string())).transpose()?;
            let filter = wanted(may.tenant(), of.instance, in_status, of.filter.as_deref())?;
            matching(&may, filter).await?
        }
        _ => {
            let failure = Failure::bad_request(
                "body-invalid",
                "the body is not what is expected: name `ids` or a `filter`",
            );
            return Err(failure.with_part("/ids".to_owned(), "either `ids` or `filter`"));
        }
    };
    carry_out(&may, &tools, &who, action, ids, expected_count).await.map(Shown)
}

/// The executions of a filter that the caller may act upon, at most one more than may be meant at a time.
pub(crate) async fn matching(
    may: &May<Launch, ToLaunch>,
    filter: ExecutionFilter,
) -> Result<Vec<u64>, Failure> {
    // Those that the caller must not see would take the places of others.
    let hidden = may.principal().barred_from(InstanceRight::History);
    let hidden = [filter.hidden, hidden].concat();
    let filter = ExecutionFilter { hidden, limit: IDS_MAX as u32 + 1, ..filter };
    let found = may.tenant().executions(&filter).await?;
    let is_seen = |code: &InstanceCode| may.principal().may(Right::Launch, Thing::Execution(code));
    Ok(found.iter().filter(|row| is_seen(&row.instance)).map(|row| row.id.0).collect())
}

/// Does it with each of these executions, if they are as many as the caller expects.
pub(crate) async fn carry_out(
    may: &May<Launch, ToLaunch>,
    tools: &Arc<Tools>,
    who: &str,
    action: BulkAction,
    ids: Vec<u64>,
    expected_count: u64,
) -> Result<BulkAnswer, Failure> {
    if ids.len() > IDS_MAX {
        return Err(Failure::bad_request("body-invalid", format!("at most {IDS_MAX} executions at a time")));
    }
    if ids.len() as u64 != expected_count {
        let detail = format!("{} executions would be meant, and not {expected_count}", ids.len());
        let failure =
            Failure::new(ProblemKind::Domain(stepbox::ErrorKind::Conflict), "count-differs", detail);
        return Err(failure.with_help("look at the list again"));
    }
    let mut outcomes = Vec::new();
    for id in ids {
        let done = match tools.limits.launch(who) {
            Ok(()) => one(may, action, id).await,
            // What was done before is told, so that nobody does it again.
            Err(failure) => Err(failure),
        };
        outcomes.push(match done {
            Ok(execution) => BulkOutcome { id, is_done: true, execution, code: None, detail: None },
            Err(failure) => {
                let problem = failure.problem();
                let (code, detail) = (Some(problem.code.clone()), Some(problem.detail.clone()));
                BulkOutcome { id, is_done: false, execution: None, code, detail }
            }
        });
    }
    Ok(BulkAnswer { outcomes })
}

/// Does it with one execution. The result is the execution that continues it, if there is one.
async fn one(may: &May<Launch, ToLaunch>, action: BulkAction, id: u64) -> Result<Option<u64>, Failure> {
    let may: May<Launch, OneExecution> = may.also(&id.to_string()).await?;
    let (tenant, id) = (may.tenant(), may.found().id);
    match action {
        BulkAction::Stop => tenant.stop_execution(id).await.map(|_| None),
        BulkAction::Pause => tenant.pause_execution(id).await.map(|_| None),
        BulkAction::Resume => tenant.publish_resume(id).await.map(|()| None),
        BulkAction::Abandon => tenant.abandon_execution(id).await.map(|_| None),
        BulkAction::Restart => {
            let published = tenant.publish_restart(id, &Default::default(), None).await;
            published.map(|published| Some(published.id().0))
        }
    }
    .map_err(Failure::from)
}
