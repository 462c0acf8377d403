//! The dashboard of a tenant: what wants a decision, what runs, what ended last, and what runs often.

use std::collections::BTreeMap;

use maud::{Markup, html};
use stepbox_api::execution::{Execution, StepExecution};

use super::workers::{Work, live_switch};
use crate::blocks::{actions_column, column, head, number_column, own, table, warning};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::none;
use crate::status::{status, warnings};

/// What the dashboard shows.
#[derive(Debug)]
pub struct Dashboard {
    /// Executions that failed, stopped or paused, and were not continued, newest first.
    pub wants: Vec<Execution>,
    /// Executions that run, newest first.
    pub running: Vec<Execution>,
    /// Executions that ended last, newest first.
    pub ended: Vec<Execution>,
    /// The profiles that ran most often lately: code, how often, how often it failed.
    pub often: Vec<Often>,
    /// The last 24 hours; `None` if nothing ended.
    pub day: Option<Day>,
    /// The workers and the queue.
    pub work: Work,
    /// The labels of the profiles, by code.
    pub labels: BTreeMap<String, String>,
    /// Whether the reader may launch.
    pub may_launch: bool,
}

/// A profile that runs often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Often {
    /// Its code.
    pub code: String,
    /// How often it ended lately.
    pub ended: u64,
    /// How often it failed.
    pub failed: u64,
}

/// What ended in the last 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Day {
    /// For each hour, the oldest first: how many ended, and how many of them failed.
    pub hours: [(u64, u64); 24],
    /// How many items were written.
    pub written: u64,
    /// How many items were skipped.
    pub skipped: u64,
    /// Whether more ended than were counted.
    pub is_cut: bool,
}

impl Day {
    /// How many ended, and how many of them failed.
    pub fn ended(&self) -> (u64, u64) {
        self.hours.iter().fold((0, 0), |sum, hour| (sum.0 + hour.0, sum.1 + hour.1))
    }
}

/// The dashboard.
pub fn show(frame: &Frame, shown: &Dashboard) -> Markup {
    let actions = html! {
        (live_switch())
        @if shown.may_launch { a.button.primary href=(frame.at("instances")) { (icon("i-play")) "Run a profile" } }
    };
    html! {
        (head(&html! { "Dashboard" }, &html! {}, &actions))
        (wants(frame, shown))
        (running(frame, shown))
        (day(frame, shown))
        div.halves {
            (last(frame, shown))
            div {
                (often(frame, shown))
                (work(frame, shown))
            }
        }
    }
}

/// The parts that move, with their ids.
pub fn moving(frame: &Frame, shown: &Dashboard) -> Vec<(String, Markup)> {
    let parts = [
        ("dash-wants", wants(frame, shown)),
        ("dash-running", running(frame, shown)),
        ("dash-last", last(frame, shown)),
        ("dash-work", work(frame, shown)),
    ];
    parts.into_iter().map(|(id, part)| (id.to_owned(), part)).collect()
}

fn label<'a>(shown: &'a Dashboard, code: &'a str) -> &'a str {
    shown.labels.get(code).map_or(code, String::as_str)
}

fn row_head(frame: &Frame, shown: &Dashboard, execution: &Execution) -> Markup {
    html! {
        th.title scope="row" {
            a href=(frame.at(&format!("executions/{}", execution.id))) {
                span.id { (execution.id) } (own(label(shown, &execution.instance)))
            }
        }
    }
}

/// What wants a decision. A live part.
fn wants(frame: &Frame, shown: &Dashboard) -> Markup {
    let columns = html! { (column("Execution")) (column("Status")) (column("Why")) (column("When")) (actions_column()) };
    let rows = html! {
        @for execution in &shown.wants {
            tr {
                (row_head(frame, shown, execution))
                td data-label="Status" { (status(execution.status.as_str())) }
                td.wide data-label="Why" { (own(&why(execution))) }
                td.nowrap data-label="When" { (frame.reader.moment(execution.ended_at.as_ref().unwrap_or(&execution.updated_at))) }
                td.end {
                    a.button.small href=(frame.at(&format!("executions/{}", execution.id))) {
                        "Decide…" span.sr { " about " (execution.id) }
                    }
                }
            }
        }
    };
    let count = shown.wants.len();
    html! {
        section #dash-wants data-live aria-labelledby="wants" data-title={ @if count > 0 { "(" (count) ") " } "Dashboard · Stepbox" } data-said={ (count) " want a decision, " (shown.running.len()) " running" } {
            div.section-head { h2 #wants { "Wants a decision" @if count > 0 { " " span.count { (count) } } } }
            @if shown.wants.is_empty() {
                (none("Nothing. What fails, stops or pauses and is not continued stands here."))
            } @else {
                (table("Executions that failed or rest", &columns, &rows))
            }
            @for (kind, count) in shown.work.waits_for_nobody() {
                p { (warning(&html! { (count) " wait, and no worker takes jobs of type " code { (own(&kind)) } })) " " a href=(frame.at("workers")) { "Workers and queue" } }
            }
        }
    }
}

/// Why an execution rests, in a line.
fn why(execution: &Execution) -> String {
    let of_steps = execution.steps.iter().rev().flat_map(|step| &step.failures);
    let failure = execution.failures.iter().chain(of_steps).next().map(ToString::to_string);
    failure
        .or_else(|| execution.set_aside.clone())
        .or_else(|| Some(execution.exit_status.description.clone()).filter(|text| !text.is_empty()))
        .unwrap_or_else(|| match execution.stop_requested {
            true => "a stop was asked for".to_owned(),
            false if execution.pause_requested => "a pause was asked for".to_owned(),
            false => String::new(),
        })
}

/// The step that an execution is at.
fn at(execution: &Execution) -> Option<&StepExecution> {
    execution.steps.iter().rev().find(|step| !step.status.has_ended()).or(execution.steps.last())
}

/// What runs now. A live part.
fn running(frame: &Frame, shown: &Dashboard) -> Markup {
    let columns = html! {
        (column("Execution")) (column("Status")) (number_column("Items")) th.less scope="col" { "Step" } (number_column("For"))
    };
    let rows = html! {
        @for execution in &shown.running {
            tr {
                (row_head(frame, shown, execution))
                td data-label="Status" { (status(execution.status.as_str())) }
                td.wide data-label="Items" { (progress(frame, execution)) }
                td.nowrap.less data-label="Step" {
                    @if let Some(step) = at(execution) { (own(&step.name)) ", " (execution.steps.len()) " of " (execution.step_count) }
                }
                td.num data-label="For" {
                    (frame.reader.took(execution.started_at.as_ref().unwrap_or(&execution.created_at), None).unwrap_or_default())
                }
            }
        }
    };
    html! {
        section #dash-running data-live aria-labelledby="now" {
            div.section-head { h2 #now { "Running" @if !shown.running.is_empty() { " " span.count { (shown.running.len()) } } } a href=(frame.at("executions")) { "Process tracker" } }
            @if shown.running.is_empty() { (none("Nothing runs now.")) } @else { (table("Executions that run now", &columns, &rows)) }
        }
    }
}

/// How far an execution is. What is estimated has a `~`.
fn progress(frame: &Frame, execution: &Execution) -> Markup {
    let Some(step) = at(execution) else { return html! { span.muted { "begins" } } };
    let (tracking, reader) = (&step.tracking, &frame.reader);
    let about = if tracking.is_estimate { "~" } else { "" };
    html! {
        @match tracking.total.filter(|total| *total > 0) {
            Some(total) => {
                @let percent = (u128::from(tracking.processed) * 100 / u128::from(total)).min(100);
                div.row-progress {
                    progress value=(tracking.processed.min(total)) max=(total) aria-label="Items processed" { (percent) " %" }
                    b.num { (about) (percent) " %" }
                    span.muted { (reader.number(tracking.processed)) " of " (about) (reader.number(total)) }
                }
            },
            None => span { (reader.number(tracking.processed)) " " span.muted { "so far" } },
        }
    }
}

/// The last 24 hours as bars, and in numbers.
fn day(frame: &Frame, shown: &Dashboard) -> Markup {
    let Some(day) = &shown.day else { return html! {} };
    let (reader, (ended, failed)) = (&frame.reader, day.ended());
    let most = day.hours.iter().map(|hour| hour.0).max().unwrap_or(0).max(1);
    let said = format!(
        "Executions that ended in each of the last 24 hours: at most {most} in one hour, {ended} in all, {failed} failed"
    );
    let per_cent = (failed * 1000).checked_div(ended).unwrap_or(0);
    html! {
        section aria-labelledby="day" {
            div.section-head { h2 #day { "Last 24 hours" } span.muted { "by hour of ending" @if day.is_cut { ", the newest " (reader.number(ended)) } } }
            div.split {
                figure {
                    svg.chart.tall viewBox="0 0 718 98" preserveAspectRatio="none" role="img" aria-label=(said) {
                        @for (place, (ended, failed)) in day.hours.iter().enumerate() {
                            @let height = ended * 88 / most;
                            @let red = (failed * 88 / most).max(u64::from(*failed > 0) * 3);
                            @if *ended > 0 { rect x=(6 + place * 30) y=(96 - height) width="18" height=(height) {} }
                            @if *failed > 0 { rect.failed x=(6 + place * 30) y=(96 - red) width="18" height=(red) {} }
                        }
                        path.base d="M0 97.5H718" {}
                    }
                    div.ticks aria-hidden="true" { span { "24 h ago" } span { "18 h" } span { "12 h" } span { "6 h" } span { "now" } }
                }
                dl.figures {
                    div { dt { "Ended" } dd { (reader.number(ended)) } }
                    div { dt { "Failed" } dd { (reader.number(failed)) " " small { (per_cent / 10) (reader.point) (per_cent % 10) " %" } } }
                    div { dt { "Items written" } dd { (reader.number(day.written)) } }
                    div { dt { "Items skipped" } dd { (reader.number(day.skipped)) } }
                }
            }
        }
    }
}

/// What ended last. A live part.
fn last(frame: &Frame, shown: &Dashboard) -> Markup {
    let columns =
        html! { (column("Execution")) (column("Status")) (number_column("Warnings")) (column("When")) };
    let rows = html! {
        @for execution in &shown.ended {
            tr {
                (row_head(frame, shown, execution))
                td data-label="Status" { (status(execution.status.as_str())) }
                td.num data-label="Warnings" { (warnings(execution.warning_count, &frame.reader.number(execution.warning_count), None)) }
                td.nowrap data-label="When" { (frame.reader.moment(execution.ended_at.as_ref().unwrap_or(&execution.updated_at))) }
            }
        }
    };
    html! {
        section #dash-last data-live aria-labelledby="last" {
            div.section-head { h2 #last { "Ended last" } a href=(frame.at("executions")) { "All" } }
            @if shown.ended.is_empty() { (none("Nothing has ended yet.")) } @else { (table("Executions that ended last", &columns, &rows)) }
        }
    }
}

fn often(frame: &Frame, shown: &Dashboard) -> Markup {
    html! {
        @if !shown.often.is_empty() {
            section aria-labelledby="often" {
                div.section-head { h2 #often { "Runs often" } a href=(frame.at("instances")) { "Job profiles" } }
                ul.list {
                    @for one in &shown.often {
                        li {
                            a href=(frame.at(&format!("instances/{}", part(&one.code)))) { (own(label(shown, &one.code))) }
                            span.muted {
                                (frame.reader.number(one.ended)) " times in 24 hours"
                                @if one.failed > 0 { ", " (frame.reader.number(one.failed)) " failed" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Workers and queue in a few words. A live part.
fn work(frame: &Frame, shown: &Dashboard) -> Markup {
    let (reader, work) = (&frame.reader, &shown.work);
    let slots = work.slots();
    let oldest = work.oldest.as_deref().and_then(|oldest| reader.took(oldest, None));
    html! {
        section #dash-work data-live aria-labelledby="work" {
            div.section-head { h2 #work { "Workers and queue" } a href=(frame.at("workers")) { "All workers" } }
            ul.list {
                li {
                    @if slots == 0 {
                        (warning(&html! { "No worker listens" }))
                    } @else {
                        span { (reader.number(work.depths.claimed)) " running, " (reader.number(slots)) " slots of all workers" }
                        span.meter { progress value=(work.depths.claimed.min(slots)) max=(slots) aria-label="Slots in use" {} }
                    }
                }
                li {
                    span { (reader.number(work.depths.waiting)) " waiting, " (reader.number(work.depths.delayed)) " delayed" }
                    @if let Some(oldest) = oldest.filter(|_| work.depths.waiting > 0) { span.muted { "the oldest for " (oldest) } }
                }
            }
        }
    }
}

/// What a tenant without executions begins with.
#[derive(Debug)]
pub struct Beginning {
    /// The jobs that are there.
    pub jobs: Vec<String>,
    /// Whether there is a profile.
    pub has_profile: bool,
    /// Whether a worker listens.
    pub has_worker: bool,
    /// Whether the reader may bring connectors and make profiles.
    pub may_edit: bool,
}

/// How to begin.
pub fn begin(frame: &Frame, beginning: &Beginning) -> Markup {
    let lead = html! {
        span { "Three steps to the first execution. Some jobs are there already (" (crate::blocks::some_of(&beginning.jobs, 3)) "), so you may begin with the second." }
    };
    html! {
        (head(&html! { "Nothing has run here yet" }, &lead, &html! {}))
        ol.begin {
            li {
                h2 { "Bring a connector" }
                p.muted { "A zip or a folder with " code { "connector.yaml" } " and its components. You see what its steps ask to touch before anything is kept." }
                div.actions {
                    @if beginning.may_edit { a.button href=(frame.at("connectors")) { (icon("i-upload")) "Upload…" } }
                    code.muted { "stepbox connectors add FOLDER" }
                }
            }
            li {
                h2 { "Make a job profile" }
                p.muted { "A job with values of its own: which file, where to, whom to notify. The form comes from the job." }
                div.actions {
                    @if beginning.may_edit { a.button.primary[!beginning.has_profile] href=(frame.at("new-instance")) { (icon("i-plus")) "New profile" } }
                    code.muted { "stepbox instances create stepbox csv_export export products @parameters.json" }
                }
            }
            li {
                h2 { "Run it" }
                p.muted { "And follow it here. What is stopped or fails goes on from its last checkpoint; bad items are set aside with their line and reason." }
                div.actions {
                    @if beginning.has_profile {
                        a.button.primary href=(frame.at("instances")) { (icon("i-play")) "Run a profile" }
                    } @else {
                        span.small.muted { "When there is a profile." }
                    }
                }
            }
        }
        @if !beginning.has_worker {
            section.panel aria-labelledby="worker" {
                h2 #worker { "No worker listens yet" }
                p.small { "What is put into the queue waits until a worker takes it. Start one or more:" }
                pre.shell tabindex="0" aria-label="Command" { "stepbox worker --concurrency 4" }
            }
        }
    }
}
