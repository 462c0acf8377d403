//! One job profile: how it went lately, and the values with which it runs.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::instance::{Instance, InstanceVersion, Violation};
use stepbox_api::problem::Problem;
use stepbox_batch::instance_form::InstanceForm;

use super::history::changed_names;
use super::runs::{Run, last_runs, mean};
use crate::form::{facts, save_bar};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::none;
use crate::problem::note;
use crate::status::{status, warnings};

/// What a step of the job may touch, in words.
#[derive(Debug)]
pub struct Asked {
    /// The name of the component.
    pub component: String,
    /// What is left of what it asks for; empty for nothing.
    pub grants: Vec<String>,
}

/// What the page of a profile shows.
#[derive(Debug)]
pub struct Profile<'a> {
    /// The profile, without the values that the reader may not see.
    pub instance: &'a Instance,
    /// The label of its job; `None` if the job is not there any more.
    pub job: Option<&'a str>,
    /// The form of the job for showing; `None` if the job is not there any more.
    pub form: Option<&'a InstanceForm>,
    /// Its parameters with the defaults; `None` if they break constraints.
    pub effective: Option<&'a Value>,
    /// The constraints that they break.
    pub violations: &'a [Violation],
    /// Its newest runs; `None` if the reader may not see them.
    pub runs: Option<&'a [Run]>,
    /// Its newest versions, newest first.
    pub versions: &'a [InstanceVersion],
    /// What its steps may touch.
    pub asked: &'a [Asked],
    /// Whether the reader may change it.
    pub may_edit: bool,
    /// Whether the reader may run it.
    pub may_launch: bool,
}

/// The page of a profile.
pub fn profile(frame: &Frame, shown: &Profile<'_>) -> Markup {
    let instance = shown.instance;
    let at = |path: &str| frame.at(&format!("instances/{}{path}", part(&instance.code)));
    let runs_of = frame.at(&format!("executions?filter={}", part(&format!("instance:{}", instance.code))));
    html! {
        header.page-head {
            div {
                h1 { bdi { (instance.label) } }
                p.lead {
                    span { code { (instance.code) } }
                    span {
                        @match shown.job { Some(job) => bdi { (job) }, None => code { (instance.job) } }
                        ", of " a href=(frame.at(&format!("connectors/{}", part(&instance.connector)))) { (instance.connector) }
                    }
                }
            }
            div.actions {
                @if shown.may_edit {
                    @if shown.form.is_some() { a.button href=(at("/edit")) { (icon("i-edit")) "Edit" } }
                    a.button href=(at("/duplicate")) { "Duplicate…" }
                    a.button href=(at("/remove")) { "Delete…" }
                }
                @if shown.may_launch && shown.form.is_some() {
                    a.button href=(at("/launch")) { "Run with other values…" }
                    form method="post" action=(at("/run")) { button.button.primary { (icon("i-play")) "Run" } }
                }
            }
        }
        @if shown.form.is_none() {
            div.note.warn role="alert" {
                p { "The job " code { (instance.job) } " is not installed any more. Install its connector again, and the profile can run." }
            }
        }
        @if !shown.violations.is_empty() {
            div.note.warn role="alert" {
                h2 { "These values break constraints of the job, which was installed again since" }
                ul { @for violation in shown.violations { li { code { (violation.path) } " " bdi { (violation.message) } } } }
            }
        }
        div.split {
            div {
                @if let Some(runs) = shown.runs {
                    section aria-labelledby="recent" {
                        div.section-head { h2 #recent { "Runs" } a href=(runs_of) { "All" } }
                        @if runs.is_empty() { (none("It has not run yet.")) } @else { (recent(frame, runs)) }
                    }
                }
                @match shown.form {
                    Some(form) => (facts(form, &instance.raw_parameters, shown.effective)),
                    None => pre.code { (stepbox_batch::visible::Visible::json(&instance.raw_parameters).as_str()) },
                }
            }
            aside aria-label="About this profile" {
                @if let Some(runs) = shown.runs.filter(|runs| !runs.is_empty()) {
                    section.panel aria-labelledby="a1" {
                        h2 #a1 { "Last 20 runs" }
                        (last_runs(runs))
                        @if let Some((mean, count)) = mean(runs, &frame.reader) {
                            dl.facts {
                                dt { "Mean" } dd { (mean) }
                                dt { "Completed" } dd { (count) " of " (runs.len()) }
                            }
                        }
                    }
                }
                @if !shown.asked.is_empty() {
                    section.panel aria-labelledby="a3" {
                        h2 #a3 { "What its steps may touch" }
                        dl.facts {
                            @for asked in shown.asked {
                                dt { bdi { (asked.component) } }
                                dd {
                                    @if asked.grants.is_empty() { "no files of its own, no hosts" }
                                    @for grant in &asked.grants { code { (grant) } br; }
                                }
                            }
                        }
                    }
                }
                section.panel aria-labelledby="a4" {
                    div.section-head { h2 #a4 { "History" } a href=(at("/history")) { "All" } }
                    ul.list {
                        @for (place, version) in shown.versions.iter().take(5).enumerate() {
                            li {
                                (changed_names(version, shown.versions.get(place + 1))) " "
                                @if let Some(user) = &version.user { span.muted { bdi { (user) } } }
                                (frame.reader.moment(&version.instance.updated_at))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn recent(frame: &Frame, runs: &[Run]) -> Markup {
    html! {
        div.table {
            table.stack {
                caption.sr { "The newest executions of this profile" }
                thead {
                    tr {
                        th scope="col" { "Execution" } th scope="col" { "Status" }
                        th.num scope="col" { "Written" } th.num scope="col" { "Warnings" }
                        th scope="col" { "User" } th scope="col" { "Created" } th.num scope="col" { "Took" }
                    }
                }
                tbody {
                    @for run in runs.iter().take(5) {
                        @let at = frame.at(&format!("executions/{}", run.id));
                        tr {
                            th.title scope="row" { a href=(at) { (run.id) } }
                            td data-label="Status" { (status(&run.status)) }
                            td.num data-label="Written" { (frame.reader.number(run.written)) }
                            td.num data-label="Warnings" { (warnings(run.warnings, &frame.reader.number(run.warnings), Some(&format!("{at}/warnings")))) }
                            td data-label="User" { @if let Some(user) = &run.user { bdi.cut { (user) } } @else { "–" } }
                            td.nowrap data-label="Created" { (frame.reader.moment(&run.created_at)) }
                            td.num data-label="Took" { @match run.took_ms { Some(ms) => (frame.reader.span(ms)), None => "–" } }
                        }
                    }
                }
            }
        }
    }
}

/// The page that asks before a profile is deleted.
pub fn removal(frame: &Frame, instance: &Instance) -> Markup {
    let at = frame.at(&format!("instances/{}", part(&instance.code)));
    html! {
        header.page-head { div { h1 { "Delete " bdi { (instance.label) } "?" } } }
        p.prose { "The profile " code { (instance.code) } " goes, with its history and its lists of rights. Its executions stay, and cannot be restarted." }
        form method="post" action={ (at) "/remove" } {
            input type="hidden" name="version" value=(instance.version);
            div.actions {
                a.button href=(at) { "Keep it" }
                button.button.danger { "Delete the profile" }
            }
        }
    }
}

/// The form of a copy of a profile.
pub fn copy(
    frame: &Frame,
    instance: &Instance,
    (code, label): (&str, &str),
    problem: Option<&Problem>,
) -> Markup {
    let at = frame.at(&format!("instances/{}", part(&instance.code)));
    html! {
        header.page-head { div { h1 { "Duplicate " bdi { (instance.label) } } p.lead { "The copy has the same values, and a code and a history of its own." } } }
        @if let Some(problem) = problem { (note(problem, &frame.top("errors"))) }
        form.form method="post" action={ (at) "/duplicate" } {
            div.field {
                label.label for="code" { "Code" small { "required" } }
                div { input #code.code name="code" value=(code) required spellcheck="false" autocomplete="off"; }
            }
            div.field {
                label.label for="label" { "Label" }
                div { input #label name="label" value=(label) spellcheck="false" autocomplete="off"; }
            }
            (save_bar("Duplicate", &at))
        }
    }
}
