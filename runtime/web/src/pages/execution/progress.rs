//! How far an execution is: the one number of the page, its rate, and the time that is left.

use jiff::Timestamp;
use maud::{Markup, html};
use stepbox_api::execution::{Status, StepExecution, StepExecutionKind, Tracking};
use stepbox_api::queue::QueueState;

use super::{Shown, text};
use crate::reader::Reader;
use crate::status::{favicon, word};

/// The shortest time of which a rate is said, in milliseconds.
const RATE_AFTER_MS: u64 = 1_000;

/// How far an execution is, as far as the step tells that moves now, or that moved last.
pub(super) struct Progress<'a> {
    pub(super) step: Option<&'a StepExecution>,
    tracking: Tracking,
    /// Items a second, over the whole step in this execution.
    rate: Option<u64>,
    /// The time until the step ends at that rate, in milliseconds.
    pub(super) left_ms: Option<u64>,
}

/// The milliseconds between two times.
pub(super) fn between(began: &str, ended: &str) -> Option<u64> {
    let (began, ended): (Timestamp, Timestamp) = (began.parse().ok()?, ended.parse().ok()?);
    Some(ended.duration_since(began).as_millis().try_into().unwrap_or(0))
}

/// Whether a step has items to count.
pub(super) fn has_items(step: &StepExecution) -> bool {
    step.kind == StepExecutionKind::Item || step.counts.read > 0
}

impl<'a> Progress<'a> {
    pub(super) fn of(shown: &'a Shown) -> Self {
        let steps = &shown.execution.steps;
        let moves = |step: &&StepExecution| !step.status.has_ended();
        let step = steps.iter().rev().find(|step| moves(step) && has_items(step));
        let step = step.or_else(|| steps.iter().rev().find(moves));
        let step = step.or_else(|| {
            let own = |step: &&StepExecution| has_items(step) && step.carried_from.is_none();
            steps.iter().rev().find(own)
        });
        let Some(found) = step else {
            let tracking = Tracking { processed: 0, total: None, is_estimate: false };
            return Self { step: None, tracking, rate: None, left_ms: None };
        };
        let earlier = shown.earlier.get(&found.name).copied().unwrap_or(0);
        let done = found.tracking.processed.saturating_sub(earlier);
        let until = found.ended_at.as_deref().unwrap_or(&found.updated_at);
        let ms = between(&found.started_at, until).filter(|ms| *ms >= RATE_AFTER_MS);
        let rate = ms.map(|ms| done.saturating_mul(1000) / ms).filter(|rate| *rate > 0);
        let left = found.tracking.total.map(|total| total.saturating_sub(found.tracking.processed));
        let moves = found.status == Status::Started;
        let left_ms = left.zip(rate).map(|(left, rate)| left.saturating_mul(1000) / rate).filter(|_| moves);
        Self { step, tracking: found.tracking, rate, left_ms }
    }

    /// `43 %`, or `~43 %` of an estimate; `None` if the total is not known.
    pub(super) fn percent(&self) -> Option<String> {
        let total = self.tracking.total.filter(|total| *total > 0)?;
        let percent = (u128::from(self.tracking.processed) * 100 / u128::from(total)).min(100);
        Some(format!("{}{percent} %", self.tilde()))
    }

    fn tilde(&self) -> &'static str {
        if self.tracking.is_estimate { "~" } else { "" }
    }
}

/// A span of which nobody wants to know the tenths.
fn about(reader: &Reader, ms: u64) -> String {
    match ms {
        0..1000 => "1 s".to_owned(),
        1000..60_000 => format!("{} s", ms.div_ceil(1000)),
        _ => reader.span(ms),
    }
}

/// What a screen reader says, once for each tenth: the number in it changes no more often.
fn said(progress: &Progress<'_>, status: Status) -> String {
    let tenth = progress
        .tracking
        .total
        .filter(|total| *total > 0)
        .map(|total| (u128::from(progress.tracking.processed) * 10 / u128::from(total)).min(10) * 10);
    match tenth {
        Some(tenth) if status == Status::Started => format!("{tenth} % of the items are processed."),
        _ => format!("{}.", word(status.as_str())),
    }
}

/// The one number of the page with what belongs to it. A failed or stopped execution says in its note how far it came.
pub(super) fn hero(base: &str, reader: &Reader, shown: &Shown) -> Markup {
    let (progress, status) = (Progress::of(shown), shown.execution.status);
    let (title, said) = (format!("{} · Stepbox", super::title(shown)), said(&progress, status));
    let inner = match status {
        Status::Queued | Status::Starting => waiting(reader, shown),
        Status::Started | Status::Stopping | Status::Pausing | Status::Paused => {
            running(reader, shown, &progress)
        }
        Status::Completed => completed(reader, shown, &progress),
        Status::Stopped | Status::Failed | Status::Abandoned | Status::Unknown => html! {},
    };
    let icon = favicon(base, status.as_str());
    html! { div #progress.hero data-title=(title) data-said=(said) data-icon=(icon) { (inner) } }
}

fn waiting(reader: &Reader, shown: &Shown) -> Markup {
    let waits = match shown.execution.queue.as_ref().map(|entry| (entry.state, entry)) {
        Some((QueueState::Delayed, entry)) => html! { "It begins " (reader.moment(&entry.available_at)) },
        Some((QueueState::Paused, _)) => html! { "It waits until it is resumed" },
        Some((_, entry)) if entry.priority != 0 => {
            html! { "It waits for a free worker, with priority " (entry.priority) }
        }
        _ => html! { "It waits for a free worker" },
    };
    html! { p.hero-line { span { (waits) } } }
}

/// Which of several steps a number is about.
fn of_step(shown: &Shown, step: &StepExecution) -> Markup {
    let place = shown.job.steps.iter().position(|known| known.name == step.name);
    html! {
        @if shown.job.steps.len() > 1 {
            span.muted {
                "step " code { (text(&step.name)) }
                @if let Some(place) = place { ", " (place + 1) " of " (shown.job.steps.len()) }
            }
        }
    }
}

fn running(reader: &Reader, shown: &Shown, progress: &Progress<'_>) -> Markup {
    let Some(step) = progress.step else { return waiting(reader, shown) };
    let Tracking { processed, total, .. } = progress.tracking;
    let total_shown = total.map(|total| format!("{}{}", progress.tilde(), reader.number(total)));
    html! {
        h2.sr { "Progress" }
        div.hero-line {
            @match (progress.percent(), &total_shown) {
                (Some(percent), Some(total)) => {
                    span.hero-number { (percent) " " small { (reader.number(processed)) " of " (total) " items" } }
                }
                _ if has_items(step) => span.hero-number { (reader.number(processed)) " " small { "items so far" } },
                _ => span.hero-number { "It runs" },
            }
            @if let Some(left) = progress.left_ms { span { b { "~" (about(reader, left)) } " " span.muted { "left" } } }
            @if let Some(rate) = progress.rate { span { b { (reader.number(rate)) } " " span.muted { "items a second" } } }
            (of_step(shown, step))
        }
        @if let (Some(total), Some(percent)) = (total.filter(|total| *total > 0), progress.percent()) {
            progress.big value=(processed.min(total)) max=(total) aria-label="Items processed" { (percent) }
        } @else if has_items(step) {
            progress.big aria-label="Items processed" {}
        }
        @if has_items(step) { (sum(reader, step)) }
    }
}

fn completed(reader: &Reader, shown: &Shown, progress: &Progress<'_>) -> Markup {
    let took = shown.execution.started_at.as_deref().zip(shown.execution.ended_at.as_deref());
    let took = took.and_then(|(began, ended)| between(began, ended));
    let counted = progress.step.filter(|step| has_items(step));
    html! {
        h2.sr { "Result" }
        div.hero-line {
            @if let Some(step) = counted {
                span.hero-number { (reader.number(step.counts.written)) " " small { "items written" } }
            } @else if let Some(took) = took {
                span.hero-number { (reader.span(took)) }
            }
            @if let (Some(took), true) = (took, counted.is_some()) { span { b { (reader.span(took)) } " " span.muted { "in all" } } }
            @if let Some(rate) = progress.rate { span { b { (reader.number(rate)) } " " span.muted { "items a second" } } }
            @if let Some(step) = counted { (of_step(shown, step)) }
        }
        @if let Some(step) = counted { (sum(reader, step)) }
    }
}

/// read = written + filtered + skipped, spelled out.
pub(super) fn sum(reader: &Reader, step: &StepExecution) -> Markup {
    let counts = &step.counts;
    let all = [
        ("read", counts.read),
        ("written", counts.written),
        ("filtered", counts.filtered),
        ("skipped", counts.skipped),
    ];
    // In the middle of a chunk some items are read and not yet written.
    let on_the_way = counts.read.saturating_sub(counts.written + counts.filtered + counts.skipped);
    html! {
        dl.sum {
            @for (word, count) in all { div { dt { (word) } dd { (reader.number(count)) } } }
            @if on_the_way > 0 { div { dt { "on the way" } dd { (reader.number(on_the_way)) } } }
        }
    }
}
