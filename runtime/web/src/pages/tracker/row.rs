//! A row of the tracker. Its moving parts have ids, so that the stream can send each of them alone.

use jiff::Timestamp;
use maud::{Markup, html};
use stepbox_api::execution::{Execution, StepExecution, StepExecutionKind};
use stepbox_api::list::DamagedRow;
use stepbox_batch::visible::on_one_line;

use super::Row;
use crate::frame::Frame;
use crate::icons::icon;
use crate::reader::Reader;
use crate::status::{is_running, status, warnings};

pub(super) fn row(frame: &Frame, row: &Row, has_pick: bool) -> Markup {
    let Row { execution, label, may_act } = row;
    let Execution { id, instance, user, .. } = execution;
    let parts = moving(frame, execution);
    html! {
        tr {
            @if has_pick {
                td.pick { input type="checkbox" name="id" value=(id) aria-label={ "Select " (id) } disabled[!may_act]; }
            }
            th.title.fill scope="row" {
                a href=(frame.at(&format!("executions/{id}"))) {
                    span.id { (id) } bdi { (label.as_deref().map_or(instance.as_str().into(), on_one_line)) }
                }
                @if label.as_ref().is_some_and(|label| label != instance) { span.sub { (instance) } }
            }
            td data-label="Status" { (parts.status) }
            td.wide data-label="Items" { (parts.items) }
            td.num data-label="Warnings" { (parts.warnings) }
            td.less data-label="User" { @if let Some(user) = user { bdi.cut { (on_one_line(user)) } } }
            td.nowrap data-label="Created" { (frame.reader.moment(&execution.created_at)) }
            td.num.less data-label="Took" { (parts.took) }
            td.end {
                @if *may_act && is_running(execution.status.as_str()) && !execution.stop_requested {
                    button.button.small.while-running name="stop" value=(id) { (icon("i-stop")) "Stop" span.sr { " " (id) } }
                }
            }
        }
    }
}

/// An execution that cannot be read has its page, which shows what is left of it.
pub(super) fn damaged(frame: &Frame, row: &DamagedRow, has_pick: bool) -> Markup {
    html! {
        tr {
            @if has_pick { td.pick {} }
            th.title.fill scope="row" {
                @match row.id {
                    Some(id) => a href=(frame.at(&format!("executions/{id}"))) { span.id { (id) } "damaged" },
                    None => bdi { (on_one_line(&row.name)) },
                }
            }
            td data-label="Status" { (status("UNKNOWN")) }
            td.wide data-label="Items" { span.muted { bdi { (on_one_line(&row.damaged)) } } }
            td {} td.less {} td {} td.less {} td.end {}
        }
    }
}

/// The parts of a row that move.
pub struct MovingParts {
    status: Markup,
    items: Markup,
    warnings: Markup,
    took: Markup,
}

/// The moving parts of a row, as elements with ids.
pub fn moving(frame: &Frame, execution: &Execution) -> MovingParts {
    let id = execution.id;
    let reader = &frame.reader;
    let to_warnings = frame.at(&format!("executions/{id}/warnings"));
    MovingParts {
        status: html! { span id={ "status-" (id) } data-live { (status(execution.status.as_str())) } },
        items: html! { div id={ "items-" (id) } data-live { (items(reader, execution)) } },
        warnings: html! {
            span id={ "warnings-" (id) } data-live {
                (warnings(execution.warning_count, &reader.number(execution.warning_count), Some(&to_warnings)))
            }
        },
        took: html! { span id={ "took-" (id) } data-live { (took(reader, execution).unwrap_or_else(|| "–".to_owned())) } },
    }
}

/// The same with the id of each.
pub fn moving_parts(frame: &Frame, execution: &Execution) -> Vec<(String, Markup)> {
    let MovingParts { status, items, warnings, took } = moving(frame, execution);
    [("status", status), ("items", items), ("warnings", warnings), ("took", took)]
        .map(|(name, part)| (format!("{name}-{}", execution.id), part))
        .into()
}

fn took(reader: &Reader, execution: &Execution) -> Option<String> {
    reader.took(execution.started_at.as_deref()?, execution.ended_at.as_deref())
}

/// The step whose items tell how far the execution is: the last one that has items to count, or a total.
fn counted(execution: &Execution) -> Option<&StepExecution> {
    let counts =
        |step: &&StepExecution| step.kind == StepExecutionKind::Item || step.tracking.total.is_some();
    execution.steps.iter().rev().find(counts)
}

fn items(reader: &Reader, execution: &Execution) -> Markup {
    let word = execution.status.as_str();
    let Some(step) = counted(execution) else {
        let text = match word {
            "QUEUED" => "waits for a worker",
            _ => "",
        };
        return html! { div.num { span.muted { (text) } } };
    };
    let tracking = &step.tracking;
    let about = if tracking.is_estimate { "~" } else { "" };
    let processed = reader.number(tracking.processed);
    let total = tracking.total.filter(|total| *total > 0);
    let of_total = match total {
        Some(total) if tracking.processed != total => {
            format!("{processed} of {about}{}", reader.number(total))
        }
        _ => processed,
    };
    match total {
        Some(total) if is_running(word) => {
            let percent = tracking.processed.min(total) as u128 * 100 / u128::from(total);
            let left = left(reader, step, total).map(|left| format!(", {left} left")).unwrap_or_default();
            html! {
                div.row-progress {
                    progress value=(tracking.processed.min(total)) max=(total) aria-label="Items processed" { (percent) " %" }
                    b.num { (about) (percent) " %" }
                    span.muted { (of_total) (left) }
                }
            }
        }
        _ => html! { div.num { (of_total) } },
    }
}

/// How long the step will still take if it goes on as until now.
fn left(reader: &Reader, step: &StepExecution, total: u64) -> Option<String> {
    let began: Timestamp = step.started_at.parse().ok()?;
    let ms = u128::try_from(reader.now.duration_since(began).as_millis()).ok()?;
    let processed = u128::from(step.tracking.processed);
    if processed == 0 || ms == 0 || step.status.as_str() != "STARTED" {
        return None;
    }
    let ms = ms * u128::from(total).saturating_sub(processed) / processed;
    Some(format!("~{}", reader.span(u64::try_from(ms).ok()?)))
}
