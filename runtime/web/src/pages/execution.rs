//! The page of an execution: how far it is, or what failed and what to do; its steps, warnings, files and log.

mod about;
pub mod log;
mod progress;
mod steps;
pub mod warnings;

use std::collections::BTreeMap;

use maud::{Markup, html};
use stepbox_api::execution::{Execution, Failure, OutputFile, RejectedItems, Status, StepExecution, Warning};
use stepbox_api::instance::Instance;
use stepbox_api::job::Job;
use stepbox_api::list::Row;
use stepbox_api::problem::Problem;
use stepbox_batch::visible::on_one_line;

use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::problem::note;
use crate::prose::prose;
use crate::reader::Reader;
use crate::status::{pill, word};
use progress::Progress;

/// What the reader may do with the execution.
#[derive(Debug, Clone, Copy, Default)]
pub struct May {
    /// Stop, pause, resume, restart and abandon it, and launch its instance again.
    pub launch: bool,
    /// See the files that it has written.
    pub outputs: bool,
    /// See its instance.
    pub instance: bool,
}

/// A part of a step that was split.
#[derive(Debug, Clone)]
pub struct Part {
    /// The place of the step in the job, from 0.
    pub position: u32,
    /// Which part it is, from 0.
    pub number: u32,
    /// The part as an execution of its own.
    pub execution: Execution,
}

/// The items that a step has rejected, and as much of their file as fits into a form.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The file.
    pub file: RejectedItems,
    /// All of it, if it is short; empty otherwise.
    pub text: String,
}

/// An execution with everything that its page shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The execution.
    pub execution: Execution,
    /// Its job, as it was when the execution was accepted.
    pub job: Job,
    /// The instance as it is now; `None` if it is gone or not for the reader.
    pub instance: Option<Instance>,
    /// How many items each step had processed in the execution that this one continues.
    pub earlier: BTreeMap<String, u64>,
    /// The parts of its steps.
    pub parts: Vec<Part>,
    /// The first warnings.
    pub warnings: Vec<Row<Warning>>,
    /// The files of rejected items.
    pub rejected: Vec<Rejected>,
    /// The files that steps have written.
    pub outputs: Vec<OutputFile>,
    /// The last lines of the log, with their numbers.
    pub log: Vec<log::Line>,
    /// How many lines the log has.
    pub log_lines: u64,
    /// What the reader may do.
    pub may: May,
}

/// A text of others on one line, with its control characters as escapes.
fn text(text: &str) -> Markup {
    html! { bdi { (on_one_line(text)) } }
}

impl Shown {
    /// The address of the execution's pages and of what is below it.
    fn at(&self, frame: &Frame, below: &str) -> String {
        frame.at(&format!("executions/{}{below}", self.execution.id))
    }

    /// The execution of the step with that name.
    fn step(&self, name: &str) -> Option<&StepExecution> {
        self.execution.steps.iter().find(|step| step.name == name)
    }

    /// Whether it may still change.
    fn is_live(&self) -> bool {
        !self.execution.status.has_ended()
    }

    /// The step that a restart continues, if there is one.
    fn interrupted(&self) -> Option<&StepExecution> {
        let is_broken = |step: &&StepExecution| matches!(step.status, Status::Failed | Status::Stopped);
        self.execution.steps.iter().find(is_broken)
    }

    /// The name of the instance for people, or its code.
    fn name(&self) -> &str {
        let label = self.instance.as_ref().map(|instance| instance.label.as_str());
        label.filter(|label| !label.is_empty()).unwrap_or(&self.execution.instance)
    }
}

/// The title of the page, which tells how far the execution is.
pub fn title(shown: &Shown) -> String {
    let Execution { id, instance, status, .. } = &shown.execution;
    let how_far = match Progress::of(shown).percent() {
        Some(percent) if !status.has_ended() => percent,
        _ => word(status.as_str()).to_owned(),
    };
    format!("{how_far} · {id} {}", on_one_line(instance))
}

/// The whole page. `problem` says why something that was asked of it was refused.
pub fn page(frame: &Frame, shown: &Shown, problem: Option<&Problem>) -> Markup {
    html! {
        (head(frame, shown))
        @if let Some(problem) = problem { (note(problem, &frame.top("errors"))) }
        @for part in live(frame, &frame.reader, shown) { (part.1) }
        div.split {
            div {
                (steps_section(frame, &frame.reader, shown))
                (warnings::section(frame, shown))
                (log::section(frame, shown))
            }
            aside aria-label="About this execution" { (about::panels(frame, shown)) }
        }
    }
}

/// The parts that move while the execution goes on, with their ids.
pub fn moving(frame: &Frame, reader: &Reader, shown: &Shown) -> Vec<(String, Markup)> {
    let mut parts = vec![("status".to_owned(), status(shown))];
    parts.extend(live(frame, reader, shown));
    parts.push(("steps".to_owned(), steps::list(frame, reader, shown)));
    parts
}

/// The parts between the head and the two columns.
fn live(frame: &Frame, reader: &Reader, shown: &Shown) -> Vec<(String, Markup)> {
    vec![
        ("failure-part".to_owned(), failure(frame, reader, shown)),
        ("progress".to_owned(), progress::hero(&frame.base, reader, shown)),
    ]
}

fn status(shown: &Shown) -> Markup {
    html! { span #status { (pill(shown.execution.status.as_str())) } }
}

fn head(frame: &Frame, shown: &Shown) -> Markup {
    let Execution { id, instance, user, created_at, worker, started_at, ended_at, .. } = &shown.execution;
    let reader = &frame.reader;
    html! {
        header.page-head {
            div {
                h1 { (text(shown.name())) " " (status(shown)) }
                p.lead {
                    span {
                        "Execution " (id) " of "
                        @if shown.may.instance {
                            a href=(frame.at(&format!("instances/{}", part(instance)))) { (text(instance)) }
                        } @else {
                            (text(instance))
                        }
                    }
                    span {
                        @if let Some(user) = user { "by " (text(user)) ", " }
                        (reader.moment(created_at))
                    }
                    @if let (Some(began), Some(ended)) = (started_at, ended_at) {
                        @if let Some(took) = reader.took(began, Some(ended)) { span { "took " (took) } }
                    } @else if let Some(worker) = worker {
                        span { "worker " code { (text(worker)) } }
                    }
                    @if let Some(earlier) = shown.execution.restart_of {
                        span { "continues " a href=(frame.at(&format!("executions/{earlier}"))) { (earlier) } }
                    }
                }
            }
            div.actions { (actions(frame, shown)) }
        }
    }
}

/// The buttons. While the execution moves, those of later statuses are there, too: the style sheet shows the ones that fit
/// the status, so that no button is in a part that moves.
fn actions(frame: &Frame, shown: &Shown) -> Markup {
    let status = shown.execution.status;
    let is_broken = matches!(status, Status::Stopped | Status::Failed);
    let (moves, can_restart) = (shown.is_live(), shown.is_live() || is_broken);
    let from = match shown.interrupted().map(|step| step.counts.read) {
        Some(read) if is_broken && read > 0 => format!("from item {}", frame.reader.number(read + 1)),
        _ if is_broken => String::new(),
        _ => "from its last checkpoint".to_owned(),
    };
    let button = |action: &str, class: &str, inner: Markup| {
        html! { form method="post" action=(shown.at(frame, &format!("/{action}"))) { button class=(class) { (inner) } } }
    };
    html! {
        @if moves {
            button.button.needs-script type="button" data-live-switch aria-pressed="true" aria-keyshortcuts="r" { (icon("i-live")) "Live" }
        }
        @if shown.may.launch {
            @if moves {
                div.while-running { (button("pause", "button", html! { (icon("i-pause")) "Pause" })) }
                div.while-paused { (button("resume", "button primary", html! { (icon("i-play")) "Resume" })) }
                @if shown.job.stoppable {
                    div.while-open { (button("stop", "button danger", html! { (icon("i-stop")) "Stop" })) }
                }
            }
            div.when-ended {
                a.button href=(frame.at(&format!("instances/{}/launch?from={}", part(&shown.execution.instance), shown.execution.id))) {
                    "Run again with these values…"
                }
            }
            @if can_restart {
                div.when-broken { a.button href=(shown.at(frame, "/abandon")) { "Abandon…" } }
                div.when-broken {
                    (button("restart", "button primary", html! { (icon("i-restart")) "Restart" @if !from.is_empty() { " " (from) } }))
                }
            }
        }
    }
}

fn steps_section(frame: &Frame, reader: &Reader, shown: &Shown) -> Markup {
    html! {
        section aria-labelledby="steps-head" {
            div.section-head {
                h2 #steps-head { "Steps" }
                @if shown.is_live() { span { "~ is an estimate, dashed is still to come" } }
            }
            (steps::list(frame, reader, shown))
        }
    }
}

/// What failed, why, and what to do; or what an execution that rests waits for.
fn failure(frame: &Frame, reader: &Reader, shown: &Shown) -> Markup {
    let execution = &shown.execution;
    let of_steps = execution.steps.iter().filter(|step| step.status == Status::Failed);
    let of_steps: Vec<_> =
        of_steps.flat_map(|step| step.failures.iter().map(move |failure| (Some(step), failure))).collect();
    let all: Vec<_> = of_steps.into_iter().chain(execution.failures.iter().map(|one| (None, one))).collect();
    let kept = shown.interrupted().filter(|step| step.counts.read > 0);
    html! {
        div #failure-part {
            @if let Some(why) = &execution.set_aside {
                section.note.warn aria-labelledby="set-aside" {
                    h2 #set-aside { "It is set aside" }
                    p { (prose(why)) " No worker takes it until the store is repaired." }
                }
            }
            @if execution.status == Status::Failed && !all.is_empty() {
                section.note.fail aria-labelledby="what-failed" {
                    @for (place, (step, failure)) in all.iter().enumerate() {
                        h2 id=[(place == 0).then_some("what-failed")] {
                            @match step {
                                Some(step) => { "Step " code { (text(&step.name)) } " failed" }
                                None => "The execution failed",
                            }
                        }
                        (problem(frame, shown, failure))
                    }
                    @if let Some(step) = kept {
                        p.muted {
                            "What was written up to item " (reader.number(step.counts.read)) " is kept. A restart goes on behind it and writes nothing twice."
                        }
                    }
                }
            }
            @if execution.status == Status::Stopped {
                section.note.warn aria-labelledby="rests" {
                    h2 #rests { "It was stopped" @if let Some(step) = kept { " behind item " (reader.number(step.counts.read)) } }
                    p { "A restart goes on from there and writes nothing twice." }
                }
            }
            @if execution.status == Status::Paused {
                section.note.warn aria-labelledby="rests" {
                    h2 #rests { "It is paused" }
                    p {
                        @if execution.pause_requested { "It goes on at its last checkpoint when you resume it." }
                        @else { "It goes on at its last checkpoint when a worker is free." }
                    }
                }
            }
        }
    }
}

/// A failure in the words of the command line: cause, help, docs.
fn problem(frame: &Frame, shown: &Shown, failure: &Failure) -> Markup {
    let remedies: Vec<_> =
        failure.remedies.iter().filter_map(|remedy| about::remedy(frame, shown, remedy)).collect();
    html! {
        dl.problem {
            dt { "cause" } dd { (prose(&failure.to_string())) }
            @if !failure.help.is_empty() { dt { "help" } dd { (prose(&failure.help)) } }
            @for (place, remedy) in remedies.iter().enumerate() {
                dt { @if place == 0 && failure.help.is_empty() { "help" } @else { "or" } }
                dd { (remedy) }
            }
            dt { "docs" }
            dd { a href=(frame.top(&format!("errors/{}", part(&failure.code)))) { "errors#" (text(&failure.code)) } }
        }
    }
}

/// The page that asks before an execution is given up.
pub fn abandon(frame: &Frame, shown: &Shown) -> Markup {
    html! {
        header.page-head { div { h1 { "Abandon execution " (shown.execution.id) "?" } } }
        section.note.fail aria-labelledby="what" {
            h2 #what { "This cannot be undone" }
            p {
                "Execution " (shown.execution.id) " of " (text(&shown.execution.instance))
                " cannot be restarted afterwards. The files that it has not finished are removed. Files that are complete, its warnings and its log stay."
            }
        }
        form.actions method="post" action=(shown.at(frame, "/abandon")) {
            a.button href=(shown.at(frame, "")) { "Keep it" }
            button.button.danger { "Abandon execution " (shown.execution.id) }
        }
    }
}

#[cfg(test)]
mod tests;
