//! `stepbox policy`: the content of the operator's files, and whether they can be used.

use std::path::Path;

use stepbox::batch::limits::{LIMITS, Limit, LimitUnit};
use stepbox::batch::name::TenantId;
use stepbox::config::PolicyFiles;
use stepbox_api::exit_code::ExitCode;
use stepbox_api::policy::{CheckedFile, Components, Policy, Quotas};
use stepbox_api::step::Limits;

use crate::args::policy::Policy as Verb;
use crate::error::CliError;
use crate::output::table::pairs;
use crate::output::words::{bytes, duration, number};
use crate::output::{Answer, Format};

pub(crate) fn carry_out(data_dir: &Path, tenant: &TenantId, verb: Verb) -> Result<Answer, CliError> {
    if !data_dir.try_exists().unwrap_or(true) {
        let looked_at = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        return Err(CliError::NoDataFolder { looked_at });
    }
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    match verb {
        Verb::Check(format) => {
            let checked = PolicyFiles::check(data_dir, &here)?;
            let checked: Vec<_> = checked.iter().map(CheckedFile::of).collect();
            let is_right = checked.iter().all(|file| file.error.is_none());
            let exit_code = if is_right { ExitCode::Completed } else { ExitCode::BadCommand };
            let shown = || pairs(checked.iter().map(|file| (file.file.as_str(), judged(file))));
            Ok(Answer::new(format.format, shown, || &checked).with_exit_code(exit_code))
        }
        Verb::Show(format) => {
            let config = PolicyFiles::read(data_dir, &here)?.tenant(tenant)?;
            Ok(shown(&Policy::of(tenant, &config), format.format))
        }
    }
}

/// A policy, wherever it is kept.
pub(crate) fn shown(policy: &Policy, format: Format) -> Answer {
    Answer::new(format, || pairs(facts(policy)), || policy)
}

/// Whether a file can be used, and the warnings about it.
fn judged(file: &CheckedFile) -> String {
    if let Some(error) = &file.error {
        return match &error.help {
            Some(help) => format!("error: {}; {help}", error.message),
            None => format!("error: {}", error.message),
        };
    }
    let state = if file.suspended { "can be used; suspended" } else { "can be used" };
    let warnings =
        file.warnings.iter().map(|warning| format!("warning: {}; {}", warning.message, warning.help));
    std::iter::once(state.to_owned()).chain(warnings).collect::<Vec<_>>().join("\n")
}

/// A policy, with its defaults.
fn facts(policy: &Policy) -> Vec<(&'static str, String)> {
    let Policy { file, network, http, folders, limits, quotas, secrets, storages, components, .. } = policy;
    let is_there = if policy.is_default { " (not there: the default)" } else { "" };
    let mut facts = vec![("file", format!("{file}{is_there}"))];
    if policy.suspended {
        facts.push(("suspended", "nothing of the tenant is accepted or begun".to_owned()));
    }
    let special = [(network.loopback, "loopback"), (network.private, "private networks")];
    let open = special.iter().filter(|(is_open, _)| *is_open).map(|(_, name)| format!(", {name}"));
    facts.push(("network", format!("public addresses{}", open.collect::<String>())));
    let lists = [
        ("hosts", &http.hosts),
        ("schemes", &http.schemes),
        ("methods", &http.methods),
        ("ports", &http.ports),
    ];
    let lists =
        lists.into_iter().filter_map(|(key, values)| Some(format!("{key}: {}", values.as_ref()?.join(", "))));
    facts.push(("http", list(lists, "all that steps are granted")));
    let folders = match folders {
        None => "as this user".to_owned(),
        Some(folders) => list(folders.iter().cloned(), "none"),
    };
    facts.push(("files", folders));
    facts.push(("limits", limited(limits)));
    facts.push(("quotas", quota(quotas)));
    let secrets = secrets.iter().map(|secret| match &secret.problem {
        None => {
            let hosts = secret.hosts.as_deref().unwrap_or_default();
            format!("{}: to {}", secret.name, hosts.join(", "))
        }
        Some(problem) => format!("{}: {problem}", secret.name),
    });
    facts.push(("secrets", list(secrets, "none")));
    let storages = storages.iter().map(|storage| {
        let told = storage.problem.as_ref().or(storage.address.as_ref());
        format!("{}: {}", storage.name, told.map_or("", String::as_str))
    });
    facts.push(("storages", list(storages, "none")));
    facts.push(("components", allowed(components)));
    facts
}

fn list(lines: impl Iterator<Item = String>, nothing: &str) -> String {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { nothing.to_owned() } else { lines.join("\n") }
}

fn limited(limits: &Limits) -> String {
    let line = |limit: &Limit| {
        let max = limits.get(limit.name)?;
        let max = match limit.unit {
            LimitUnit::Bytes => bytes(max),
            LimitUnit::Milliseconds => duration(max),
            LimitUnit::Count => number(max),
        };
        Some(format!("{}: {max}", limit.name))
    };
    list(LIMITS.iter().filter_map(line), "those of each job")
}

fn quota(quotas: &Quotas) -> String {
    let all = [
        ("running_max", number(quotas.running_max)),
        ("queued_max", number(quotas.queued_max)),
        ("memory_bytes_max", bytes(quotas.memory_bytes_max)),
        ("processors_max", quotas.processors_max.map_or_else(|| "all".to_owned(), number)),
        ("disk_bytes_max", bytes(quotas.disk_bytes_max)),
        ("disk_files_max", number(quotas.disk_files_max)),
        ("http_connections_max", number(quotas.http_connections_max)),
        ("stop_grace_ms", duration(quotas.stop_grace_ms)),
        ("uploaded_bytes_max", bytes(quotas.uploaded_bytes_max)),
        ("uploaded_files_max", number(quotas.uploaded_files_max)),
    ];
    list(all.into_iter().map(|(name, max)| format!("{name}: {max}")), "")
}

fn allowed(components: &Components) -> String {
    let mut lines = Vec::new();
    lines.push(match components.upload {
        true => "new ones may come in".to_owned(),
        false => "no new ones come in".to_owned(),
    });
    lines.extend(components.signed_by.as_ref().map(|keys| format!("signed by {}", keys.join(" or "))));
    lines.push(format!(
        "at most {}, {} each, {} together",
        number(components.count_max),
        bytes(components.size_bytes_max),
        bytes(components.total_bytes_max)
    ));
    lines.join("\n")
}
