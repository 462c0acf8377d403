//! `stepbox executions`: runs and their results.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::InstanceCode;
use stepbox::batch::visible::Visible;
use stepbox::{Error, Purge, RestartOptions, open_regular};
use stepbox_api::execution::{Execution, NotRemoved, OutputFile, Remains, Warning};
use stepbox_api::exit_code::ExitCode;

use crate::args::{Executions, RestartChanges, RunManner, SkipLimit};
use crate::error::CliError;
use crate::follow::follow;
use crate::output::Format;
use crate::output::execution::{details, status, took};
use crate::output::list;
use crate::output::progress::{ProgressDisplay, log_line};
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{beginning, bytes, counted, number};
use crate::output::{Answer, ask, rejected as rejected_items, talk};
use crate::site::{Found, Site, Wanted};

/// How many characters of a warning's item a line of text shows. JSON has the whole item.
const ITEM_CHARACTERS_SHOWN: usize = 120;

/// How many characters of each column of a damaged execution a line of text shows. JSON has the whole column.
const REMAINS_CHARACTERS_SHOWN: usize = 200;

pub(crate) async fn carry_out(site: &Site, verb: Executions) -> Result<Answer, CliError> {
    match verb {
        Executions::List { instance, status, filter, limit, format } => {
            let wanted = Wanted { instance: instance_code(instance)?, status, filter };
            list(site, &wanted, limit, format.format).await
        }
        Executions::Show { id, format } => show(site, id, format.format).await,
        Executions::Log { id, format } => {
            let log = site.log(id).await?;
            if log.is_empty() {
                talk(format!("execution {id} has no log"));
            }
            Ok(Answer::new(format.format, || log.iter().map(log_line).collect(), || &log))
        }
        Executions::Parts { id, format } => {
            let parts = site.parts(id).await?;
            if parts.is_empty() {
                talk(format!("no step of execution {id} has parts"));
            }
            Ok(Answer::new(format.format, || shown_parts(&parts), || &parts))
        }
        Executions::Files { id, format } => {
            let files = site.output_files(id).await?;
            if files.is_empty() {
                talk(format!("execution {id} has written no files"));
            }
            Ok(Answer::new(format.format, || shown_files(&files), || &files))
        }
        Executions::Warnings { id, format } => warnings(site, id, format.format).await,
        Executions::Stop { id } => stop(site, id).await,
        Executions::Restart { id, changes, publish: true, manner } => {
            let published = site.publish_restart(id, &options(&changes)).await?;
            Ok(Answer::new(manner.format.format, || Visible::line(published.id), || &published))
        }
        Executions::Restart { id, changes, publish: false, manner } => {
            let display = ProgressDisplay::new(manner.verbose);
            let run = site.restart(id, options(&changes), display.log()).await?;
            follow(site, run, display, &manner).await
        }
        Executions::Pause { id } => pause(site, id).await,
        Executions::Resume { id, publish: true, .. } => {
            site.publish_resume(id).await?;
            talk(format!("execution {id} waits for a worker"));
            Ok(Answer::nothing())
        }
        Executions::Resume { id, publish: false, manner } => {
            let display = ProgressDisplay::new(manner.verbose);
            let run = site.resume(id, display.log()).await?;
            follow(site, run, display, &manner).await
        }
        Executions::Rejected { id, step } => rejected(site, id, step).await,
        Executions::Reimport { id, file, step, manner } => reimport(site, id, &file, step, &manner).await,
        Executions::Abandon { id } => {
            let abandoned = site.abandon_execution(id).await?;
            talk(format!("execution {id} is given up"));
            abandoned.not_removed.iter().for_each(|left| talk(cannot_remove(left)));
            Ok(Answer::nothing())
        }
        Executions::Purge { older_than_days, status, instance, yes, format } => {
            let purge = Purge { instance: instance_code(instance)?, status, older_than_days };
            if !yes {
                confirm(&purge)?;
            }
            let purged = site.purge_executions(purge).await?;
            talk(format!("deleted {}", counted(purged.purged.len() as u64, "execution")));
            purged.not_removed.iter().for_each(|left| talk(cannot_remove(left)));
            Ok(Answer::new(format.format, Visible::default, || &purged))
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

async fn list(site: &Site, wanted: &Wanted, limit: u32, format: Format) -> Result<Answer, CliError> {
    let is_narrow = wanted.instance.is_some() || wanted.status.is_some() || wanted.filter.is_some();
    let mut executions = site.executions(wanted)?;
    let written = list::write(format, limit, async |rows| executions.next(rows).await, table).await?;
    if written.rows == 0 {
        talk(if is_narrow { "there are no such executions" } else { "there are no executions yet" });
    }
    if limit > 0 && written.rows == limit {
        talk("these are the newest; `--limit 0` shows all");
    }
    Ok(Answer::nothing())
}

fn table(executions: &[&Execution]) -> Table {
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
        [
            execution.id.to_string(),
            execution.instance.clone(),
            execution.job.clone(),
            status(execution),
            number(execution.warning_count),
            execution.created_at.clone(),
            took(execution),
        ]
    })
}

/// The parts as a table; nothing without parts.
fn shown_parts(parts: &[Execution]) -> Visible {
    if parts.is_empty() {
        return Visible::default();
    }
    let columns = [
        Column::Right("id"),
        Column::Left("step"),
        Column::Left("status"),
        Column::Right("warnings"),
        Column::Left("took"),
    ];
    let table = Table::of(columns, parts, |part| {
        let step = part.steps.first().map_or_else(|| "-".to_owned(), |step| step.name.clone());
        [part.id.to_string(), step, status(part), number(part.warning_count), took(part)]
    });
    table.shown()
}

/// The files as a table; nothing without files.
fn shown_files(files: &[OutputFile]) -> Visible {
    if files.is_empty() {
        return Visible::default();
    }
    let columns = [
        Column::Right("number"),
        Column::Left("step"),
        Column::Left("path"),
        Column::Left("storage"),
        Column::Right("size"),
    ];
    let table = Table::of(columns, files, |file| {
        let size = file.size_bytes.map_or_else(|| "-".to_owned(), bytes);
        let storage = file.storage.clone().unwrap_or_else(|| "-".to_owned());
        [file.number.to_string(), file.step.clone(), file.path.clone(), storage, size]
    });
    table.shown()
}

async fn show(site: &Site, id: u64, format: Format) -> Result<Answer, CliError> {
    match site.find_execution(id).await? {
        Found::Whole { execution, damage } => {
            damage.into_iter().for_each(talk);
            Ok(Answer::new(format, || details(&execution), || &execution))
        }
        Found::Damaged(remains) => {
            talk(format!("execution {id} is damaged; this is what is left of it"));
            let answer = Answer::new(format, || show_remains(&remains), || &remains);
            Ok(answer.with_exit_code(ExitCode::StoreUnavailable))
        }
    }
}

/// The damaged and the readable columns of an execution.
fn show_remains(Remains { damaged, fields, .. }: &Remains) -> Visible {
    let shown = |text: &String| beginning(text, REMAINS_CHARACTERS_SHOWN);
    let damage = damaged.iter().map(|damage| ("damaged", damage.clone()));
    pairs(damage.chain(fields.iter().map(|(name, text)| (name.as_str(), shown(text)))))
}

async fn warnings(site: &Site, id: u64, format: Format) -> Result<Answer, CliError> {
    let warnings = site.warnings(id).await?;
    let counted_in_all = match site.find_execution(id).await? {
        Found::Whole { execution, .. } => execution.warning_count,
        Found::Damaged(_) => 0,
    };
    if counted_in_all > warnings.len() as u64 {
        let (stored, all) = (number(warnings.len() as u64), number(counted_in_all));
        talk(format!("{stored} of {all} warnings were stored; the others were only counted"));
    } else if warnings.is_empty() {
        talk(format!("execution {id} has no warnings"));
    }
    Ok(list::answer(format, &warnings, warning_table))
}

fn warning_table(warnings: &[&Warning]) -> Table {
    let columns = [
        Column::Left("step"),
        Column::Left("place"),
        Column::Left("code"),
        Column::Left("reason"),
        Column::Left("item"),
    ];
    Table::of(columns, warnings, |warning| {
        [
            warning.step.clone(),
            warning.place.clone(),
            warning.code.clone(),
            warning.reason.clone(),
            beginning(&warning.item, ITEM_CHARACTERS_SHOWN),
        ]
    })
}

async fn pause(site: &Site, id: u64) -> Result<Answer, CliError> {
    match site.pause_execution(id).await?.is_paused {
        true => talk(format!("execution {id} is {}", BatchStatus::Paused)),
        false => talk(format!("execution {id} was asked to pause")),
    }
    Ok(Answer::nothing())
}

async fn stop(site: &Site, id: u64) -> Result<Answer, CliError> {
    match site.stop_execution(id).await?.is_stopped {
        false => talk(format!("execution {id} was asked to stop")),
        true => talk(format!("execution {id} is {}", BatchStatus::Stopped)),
    }
    Ok(Answer::nothing())
}

fn options(changes: &RestartChanges) -> RestartOptions {
    let RestartChanges { newest_components, newest_job, skip_limit, anew } = *changes;
    let skip_limit = skip_limit.map(|SkipLimit(limit)| limit);
    RestartOptions { newest_components, newest_job, skip_limit, anew, log: None }
}

/// Copies a file of rejected items to standard output; it may be larger than memory.
async fn rejected(site: &Site, id: u64, step: Option<String>) -> Result<Answer, CliError> {
    let mut steps = site.steps_with_rejected_items(id).await?;
    if let Some(step) = &step {
        steps.retain(|name| name == step);
    }
    match steps.as_slice() {
        [] => talk(format!("execution {id} has no rejected items{}", of_step(step.as_deref()))),
        [step] => rejected_items::copy(site.rejected_items(id, step).await?).await?,
        _ => return Err(CliError::StepNeeded { id, steps }),
    }
    Ok(Answer::nothing())
}

/// Lets the step that rejected items read a file with the corrected ones.
async fn reimport(
    site: &Site,
    id: u64,
    file: &Path,
    step: Option<String>,
    manner: &RunManner,
) -> Result<Answer, CliError> {
    let step = match step {
        Some(step) => step,
        None => {
            let steps = site.steps_with_rejected_items(id).await?;
            match steps.as_slice() {
                [] => return Err(CliError::NothingRejected { id }),
                [step] => step.clone(),
                _ => return Err(CliError::StepNeeded { id, steps }),
            }
        }
    };
    // Checked here, since the step would look from another folder, and its error would say less.
    open_regular(file).map_err(CliError::unreadable(file))?;
    let display = ProgressDisplay::new(manner.verbose);
    let run = site.reimport(id, &step, file, display.log()).await?;
    follow(site, run, display, manner).await
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
