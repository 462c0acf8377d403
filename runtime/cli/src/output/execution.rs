//! An execution, for people: its status, its items, its errors and the next actions.

use serde_json::Value;
use stepbox::batch::visible::{Visible, on_one_line};
use stepbox_api::execution::{
    Execution, ExitStatus, Failure, Status, StepExecution, StepExecutionKind, Tracking,
};
use stepbox_api::queue::{QueueEntry, QueueState};

use super::table::{Column, Table, pairs};
use super::words::{between, bytes, counted, duration, number};
use crate::next_action;

/// The result of a run in a sentence, and a table of its steps.
pub(crate) fn summary(execution: &Execution) -> Visible {
    let Execution { id, instance, status, started_at, ended_at, .. } = execution;
    let took = match ended_at {
        Some(_) => format!(" after {}", between(started_at.as_deref(), ended_at.as_deref())),
        None => String::new(),
    };
    let sentence = format_args!("execution {id} of `{instance}` is {status}{took}");
    Visible::line(sentence).and(results(execution, None))
}

/// Everything about an execution but its log and its warnings.
pub(crate) fn details(execution: &Execution) -> Visible {
    let Execution { connector, job, r#type: job_type, queue, .. } = execution;
    let mut facts = vec![
        ("execution", execution.id.to_string()),
        ("instance", execution.instance.to_string()),
        ("job", format!("{job} of connector {connector}, type {job_type}")),
        ("status", status_of(execution)),
        ("exit status", exit_status(&execution.exit_status)),
        ("user", or_dash(&execution.user)),
        ("created", execution.created_at.clone()),
        ("started", or_dash(&execution.started_at)),
        ("ended", or_dash(&execution.ended_at)),
        ("took", took(execution)),
        ("worker", or_dash(&execution.worker)),
        ("attempt", execution.attempt.to_string()),
    ];
    match (queue, &execution.set_aside) {
        (_, Some(reason)) => facts.push(("set aside", on_one_line(reason).into_owned())),
        (Some(entry), None) => facts.push(("queue", in_queue(entry))),
        (None, None) => {}
    }
    if let Some(earlier) = execution.restart_of {
        facts.push(("restart of", earlier.to_string()));
    }
    if let Some(folder) = &execution.folder {
        facts.push(("folder", folder.clone()));
    }
    facts.push(("parameters", parameters(execution.parameters.as_object().into_iter().flatten())));
    let components = execution.components.iter();
    let components: Vec<_> = components.map(|c| format!("{} {}", c.name, c.digest)).collect();
    if !components.is_empty() {
        facts.push(("components", components.join("\n")));
    }
    pairs(facts).and(results(execution, Some(usage(execution))))
}

/// A name or a moment; `-` if it is not known.
fn or_dash(text: &Option<String>) -> String {
    text.clone().unwrap_or_else(|| "-".to_owned())
}

/// How long the execution took; `-` while it has not ended.
pub(crate) fn took(execution: &Execution) -> String {
    between(execution.started_at.as_deref(), execution.ended_at.as_deref())
}

/// Its place in the queue.
fn in_queue(entry: &QueueEntry) -> String {
    let QueueEntry { state, priority, available_at, losses, attempts_max } = entry;
    let mut parts = vec![match state {
        QueueState::Waiting => format!("waits since {available_at}"),
        QueueState::Delayed => format!("waits until {available_at}"),
        QueueState::Claimed => "a worker has it".to_owned(),
        QueueState::Paused => "waits until it is resumed".to_owned(),
    }];
    if *priority != 0 {
        parts.push(format!("priority {priority}"));
    }
    if *losses > 0 {
        parts.push(format!("lost {losses} of {} at most", counted((*attempts_max).into(), "worker")));
    }
    parts.join(", ")
}

/// Parameters by name, one in each line, with their values as JSON.
pub(crate) fn parameters<'a>(parameters: impl IntoIterator<Item = (&'a String, &'a Value)>) -> String {
    let lines: Vec<_> = parameters.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if lines.is_empty() { "-".to_owned() } else { lines.join("\n") }
}

fn status_of(execution: &Execution) -> String {
    let (shown, set_aside) = (status(execution), &execution.set_aside);
    let entry = execution.queue.as_ref();
    match entry.filter(|entry| entry.state == QueueState::Delayed && set_aside.is_none()) {
        Some(entry) => format!("{shown} until {}", entry.available_at),
        None => shown,
    }
}

/// The status. A stop or a pause request that the worker has not seen yet, or being set aside, is added to it.
pub(crate) fn status(execution: &Execution) -> String {
    let Execution { status, stop_requested, pause_requested, set_aside, .. } = execution;
    match () {
        () if set_aside.is_some() => format!("{status}, set aside"),
        () if *stop_requested && *status == Status::Started => format!("{status}, a stop is requested"),
        () if *pause_requested && *status == Status::Started => format!("{status}, a pause is requested"),
        () => status.to_string(),
    }
}

fn exit_status(exit: &ExitStatus) -> String {
    match exit.description.is_empty() {
        true => exit.code.clone(),
        false => format!("{}: {}", exit.code, on_one_line(&exit.description)),
    }
}

/// The steps, the resources that they used if wanted, their findings, and the next actions.
fn results(execution: &Execution, usage: Option<Visible>) -> Visible {
    let mut parts = Vec::new();
    if !execution.steps.is_empty() {
        parts.push(steps(execution));
        parts.extend(usage);
    }
    parts.extend(execution.steps.iter().map(findings).filter(|findings| !findings.is_empty()));
    parts.extend(execution.failures.iter().map(|failure| failed("the job", failure)));
    if let Some(next) = next_steps(execution) {
        parts.push(next);
    }
    parts.into_iter().map(|part| Visible::line("").and(part)).collect()
}

fn steps(execution: &Execution) -> Visible {
    let columns = [
        Column::Left("step"),
        Column::Left("status"),
        Column::Right("processed"),
        Column::Right("read"),
        Column::Right("written"),
        Column::Right("filtered"),
        Column::Right("skipped"),
        Column::Right("warnings"),
        Column::Left("took"),
    ];
    let table = Table::of(columns, &execution.steps, |step| {
        let has_items = step.kind != StepExecutionKind::Tasklet;
        let items = |count| if has_items { number(count) } else { "-".to_owned() };
        let took = match step.carried_from {
            Some(earlier) => format!("in execution {earlier}"),
            None => between(Some(&step.started_at), step.ended_at.as_deref()),
        };
        [
            step.name.clone(),
            step.status.to_string(),
            processed(step.tracking),
            items(step.counts.read),
            items(step.counts.written),
            items(step.counts.filtered),
            items(step.counts.skipped),
            number(step.warning_count),
            took,
        ]
    });
    table.shown()
}

/// The resources that each step used.
fn usage(execution: &Execution) -> Visible {
    let columns = [
        Column::Left("step used"),
        Column::Right("CPU of components"),
        Column::Right("memory"),
        Column::Right("host calls"),
        Column::Right("read from files"),
        Column::Right("written to files"),
        Column::Right("requests"),
        Column::Right("sent"),
        Column::Right("received"),
    ];
    let in_files = |size, files| format!("{} in {}", bytes(size), number(files));
    let table = Table::of(columns, &execution.steps, |step| {
        let used = &step.usage;
        [
            step.name.clone(),
            duration(used.cpu_us.div_ceil(1000)),
            bytes(used.memory_bytes_peak),
            number(used.host_calls),
            in_files(used.file_bytes_read, used.files_read),
            in_files(used.file_bytes_written, used.files_written),
            number(used.http_requests),
            bytes(used.http_bytes_sent),
            bytes(used.http_bytes_received),
        ]
    });
    table.shown()
}

/// `1,200 of ~5,000`; `-` for a step without progress.
fn processed(tracking: Tracking) -> String {
    match tracking {
        Tracking { processed: 0, total: None, .. } => "-".to_owned(),
        Tracking { processed, total, .. } if total.is_none_or(|total| total == processed) => {
            number(processed)
        }
        Tracking { processed, .. } => format!("{} of {}", number(processed), total(tracking)),
    }
}

/// The total, with a `~` before an estimate; `?` if it is not known.
pub(crate) fn total(tracking: Tracking) -> String {
    match tracking.total {
        None => "?".to_owned(),
        Some(total) => format!("{}{}", if tracking.is_estimate { "~" } else { "" }, number(total)),
    }
}

/// The findings of a step beside its counts.
fn findings(step: &StepExecution) -> Visible {
    let (name, mut lines) = (&step.name, Visible::default());
    let exit = &step.exit_status;
    let has_own_exit = step.ended_at.is_some() && exit.code != step.status.as_str();
    if has_own_exit {
        lines
            .extend([Visible::line(format_args!("step `{name}` has the exit status {}", exit_status(exit)))]);
    }
    if !step.summary.is_empty() {
        lines.extend([Visible::line(format_args!("step `{name}` sums up:"))]);
        let line = |(name, value): (&String, &Value)| {
            Visible::line(format_args!(
                "{name} = {}",
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            ))
        };
        lines.extend(step.summary.iter().map(|entry| line(entry).indented(2)));
    }
    lines.extend(refusals(step));
    // A component that records an error for people often fails with the same words.
    let is_told = |error: &String| step.failures.iter().any(|failure| failure.message == *error);
    let errors = step.errors.iter().filter(|error| !is_told(error));
    lines.extend(errors.map(|error| Visible::named(&format!("step `{name}` found an error: "), error)));
    lines.extend(step.failures.iter().map(|failure| failed(&format!("step `{name}`"), failure)));
    lines
}

/// The refusals of a step, and how many of its messages were dropped.
fn refusals(step: &StepExecution) -> impl Iterator<Item = Visible> {
    let used = &step.usage;
    let counts = [
        (used.http_requests_refused, "requests refused"),
        (used.file_accesses_refused, "accesses to files refused"),
        (used.log_messages_dropped, "messages dropped"),
    ];
    let told = counts.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(count, what)| Visible::line(format_args!("step `{}`: {what}: {}", step.name, number(count))))
}

/// A failure in the form in which `report` prints an error: place and cause, then the next action.
fn failed(subject: &str, failure: &Failure) -> Visible {
    let mut lines = Visible::line(format_args!("{subject} failed:"));
    lines.extend([Visible::named("  cause: ", &failure.to_string())]);
    if let Some(help) = next_action::of_failure(failure) {
        lines.extend([Visible::named("   help: ", &help)]);
    }
    lines.and(Visible::line(format_args!("   docs: errors#{}", failure.code)))
}

/// The options of a restart to use if a plain restart would end in the same way.
fn other_ways_on(execution: &Execution) -> Option<String> {
    let last = execution.steps.iter().rev().find_map(|step| step.failures.last())?;
    let options = match last.code.as_str() {
        "skip-limit" => {
            "with `--skip-limit N` if so many may be missing, with `--anew` once the input is corrected"
        }
        "file-changed" => "with `--anew`, if the step is to begin again with the input as it is now",
        "step-time-limit" | "step-cpu-limit" | "step-memory-limit" | "start-limit" => {
            "with `--newest-job` once the job is installed with another limit"
        }
        _ => return None,
    };
    Some(format!("  {options}"))
}

/// The next actions after the execution.
fn next_steps(execution: &Execution) -> Option<Visible> {
    let id = execution.id;
    let warnings = execution.warning_count;
    let mut lines = Vec::new();
    if warnings > 0 {
        lines.push(format!("{}: see `stepbox executions warnings {id}`", counted(warnings, "warning")));
    }
    if execution.steps.iter().any(|step| step.counts.skipped > 0) {
        lines.push(format!("to correct skipped items: `stepbox executions rejected {id}`"));
    }
    match execution.status {
        Status::Failed | Status::Stopped => {
            lines.push(format!("to continue from here: `stepbox executions restart {id}`"));
            lines.extend(other_ways_on(execution));
        }
        Status::Paused => {
            lines.push(format!("to continue from here: `stepbox executions resume {id}`"));
        }
        _ => {}
    }
    (!lines.is_empty()).then(|| lines.iter().map(Visible::line).collect())
}
