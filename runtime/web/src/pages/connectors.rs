//! Connectors: their list, one with its jobs, and a package that is not installed yet.

use maud::{Markup, html};
use stepbox_api::connector::{Component, Connector, ConnectorSummary, Installed};
use stepbox_api::job::Job;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::problem::Problem;
use stepbox_api::step::{Step, StepKind};

use super::components::{self, Listed, asked, parameters};
use crate::blocks::{actions_column, column, head, own, panel, refused, section, some_of, table, warning};
use crate::frame::{Frame, part};
use crate::icons::icon;

/// What the page of connectors and steps shows.
#[derive(Debug)]
pub struct Page<'a> {
    /// The connectors.
    pub connectors: &'a [Row<ConnectorSummary>],
    /// The components.
    pub components: &'a [Listed],
    /// Components that cannot be read.
    pub damaged: &'a [DamagedRow],
    /// Whether the reader may install and remove connectors.
    pub may_edit_connectors: bool,
    /// Whether the reader may upload and remove components.
    pub may_edit_steps: bool,
    /// How large a component may be, in bytes.
    pub component_bytes_max: u64,
    /// How large a package may be, in bytes.
    pub package_bytes_max: u64,
    /// Why a component was refused.
    pub component_problem: Option<&'a Problem>,
    /// Why a package was refused.
    pub package_problem: Option<&'a Problem>,
}

/// Connectors and steps of a tenant.
pub fn list(frame: &Frame, page: &Page<'_>) -> Markup {
    let lead =
        html! { "A connector brings jobs; a step that is no part of Stepbox is a component, in a sandbox." };
    let columns = html! {
        (column("Connector")) (column("Jobs"))
        @if page.may_edit_connectors { (actions_column()) }
    };
    let rows =
        html! { @for row in page.connectors { (connector_row(frame, row, page.may_edit_connectors)) } };
    let damaged = html! {
        @for row in page.damaged {
            div.note.fail { p { "The component " code { (own(&row.name)) } " cannot be read: " (own(&row.damaged)) } }
        }
    };
    html! {
        (head(&html! { "Connectors and steps" }, &lead, &html! {}))
        (section("connectors", &html! { "Connectors" }, &html! {}, &html! {
            (table("Connectors by code", &columns, &rows))
            @if page.may_edit_connectors { (install(frame, page)) }
        }))
        (section("steps", &html! { "Components" }, &html! {}, &html! {
            (damaged)
            (components::list(frame, page.components, page.may_edit_steps))
            @if page.may_edit_steps { (components::upload(frame, page.component_bytes_max, page.component_problem)) }
        }))
    }
}

fn connector_row(frame: &Frame, row: &Row<ConnectorSummary>, may_edit: bool) -> Markup {
    let summary = match row {
        Row::Whole(summary) => summary,
        Row::Damaged(damaged) => {
            return html! {
                tr {
                    th.title scope="row" { (own(&damaged.name)) }
                    td.wide data-label="Jobs" colspan=(1 + usize::from(may_edit)) { (warning(&html! { "damaged: " (own(&damaged.damaged)) })) }
                }
            };
        }
    };
    let address = frame.at(&format!("connectors/{}", part(&summary.code)));
    html! {
        tr {
            th.title scope="row" {
                a href=(address) { (own(&summary.label)) }
                span.sub { (own(&summary.code)) }
            }
            td.wide data-label="Jobs" { (some_of(&summary.jobs, 8)) }
            @if may_edit {
                td.end {
                    @if !is_native(&summary.code) {
                        a.button.small href={ (address) "/remove" } { "Remove…" span.sr { " " (own(&summary.code)) } }
                    }
                }
            }
        }
    }
}

/// Whether a connector is a part of Stepbox, so that it cannot be removed.
fn is_native(code: &str) -> bool {
    code == "stepbox"
}

fn install(frame: &Frame, page: &Page<'_>) -> Markup {
    html! {
        (refused(page.package_problem))
        form.drop method="post" action=(frame.at("connectors/inspect")) enctype="multipart/form-data" {
            label for="package" { b { "Drop a connector here, or choose one" } }
            input #package type="file" name="package" accept=".zip,.tar,application/zip,application/x-tar" required aria-describedby="package-help";
            button.button { (icon("i-upload")) "Inspect" }
            p.help #package-help {
                "A zip or a tar with " code { "connector.yaml" } " at its top and its components, up to "
                (frame.reader.memory(page.package_bytes_max)) ". You see its jobs and what they ask for before it is installed."
            }
        }
    }
}

/// A connector.
pub fn show(frame: &Frame, connector: &Connector, may_edit: bool, may_create: bool) -> Markup {
    let address = frame.at(&format!("connectors/{}", part(&connector.code)));
    let actions = html! {
        @if may_edit && !is_native(&connector.code) {
            a.button.danger href={ (address) "/remove" } { "Remove…" }
        }
    };
    html! {
        (head(&html! { (own(&connector.label)) }, &html! { code { (own(&connector.code)) } }, &actions))
        (section("asks", &html! { "What its steps ask for" }, &policy_link(frame), &asked(&connector.grants, true)))
        @for (place, job) in connector.jobs.iter().enumerate() { (self::job(frame, place, job, may_create)) }
    }
}

fn policy_link(frame: &Frame) -> Markup {
    html! { a href=(frame.at("policy")) { "Policy" } }
}

/// A job: its steps and its parameters. `place` makes its ids unique.
fn job(frame: &Frame, place: usize, job: &Job, may_create: bool) -> Markup {
    let id = format!("job-{place}");
    let beside = html! {
        @if may_create {
            a href=(frame.at(&format!("instances/new?connector={}&job={}", part(&job.connector), part(&job.name)))) { "New profile" span.sr { " of " (own(&job.label)) } }
        }
    };
    let columns = html! { (column("Step")) (column("What it is")) (column("Elements")) };
    let rows = html! { @for step in &job.steps { (step_row(frame, step)) } };
    html! {
        section aria-labelledby=(id) {
            div.section-head { h2 id=(id) { (own(&job.label)) } (beside) }
            p.lead {
                span { code { (own(&job.name)) } }
                span { (own(&job.r#type)) }
                @if job.stoppable { span { "can be stopped" } }
                @if let Some(most) = job.concurrency { span { "at most " (frame.reader.number(most.into())) " at a time" } }
            }
            (table("Steps of the job, in their order", &columns, &rows))
            details {
                summary { "Parameters" }
                (parameters(&job.parameters))
            }
        }
    }
}

fn step_row(frame: &Frame, step: &Step) -> Markup {
    let (kind, elements) = match &step.kind {
        StepKind::Item { reader, processors, writer, .. } => {
            ("item step", std::iter::once(reader).chain(processors).chain([writer]).collect())
        }
        StepKind::Tasklet { tasklet } => ("tasklet", vec![tasklet]),
    };
    html! {
        tr {
            th.title scope="row" { (own(&step.name)) }
            td data-label="What it is" { (kind) }
            td.wide data-label="Elements" {
                @for (place, element) in elements.into_iter().enumerate() {
                    @if place > 0 { " → " }
                    @match &element.digest {
                        Some(digest) => a href=(frame.at(&format!("steps/{}", part(digest)))) { (own(&element.name)) },
                        None => (own(&element.name)),
                    }
                }
            }
        }
    }
}

/// A package that was inspected, and is not installed yet.
#[derive(Debug, Clone)]
pub struct Found {
    /// The connector, as it would be installed, and the instances that could not run with it.
    pub installed: Installed,
    /// The components that its steps use. Those without `uploaded_at` come with the package.
    pub components: Vec<Component>,
    /// The jobs of the connector that it would replace; `None` if there is none of the same code.
    pub replaced: Option<Vec<String>>,
    /// How many further instances could not run, which the reader may not see.
    pub broken_hidden: u64,
}

/// The page about a package that is not installed yet. `id` is the word of the upload, `name` that of the file.
pub fn inspected(frame: &Frame, id: &str, name: &str, found: &Found, problem: Option<&Problem>) -> Markup {
    let connector = &found.installed.connector;
    let to = frame.at(&format!("inspected-connectors/{}", part(id)));
    let breaks = !found.installed.broken.is_empty() || found.broken_hidden > 0;
    let lead = html! { "From " code { (own(name)) } ". It was checked as at its installation; nothing of it has run but the descriptions of its components." };
    html! {
        (head(&html! { (own(&connector.label)) }, &lead, &html! {}))
        (refused(problem))
        @if breaks { (broken(frame, found)) }
        div.note.warn {
            h2 { (warning(&html! { code { (own(&connector.code)) } " is not installed yet" })) }
            p {
                @match &found.replaced {
                    Some(_) => "It replaces the connector of the same code. Executions keep the job that they were submitted with.",
                    None => "It is new here.",
                }
                " This upload is forgotten after 15 minutes."
            }
            div.actions {
                form method="post" action=(to) {
                    @if breaks { input type="hidden" name="force" value="true"; }
                    @if breaks {
                        button.button.danger { "Install, although instances break" }
                    } @else {
                        button.button.primary { "Install " (own(&connector.code)) }
                    }
                }
                form method="post" action={ (to) "/discard" } { button.button { "Discard" } }
            }
        }
        div.split {
            div {
                (section("asks", &html! { "What its steps ask for" }, &policy_link(frame), &asked(&connector.grants, true)))
                @for (place, job) in connector.jobs.iter().enumerate() { (self::job(frame, place, job, false)) }
            }
            aside aria-label="About this connector" {
                (panel("what", "What comes with it", &brought(frame, &found.components)))
                (panel("changes", "What changes", &changes(found)))
                @if !found.installed.unused.is_empty() || !found.installed.optional_in_grants.is_empty() {
                    (panel("hints", "Worth a look", &hints(&found.installed)))
                }
            }
        }
    }
}

fn broken(frame: &Frame, found: &Found) -> Markup {
    html! {
        section.note.fail aria-labelledby="broken" {
            h2 #broken { "Job profiles that could not run any more" }
            ul.list {
                @for instance in &found.installed.broken {
                    li {
                        a href=(frame.at(&format!("instances/{}", part(&instance.code)))) { (own(&instance.code)) }
                        span { (own(&instance.reason)) }
                    }
                }
            }
            @if found.broken_hidden > 0 {
                p { "And " (frame.reader.number(found.broken_hidden)) " more that you may not see." }
            }
        }
    }
}

fn brought(frame: &Frame, components: &[Component]) -> Markup {
    html! {
        @if components.is_empty() { p.small.muted { "No component: its steps are parts of Stepbox." } }
        ul.list {
            @for component in components {
                li {
                    span { b { (own(&component.name)) } " " (own(&component.version)) }
                    span.muted {
                        (own(&component.world)) ", " (frame.reader.bytes(component.size_bytes))
                        @if component.uploaded_at.is_some() { ", there already" }
                        @if let Some(signer) = &component.signed_by { ", signed by " (own(signer)) }
                    }
                }
            }
        }
    }
}

/// The jobs that come, stay and go.
fn changes(found: &Found) -> Markup {
    let new: Vec<String> = found.installed.connector.jobs.iter().map(|job| job.name.clone()).collect();
    let old = found.replaced.clone().unwrap_or_default();
    let only = |these: &[String], others: &[String]| {
        these.iter().filter(|name| !others.contains(name)).cloned().collect::<Vec<_>>()
    };
    let (come, go) = (only(&new, &old), only(&old, &new));
    let stay: Vec<_> = new.iter().filter(|name| old.contains(name)).cloned().collect();
    html! {
        dl.facts {
            @for (word, jobs) in [("New jobs", come), ("Replaced", stay), ("Gone", go)] {
                @if !jobs.is_empty() { dt { (word) } dd { (some_of(&jobs, 20)) } }
            }
        }
    }
}

fn hints(installed: &Installed) -> Markup {
    html! {
        ul.list {
            @for unused in &installed.unused {
                li { span { "No step takes the parameter " code { (own(&unused.parameter)) } " of " code { (own(&unused.job)) } } }
            }
            @for optional in &installed.optional_in_grants {
                li {
                    span {
                        "A grant of " code { (own(&optional.job)) "/" (own(&optional.step)) } " names "
                        code { (own(&optional.parameter)) } ", which may be left out"
                    }
                }
            }
        }
    }
}
