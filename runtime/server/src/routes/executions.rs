//! Executions: what became of launches.

use std::path::Path;

use serde::Deserialize;
use stepbox::batch::access::InstanceRight;
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::{Purge, Tenant, open_regular};
use stepbox_api::execution::{Execution, LogLine, NotRemoved, Purged, RejectedItems, Warning};
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::request::PurgeExecutions;
use tokio::fs::File;
use utoipa::ToSchema;

use crate::access::{Administer, Executions, History, May, OneExecution, OneOutput};
use crate::conventions::answer::{All, Shown};
use crate::conventions::download::Download;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath};
use crate::conventions::list::{Asked, List, Listed, Page, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/executions", "The executions that you may see, newest first.", list)
        .post("/tenants/{tenant}/executions/purge", "Delete executions that have ended.", purge)
        .get("/tenants/{tenant}/executions/{execution}", "An execution and its steps.", show)
        .get(
            "/tenants/{tenant}/executions/{execution}/warnings",
            "The stored warnings of an execution.",
            warnings,
        )
        .get("/tenants/{tenant}/executions/{execution}/log", "The log of an execution.", log)
        .get("/tenants/{tenant}/executions/{execution}/parts", "The parts of an execution's steps.", parts)
        .get(
            "/tenants/{tenant}/executions/{execution}/rejected",
            "The files of items that steps have rejected.",
            rejected,
        )
        .get(
            "/tenants/{tenant}/executions/{execution}/rejected/{step}",
            "The items that a step has rejected, as a file.",
            rejected_of,
        )
}

/// Which executions are listed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only those of the instance with this code.
    instance: Option<String>,
    /// Only those in this status: `COMPLETED`, `FAILED`, …
    status: Option<String>,
}

async fn list(
    may: May<History, Executions>,
    Listed { page, filter }: Listed<Filter>,
) -> Result<List<Execution>, Failure> {
    let filter = ExecutionFilter {
        instance: filter.instance.map(InstanceCode::new).transpose().map_err(stepbox::Error::from)?,
        statuses: filter.status.as_deref().map(status).transpose()?.into_iter().collect(),
        hidden: may.principal().barred_from(InstanceRight::History),
        ..ExecutionFilter::default()
    };
    let tenant = may.tenant().clone();
    Ok(List::paged(page, move |after, limit| some(tenant.clone(), filter.clone(), after, limit)))
}

/// A status by its word.
pub(super) fn status(word: &str) -> Result<BatchStatus, Failure> {
    let known = BatchStatus::ALL.into_iter().find(|status| status.as_str() == word);
    // What waits for a worker is STARTING.
    let known = known.or_else(|| (word == BatchStatus::QUEUED).then_some(BatchStatus::Starting));
    known
        .ok_or_else(|| Failure::bad_request("query-invalid", "the query is wrong: there is no such `status`"))
}

async fn some(
    tenant: Tenant,
    filter: ExecutionFilter,
    after: Option<String>,
    limit: u32,
) -> Result<Page<Execution>, Failure> {
    let before = after.and_then(|key| key.parse().ok()).map(JobExecutionId);
    // One more than asked for shows whether there is a next page.
    let found = tenant.executions(&ExecutionFilter { before, limit: limit + 1, ..filter }).await?;
    let whole = found.items.iter().map(|row| (row.id.0, Row::Whole(Execution::listed(row))));
    let damaged =
        found.damaged.iter().filter_map(|row| Some((row.number?, Row::Damaged(DamagedRow::of(row)))));
    Ok(newest_first(whole.chain(damaged).collect(), limit))
}

/// A page of numbered rows, newest first, of which one more was read than is shown.
pub(crate) fn newest_first<T>(mut rows: Vec<(u64, Row<T>)>, limit: u32) -> Page<T> {
    rows.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| has_more).map(|(number, _)| number.to_string());
    Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
}

async fn show(may: May<History, OneExecution>, (): ()) -> Result<Shown<Execution>, Failure> {
    let entry = may.tenant().queue_entry(may.found().id).await?;
    Ok(Shown(Execution::of(may.found()).with_queue(entry.as_ref())))
}

async fn warnings(
    may: May<History, OneExecution>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Warning>, Failure> {
    let warnings = may.tenant().warnings(may.found().id).await?;
    Ok(numbered(page, Row::of(&warnings, Warning::of)))
}

async fn log(
    may: May<History, OneExecution>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<LogLine>, Failure> {
    let lines = may.tenant().log(may.found().id).await?;
    Ok(numbered(page, lines.iter().map(|line| Row::Whole(LogLine::of(line))).collect()))
}

/// A list whose rows have no name but their place.
pub(super) fn numbered<T: Clone + Send + Sync + 'static>(page: Asked, rows: Vec<Row<T>>) -> List<T> {
    List::whole(
        page,
        rows.into_iter().enumerate().map(|(place, row)| (format!("{place:010}"), row)).collect(),
    )
}

async fn parts(may: May<History, OneExecution>, (): ()) -> Result<All<Execution>, Failure> {
    let parts = may.tenant().partitions(may.found().id).await?;
    Ok(All(parts.iter().map(Execution::of).collect()))
}

async fn rejected(
    may: May<History, OneExecution>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<RejectedItems>, Failure> {
    let files = may.tenant().rejected_items(may.found().id).await?;
    let row = |(step, path): &(stepbox::batch::name::StepName, std::path::PathBuf)| {
        let size_bytes = std::fs::metadata(path).map_or(0, |found| found.len());
        Row::Whole(RejectedItems { step: step.to_string(), file: name_of(path), size_bytes })
    };
    Ok(numbered(page, files.iter().map(row).collect()))
}

async fn rejected_of(may: May<History, OneOutput>, InPath(step): InPath<'s'>) -> Result<Download, Failure> {
    let id = may.found().id;
    let files = may.tenant().rejected_items(id).await?;
    let Some((step, path)) = files.iter().find(|(name, _)| name.as_str() == step) else {
        return Err(Failure::not_found("file"));
    };
    download(&format!("{id}-{step}-{}", name_of(path)), path).await
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file of the data folder.
pub(super) async fn download(name: &str, path: &Path) -> Result<Download, Failure> {
    let unreadable = |error: std::io::Error| Failure::unexpected(format!("`{}`: {error}", path.display()));
    let opened = path.to_owned();
    let file = tokio::task::spawn_blocking(move || open_regular(&opened)).await;
    let file = file.map_err(std::io::Error::other).and_then(|file| file).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    // Exactly as much as is announced, also if the file grows meanwhile.
    let file = tokio::io::AsyncReadExt::take(File::from_std(file), size);
    Ok(Download::of(name, Some(size), file))
}

async fn purge(
    may: May<Administer, Executions>,
    Body(asked): Body<PurgeExecutions>,
) -> Result<Shown<Purged>, Failure> {
    let PurgeExecutions { older_than_days, status: of, instance } = asked;
    let purge = Purge {
        instance: instance.map(InstanceCode::new).transpose().map_err(stepbox::Error::from)?,
        status: of.map(|of| status(&of.to_string())).transpose()?,
        older_than_days,
    };
    let purged = may.tenant().purge_executions(purge).await?;
    let not_removed = purged.not_removed.iter().map(NotRemoved::of).collect();
    Ok(Shown(Purged::of(&purged.executions).leaving(not_removed)))
}
