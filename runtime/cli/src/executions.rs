//! `stepbox executions`: runs and their results.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::execution::{ExecutionFilter, ExecutionSummary, StopRequest, Warning};
use stepbox::batch::name::{InstanceCode, JobExecutionId, StepName};
use stepbox::batch::ports::RepositoryError;
use stepbox::batch::visible::Visible;
use stepbox::{
    Error, LogLine, NotRemoved, Published, Purge, Purged, Reimport, RestartOptions, Tenant, open_regular,
};
use stepbox_api::execution::{self, Execution};
use stepbox_api::exit_code::ExitCode;
use stepbox_api::queue;

use crate::args::{Executions, RestartChanges, RunManner, SkipLimit};
use crate::error::CliError;
use crate::follow::follow;
use crate::output::Format;
use crate::output::execution::{details, status};
use crate::output::list;
use crate::output::progress::{ProgressDisplay, log_line};
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{beginning, between, counted, number};
use crate::output::{Answer, ask, rejected as rejected_items, talk};

/// How many characters of a warning's item a line of text shows. JSON has the whole item.
const ITEM_CHARACTERS_SHOWN: usize = 120;

/// How many characters of each column of a damaged execution a line of text shows. JSON has the whole column.
const REMAINS_CHARACTERS_SHOWN: usize = 200;

pub(crate) async fn carry_out(tenant: &Tenant, verb: Executions) -> Result<Answer, CliError> {
    match verb {
        Executions::List { instance, status, limit, format } => {
            let instance = instance_code(instance)?;
            let filter = ExecutionFilter { instance, status, limit, ..ExecutionFilter::default() };
            list(tenant, &filter, format.format).await
        }
        Executions::Show { id, format } => show(tenant, JobExecutionId(id), format.format).await,
        Executions::Log { id, format } => {
            let log = tenant.log(JobExecutionId(id)).await?;
            if log.is_empty() {
                talk(format!("execution {id} has no log"));
            }
            let text = || log.iter().map(|line: &LogLine| log_line(line)).collect();
            Ok(Answer::new(format.format, text, || {
                log.iter().map(execution::LogLine::of).collect::<Vec<_>>()
            }))
        }
        Executions::Warnings { id, format } => warnings(tenant, JobExecutionId(id), format.format).await,
        Executions::Stop { id } => stop(tenant, JobExecutionId(id)).await,
        Executions::Restart { id, changes, publish: true, manner } => {
            let id = tenant.publish_restart(JobExecutionId(id), &options(&changes)).await?;
            let view = || queue::Published::of(Published::Queued(id));
            Ok(Answer::new(manner.format.format, || Visible::line(id), view))
        }
        Executions::Restart { id, changes, publish: false, manner } => {
            restart(tenant, JobExecutionId(id), &changes, &manner).await
        }
        Executions::Resume { id, manner } => resume(tenant, JobExecutionId(id), &manner).await,
        Executions::Rejected { id, step } => rejected(tenant, JobExecutionId(id), step).await,
        Executions::Reimport { id, file, step, manner } => {
            reimport(tenant, JobExecutionId(id), &file, step, &manner).await
        }
        Executions::Abandon { id } => {
            let not_removed = tenant.abandon_execution(JobExecutionId(id)).await?;
            talk(format!("execution {id} is given up"));
            not_removed.iter().for_each(|left| talk(cannot_remove(left)));
            Ok(Answer::nothing())
        }
        Executions::Purge { older_than_days, status, instance, yes, format } => {
            let purge = Purge { instance: instance_code(instance)?, status, older_than_days };
            if !yes {
                confirm(&purge)?;
            }
            let purged = tenant.purge_executions(purge).await?;
            let Purged { executions, not_removed } = purged;
            talk(format!("deleted {}", counted(executions.len() as u64, "execution")));
            not_removed.iter().for_each(|left| talk(cannot_remove(left)));
            Ok(Answer::new(format.format, Visible::default, || execution::Purged::of(&executions)))
        }
    }
}

/// A file that a person has to remove.
fn cannot_remove(NotRemoved { execution, path, reason }: &NotRemoved) -> String {
    let what = match path.as_str() {
        "" => "the unfinished outputs".to_owned(),
        path => format!("the unfinished `{path}`"),
    };
    format!("warning: {what} of execution {execution} could not be removed: {reason}")
}

/// The code of an instance. The instance may be gone by now, so only the form of the code is checked.
fn instance_code(code: Option<String>) -> Result<Option<InstanceCode>, CliError> {
    let code = code.map(InstanceCode::new).transpose();
    code.map_err(|error| Error::from(error).into())
}

async fn list(tenant: &Tenant, filter: &ExecutionFilter, format: Format) -> Result<Answer, CliError> {
    let page = async |before: Option<u64>, limit| {
        let before = before.map(JobExecutionId);
        tenant.executions(&ExecutionFilter { before, limit, ..filter.clone() }).await
    };
    let number = |execution: &ExecutionSummary| execution.id.0;
    let written = list::write(format, filter.limit, None, page, number, table, Execution::listed).await?;
    if written.rows == 0 {
        let is_narrow = filter.instance.is_some() || filter.status.is_some();
        talk(if is_narrow { "there are no such executions" } else { "there are no executions yet" });
    }
    if filter.limit > 0 && written.rows == filter.limit {
        talk("these are the newest; `--limit 0` shows all");
    }
    Ok(Answer::nothing())
}

fn table(executions: &[&ExecutionSummary]) -> Table {
    let columns = [
        Column::Right("id"),
        Column::Left("instance"),
        Column::Left("job"),
        Column::Left("status"),
        Column::Right("warnings"),
        Column::Left("created"),
        Column::Left("took"),
    ];
    Table::of(columns, executions, |execution| {
        let warnings: u64 = execution.steps.iter().map(|step| step.warning_count).sum();
        [
            execution.id.to_string(),
            execution.instance.to_string(),
            execution.job.name.to_string(),
            status(
                execution.status,
                execution.worker.is_some(),
                execution.stop_requested,
                execution.set_aside.is_some(),
            ),
            number(warnings),
            execution.created_at.to_string(),
            between(execution.started_at, execution.ended_at),
        ]
    })
}

async fn show(tenant: &Tenant, id: JobExecutionId, format: Format) -> Result<Answer, CliError> {
    let execution = match tenant.execution(id).await {
        Err(Error::Repository(RepositoryError::Corrupt { .. })) => {
            return show_remains(tenant, id, format).await;
        }
        found => found?,
    };
    let entry = match tenant.queue_entry(id).await {
        Err(Error::Repository(error @ RepositoryError::Corrupt { .. })) => {
            talk(error);
            None
        }
        entry => entry?,
    };
    let view = || Execution::of(&execution).with_queue(entry.as_ref());
    Ok(Answer::new(format, || details(&execution, entry.as_ref()), view))
}

/// Shows the damaged and the readable columns of an execution.
async fn show_remains(tenant: &Tenant, id: JobExecutionId, format: Format) -> Result<Answer, CliError> {
    let remains = tenant.remains(id).await?;
    talk(format!("execution {id} is damaged; this is what is left of it"));
    let text = || {
        let shown = |text: &String| beginning(text, REMAINS_CHARACTERS_SHOWN);
        let damage = remains.damage.iter().map(|damage| ("damaged", damage.clone()));
        pairs(damage.chain(remains.fields.iter().map(|(name, text)| (name.as_str(), shown(text)))))
    };
    let answer = Answer::new(format, text, || execution::Remains::of(id, &remains));
    Ok(answer.with_exit_code(ExitCode::StoreUnavailable))
}

async fn warnings(tenant: &Tenant, id: JobExecutionId, format: Format) -> Result<Answer, CliError> {
    let warnings = tenant.warnings(id).await?;
    let counted_in_all: u64 = match tenant.execution(id).await {
        Err(Error::Repository(RepositoryError::Corrupt { .. })) => 0,
        execution => execution?.steps.iter().map(|step| step.warning_count).sum(),
    };
    if counted_in_all > warnings.rows() as u64 {
        let (stored, all) = (number(warnings.rows() as u64), number(counted_in_all));
        talk(format!("{stored} of {all} warnings were stored; the others were only counted"));
    } else if warnings.rows() == 0 {
        talk(format!("execution {id} has no warnings"));
    }
    Ok(list::answer(format, &warnings, warning_table, execution::Warning::of))
}

fn warning_table(warnings: &[Warning]) -> Table {
    let columns = [
        Column::Left("step"),
        Column::Left("place"),
        Column::Left("code"),
        Column::Left("reason"),
        Column::Left("item"),
    ];
    Table::of(columns, warnings, |warning| {
        [
            warning.step.to_string(),
            warning.place.clone(),
            warning.code.clone(),
            warning.reason.clone(),
            beginning(&warning.item, ITEM_CHARACTERS_SHOWN),
        ]
    })
}

async fn stop(tenant: &Tenant, id: JobExecutionId) -> Result<Answer, CliError> {
    match tenant.stop_execution(id).await? {
        StopRequest::Requested => talk(format!("execution {id} was asked to stop")),
        StopRequest::StoppedAtOnce => talk(format!("execution {id} is {}", BatchStatus::Stopped)),
    }
    Ok(Answer::nothing())
}

async fn restart(
    tenant: &Tenant,
    id: JobExecutionId,
    changes: &RestartChanges,
    manner: &RunManner,
) -> Result<Answer, CliError> {
    let display = ProgressDisplay::new(manner.verbose);
    let options = RestartOptions { log: display.log_listener(), ..options(changes) };
    let running = tenant.restart_execution(id, options).await?;
    follow(tenant, running, display, manner).await
}

fn options(changes: &RestartChanges) -> RestartOptions {
    let RestartChanges { newest_components, newest_job, skip_limit, anew } = *changes;
    let skip_limit = skip_limit.map(|SkipLimit(limit)| limit);
    RestartOptions { newest_components, newest_job, skip_limit, anew, log: None }
}

async fn resume(tenant: &Tenant, id: JobExecutionId, manner: &RunManner) -> Result<Answer, CliError> {
    let display = ProgressDisplay::new(manner.verbose);
    let running = tenant.resume_execution(id, display.log_listener()).await?;
    follow(tenant, running, display, manner).await
}

/// Copies a file of rejected items to standard output; it may be larger than memory.
async fn rejected(tenant: &Tenant, id: JobExecutionId, step: Option<String>) -> Result<Answer, CliError> {
    let mut files = tenant.rejected_items(id).await?;
    if let Some(step) = &step {
        files.retain(|(name, _)| name.as_str() == step);
    }
    match files.as_slice() {
        [] => talk(format!("execution {id} has no rejected items{}", of_step(step.as_deref()))),
        [(_, path)] => rejected_items::copy(path)?,
        several => {
            let steps = several.iter().map(|(name, _)| name.to_string()).collect();
            return Err(CliError::StepNeeded { id, steps });
        }
    }
    Ok(Answer::nothing())
}

/// Lets the step that rejected items read a file with the corrected ones.
async fn reimport(
    tenant: &Tenant,
    id: JobExecutionId,
    file: &Path,
    step: Option<String>,
    manner: &RunManner,
) -> Result<Answer, CliError> {
    let step = match step {
        Some(step) => StepName::new(step).map_err(Error::from)?,
        None => match tenant.rejected_items(id).await?.as_slice() {
            [] => return Err(CliError::NothingRejected { id }),
            [(step, _)] => step.clone(),
            several => {
                let steps = several.iter().map(|(name, _)| name.to_string()).collect();
                return Err(CliError::StepNeeded { id, steps });
            }
        },
    };
    // Checked here, since the step would look from another folder, and its error would say less.
    open_regular(file).map_err(CliError::unreadable(file))?;
    let path = std::path::absolute(file).map_err(CliError::unreadable(file))?;
    let file =
        path.to_str().ok_or_else(|| CliError::unreadable(file)(io::ErrorKind::InvalidFilename.into()))?;
    let display = ProgressDisplay::new(manner.verbose);
    let reimport = Reimport { step, file: file.to_owned(), log: display.log_listener() };
    let running = tenant.reimport(id, reimport).await?;
    follow(tenant, running, display, manner).await
}

fn of_step(step: Option<&str>) -> String {
    step.map(|step| format!(" of a step `{step}`")).unwrap_or_default()
}

/// Asks the user to confirm that executions are deleted for good.
fn confirm(purge: &Purge) -> Result<(), CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::ConfirmationNeeded);
    }
    let mut which = String::new();
    if let Some(status) = purge.status {
        which.push_str(&format!(" {status}"));
    }
    which.push_str(" executions");
    if let Some(instance) = &purge.instance {
        which.push_str(&format!(" of `{instance}`"));
    }
    if purge.older_than_days > 0 {
        which.push_str(&format!(" older than {}", counted(purge.older_than_days.into(), "day")));
    }
    ask(&format!("delete all{which}, with their logs and warnings? [y/N]"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(CliError::Output)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::NotConfirmed),
    }
}
