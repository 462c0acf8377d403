//! Tenants: which there are, what each uses of its quotas, and the policy of one.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::policy::Policy;
use stepbox_api::tenant::{Standing, TenantDetails};

use crate::blocks::{actions_column, column, head, own, section, state, table, warning};
use crate::frame::{Frame, part};
use crate::list::none;

/// The tenants that the reader may enter. Those that cannot be read now have only a name and the reason.
pub fn list(frame: &Frame, tenants: &[TenantDetails], may_operate: bool) -> Markup {
    let lead = html! { "A tenant has its own connectors, job profiles and executions. Its policy is a file on the server." };
    let columns = html! {
        (column("Tenant")) (column("Standing")) (column("Running")) (column("In the queue")) (column("Components"))
        @if may_operate { (actions_column()) }
    };
    let rows = html! { @for tenant in tenants { (row(frame, tenant, may_operate)) } };
    html! {
        (head(&html! { "Tenants and policies" }, &lead, &html! {}))
        @if tenants.is_empty() { (none("There is none that you may enter.")) } @else { (table("Tenants by name", &columns, &rows)) }
    }
}

fn row(frame: &Frame, tenant: &TenantDetails, may_operate: bool) -> Markup {
    let reader = &frame.reader;
    let to = frame.top(&format!("tenants/{}", part(&tenant.name)));
    let of =
        |used: u64, most: u64| html! { (reader.number(used)) span.muted { " of " (reader.number(most)) } };
    html! {
        tr {
            th.title scope="row" { a href={ (to) "/policy" } { (own(&tenant.name)) } }
            td data-label="Standing" { (standing(tenant.standing)) }
            td.nowrap data-label="Running" { (of(tenant.usage.running, tenant.quotas.running_max)) }
            td.nowrap data-label="In the queue" { (of(tenant.usage.queued, tenant.quotas.queued_max)) }
            td.nowrap data-label="Components" {
                (reader.number(tenant.usage.components)) span.muted { ", " (reader.bytes(tenant.usage.component_bytes)) }
            }
            @if may_operate { td.end { (switch(&to, tenant.standing, &tenant.name, true)) } }
        }
    }
}

fn standing(standing: Standing) -> Markup {
    match standing {
        Standing::Active => state("COMPLETED", "s-completed", "Active"),
        Standing::Suspended => state("STOPPED", "s-stopped", "Suspended"),
    }
}

/// The button that suspends a tenant, or ends that.
fn switch(to: &str, standing: Standing, name: &str, is_small: bool) -> Markup {
    let (path, word) = match standing {
        Standing::Active => ("suspend", "Suspend"),
        Standing::Suspended => ("resume", "Resume"),
    };
    html! {
        form method="post" action={ (to) "/" (path) } {
            button.button.small[is_small] { (word) span.sr { " " (own(name)) } }
        }
    }
}

/// The policy of a tenant, and what is used of its quotas.
pub fn policy(frame: &Frame, policy: &Policy, details: &TenantDetails, may_operate: bool) -> Markup {
    let lead = html! {
        (standing(details.standing))
        span { "What the jobs of " (own(&policy.tenant)) " may touch, and how much they may use" }
    };
    let actions =
        html! { @if may_operate { (switch(&frame.at(""), details.standing, &details.name, false)) } };
    html! {
        (head(&html! { "Policy of " (own(&policy.tenant)) }, &lead, &actions))
        @if may_operate {
            p.small.muted { "Suspending lets nothing of the tenant begin in this process; what runs goes on. The policy itself is a file that the operator changes on the server." }
        }
        (section("touch", &html! { "What jobs may touch" }, &html! {}, &touch(policy)))
        (section("quotas", &html! { "Quotas, and what is used" }, &html! {}, &quotas(frame, policy, details)))
        (section("components", &html! { "Components" }, &html! {}, &components(frame, policy, details)))
        (section("limits", &html! { "Limits of a step, at most" }, &html! {}, &limits(frame, policy)))
        @if !policy.secrets.is_empty() { (section("secrets", &html! { "Secrets" }, &html! {}, &secrets(policy))) }
        @if !policy.storages.is_empty() { (section("storages", &html! { "Storages" }, &html! {}, &storages(policy))) }
    }
}

fn listed(values: Option<&Vec<String>>, all: &str, none: &str) -> Markup {
    html! {
        @match values {
            None => (all),
            Some(values) if values.is_empty() => (none),
            Some(values) => {
                @for (place, value) in values.iter().enumerate() { @if place > 0 { ", " } code { (own(value)) } }
            },
        }
    }
}

fn touch(policy: &Policy) -> Markup {
    let yes = |allowed: bool| if allowed { "allowed" } else { "refused" };
    html! {
        dl.facts.wide-facts {
            dt { "Files" } dd { (listed(policy.folders.as_ref(), "every file that the server’s user may use", "none")) }
            dt { "Hosts" } dd { (listed(policy.http.hosts.as_ref(), "any", "none")) }
            dt { "Schemes" } dd { (listed(policy.http.schemes.as_ref(), "any", "none")) }
            dt { "Methods" } dd { (listed(policy.http.methods.as_ref(), "any", "none")) }
            dt { "Ports" } dd { (listed(policy.http.ports.as_ref(), "any", "none")) }
            dt { "Loopback addresses" } dd { (yes(policy.network.loopback)) }
            dt { "Private networks" } dd { (yes(policy.network.private)) }
        }
        p.small.muted { "A step gets what it asks for and the policy leaves, and nothing else." }
    }
}

/// Something of which a part is used.
fn used(used: u64, most: u64, shown: &Markup, label: &str) -> Markup {
    html! {
        dt { (label) }
        dd {
            (shown)
            span.meter { progress value=(used.min(most)) max=(most.max(1)) aria-label=(label) {} }
        }
    }
}

fn quotas(frame: &Frame, policy: &Policy, details: &TenantDetails) -> Markup {
    let (reader, quotas) = (&frame.reader, &policy.quotas);
    let of = |used: u64, most: u64| html! { (reader.number(used)) " of " (reader.number(most)) };
    html! {
        dl.facts.wide-facts {
            (used(details.usage.running, quotas.running_max, &of(details.usage.running, quotas.running_max), "Running at a time"))
            (used(details.usage.queued, quotas.queued_max, &of(details.usage.queued, quotas.queued_max), "In the queue"))
            dt { "Memory of all components" } dd { (reader.memory(quotas.memory_bytes_max)) }
            dt { "Processors" } dd { @match quotas.processors_max { Some(most) => (reader.number(most)), None => "all" } }
            dt { "Written and not collected" }
            dd { (reader.bytes(quotas.disk_bytes_max)) " in " (reader.number(quotas.disk_files_max)) " files" }
            dt { "Uploaded input files" }
            dd { (reader.bytes(quotas.uploaded_bytes_max)) " in " (reader.number(quotas.uploaded_files_max)) " files" }
            dt { "HTTP connections" } dd { (reader.number(quotas.http_connections_max)) }
            dt { "Time to stop" } dd { (reader.span(quotas.stop_grace_ms)) }
        }
    }
}

fn components(frame: &Frame, policy: &Policy, details: &TenantDetails) -> Markup {
    let (reader, components, usage) = (&frame.reader, &policy.components, &details.usage);
    let count = html! { (reader.number(usage.components)) " of " (reader.number(components.count_max)) };
    let bytes =
        html! { (reader.bytes(usage.component_bytes)) " of " (reader.bytes(components.total_bytes_max)) };
    html! {
        dl.facts.wide-facts {
            dt { "Upload" } dd { @if components.upload { "by authors" } @else { "by operators of the installation alone" } }
            dt { "Signed by" } dd { (listed(components.signed_by.as_ref(), "no signature is asked for", "nobody")) }
            (used(usage.components, components.count_max, &count, "How many"))
            (used(usage.component_bytes, components.total_bytes_max, &bytes, "In all"))
            dt { "Each" } dd { "at most " (reader.bytes(components.size_bytes_max)) }
        }
    }
}

fn limits(frame: &Frame, policy: &Policy) -> Markup {
    let shown = |name: &str, value: u64| match name {
        name if name.ends_with("_ms") || name.contains("_ms_") => frame.reader.span(value),
        name if name.contains("bytes") => frame.reader.memory(value),
        _ => frame.reader.number(value),
    };
    let set: Vec<_> =
        policy.limits.0.iter().filter_map(|(name, value)| Some((name, value.as_u64()?))).collect();
    let rest = policy.limits.0.values().filter(|value| matches!(value, Value::Null)).count();
    html! {
        @if !set.is_empty() {
            dl.facts.wide-facts { @for (name, value) in set { dt { code { (own(name)) } } dd { (shown(name, value)) } } }
        }
        @if rest > 0 { p.small.muted { (rest) " further limits are the job’s to set." } }
    }
}

fn secrets(policy: &Policy) -> Markup {
    html! {
        dl.facts.wide-facts {
            @for secret in &policy.secrets {
                dt { code { (own(&secret.name)) } }
                dd {
                    @match &secret.problem {
                        Some(problem) => (warning(&html! { (own(problem)) })),
                        None => { "sent to " (listed(secret.hosts.as_ref(), "any host", "nobody")) },
                    }
                }
            }
        }
    }
}

fn storages(policy: &Policy) -> Markup {
    html! {
        dl.facts.wide-facts {
            @for storage in &policy.storages {
                dt { code { (own(&storage.name)) } }
                dd {
                    @match &storage.problem {
                        Some(problem) => (warning(&html! { (own(problem)) })),
                        None => {
                            (own(storage.storage_type.as_deref().unwrap_or_default())) " "
                            (own(storage.address.as_deref().unwrap_or_default()))
                        },
                    }
                }
            }
        }
    }
}
