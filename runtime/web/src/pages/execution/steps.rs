//! The steps of an execution, each a bar on one axis of time, with what it did inside.

use maud::{Markup, html};
use stepbox_api::execution::{Status, StepExecution, Usage};
use stepbox_api::step::{Element, Step, StepKind};

use super::progress::{Progress, between, has_items, sum};
use super::{Part, Shown, text};
use crate::frame::Frame;
use crate::icons::icon;
use crate::prose::prose;
use crate::reader::Reader;
use crate::status::status;

/// Lengths of a quarter of the axis that people can read, in milliseconds; beyond them, whole days.
const QUARTERS: [u64; 26] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
    300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000,
];
const DAY_MS: u64 = 86_400_000;
/// How many parts of a step are shown. All of them are in the interface.
const PARTS_SHOWN: usize = 100;

/// The axis of time that all steps of an execution share.
struct Axis {
    began: String,
    /// The time from the beginning to the last tick, in milliseconds.
    length_ms: u64,
    now: String,
}

impl Axis {
    fn of(reader: &Reader, shown: &Shown, left_ms: u64) -> Self {
        let began = shown.execution.started_at.as_ref().unwrap_or(&shown.execution.created_at).clone();
        let now = reader.now.to_string();
        let ended = shown.execution.ended_at.as_deref().unwrap_or(&now);
        let whole = between(&began, ended).unwrap_or(0) + left_ms;
        let quarter = QUARTERS.into_iter().find(|quarter| quarter * 4 >= whole);
        let quarter = quarter.unwrap_or_else(|| whole.div_ceil(4 * DAY_MS) * DAY_MS);
        Self { began, length_ms: quarter * 4, now }
    }

    /// A length on the axis, as an attribute of SVG.
    fn share(&self, ms: u64) -> String {
        let share = ms.min(self.length_ms) as f64 * 100.0 / self.length_ms as f64;
        format!("{share:.1}%")
    }

    fn ticks(&self, reader: &Reader) -> [String; 5] {
        [0, 1, 2, 3, 4].map(|quarters| tick(reader, self.length_ms / 4 * quarters))
    }
}

/// A moment of the axis: `15 s`, where a span would say `15.0 s`.
fn tick(reader: &Reader, ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        1..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => reader.span(ms),
    }
}

/// All steps of the job: those that ran, those that run, and those that have not begun.
pub(super) fn list(frame: &Frame, reader: &Reader, shown: &Shown) -> Markup {
    let progress = Progress::of(shown);
    let left_ms = progress.left_ms.unwrap_or(0);
    let axis = Axis::of(reader, shown, left_ms);
    let moving = progress.step.map(|step| step.name.as_str());
    html! {
        div #steps.steps {
            div.axis {
                span { "Step" } span { "Status" }
                span.axis-ticks aria-hidden="true" { @for tick in axis.ticks(reader) { span { (tick) } } }
                span.num { "Took" }
            }
            ol {
                @for (position, step) in shown.job.steps.iter().enumerate() {
                    @let run = shown.step(&step.name);
                    li #{ "step-" (position) } {
                        details open[is_open(run)] {
                            summary {
                                span.step-name { (text(&step.name)) }
                                @match run {
                                    Some(run) => (status(run.status.as_str())),
                                    None => span.muted { "Not begun" },
                                }
                                (bar(&axis, run, left_ms, moving))
                                (took(reader, run))
                            }
                            div.step-body { (body(frame, reader, shown, position, step, run)) }
                        }
                    }
                }
            }
        }
    }
}

/// What failed and what runs is open, as is a step that is alone in its reader's interest.
fn is_open(run: Option<&StepExecution>) -> bool {
    run.is_some_and(|run| run.status == Status::Failed || !run.status.has_ended())
}

fn took(reader: &Reader, run: Option<&StepExecution>) -> Markup {
    let took = run.filter(|run| run.carried_from.is_none());
    let took = took.and_then(|run| reader.took(&run.started_at, run.ended_at.as_deref()));
    html! {
        @match took {
            Some(took) => span.num { (took) },
            None => span.num.muted { "–" },
        }
    }
}

fn bar(axis: &Axis, run: Option<&StepExecution>, left_ms: u64, moving: Option<&str>) -> Markup {
    let run = run.filter(|run| run.carried_from.is_none());
    html! {
        svg.span aria-hidden="true" {
            path.base d="M0 8H2000" {}
            @if let Some(run) = run {
                @let begins = between(&axis.began, &run.started_at).unwrap_or(0);
                @let ends = between(&axis.began, run.ended_at.as_deref().unwrap_or(&axis.now)).unwrap_or(0);
                @let length = ends.saturating_sub(begins).max(axis.length_ms / 250);
                rect class=(class(run.status)) x=(axis.share(begins)) y="4" width=(axis.share(length)) height="8" {}
                @if moving == Some(run.name.as_str()) && left_ms > 0 {
                    rect.ahead x=(axis.share(begins + length)) y="4.5" width=(axis.share(left_ms)) height="7" {}
                }
            }
        }
    }
}

/// The class of a bar. It is one of ours, whatever the status says.
fn class(status: Status) -> &'static str {
    match status {
        Status::Starting | Status::Started => "started",
        Status::Failed => "failed",
        Status::Stopping | Status::Stopped | Status::Pausing | Status::Paused => "stopped",
        _ => "ended",
    }
}

fn body(
    frame: &Frame,
    reader: &Reader,
    shown: &Shown,
    position: usize,
    step: &Step,
    run: Option<&StepExecution>,
) -> Markup {
    let parts: Vec<_> = shown.parts.iter().filter(|part| part.position as usize == position).collect();
    html! {
        @if let Some(earlier) = run.and_then(|run| run.carried_from) {
            p.muted {
                "Completed by " a href=(frame.at(&format!("executions/{earlier}"))) { "execution " (earlier) }
                ", and not run again."
            }
        }
        @if let Some(run) = run.filter(|run| has_items(run)) { (sum(reader, run)) }
        dl.facts {
            (elements(reader, step))
            @if let Some(run) = run { (ran(reader, shown, run)) }
            @if let Some(run) = run.filter(|run| run.carried_from.is_none()) { (used(reader, &run.usage)) }
            @if !step.grants.http.is_empty() || !step.grants.files.is_empty() {
                dt { "Asks for" }
                dd {
                    @for line in &step.grants.http { span.sub { code { (text(line)) } } }
                    @for (name, line) in &step.grants.files { span.sub { code { (text(name)) ": " (text(line)) } } }
                }
            }
        }
        @if !parts.is_empty() { (parts_table(reader, &parts)) }
    }
}

fn elements(reader: &Reader, step: &Step) -> Markup {
    let name = |element: &Element| html! { code { (text(&element.name)) } };
    html! {
        @match &step.kind {
            StepKind::Item { reader: from, processors, writer, settings } => {
                dt { "Elements" }
                dd {
                    (name(from)) @for processor in processors { " → " (name(processor)) } " → " (name(writer))
                    ", chunks of " (reader.number(settings.chunk.rows.into())) " items"
                    @if settings.partitions > 1 { ", in " (settings.partitions) " parts" }
                }
            }
            StepKind::Tasklet { tasklet } => { dt { "Tasklet" } dd { (name(tasklet)) } }
        }
    }
}

fn ran(reader: &Reader, shown: &Shown, run: &StepExecution) -> Markup {
    let warns = run.warning_count;
    html! {
        @if warns > 0 {
            dt { "Warnings" }
            dd {
                a.warns href="#warnings" { (icon("i-warning")) (reader.number(warns)) span.sr { " warnings" } }
            }
        }
        @if run.starts > 1 || run.retries > 0 {
            dt { "Begun" }
            dd { (reader.number(run.starts.into())) " times" @if run.retries > 0 { ", " (reader.number(run.retries.into())) " retries used" } }
        }
        @for error in &run.errors { dt { "Error" } dd { (prose(error)) } }
        @if run.exit_status.code != run.status.as_str() && shown.execution.status.has_ended() {
            dt { "Exit status" } dd { code { (text(&run.exit_status.code)) } }
        }
        @for (name, value) in &run.summary {
            dt { (text(name)) }
            dd {
                @match value.as_u64() {
                    Some(number) => (reader.number(number)),
                    None => (text(value.as_str().unwrap_or_default())),
                }
            }
        }
    }
}

/// What the step has used. What it has not is left out.
pub(super) fn used(reader: &Reader, usage: &Usage) -> Markup {
    let refused = usage.http_requests_refused + usage.file_accesses_refused;
    html! {
        @if usage.cpu_us > 0 { dt { "Processor" } dd { (reader.span(usage.cpu_us / 1000)) } }
        @if usage.memory_bytes_peak > 0 { dt { "Memory" } dd { (reader.memory(usage.memory_bytes_peak)) " at most" } }
        @if usage.host_calls > 0 { dt { "Host calls" } dd { (reader.number(usage.host_calls)) } }
        @if usage.files_read > 0 { dt { "Files read" } dd { (reader.bytes(usage.file_bytes_read)) " in " (reader.number(usage.files_read)) } }
        @if usage.files_written > 0 { dt { "Files written" } dd { (reader.bytes(usage.file_bytes_written)) " in " (reader.number(usage.files_written)) } }
        @if usage.http_requests > 0 {
            dt { "Requests" }
            dd { (reader.number(usage.http_requests)) ", " (reader.bytes(usage.http_bytes_sent)) " sent, " (reader.bytes(usage.http_bytes_received)) " received" }
        }
        @if refused > 0 {
            dt { "Refused" }
            dd { (reader.number(usage.http_requests_refused)) " requests, " (reader.number(usage.file_accesses_refused)) " accesses to files" }
        }
        @if usage.log_messages_dropped > 0 {
            dt { "Log" } dd { (reader.number(usage.log_messages_dropped)) " messages dropped, since the log of the step was full" }
        }
    }
}

fn parts_table(reader: &Reader, parts: &[&Part]) -> Markup {
    html! {
        div.table {
            table.stack {
                caption { "Parts" }
                thead { tr { th scope="col" { "Part" } th scope="col" { "Status" } th.num scope="col" { "Items" } th.num scope="col" { "Took" } th scope="col" { "Worker" } } }
                tbody {
                    @for part in parts.iter().take(PARTS_SHOWN) {
                        @let execution = &part.execution;
                        @let processed: u64 = execution.steps.iter().map(|step| step.tracking.processed).sum();
                        tr {
                            th.title scope="row" { (part.number + 1) }
                            td data-label="Status" { (status(execution.status.as_str())) }
                            td.num data-label="Items" { (reader.number(processed)) }
                            td.num data-label="Took" {
                                (execution.started_at.as_ref().and_then(|began| reader.took(began, execution.ended_at.as_deref())).unwrap_or_default())
                            }
                            td data-label="Worker" { @if let Some(worker) = &execution.worker { code { (text(worker)) } } }
                        }
                    }
                }
            }
        }
        @if parts.len() > PARTS_SHOWN { p.muted { "The first " (PARTS_SHOWN) " of " (reader.number(parts.len() as u64)) " parts" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Theme;

    #[test]
    fn the_ticks_of_an_axis_can_be_read() {
        let reader = Reader::new("", "en", Theme::System, "2026-11-30T13:31:44Z".parse().unwrap());
        let rows = [
            (1, "0 1 ms 2 ms 3 ms 4 ms"),
            (33_400, "0 10 s 20 s 30 s 40 s"),
            (50_000, "0 15 s 30 s 45 s 1 min"),
            (200_000, "0 1 min 2 min 3 min 4 min"),
            (20_000_000, "0 2 h 4 h 6 h 8 h"),
            (400_000_000, "0 2 d 4 d 6 d 8 d"),
        ];
        for (whole, expected) in rows {
            let quarter = QUARTERS.into_iter().find(|quarter| quarter * 4 >= whole);
            let quarter = quarter.unwrap_or_else(|| whole.div_ceil(4 * DAY_MS) * DAY_MS);
            let axis = Axis { began: String::new(), length_ms: quarter * 4, now: String::new() };
            assert_eq!(axis.ticks(&reader).join(" "), expected);
        }
    }
}
