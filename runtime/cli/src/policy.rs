//! `stepbox policy`: the content of the operator's files, and whether they can be used.

use std::path::Path;

use stepbox::batch::limits::{LIMITS, Limit, LimitOverrides, LimitUnit};
use stepbox::batch::name::TenantId;
use stepbox::config::{CheckedFile, PolicyFiles, TenantConfig};
use stepbox::{ComponentsPolicy, FilesPolicy, Policy, Quotas, SigningKey};
use stepbox_api::exit_code::ExitCode;
use stepbox_api::policy as api;

use crate::args::policy::Policy as Verb;
use crate::error::CliError;
use crate::output::Answer;
use crate::output::policy_events::with_help;
use crate::output::table::pairs;
use crate::output::words::{bytes, duration, number};

pub(crate) fn carry_out(data_dir: &Path, tenant: &TenantId, verb: Verb) -> Result<Answer, CliError> {
    if !data_dir.try_exists().unwrap_or(true) {
        let looked_at = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        return Err(CliError::NoDataFolder { looked_at });
    }
    let here = std::env::current_dir().map_err(CliError::unreadable(Path::new(".")))?;
    match verb {
        Verb::Check(format) => {
            let checked = PolicyFiles::check(data_dir, &here)?;
            let is_right = checked.iter().all(|file| file.config.is_ok());
            let exit_code = if is_right { ExitCode::Completed } else { ExitCode::BadCommand };
            let shown = || pairs(checked.iter().map(|file| (file.name.as_str(), judged(file))));
            let views = || checked.iter().map(api::CheckedFile::of).collect::<Vec<_>>();
            Ok(Answer::new(format.format, shown, views).with_exit_code(exit_code))
        }
        Verb::Show(format) => {
            let config = PolicyFiles::read(data_dir, &here)?.tenant(tenant)?;
            Ok(Answer::new(format.format, || pairs(facts(&config)), || api::Policy::of(tenant, &config)))
        }
    }
}

/// Whether a file can be used, and the warnings about it.
fn judged(file: &CheckedFile) -> String {
    match &file.config {
        Ok(TenantConfig { is_suspended, warnings, .. }) => {
            let state = if *is_suspended { "can be used; suspended" } else { "can be used" };
            let warnings =
                warnings.iter().map(|warning| format!("warning: {}; {}", warning.message, warning.help));
            std::iter::once(state.to_owned()).chain(warnings).collect::<Vec<_>>().join("\n")
        }
        Err(error) => format!("error: {}", with_help(error)),
    }
}

/// A policy, with its defaults.
fn facts(TenantConfig { policy, is_suspended, file, .. }: &TenantConfig) -> Vec<(&'static str, String)> {
    let Policy { files, storages, network, http, secrets, limits, components, quotas } = policy;
    let is_there = if file.exists() { "" } else { " (not there: the default)" };
    let mut facts = vec![("file", format!("{}{is_there}", file.display()))];
    if *is_suspended {
        facts.push(("suspended", "nothing of the tenant is accepted or begun".to_owned()));
    }
    let special = [(network.allow_loopback, "loopback"), (network.allow_private, "private networks")];
    let open = special.iter().filter(|(is_open, _)| *is_open).map(|(_, name)| format!(", {name}"));
    facts.push(("network", format!("public addresses{}", open.collect::<String>())));
    facts.push((
        "http",
        list(
            http.lists()
                .into_iter()
                .filter_map(|(key, values)| Some(format!("{}: {}", key.as_str(), values?.join(", ")))),
            "all that steps are granted",
        ),
    ));
    facts.push((
        "files",
        match files {
            FilesPolicy::Anywhere { .. } => "as this user".to_owned(),
            FilesPolicy::Beneath(folders) => {
                list(folders.iter().map(|folder| folder.display().to_string()), "none")
            }
        },
    ));
    facts.push(("limits", limited(limits)));
    facts.push(("quotas", quota(quotas)));
    let usable = secrets
        .usable()
        .map(|secret| format!("{}: to {}", secret.name(), secret.hosts().collect::<Vec<_>>().join(", ")));
    let unusable = secrets.all_unusable().map(|secret| format!("{}: {}", secret.name, secret.problem));
    facts.push(("secrets", list(usable.chain(unusable), "none")));
    let usable = storages.usable().map(|storage| format!("{}: {}", storage.name(), storage.address()));
    let unusable = storages.all_unusable().map(|storage| format!("{}: {}", storage.name, storage.problem));
    facts.push(("storages", list(usable.chain(unusable), "none")));
    facts.push(("components", allowed(components)));
    facts
}

fn list(lines: impl Iterator<Item = String>, nothing: &str) -> String {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { nothing.to_owned() } else { lines.join("\n") }
}

fn limited(limits: &LimitOverrides) -> String {
    let line = |limit: &Limit| {
        let max = limit.of(limits)?;
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
    let processors = match quotas.processors_max {
        usize::MAX => "all".to_owned(),
        max => number(max as u64),
    };
    let all = [
        ("running_max", number(quotas.running_max as u64)),
        ("queued_max", number(quotas.queued_max)),
        ("memory_bytes_max", bytes(quotas.memory_bytes_max)),
        ("processors_max", processors),
        ("disk_bytes_max", bytes(quotas.disk_bytes_max)),
        ("disk_files_max", number(quotas.disk_files_max)),
        ("http_connections_max", number(quotas.http_connections_max)),
        ("stop_grace_ms", duration(quotas.stop_grace_ms)),
    ];
    list(all.into_iter().map(|(name, max)| format!("{name}: {max}")), "")
}

fn allowed(ComponentsPolicy { upload, signed_by, quota }: &ComponentsPolicy) -> String {
    let mut lines = Vec::new();
    lines.push(match upload {
        true => "new ones may come in".to_owned(),
        false => "no new ones come in".to_owned(),
    });
    lines.extend(signed_by.as_ref().map(|keys| {
        format!("signed by {}", keys.iter().map(SigningKey::name).collect::<Vec<_>>().join(" or "))
    }));
    lines.push(format!(
        "at most {}, {} each, {} together",
        number(quota.count_max),
        bytes(quota.size_bytes_max),
        bytes(quota.total_bytes_max)
    ));
    lines.join("\n")
}
