//! Steps: the components of a tenant, one of them, and one that was uploaded and is not kept yet.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::connector::{Component, Grant};
use stepbox_api::problem::Problem;

use crate::blocks::{
    actions_column, column, head, number_column, own, panel, refused, section, state, table, warning,
};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::none;

/// A component in a list.
#[derive(Debug)]
pub struct Listed {
    /// The component.
    pub component: Component,
    /// The codes of the connectors that use it.
    pub used_by: Vec<String>,
}

/// The components of a tenant.
pub fn list(frame: &Frame, components: &[Listed], may_edit: bool) -> Markup {
    let columns = html! {
        (column("Component")) (column("World")) (number_column("Size")) (column("Used by")) (column("Uploaded"))
        @if may_edit { (actions_column()) }
    };
    let rows = html! { @for listed in components { (row(frame, listed, may_edit)) } };
    html! {
        @if components.is_empty() {
            (none("There is no component yet."))
        } @else {
            (table("Components by name and version", &columns, &rows))
        }
    }
}

fn row(frame: &Frame, Listed { component, used_by }: &Listed, may_edit: bool) -> Markup {
    html! {
        tr {
            th.title scope="row" {
                a href=(address(frame, component)) { (own(&component.name)) " " (own(&component.version)) }
                span.sub { (own(component.short_digest())) }
            }
            td data-label="World" { code { (own(&component.world)) } }
            td.num data-label="Size" { (frame.reader.bytes(component.size_bytes)) }
            td.wide data-label="Used by" { (users(frame, used_by)) }
            td.nowrap data-label="Uploaded" {
                @if let Some(at) = &component.uploaded_at { (frame.reader.moment(at)) }
            }
            @if may_edit {
                td.end {
                    @if used_by.is_empty() {
                        a.button.small href={ (address(frame, component)) "/remove" } {
                            "Remove…" span.sr { " " (own(&component.reference())) }
                        }
                    }
                }
            }
        }
    }
}

fn users(frame: &Frame, used_by: &[String]) -> Markup {
    html! {
        @if used_by.is_empty() { span.muted { "no connector" } }
        @for (place, code) in used_by.iter().enumerate() {
            @if place > 0 { ", " }
            a href=(frame.at(&format!("connectors/{}", part(code)))) { (own(code)) }
        }
    }
}

/// The address of a component's page.
pub fn address(frame: &Frame, component: &Component) -> String {
    frame.at(&format!("steps/{}", part(&component.digest)))
}

/// A component.
pub fn show(
    frame: &Frame,
    Listed { component, used_by }: &Listed,
    grants: &[Grant],
    may_edit: bool,
) -> Markup {
    let actions = html! {
        @if may_edit { a.button.danger href={ (address(frame, component)) "/remove" } { "Remove…" } }
    };
    let title = html! { (own(&component.name)) " " (own(&component.version)) };
    let used = html! {
        p.small { (users(frame, used_by)) }
        p.small.muted { "An execution keeps the component with which it began, as long as its record is kept." }
    };
    html! {
        (head(&title, &html! { (own(text(&component.description, "summary"))) }, &actions))
        div.split {
            div { (says(grants, &component.description)) }
            aside aria-label="About this component" {
                (panel("what", "What it is", &facts(frame, component, None)))
                (panel("where", "Where it is used", &used))
            }
        }
    }
}

/// A component that was uploaded and inspected, and is not kept yet.
#[derive(Debug, Clone)]
pub struct Found {
    /// The component as it describes itself. `signed_by` is the signer that the policy accepts.
    pub component: Component,
    /// The parts of its description that the policy leaves.
    pub grants: Vec<Grant>,
    /// How long the check took, with compiling, in milliseconds.
    pub checked_ms: u64,
    /// Whether the policy asks for signatures.
    pub needs_signature: bool,
    /// Why it would be refused; `None` if it would be kept.
    pub problem: Option<Problem>,
    /// Whether the same bytes are there already.
    pub is_known: bool,
    /// The other versions of the same name that are there.
    pub versions: Vec<String>,
    /// How large a component may be, in bytes.
    pub bytes_max: u64,
}

/// The page about a component that is not kept yet. `id` is the word of the upload.
pub fn inspected(frame: &Frame, id: &str, found: &Found) -> Markup {
    let component = &found.component;
    let to = frame.at(&format!("inspected-components/{}", part(id)));
    let reference = component.reference();
    let lead = html! { "It was inspected before it is kept, and ran nothing but its own description." };
    html! {
        (head(&html! { (own(&reference)) }, &lead, &html! {}))
        @match &found.problem {
            Some(problem) => {
                (refused(Some(problem)))
                form method="post" action={ (to) "/discard" } { div.actions { button.button { "Discard" } } }
            },
            None => {
                div.note.warn {
                    h2 {
                        (warning(&html! {
                            (own(&reference)) @if found.is_known { " is there already" } @else { " is not kept yet" }
                        }))
                    }
                    p { "Nothing is stored until you keep it. This upload is forgotten after 15 minutes." }
                    div.actions {
                        form method="post" action=(to) { button.button.primary { "Keep " (own(&reference)) } }
                        form method="post" action={ (to) "/discard" } { button.button { "Discard" } }
                    }
                }
            },
        }
        div.split {
            div { (says(&found.grants, &component.description)) }
            aside aria-label="About this component" {
                (panel("what", "What it is", &facts(frame, component, Some(found))))
                (panel("where", "If you keep it", &afterwards(found)))
            }
        }
    }
}

fn afterwards(found: &Found) -> Markup {
    html! {
        ul.list {
            @if !found.versions.is_empty() {
                li { span { "Other versions that stay: " (own(&found.versions.join(", "))) } }
            }
            li { "Connectors go on with the version that they name until they are installed anew." }
            li { "Running executions keep the component with which they began." }
        }
    }
}

fn facts(frame: &Frame, component: &Component, found: Option<&Found>) -> Markup {
    let reader = &frame.reader;
    html! {
        dl.facts {
            dt { "Component" } dd { b { (own(&component.name)) } " " (own(&component.version)) }
            dt { "World" } dd { code { (own(&component.world)) } }
            dt { "Size" }
            dd {
                (reader.bytes(component.size_bytes))
                @if let Some(found) = found { span.muted { " of " (reader.memory(found.bytes_max)) } }
            }
            @if let Some(found) = found { dt { "Checked" } dd { "and compiled in " (reader.span(found.checked_ms)) } }
            @if let Some(at) = &component.uploaded_at { dt { "Uploaded" } dd { (reader.moment(at)) } }
            dt { "Signed by" }
            dd {
                @match (&component.signed_by, found) {
                    (Some(signer), _) => code { (own(signer)) },
                    (None, Some(found)) if found.needs_signature => (warning(&html! { "nobody that the policy accepts" })),
                    (None, _) => span.muted { "nobody" },
                }
            }
            dt { "Digest" }
            dd {
                code { (own(&component.digest)) } " "
                button.link.needs-script type="button" data-copy=(component.digest) { "Copy" span.sr { " the digest" } }
            }
        }
    }
}

/// What a component says of itself: what it asks for, its parameters, its columns.
fn says(grants: &[Grant], description: &Value) -> Markup {
    html! {
        (section("asks", &html! { "What it asks for" }, &html! {}, &asked(grants, false)))
        (section("parameters", &html! { "Its parameters" }, &html! {}, &parameters(&description["parameters"])))
        @if description["columns_in"].is_array() || description["columns_out"].is_array() {
            (section("columns", &html! { "Its columns" }, &html! {}, &html! {
                dl.facts.wide-facts {
                    dt { "Reads" } dd { (columns(&description["columns_in"], "all")) }
                    dt { "Writes" } dd { (columns(&description["columns_out"], "depends on what it reads")) }
                }
            }))
        }
    }
}

fn columns(names: &Value, otherwise: &str) -> Markup {
    html! {
        @match names.as_array() {
            Some(names) => {
                @for (place, name) in names.iter().take(100).enumerate() {
                    @if place > 0 { ", " }
                    code { (own(name.as_str().unwrap_or_default())) }
                }
                @if names.len() > 100 { " and " (names.len() - 100) " more" }
            },
            None => span.muted { (otherwise) },
        }
    }
}

/// What steps ask for, what the policy says, and what is left.
pub(super) fn asked(grants: &[Grant], has_steps: bool) -> Markup {
    if grants.is_empty() {
        return html! { p.muted { "Nothing: no file, no host, no secret." } };
    }
    let heads = html! {
        @if has_steps { (column("Step")) }
        (column("Asked")) (column("Policy")) (column("Effective"))
    };
    let rows = html! {
        @for grant in grants {
            tr {
                @if has_steps { th.title scope="row" data-label="Step" { (own(&grant.step)) } }
                td.wide data-label="Asked" { code { (own(&grant.asked)) } }
                td.wide data-label="Policy" { (own(&grant.policy)) }
                td.wide data-label="Effective" { (effective(grant)) }
            }
        }
    };
    table("Asked, what the policy says, what is left", &heads, &rows)
}

/// What is left of a request: all, a part, or nothing.
fn effective(grant: &Grant) -> Markup {
    let left = grant.effective.as_str();
    let is_whole = grant.asked.ends_with(left) || left == "known when it runs" || left.starts_with("to ");
    html! {
        @if left.starts_with("nothing") {
            (state("FAILED", "s-failed", "Nothing"))
            @if let Some(reason) = left.strip_prefix("nothing: ") { span.sub { (own(reason)) } }
        } @else if left == "as the connector asks for it" {
            (state("QUEUED", "s-waiting", "Later"))
            span.sub { (left) }
        } @else if is_whole {
            (state("COMPLETED", "s-completed", "Granted"))
            @if !grant.asked.ends_with(left) { span.sub { (own(left)) } }
        } @else {
            (state("WARNING", "s-warning", "Cut down"))
            span.sub { (own(left)) }
        }
    }
}

/// The parameters of a schema: name, type, what is required, and what each is for.
pub(super) fn parameters(schema: &Value) -> Markup {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    html! {
        @match properties.filter(|properties| !properties.is_empty()) {
            None => p.muted { "None." },
            Some(properties) => {
                dl.facts.wide-facts {
                    @for (name, property) in properties {
                        dt { code { (own(name)) } }
                        dd {
                            (own(&kind(property)))
                            @if required.contains(&name.as_str()) { ", required" }
                            @if let Some(default) = property.get("default") {
                                " " span.tag { "default " code { (own(&default.to_string())) } }
                            }
                            @let about = [text(property, "title"), text(property, "description")];
                            @for about in about.into_iter().filter(|about| !about.is_empty()) {
                                span.sub { (own(about)) }
                            }
                        }
                    }
                }
            },
        }
    }
}

/// The type of a parameter in words.
fn kind(property: &Value) -> String {
    let kind = match &property["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ if property["enum"].is_array() => "choice".to_owned(),
        _ => "any".to_owned(),
    };
    match property["format"].as_str() {
        Some(format) => format!("{kind}, {format}"),
        None => kind,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The form that a component is sent with.
pub fn upload(frame: &Frame, bytes_max: u64, problem: Option<&Problem>) -> Markup {
    html! {
        (refused(problem))
        form.drop method="post" action=(frame.at("steps/inspect")) enctype="multipart/form-data" {
            label for="component" { b { "Drop a .wasm here, or choose one" } }
            input #component type="file" name="component" accept=".wasm,application/wasm" required aria-describedby="component-help";
            label for="signature" { "Its signature, if the policy asks for one" }
            input #signature type="file" name="signature" accept=".minisig";
            button.button.primary { (icon("i-upload")) "Inspect" }
            p.help #component-help { "Up to " (frame.reader.memory(bytes_max)) ". It is inspected first, and kept only when you say so." }
        }
    }
}
