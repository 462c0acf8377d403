//! The forms of a job profile: create, edit, launch, and the same values as JSON.

use maud::{Markup, html};
use stepbox_api::job::Job;
use stepbox_api::problem::Problem;

use crate::form::{Filled, enter, save_bar};
use crate::frame::{Frame, part};
use crate::list::none;
use crate::problem::note;

/// What a form of a profile shows.
#[derive(Debug)]
pub struct Editor<'a> {
    /// What the page does, as its heading: `Edit Product export`.
    pub title: &'a str,
    /// Where the form is sent.
    pub action: &'a str,
    /// Where the reader goes without saving.
    pub discard: &'a str,
    /// The words of the button that saves.
    pub save: &'a str,
    /// The label of the job, and the code of its connector.
    pub job: (&'a str, &'a str),
    /// The code of the profile, if the form asks for it; and whether it can still be chosen.
    pub code: Option<(&'a str, bool)>,
    /// The label of the profile, if the form asks for it.
    pub label: Option<&'a str>,
    /// The version that the form was filled with.
    pub version: Option<u64>,
    /// The address of the same values as JSON.
    pub as_json: Option<&'a str>,
    /// Why the last attempt failed, if not for a value.
    pub problem: Option<&'a Problem>,
    /// What has changed since the form was filled: names, and the text that is saved now.
    pub stale: Option<&'a [(String, String)]>,
    /// The fields and their values.
    pub filled: Filled<'a>,
}

/// A form of a profile.
pub fn editor(frame: &Frame, shown: &Editor<'_>) -> Markup {
    html! {
        header.page-head {
            div {
                h1 { bdi { (shown.title) } }
                p.lead { span { bdi { (shown.job.0) } ", of " bdi { (shown.job.1) } } }
            }
            div.actions {
                @if let Some(address) = shown.as_json { a.button href=(address) { "Values as JSON" } }
            }
        }
        (shown.filled.summary())
        @if let Some(stale) = shown.stale { (stale_note(stale)) }
        @else if let Some(problem) = shown.problem { (note(problem, &frame.top("errors"))) }
        form.form method="post" action=(shown.action) data-guard novalidate {
            (enter(shown.save))
            @if let Some(version) = shown.version { input type="hidden" name="_version" value=(version); }
            @if let Some((code, is_open)) = shown.code {
                div.field {
                    label.label for="_code" { "Code" small { "required" } }
                    div {
                        input #_code.code name="_code" value=(code) readonly[!is_open] required spellcheck="false" autocomplete="off" aria-describedby="_code-help";
                        p.help #_code-help { "Programs and the command line call the profile by its code. It stays as it is." }
                    }
                }
            }
            @if let Some(label) = shown.label {
                div.field {
                    label.label for="_label" { "Label" }
                    div { input #_label name="_label" value=(label) spellcheck="false" autocomplete="off"; }
                }
            }
            (shown.filled.tabs())
            (save_bar(shown.save, shown.discard))
        }
    }
}

/// What another person has saved in the meantime.
fn stale_note(stale: &[(String, String)]) -> Markup {
    html! {
        div.note.warn role="alert" {
            h2 { "Another change was saved since you opened this form" }
            @if stale.is_empty() { p { "It changed no value that you may see." } } @else {
                p { "These values are saved now. Your own values are below, and nothing of them is saved yet." }
                dl.facts { @for (name, text) in stale { dt { bdi { (name) } } dd { code { (text) } } } }
            }
            p { "Save again to put your values over them." }
        }
    }
}

/// The values of a profile as JSON.
pub fn values_editor(
    frame: &Frame,
    title: &str,
    action: &str,
    back: &str,
    version: u64,
    text: &str,
    problem: Option<&Problem>,
) -> Markup {
    html! {
        header.page-head { div { h1 { bdi { (title) } } p.lead { "The same values as in the form, as a JSON object. The same constraints count." } } }
        @if let Some(problem) = problem { (note(problem, &frame.top("errors"))) }
        form.form method="post" action=(action) data-guard {
            input type="hidden" name="_version" value=(version);
            div.field {
                label.label for="values" { "Values" }
                div { textarea #values.code name="values" rows="24" spellcheck="false" { "\n" (text) } }
            }
            (save_bar("Save", back))
        }
    }
}

/// The page on which a new profile begins: the jobs.
pub fn choose_job(frame: &Frame, jobs: &[Job]) -> Markup {
    html! {
        header.page-head { div { h1 { "New profile" } p.lead { "Which job shall run?" } } }
        @if jobs.is_empty() {
            (none("No connector is installed that has a job."))
        } @else {
            div.table {
                table.stack {
                    caption.sr { "Jobs that a profile can run" }
                    thead { tr { th scope="col" { "Job" } th scope="col" { "Type" } th scope="col" { "Connector" } th scope="col" { "Steps" } } }
                    tbody {
                        @for job in jobs {
                            tr {
                                th.title scope="row" {
                                    a href=(frame.at(&format!("new-instance?job={}", part(&job.name)))) { bdi { (job.label) } }
                                    span.sub { (job.name) }
                                }
                                td data-label="Type" { bdi { (job.r#type) } }
                                td data-label="Connector" { bdi { (job.connector) } }
                                td data-label="Steps" { (job.steps.len()) }
                            }
                        }
                    }
                }
            }
        }
    }
}
