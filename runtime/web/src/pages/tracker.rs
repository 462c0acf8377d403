//! The process tracker: which executions there are, and how far they are.

pub mod bulk;
mod row;
#[cfg(test)]
mod tests;
pub mod views;

use maud::{Markup, html};
use stepbox_api::execution::Execution;
use stepbox_api::list::DamagedRow;
use stepbox_api::problem::Problem;
use stepbox_batch::execution::filter_text::QUALIFIERS;

use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::{Count, none, pager};
use crate::problem::note;

pub use row::{moving as moving_row, moving_parts as parts_of_row};

/// The filter of executions that have not ended.
pub const RUNNING: &str = "status:STARTING,STARTED,STOPPING,PAUSING,PAUSED";
/// The filter of executions that want a decision.
pub const FAILED: &str = "restarted:no";
/// The filter of executions with warnings.
pub const WITH_WARNINGS: &str = "warning:yes";

/// How many suggestions the field of the filter has.
const COMPLETIONS_MAX: usize = 60;

/// An execution in the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// The execution.
    pub execution: Execution,
    /// The label of its instance; `None` if the instance is gone, or may not be seen.
    pub label: Option<String>,
    /// Whether the reader may stop it.
    pub may_act: bool,
}

/// A view that the reader keeps.
#[derive(Debug, Clone)]
pub struct View {
    /// The name that the reader gave it.
    pub name: String,
    /// The text of its filter.
    pub filter: String,
}

/// What the page of the tracker shows.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The text of the filter, as it was typed.
    pub filter: String,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// The executions of this page.
    pub rows: Vec<Row>,
    /// Executions that cannot be read.
    pub damaged: Vec<DamagedRow>,
    /// How many match.
    pub count: Option<Count>,
    /// How many failed and are not continued.
    pub failed: Option<Count>,
    /// Whether only the newest executions were searched for a word, and how many.
    pub searched: Option<u64>,
    /// Whether newer ones match.
    pub has_newer: bool,
    /// Whether older ones match.
    pub has_older: bool,
    /// The views that the reader keeps; `None` for somebody who cannot keep any.
    pub views: Option<Vec<View>>,
    /// Whether the reader may act upon executions.
    pub may_act: bool,
}

/// The address of the tracker with a filter.
pub fn address(frame: &Frame, filter: &str) -> String {
    match filter {
        "" => frame.at("executions"),
        filter => frame.at(&format!("executions?filter={}", part(filter))),
    }
}

/// An address of the tracker with a filter and one more field of the query.
fn with(frame: &Frame, filter: &str, field: &str) -> String {
    frame.at(&format!("executions?filter={}&{field}", part(filter)))
}

/// The page.
pub fn page(frame: &Frame, tracker: &Tracker) -> Markup {
    let Tracker { filter, problem, count, rows, .. } = tracker;
    html! {
        header.page-head {
            div { h1 { "Process tracker" } }
            div.actions {
                button.button.needs-script type="button" data-live-switch aria-pressed="true" aria-keyshortcuts="r" { (icon("i-live")) "Live" }
                @if let Some(count) = count.filter(|count| count.rows > 0) {
                    a.button href=(frame.at(&format!("executions.csv?filter={}", part(filter)))) download {
                        (icon("i-download")) "CSV of " (count.shown(&frame.reader))
                    }
                }
            }
        }
        (view_bar(frame, tracker))
        (filter_bar(frame, tracker))
        @if let Some(problem) = problem {
            (note(problem, &frame.top("errors")))
        } @else if rows.is_empty() && tracker.damaged.is_empty() {
            (new_rows(frame, filter, 0))
            (nothing(frame, tracker))
        } @else {
            (list(frame, tracker))
        }
        (summary(frame, frame.running))
    }
}

/// What the title and a screen reader say of the page.
pub fn summary(frame: &Frame, running: u64) -> Markup {
    let running = frame.reader.number(running);
    let title = match running.as_str() {
        "0" => "Process tracker · Stepbox".to_owned(),
        running => format!("({running}) Process tracker · Stepbox"),
    };
    html! { span #tracker-summary hidden data-title=(title) data-said={ (running) " running" } {} }
}

/// The line that says how many executions have come since.
pub fn new_rows(frame: &Frame, filter: &str, count: u64) -> Markup {
    html! {
        p #new-rows data-live {
            @if count > 0 {
                a.new-rows href=(address(frame, filter)) { (frame.reader.number(count)) " new: show " (if count == 1 { "it" } else { "them" }) }
            }
        }
    }
}

fn nothing(frame: &Frame, tracker: &Tracker) -> Markup {
    match (tracker.filter.is_empty(), tracker.has_newer || tracker.has_older) {
        (true, false) => html! {
            p.muted {
                "There are no executions yet. Open a " a href=(frame.at("instances")) { "job profile" } " and run it."
            }
        },
        (_, true) => none("There are no executions on this page."),
        (false, false) => none("No execution matches the filter."),
    }
}

fn view_bar(frame: &Frame, tracker: &Tracker) -> Markup {
    let current = |filter: &str| (tracker.filter == filter).then_some("page");
    let counted = |count: Option<Count>| {
        html! { @if let Some(count) = count.filter(|count| count.rows > 0) { " " span.count { (count.shown(&frame.reader)) } } }
    };
    let running = Count { rows: frame.running, is_more: false };
    let views = tracker.views.as_deref();
    let is_kept = views.unwrap_or_default().iter().any(|view| view.filter == tracker.filter);
    html! {
        nav.views aria-label="Views" {
            a href=(address(frame, "")) aria-current=[current("")] { "All" }
            a href=(address(frame, RUNNING)) aria-current=[current(RUNNING)] { "Running" (counted(Some(running))) }
            a href=(address(frame, FAILED)) aria-current=[current(FAILED)] { "Failed, not restarted" (counted(tracker.failed)) }
            a href=(address(frame, WITH_WARNINGS)) aria-current=[current(WITH_WARNINGS)] { "With warnings" }
            @for view in views.unwrap_or_default() {
                a href=(address(frame, &view.filter)) aria-current=[current(&view.filter)] { bdi { (view.name) } }
            }
            @if views.is_some() && tracker.problem.is_none() {
                @if is_kept || tracker.filter.is_empty() {
                    @if views.is_some_and(|views| !views.is_empty()) {
                        a.last href=(frame.at("views")) { "Your views" }
                    }
                } @else {
                    a.last href=(frame.at(&format!("views?filter={}", part(&tracker.filter)))) { "Keep as a view…" }
                }
            }
        }
    }
}

fn filter_bar(frame: &Frame, tracker: &Tracker) -> Markup {
    html! {
        search {
            form action=(frame.at("executions")) {
                div.bar {
                    div.filter.grow {
                        (icon("i-search"))
                        input name="filter" value=(tracker.filter) list="filter-forms" aria-label="Filter" aria-describedby="filter-hints"
                            aria-invalid=[tracker.problem.is_some().then_some("true")]
                            maxlength="2000" autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
                    }
                    button.button { "Filter" }
                }
                datalist #filter-forms {
                    @for completion in completions(tracker) { option value=(completion) {} }
                }
                p.hints #filter-hints {
                    span { code { "status:FAILED,STOPPED" } " any of them" }
                    span { code { "-user:schedule" } " all but" }
                    span { code { "profile:" } " " code { "step:" } " " code { "warning:" } " " code { "took:>1m" } " " code { "created:7d" } }
                }
            }
        }
    }
}

/// The whole texts that the field suggests: what stands there with one more term. The terms are examples of each
/// qualifier, and what the rows of the page have.
fn completions(tracker: &Tracker) -> Vec<String> {
    let before = tracker.filter.trim_end();
    let before = if before.is_empty() { String::new() } else { format!("{before} ") };
    let quoted = |value: &str| match value.contains([' ', ',', ':']) {
        true => format!("\"{value}\""),
        false => value.to_owned(),
    };
    let mut terms: Vec<String> = Vec::new();
    let mut add = |term: String| {
        if !terms.contains(&term) && !term.contains(['\n', '\r']) {
            terms.push(term);
        }
    };
    for qualifier in QUALIFIERS {
        let forms = qualifier.form.split(" or ").flat_map(|forms| forms.split(", "));
        forms.for_each(|form| add(form.to_owned()));
    }
    for row in &tracker.rows {
        add(format!("profile:{}", row.execution.instance));
        add(format!("job:{}", row.execution.job));
        row.execution.user.iter().filter(|user| !user.contains('"')).for_each(|user| {
            add(format!("user:{}", quoted(user)));
            add(format!("-user:{}", quoted(user)));
        });
    }
    terms.truncate(COMPLETIONS_MAX);
    terms.into_iter().map(|term| format!("{before}{term}")).collect()
}

fn list(frame: &Frame, tracker: &Tracker) -> Markup {
    let Tracker { filter, rows, damaged, count, may_act, searched, .. } = tracker;
    let reader = &frame.reader;
    let found = match count {
        Some(Count { rows: 1, is_more: false }) => "1 execution".to_owned(),
        Some(count) => format!("{} executions", count.shown(reader)),
        None => "Executions".to_owned(),
    };
    html! {
        form method="post" action=(frame.at("executions/selected")) aria-labelledby="found" {
            // The first button is the one that Enter presses.
            button.sr tabindex="-1" aria-hidden="true" name="look" value="1" { "Look at the list again" }
            input type="hidden" name="filter" value=(filter);
            div.section-head {
                h2 #found { (found) }
                span.muted {
                    "newest first"
                    @if let Some(searched) = searched { ", the word looked for among the newest " (reader.number(*searched)) }
                }
            }
            (new_rows(frame, filter, 0))
            div.table {
                table.stack {
                    caption.sr { "Executions, newest first" }
                    thead {
                        tr {
                            @if *may_act {
                                td.pick { input.needs-script type="checkbox" data-pick-all aria-label="All on this page"; }
                            }
                            th scope="col" { "Execution" }
                            th scope="col" { "Status" }
                            th.num scope="col" { "Items" }
                            th.num scope="col" { "Warnings" }
                            th.less scope="col" { "User" }
                            th scope="col" { "Created" }
                            th.num.less scope="col" { "Took" }
                            td {}
                        }
                    }
                    tbody.middle {
                        @for row in rows { (row::row(frame, row, *may_act)) }
                        @for row in damaged { (row::damaged(frame, row, *may_act)) }
                    }
                }
            }
            @if *may_act { (selection(frame, tracker)) }
        }
        (pages(frame, tracker))
    }
}

/// What is done to the selected ones.
fn selection(frame: &Frame, tracker: &Tracker) -> Markup {
    html! {
        div.bulk role="group" aria-label="What is done to the selected ones" {
            span.needs-script { b { span data-picked { "0" } " selected" } " on this page" }
            @if let Some(count) = tracker.count {
                a.link href=(frame.at(&format!("executions/all?filter={}", part(&tracker.filter)))) {
                    "Select all " (count.shown(&frame.reader)) " that match"
                }
            }
            div.actions {
                @for action in bulk::ACTIONS {
                    button.button.small name="action" value=(action.word) { (icon(action.icon)) (action.label) "…" }
                }
            }
        }
    }
}

fn pages(frame: &Frame, tracker: &Tracker) -> Markup {
    let Tracker { filter, rows, damaged, count, has_newer, has_older, .. } = tracker;
    let numbers: Vec<u64> =
        rows.iter().map(|row| row.execution.id).chain(damaged.iter().filter_map(|row| row.id)).collect();
    let shown = frame.reader.number(numbers.len() as u64);
    let of = count.map(|count| format!(" of {}", count.shown(&frame.reader))).unwrap_or_default();
    let which = if *has_newer { "" } else { " newest" };
    let newer =
        numbers.iter().max().filter(|_| *has_newer).map(|id| with(frame, filter, &format!("after={id}")));
    let older =
        numbers.iter().min().filter(|_| *has_older).map(|id| with(frame, filter, &format!("before={id}")));
    pager(&format!("{shown}{which}{of}"), newer.as_deref(), older.as_deref())
}
