//! Executions: what became of launches.

use std::path::Path;

use jiff::tz::TimeZone;
use serde::Deserialize;
use stepbox::batch::access::InstanceRight;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, filter_text};
use stepbox::batch::log::LogLevel;
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::{LogPage, LogPlace, LogQuery, Purge, Tenant, open_regular};
use stepbox_api::execution::{Execution, LogLine, NotRemoved, Purged, RejectedItems, Remains, Warning};
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::request::PurgeExecutions;
use tokio::fs::File;
use utoipa::ToSchema;

use crate::access::{Administer, Executions, History, May, OneExecution, OneOutput};
use crate::conventions::answer::{All, Shown};
use crate::conventions::download::Download;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath, plain_number};
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
        .get(
            "/tenants/{tenant}/executions/{execution}/remains",
            "What can be read of an execution that is damaged in the store.",
            remains,
        )
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
    /// Only those that match this text: `status:FAILED,STOPPED -user:schedule created:7d`. Days are those of UTC.
    filter: Option<String>,
}

async fn list(
    may: May<History, Executions>,
    Listed { page, filter }: Listed<Filter>,
) -> Result<List<Execution>, Failure> {
    let Filter { instance, status: of, filter } = filter;
    let filter = wanted(may.tenant(), instance, of.as_deref().map(status).transpose()?, filter.as_deref())?;
    let hidden = may.principal().barred_from(InstanceRight::History);
    let filter = ExecutionFilter { hidden: [filter.hidden, hidden].concat(), ..filter };
    let tenant = may.tenant().clone();
    Ok(List::paged(page, move |after, limit| some(tenant.clone(), filter.clone(), after, limit)))
}

/// The filter of a request, without what the caller may not see.
pub(crate) fn wanted(
    tenant: &Tenant,
    instance: Option<String>,
    status: Option<BatchStatus>,
    text: Option<&str>,
) -> Result<ExecutionFilter, Failure> {
    let filter = filter_text::parse(text.unwrap_or_default(), tenant.now(), &TimeZone::UTC);
    let mut filter = filter.map_err(stepbox::Error::from)?;
    if let Some(code) = instance {
        filter = filter.of_instance(InstanceCode::new(code).map_err(stepbox::Error::from)?);
    }
    if let Some(status) = status {
        filter = filter.in_status(status);
    }
    Ok(filter)
}

/// A status by its word.
pub(crate) fn status(word: &str) -> Result<BatchStatus, Failure> {
    let known = BatchStatus::ALL.into_iter().find(|status| status.as_str() == word);
    // What waits for a worker is STARTING.
    let known = known.or_else(|| (word == BatchStatus::QUEUED).then_some(BatchStatus::Starting));
    known
        .ok_or_else(|| Failure::bad_request("query-invalid", "the query is wrong: there is no such `status`"))
}

pub(crate) async fn some(
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

/// The instance of a damaged execution may not be readable, so no list can be asked. Only those see it for whom no list
/// counts.
async fn remains(
    may: May<Administer, Executions>,
    InPath(execution): InPath<'e'>,
) -> Result<Shown<Remains>, Failure> {
    let id = plain_number(&execution).map(JobExecutionId).ok_or_else(|| Failure::not_found("execution"))?;
    Ok(Shown(Remains::of(id, &may.tenant().remains(id).await?)))
}

/// Which warnings are listed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WarningFilter {
    /// Only warnings with this text in their step, code, reason, place or item, whether its letters are large or small.
    pub(crate) search: Option<String>,
}

async fn warnings(
    may: May<History, OneExecution>,
    Listed { page, filter }: Listed<WarningFilter>,
) -> Result<List<Warning>, Failure> {
    let (tenant, id, search) = (may.tenant().clone(), may.found().id, filter.search.unwrap_or_default());
    Ok(List::paged(page, move |after, limit| some_warnings(tenant.clone(), id, search.clone(), after, limit)))
}

/// A page of warnings. Its key is how many warnings are before the next page.
pub(crate) async fn some_warnings(
    tenant: Tenant,
    id: JobExecutionId,
    search: String,
    after: Option<String>,
    limit: u32,
) -> Result<Page<Warning>, Failure> {
    let skip = after.as_deref().map_or(Some(0), plain_number).ok_or_else(no_such_cursor)?;
    let found = tenant.some_warnings(id, skip, &search, limit).await?;
    let next = found.next.map(|next| next.to_string());
    Ok(Page { rows: Row::of(&found.rows, Warning::of), next })
}

fn no_such_cursor() -> Failure {
    Failure::bad_request("cursor-invalid", "the cursor is none of this list")
        .with_help("begin at the first page, without `after`")
}

/// Which lines of a log are listed.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogFilter {
    /// Only messages of this level, and graver ones: `error`, `warning`, `info` or `debug`.
    pub(crate) level: Option<String>,
    /// Only messages about the step with this name.
    pub(crate) step: Option<String>,
    /// Only messages with this text, whether its letters are large or small.
    pub(crate) search: Option<String>,
}

impl LogFilter {
    /// The filter as the host knows it.
    pub(crate) fn query(self) -> Result<LogQuery, Failure> {
        let level = self.level.as_deref().map(|word| {
            let known = [LogLevel::Error, LogLevel::Warning, LogLevel::Info, LogLevel::Debug];
            let found = known.into_iter().find(|level| level.to_string() == word);
            found.ok_or_else(|| {
                Failure::bad_request("query-invalid", "the query is wrong: there is no such `level`")
            })
        });
        Ok(LogQuery { level: level.transpose()?, step: self.step, search: self.search.unwrap_or_default() })
    }
}

async fn log(
    may: May<History, OneExecution>,
    Listed { page, filter }: Listed<LogFilter>,
) -> Result<List<LogLine>, Failure> {
    let (tenant, id, query) = (may.tenant().clone(), may.found().id, filter.query()?);
    Ok(List::paged(page, move |after, limit| lines(tenant.clone(), id, query.clone(), after, limit)))
}

pub(crate) async fn lines(
    tenant: Tenant,
    id: JobExecutionId,
    query: LogQuery,
    after: Option<String>,
    limit: u32,
) -> Result<Page<LogLine>, Failure> {
    let place = after.as_deref().map_or(Some(LogPlace::default()), place_of).ok_or_else(no_such_cursor)?;
    let LogPage { lines, next, has_more } = tenant.log_after(id, place, query, limit as usize).await?;
    let rows = lines.iter().map(|(_, line)| Row::Whole(LogLine::of(line))).collect();
    Ok(Page { rows, next: has_more.then(|| format!("{}-{}", next.lines, next.bytes)) })
}

/// A place in a log, as keys of its list have it.
fn place_of(key: &str) -> Option<LogPlace> {
    let (lines, bytes) = key.split_once('-')?;
    Some(LogPlace { lines: plain_number(lines)?, bytes: plain_number(bytes)? })
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
