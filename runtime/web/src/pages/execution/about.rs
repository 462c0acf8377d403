//! What stands beside the story of an execution: rejected items, files, facts, parameters, components, and what it used.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::execution::{Execution, Usage};
use stepbox_api::remedy::Remedy;
use stepbox_batch::visible::on_one_line;

use super::{Rejected, Shown, steps, text};
use crate::frame::{Frame, part};
use crate::icons::icon;

/// How long a value is shown at most, in characters. The whole is in the interface.
const VALUE_CHARS_MAX: usize = 400;

pub(super) fn panels(frame: &Frame, shown: &Shown) -> Markup {
    html! {
        @for rejected in &shown.rejected { (rejected_items(frame, shown, rejected)) }
        @if !shown.outputs.is_empty() { (outputs(frame, shown)) }
        (facts(frame, shown))
        (parameters(shown))
        @if !shown.execution.components.is_empty() { (components(shown)) }
        (used(frame, shown))
    }
}

/// The items that a step has rejected, to download; and the way back for corrected ones.
fn rejected_items(frame: &Frame, shown: &Shown, rejected: &Rejected) -> Markup {
    let (step, reader) = (&rejected.file.step, &frame.reader);
    let skipped = shown.step(step).map_or(0, |step| step.counts.skipped);
    let below = |what: &str| frame.api(&format!("executions/{}/{what}", shown.execution.id));
    let id = |what: &str| {
        format!("{what}-{}", shown.job.steps.iter().position(|known| known.name == *step).unwrap_or(0))
    };
    html! {
        section.panel aria-labelledby=(id("rejected")) {
            h2 id=(id("rejected")) {
                @if skipped > 0 { (reader.number(skipped)) " rejected items" } @else { "Rejected items" }
                @if shown.job.steps.len() > 1 { " of " code { (text(step)) } }
            }
            p.small.muted { "With the reason of each. Correct them and import only these." }
            div.actions {
                a.button href=(below(&format!("rejected/{}", part(step)))) {
                    (icon("i-download")) "Rejected items"
                    span.sr { " of step " (text(step)) ", " (reader.bytes(rejected.file.size_bytes)) }
                }
            }
            @if shown.may.launch && shown.execution.status.has_ended() {
                details {
                    summary { "Import corrected items…" }
                    form.stacked method="post" action=(shown.at(frame, "/reimport-file")) enctype="multipart/form-data" {
                        input type="hidden" name="step" value=(step);
                        p {
                            label for=(id("corrected-file")) { "The corrected file" }
                            input type="file" name="items" id=(id("corrected-file")) required;
                        }
                        button.button { (icon("i-upload")) "Import the file" }
                    }
                    form.stacked method="post" action=(shown.at(frame, "/reimport")) {
                        input type="hidden" name="step" value=(step);
                        p {
                            label for=(id("corrected")) { "Or the corrected rows, with their head" }
                            textarea.code id=(id("corrected")) name="rows" rows="6" spellcheck="false" wrap="off" required { "\n" (rejected.text) }
                        }
                        button.button { (icon("i-upload")) "Import the rows" }
                    }
                    p.help { "A new execution reads them in step " code { (text(step)) } ", and runs the steps after it. It writes files of its own." }
                }
            }
        }
    }
}

fn outputs(frame: &Frame, shown: &Shown) -> Markup {
    let id = shown.execution.id;
    html! {
        section.panel aria-labelledby="files" {
            h2 #files { "Files" }
            ul.list {
                @for file in &shown.outputs {
                    li {
                        a href=(frame.api(&format!("executions/{id}/files/{}", file.number))) { (text(&file.name)) }
                        @if let Some(bytes) = file.size_bytes { span.muted.small { (frame.reader.bytes(bytes)) } }
                    }
                }
            }
            div.actions {
                a.button href=(frame.api(&format!("executions/{id}/archive"))) { (icon("i-download")) "All as a zip" }
            }
            p.small.muted { "The zip has the log, the warnings and the rejected items, too." }
        }
    }
}

fn facts(frame: &Frame, shown: &Shown) -> Markup {
    let execution = &shown.execution;
    let moment = |at: &str| frame.reader.moment(at);
    html! {
        section.panel aria-labelledby="about" {
            h2 #about { "About" }
            dl.facts {
                dt { "Job" } dd { code { (text(&execution.job)) } " of " code { (text(&execution.connector)) } }
                dt { "Created" }
                dd { (moment(&execution.created_at)) @if let Some(user) = &execution.user { ", by " (text(user)) } }
                @if let Some(at) = &execution.started_at { dt { "Begun" } dd { (moment(at)) } }
                @if let Some(at) = &execution.ended_at { dt { "Ended" } dd { (moment(at)) } }
                @if let Some(worker) = &execution.worker { dt { "Worker" } dd { code { (text(worker)) } } }
                @if let Some(entry) = &execution.queue {
                    dt { "Queue" }
                    dd { "priority " (entry.priority) @if entry.losses > 0 { ", " (entry.losses) " workers were lost" } }
                }
                @if execution.attempt > 0 {
                    dt { "Attempt" }
                    dd {
                        (execution.attempt)
                        @if let Some(entry) = &execution.queue { " of " (entry.attempts_max) }
                    }
                }
                @if execution.status.has_ended() && execution.exit_status.code != execution.status.as_str() {
                    dt { "Exit status" } dd { code { (text(&execution.exit_status.code)) } }
                }
                @if let Some(folder) = &execution.folder { dt { "Folder" } dd { code { (text(folder)) } } }
            }
        }
    }
}

/// A parameter as it is shown: its JSON, or a text as itself.
fn value(value: &Value) -> Markup {
    let whole = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cut: String = whole.chars().take(VALUE_CHARS_MAX).collect();
    html! {
        @if whole.is_empty() { span.muted { "empty" } }
        @else { code { (text(&cut)) @if cut.len() < whole.len() { "…" } } }
    }
}

/// The value that the instance has now for a parameter: its own, or the job's default.
fn now<'a>(shown: &'a Shown, name: &str) -> Option<&'a Value> {
    let own = shown.instance.as_ref().and_then(|instance| instance.raw_parameters.get(name));
    own.or_else(|| shown.job.parameters.get("properties")?.get(name)?.get("default"))
}

fn parameters(shown: &Shown) -> Markup {
    let Execution { parameters, .. } = &shown.execution;
    let all: Vec<_> = parameters.as_object().into_iter().flatten().collect();
    let differs = |name: &str, frozen: &Value| shown.instance.is_some() && now(shown, name) != Some(frozen);
    let (changed, same): (Vec<_>, Vec<_>) = all.iter().partition(|(name, frozen)| differs(name, frozen));
    let row = |name: &str, frozen: &Value, is_changed: bool| {
        html! {
            dt { (text(name)) }
            dd {
                (value(frozen))
                @if is_changed {
                    span.sub { "profile: " @match now(shown, name) { Some(now) => del { (value(now)) }, None => "not set" } }
                }
            }
        }
    };
    html! {
        section.panel aria-labelledby="parameters" {
            h2 #parameters { "Parameters" }
            p.small.muted {
                "Frozen when it was accepted. "
                @match (&shown.instance, changed.len()) {
                    (None, _) => {},
                    (Some(_), 0) => "The profile has the same ones now.",
                    (Some(_), 1) => "1 differs from the profile.",
                    (Some(_), count) => { (count) " differ from the profile." },
                }
            }
            @if !changed.is_empty() { dl.facts.over { @for (name, frozen) in &changed { (row(name, frozen, true)) } } }
            @if !same.is_empty() {
                details open[changed.is_empty() && same.len() <= 8] {
                    summary { @if changed.is_empty() { "All " } @else { "The other " } (same.len()) }
                    dl.facts.over { @for (name, frozen) in &same { (row(name, frozen, false)) } }
                }
            }
        }
    }
}

fn components(shown: &Shown) -> Markup {
    html! {
        section.panel aria-labelledby="components" {
            h2 #components { "Components" }
            dl.facts.over {
                @for component in &shown.execution.components {
                    @let digest = on_one_line(&component.digest);
                    dt { (text(&component.name)) }
                    dd {
                        code title=(digest) { (digest.chars().take(19).collect::<String>()) "…" } " "
                        button.link.needs-script type="button" data-copy=(digest) { "Copy" span.sr { " the digest" } }
                    }
                }
            }
        }
    }
}

/// What all steps have used together.
fn used(frame: &Frame, shown: &Shown) -> Markup {
    let own = shown.execution.steps.iter().filter(|step| step.carried_from.is_none());
    let sum = own.fold(Usage::default(), |sum, step| and(sum, &step.usage));
    html! {
        @if sum != Usage::default() {
            section.panel aria-labelledby="used" {
                h2 #used { "Used" }
                dl.facts { (steps::used(&frame.reader, &sum)) }
            }
        }
    }
}

fn and(one: Usage, other: &Usage) -> Usage {
    Usage {
        cpu_us: one.cpu_us + other.cpu_us,
        memory_bytes_peak: one.memory_bytes_peak.max(other.memory_bytes_peak),
        host_calls: one.host_calls + other.host_calls,
        files_read: one.files_read + other.files_read,
        file_bytes_read: one.file_bytes_read + other.file_bytes_read,
        files_written: one.files_written + other.files_written,
        file_bytes_written: one.file_bytes_written + other.file_bytes_written,
        http_requests: one.http_requests + other.http_requests,
        http_bytes_sent: one.http_bytes_sent + other.http_bytes_sent,
        http_bytes_received: one.http_bytes_received + other.http_bytes_received,
        http_requests_refused: one.http_requests_refused + other.http_requests_refused,
        file_accesses_refused: one.file_accesses_refused + other.file_accesses_refused,
        log_messages_dropped: one.log_messages_dropped + other.log_messages_dropped,
    }
}

/// A next action, in the words of the pages; `None` for one that is in the page already, or that is not known.
pub(super) fn remedy(frame: &Frame, shown: &Shown, remedy: &Remedy) -> Option<Markup> {
    let execution = |id: u64, before: &str| {
        html! { (before) " " a href=(frame.at(&format!("executions/{id}"))) { "execution " (id) } }
    };
    let policy = |what: Markup| html! { "ask an operator to change the policy: " (what) };
    Some(match remedy {
        Remedy::List { what } if what == "executions" => {
            html! { "see " a href=(frame.at("executions")) { "all executions" } }
        }
        Remedy::List { what } if what == "workers" => {
            html! { "see " a href=(frame.at("workers")) { "the workers" } }
        }
        Remedy::List { what } if what == "instances" => {
            html! { "see " a href=(frame.at("instances")) { "the job profiles" } }
        }
        Remedy::List { .. } => {
            html! { "see " a href=(frame.at("connectors")) { "the connectors and steps" } }
        }
        Remedy::ShowConnector { connector } => html! {
            "look at the connector " a href=(frame.at(&format!("connectors/{}", part(connector)))) { (text(connector)) }
        },
        Remedy::ReadLog { execution: id } => html! {
            "read the " a href=(frame.at(&format!("executions/{id}/log"))) { "log" }
        },
        Remedy::ShowExecution { execution: id } => execution(*id, "look at"),
        Remedy::StopExecution { execution: id } => execution(*id, "stop"),
        Remedy::RestartExecution { execution: id } if *id == shown.execution.id => return None,
        Remedy::RestartExecution { execution: id } => execution(*id, "restart"),
        Remedy::RestartWithOtherSteps { execution: id } => {
            execution(*id, "restart it with the job as it was: see")
        }
        Remedy::RestartWithNewestComponents => html! { "restart it with the newest components" },
        Remedy::RunAnew => html! { "run it again with these values" },
        Remedy::UploadComponent => html! { "upload the component again" },
        Remedy::RemoveComponents => html! { "remove components that nothing needs" },
        Remedy::MigrateStore => html! { "ask an operator to bring the store up to date" },
        Remedy::AllowRequests { list, value } => {
            policy(html! { "allow " code { (text(value)) } " in the list of " (text(list)) })
        }
        Remedy::OpenNetwork { network } => policy(html! { "open " (text(network)) " addresses" }),
        Remedy::AllowSecret { secret, host } => {
            policy(html! { "let the secret " code { (text(secret)) } " be sent to " code { (text(host)) } })
        }
        Remedy::AddSecret { secret } => policy(html! { "add the secret " code { (text(secret)) } }),
        Remedy::AddStorage => policy(html! { "add the storage" }),
        Remedy::RaiseQuota { quota } | Remedy::RaiseComponentQuota { quota } => {
            policy(html! { "raise the quota " code { (text(quota)) } })
        }
        Remedy::RaiseCompileLimit { limit } => policy(html! { "raise the limit " code { (text(limit)) } }),
        Remedy::AllowUploads => policy(html! { "let new components in" }),
        Remedy::Unknown => return None,
    })
}
