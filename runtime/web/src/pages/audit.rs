//! The audit trail of a tenant or of the installation.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::audit::AuditEvent;
use stepbox_api::list::{DamagedRow, Row};

use crate::blocks::{column, head, number_column, own, table, warning};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::{none, pager};

/// What is asked for, as the page writes it into its address.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Only events of this user; empty for all.
    pub user: String,
    /// Only events of this action; empty for all.
    pub action: String,
    /// Only events of this day (in the reader's zone) and later: `2026-11-30`; empty for all.
    pub since: String,
}

impl Asked {
    /// The same as a query, with the number before which the rows are; empty if nothing is asked for.
    pub fn query(&self, before: Option<u64>) -> String {
        let before = before.map(|before| before.to_string()).unwrap_or_default();
        let pairs =
            [("user", &self.user), ("action", &self.action), ("since", &self.since), ("before", &before)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query =
            pairs.map(|(name, value)| format!("{name}={}", part(value))).collect::<Vec<_>>().join("&");
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// A page of the trail.
#[derive(Debug)]
pub struct Trail<'a> {
    /// The events, newest first.
    pub events: &'a [Row<AuditEvent>],
    /// What was asked for.
    pub asked: &'a Asked,
    /// All actions that there are.
    pub actions: &'a [&'static str],
    /// The address of the page, without its query.
    pub address: &'a str,
    /// The number before which older events are; `None` if there are none.
    pub older: Option<u64>,
    /// Whether these are not the newest ones.
    pub is_later_page: bool,
}

/// Who changed what.
pub fn trail(frame: &Frame, trail: &Trail<'_>) -> Markup {
    let lead = html! { "Who changed what. An event is never changed, and none has a value of a parameter, only its name." };
    let csv = format!("{}/csv{}", trail.address, trail.asked.query(None));
    let actions = html! { a.button href=(csv) download { (icon("i-download")) "CSV" } };
    let columns = html! {
        (column("When")) (column("Who")) (column("What")) (column("Action")) (number_column("Event"))
    };
    let rows = html! { @for row in trail.events { (event_row(frame, trail, row)) } };
    let older = trail.older.map(|before| format!("{}{}", trail.address, trail.asked.query(Some(before))));
    let newest = trail.is_later_page.then(|| format!("{}{}", trail.address, trail.asked.query(None)));
    let shown = match trail.is_later_page {
        true => format!("{} older events", trail.events.len()),
        false => format!("{} newest events", trail.events.len()),
    };
    html! {
        (head(&html! { "Audit trail" }, &lead, &actions))
        (filter(trail))
        @if trail.events.is_empty() {
            (none("No event is like that."))
        } @else {
            (table("Events, newest first", &columns, &rows))
        }
        (pager(&shown, newest.as_deref(), older.as_deref()))
    }
}

fn filter(trail: &Trail<'_>) -> Markup {
    let asked = trail.asked;
    html! {
        search {
            form.bar.filters action=(trail.address) {
                label { span { "Who" } input name="user" value=(asked.user) autocomplete="off" spellcheck="false" autocapitalize="none" aria-keyshortcuts="/"; }
                label {
                    span { "Action" }
                    select name="action" {
                        option value="" { "all" }
                        @for action in trail.actions { option value=(action) selected[*action == asked.action] { (action) } }
                    }
                }
                label { span { "Since" } input name="since" type="date" value=(asked.since); }
                button.button { "Filter" }
                @if !asked.query(None).is_empty() { a.button href=(trail.address) { "All" } }
            }
        }
    }
}

fn event_row(frame: &Frame, trail: &Trail<'_>, row: &Row<AuditEvent>) -> Markup {
    let event = match row {
        Row::Whole(event) => event,
        Row::Damaged(DamagedRow { name, damaged, .. }) => {
            return html! {
                tr {
                    td.wide data-label="What" colspan="4" { (warning(&html! { "damaged: " (own(damaged)) })) }
                    td.num data-label="Event" { (own(name)) }
                }
            };
        }
    };
    let only = Asked { action: event.action.clone(), ..Asked::default() };
    html! {
        tr #{ "event-" (event.id) } {
            td.nowrap data-label="When" { (frame.reader.moment(&event.at)) }
            td data-label="Who" {
                @match (&event.user, event.runtime) {
                    (_, true) => span.muted { "Stepbox" },
                    (Some(user), _) => b { (own(user)) },
                    (None, _) => span.muted { "nobody signed in" },
                }
            }
            td.wide data-label="What" { (sentence(frame, event)) }
            td.nowrap data-label="Action" {
                a href={ (trail.address) (only.query(None)) } { code { (own(&event.action)) } }
            }
            td.num data-label="Event" { (event.id) }
        }
    }
}

/// An event in words. An action that this page does not know is told by its name and its details.
fn sentence(frame: &Frame, event: &AuditEvent) -> Markup {
    let (name, detail) = (event.subject.name.as_str(), &event.detail);
    let field = |field: &str| detail[field].as_str().unwrap_or_default().to_owned();
    let subject = subject(frame, event);
    match event.action.as_str() {
        "component-uploaded" => html! { "brought component " (subject) (signed_by(&field("signed_by"))) },
        "component-refused" => html! { "was refused a component: " (own(&field("reason"))) },
        "component-removed" => html! { "removed component " (subject) },
        "connector-installed" => html! {
            "installed connector " (subject) ", jobs: " (detail["jobs"].as_array().map_or(0, Vec::len))
        },
        "connector-removed" => html! { "removed connector " (subject) },
        "instance-created" => html! { "created profile " (subject) " of job " code { (own(&field("job"))) } },
        "instance-changed" => html! { "changed profile " (subject) (changed(detail)) },
        "instance-deleted" => html! { "deleted profile " (subject) "; its executions stay" },
        "file-uploaded" => html! { "uploaded the file " code { (own(&field("name"))) } },
        "file-removed" => html! { "removed the file " code { (own(&field("name"))) } },
        "execution-submitted" => {
            html! { "submitted execution " (subject) " of " code { (own(&field("instance"))) } }
        }
        "execution-restarted" => html! {
            "restarted " (detail["restart_of"].to_string()) " as execution " (subject) " of " code { (own(&field("instance"))) }
        },
        "execution-resumed" => html! { "resumed execution " (subject) },
        "execution-stop-requested" => html! { "asked execution " (subject) " to stop" },
        "execution-pause-requested" => html! { "asked execution " (subject) " to pause" },
        "execution-abandoned" => html! { "abandoned execution " (subject) },
        "execution-lost" => html! {
            "took execution " (subject) " from worker " code { (own(&field("worker"))) } ", which was lost; it is " (own(&field("becomes"))) " now"
        },
        "execution-set-aside" => html! { "set execution " (subject) " aside: " (own(&field("reason"))) },
        "execution-repaired" => html! { "repaired execution " (subject) ": " (own(&field("remedy"))) },
        "execution-purged" => {
            html! { "deleted execution " (own(name)) " of " code { (own(&field("instance"))) } }
        }
        "user-created" => html! { "created user " (subject) },
        "user-changed" => html! { "changed user " (subject) (named(detail)) },
        "user-removed" => html! { "removed user " (subject) },
        "password-link-created" if name.is_empty() => html! { "made the link of the first operator" },
        "password-link-created" => html! { "made a link that sets the password of " (subject) },
        "password-set" => html! { "set the password of " (subject) },
        "signed-in" => html! { "signed in" (from(&field("client"))) },
        "sign-in-failed" => {
            html! { "was refused at signing in" @if !name.is_empty() { " as " (subject) } (from(&field("client"))) }
        }
        "signed-out" => html! { "ended sessions of " (subject) },
        "role-changed" => html! {
            "changed the role of " (subject) ": " (role(&detail["before"])) " before, " (role(&detail["after"])) " now"
        },
        "instance-rights-changed" => html! { "changed the rights at profile " (subject) (named(detail)) },
        "token-created" => {
            html! { "made token " (own(name)) ", " (own(&field("name"))) ", of " (own(&field("owner"))) }
        }
        "token-revoked" => {
            html! { "revoked token " (own(name)) ", " (own(&field("name"))) ", of " (own(&field("owner"))) }
        }
        "audit-purged" => html! { "deleted " (detail["events"].to_string()) " old events of this trail" },
        _ => html! { (own(&event.subject.kind)) " " (subject) " " code { (own(&detail.to_string())) } },
    }
}

/// The subject of an event, with a link to its page where it has one.
fn subject(frame: &Frame, event: &AuditEvent) -> Markup {
    let name = event.subject.name.as_str();
    let is_gone = event.action.ends_with("-removed") || event.action.ends_with("-deleted");
    let address = match (event.subject.kind.as_str(), frame.tenant.is_some()) {
        _ if is_gone || name.is_empty() => None,
        ("execution", true) => Some(frame.at(&format!("executions/{}", part(name)))),
        ("instance", true) => Some(frame.at(&format!("instances/{}", part(name)))),
        ("connector", true) => Some(frame.at(&format!("connectors/{}", part(name)))),
        ("component", true) => Some(frame.at(&format!("steps/{}", part(name)))),
        ("user", false) => Some(frame.top(&format!("users/{}", part(name)))),
        _ => None,
    };
    html! {
        @match address { Some(address) => a href=(address) { (own(name)) }, None => code { (own(name)) } }
    }
}

fn signed_by(signer: &str) -> Markup {
    html! { @if !signer.is_empty() { ", signed by " code { (own(signer)) } } }
}

fn from(client: &str) -> Markup {
    html! { @if !client.is_empty() { " from " (own(client)) } }
}

fn role(role: &Value) -> Markup {
    html! { @match role.as_str() { Some(role) => (own(role)), None => "no role" } }
}

/// The names of the parameters of a profile that were changed.
fn changed(detail: &Value) -> Markup {
    let names: Vec<_> =
        detail["parameters"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        @if !names.is_empty() { ": " }
        @for (place, name) in names.iter().take(12).enumerate() {
            @if place > 0 { ", " }
            code { (own(name)) }
        }
        @if names.len() > 12 { " and " (names.len() - 12) " more" }
    }
}

/// The names of what was changed.
fn named(detail: &Value) -> Markup {
    let names = detail.as_object().into_iter().flatten().map(|(name, _)| name);
    html! {
        @for (place, name) in names.enumerate() {
            @if place == 0 { ": " } @else { ", " }
            code { (own(name)) }
        }
    }
}
