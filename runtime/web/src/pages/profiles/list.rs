//! The list of job profiles.

use maud::{Markup, html};
use stepbox_api::instance::Instance;

use super::runs::{Run, last_runs};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::{none, pager};
use crate::status::status;

/// A profile in the list.
#[derive(Debug)]
pub struct ProfileRow {
    /// The profile.
    pub instance: Instance,
    /// The label of its job; `None` if the job is not there any more.
    pub job: Option<String>,
    /// Its newest runs, newest first; empty if the reader may not see them.
    pub runs: Vec<Run>,
    /// Whether the reader may run it.
    pub may_launch: bool,
}

/// The list of job profiles.
pub fn profiles(
    frame: &Frame,
    rows: &[ProfileRow],
    filter: &str,
    may_create: bool,
    older: Option<&str>,
) -> Markup {
    html! {
        header.page-head {
            div {
                h1 { "Job profiles" }
                p.lead { "A profile is a job with values of its own: at the command line, an instance." }
            }
            div.actions {
                @if may_create {
                    a.button.primary href=(frame.at("new-instance")) { (icon("i-plus")) "New profile" }
                }
            }
        }
        (crate::list::filter(&frame.at("instances"), filter, &[("text", "in label or code"), ("job:csv_export", "of that job"), ("type:export", "of that type")]))
        @if rows.is_empty() {
            @if filter.is_empty() {
                div.begin {
                    h2 { "No profiles yet" }
                    p { "A profile saves the values with which a job runs. Install a connector, choose one of its jobs, and give it values." }
                    p.actions {
                        @if may_create { a.button.primary href=(frame.at("new-instance")) { "New profile" } }
                        a.button href=(frame.at("connectors")) { "Connectors and steps" }
                    }
                }
            } @else {
                (none("No profile matches this filter."))
            }
        } @else {
            div.table {
                table.stack {
                    caption.sr { "Job profiles by code" }
                    thead {
                        tr {
                            th scope="col" { "Profile" }
                            th scope="col" { "Job" }
                            th scope="col" { "Last 20 runs" }
                            th scope="col" { "Last run" }
                            th scope="col" { span.sr { "Actions" } }
                        }
                    }
                    tbody.middle { @for row in rows { (one(frame, row)) } }
                }
            }
            (pager(&format!("{} on this page", rows.len()), None, older))
        }
    }
}

fn one(frame: &Frame, row: &ProfileRow) -> Markup {
    let instance = &row.instance;
    let at = frame.at(&format!("instances/{}", part(&instance.code)));
    html! {
        tr {
            th.title scope="row" {
                a href=(at) { bdi { (instance.label) } }
                span.sub { (instance.code) }
            }
            td data-label="Job" {
                @match &row.job {
                    Some(job) => bdi { (job) },
                    None => { code { (instance.job) } span.sub { "is not installed" } }
                }
            }
            td data-label="Last 20 runs" { (last_runs(&row.runs)) }
            td data-label="Last run" {
                @if let Some(run) = row.runs.first() {
                    a href=(frame.at(&format!("executions/{}", run.id))) { (status(&run.status)) }
                    span.sub { (frame.reader.moment(&run.created_at)) }
                }
            }
            td.end {
                @if row.may_launch && row.job.is_some() {
                    form method="post" action={ (at) "/run" } {
                        button.button.small { (icon("i-play")) "Run" span.sr { " " (instance.code) } }
                    }
                }
            }
        }
    }
}
