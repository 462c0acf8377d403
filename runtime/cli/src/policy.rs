//! `stepbox policy`: the content of the operator's files, and whether they can be used.

use std::path::Path;

use stepbox::batch::job::LimitOverrides;
use stepbox::batch::log::LogLevel;
use stepbox::batch::name::TenantId;
use stepbox::config::{CheckedFile, ConfigError, ConfigWarning, PolicyEvent, PolicyFiles, TenantConfig};
use stepbox::{ComponentsPolicy, FilesPolicy, Policy, Quotas, SigningKey};
use stepbox_api::exit_code::ExitCode;
use stepbox_api::policy as api;
use stepbox_api::step::Limits;

use crate::args::policy::Policy as Verb;
use crate::error::CliError;
use crate::output::Answer;
use crate::output::table::pairs;
use crate::output::voice::Entry;
use crate::output::words::{bytes, counted, duration, number};

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
            let views = || checked.iter().map(checked_file).collect::<Vec<_>>();
            Ok(Answer::new(format.format, shown, views).with_exit_code(exit_code))
        }
        Verb::Show(format) => {
            let config = PolicyFiles::read(data_dir, &here)?.tenant(tenant)?;
            Ok(Answer::new(format.format, || pairs(facts(&config)), || policy_view(tenant, &config)))
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

fn with_help(error: &ConfigError) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

fn checked_file(CheckedFile { name, config }: &CheckedFile) -> api::CheckedFile {
    let error = config.as_ref().err().map(|error| api::FileError {
        code: error.code().to_owned(),
        message: error.to_string(),
        help: error.help(),
    });
    let config = config.as_ref().ok();
    let warning = |warning: &ConfigWarning| api::FileWarning {
        message: warning.message.clone(),
        help: warning.help.clone(),
    };
    let warnings = config.into_iter().flat_map(|config| &config.warnings).map(warning).collect();
    let suspended = config.is_some_and(|config| config.is_suspended);
    api::CheckedFile { file: name.clone(), suspended, error, warnings }
}

fn policy_view(tenant: &TenantId, config: &TenantConfig) -> api::Policy {
    let TenantConfig { policy, is_suspended, file, .. } = config;
    let folders = match &policy.files {
        FilesPolicy::Anywhere { .. } => None,
        FilesPolicy::Beneath(folders) => {
            Some(folders.iter().map(|folder| folder.display().to_string()).collect())
        }
    };
    let (loopback, private) = (policy.network.allow_loopback, policy.network.allow_private);
    let [hosts, schemes, methods, ports] = policy.http.lists().map(|(_, values)| values);
    let ComponentsPolicy { upload, signed_by, quota } = &policy.components;
    let names = |keys: &Vec<SigningKey>| keys.iter().map(|key| key.name().to_owned()).collect();
    api::Policy {
        tenant: tenant.to_string(),
        file: file.display().to_string(),
        suspended: *is_suspended,
        network: api::Network { loopback, private },
        http: api::HttpLists { hosts, schemes, methods, ports },
        folders,
        limits: Limits::of(&policy.limits),
        quotas: quotas_view(&policy.quotas),
        secrets: secrets_view(policy),
        storages: storages_view(policy),
        components: api::Components::of(*upload, signed_by.as_ref().map(names), *quota),
    }
}

fn quotas_view(quotas: &Quotas) -> api::Quotas {
    api::Quotas {
        running_max: quotas.running_max as u64,
        queued_max: quotas.queued_max,
        memory_bytes_max: quotas.memory_bytes_max,
        processors_max: Some(quotas.processors_max as u64).filter(|max| *max < usize::MAX as u64),
        disk_bytes_max: quotas.disk_bytes_max,
        disk_files_max: quotas.disk_files_max,
        http_connections_max: quotas.http_connections_max,
        stop_grace_ms: quotas.stop_grace_ms,
    }
}

fn secrets_view(policy: &Policy) -> Vec<api::Secret> {
    let usable = policy.secrets.usable().map(|secret| api::Secret {
        name: secret.name().to_owned(),
        hosts: Some(secret.hosts().collect()),
        problem: None,
    });
    let unusable = policy.secrets.all_unusable().map(|secret| api::Secret {
        name: secret.name.clone(),
        hosts: None,
        problem: Some(secret.problem.clone()),
    });
    usable.chain(unusable).collect()
}

fn storages_view(policy: &Policy) -> Vec<api::Storage> {
    let usable = policy.storages.usable().map(|storage| api::Storage {
        name: storage.name().to_owned(),
        storage_type: Some(storage.storage_type().to_owned()),
        address: Some(storage.address()),
        problem: None,
    });
    let unusable = policy.storages.all_unusable().map(|storage| api::Storage {
        name: storage.name.clone(),
        storage_type: None,
        address: None,
        problem: Some(storage.problem.clone()),
    });
    usable.chain(unusable).collect()
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
    let LimitOverrides {
        memory_bytes_max,
        time_ms_max,
        cpu_ms_max,
        disk_bytes_max,
        log_bytes_max,
        http_requests_max,
        http_bytes_max,
    } = *limits;
    let all = [
        ("memory_bytes_max", memory_bytes_max.map(bytes)),
        ("time_ms_max", time_ms_max.map(duration)),
        ("cpu_ms_max", cpu_ms_max.map(duration)),
        ("disk_bytes_max", disk_bytes_max.map(bytes)),
        ("log_bytes_max", log_bytes_max.map(bytes)),
        ("http_requests_max", http_requests_max.map(number)),
        ("http_bytes_max", http_bytes_max.map(bytes)),
    ];
    list(all.into_iter().filter_map(|(name, max)| Some(format!("{name}: {}", max?))), "those of each job")
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

/// A change of the operator's files, as entries of a log.
pub(crate) fn entry(event: &PolicyEvent) -> Vec<Entry> {
    match event {
        PolicyEvent::Changed { tenant, is_new, is_suspended, warnings } => {
            let change = if *is_new { "is served" } else { "has another policy" };
            let suspended = if *is_suspended { "; it is suspended: nothing of it begins" } else { "" };
            let message = format!("the tenant `{tenant}` {change} from now on{suspended}");
            let warning = |warning: &ConfigWarning| {
                let message =
                    format!("the policy of the tenant `{tenant}`: {}; {}", warning.message, warning.help);
                Entry::new(LogLevel::Warning, "policy-warning", message).of(tenant)
            };
            let first = Entry::new(LogLevel::Info, "policy-changed", message).of(tenant);
            std::iter::once(first).chain(warnings.iter().map(warning)).collect()
        }
        PolicyEvent::Removed { tenant, running } => {
            let pausing = match running {
                0 => String::new(),
                running => {
                    format!("; {} pause at the next checkpoint", counted(*running as u64, "execution"))
                }
            };
            let message = format!("the tenant `{tenant}` is not served any more{pausing}");
            vec![Entry::new(LogLevel::Info, "tenant-removed", message).of(tenant)]
        }
        PolicyEvent::Refused { tenant, error } => vec![refused(tenant.as_ref(), error)],
        PolicyEvent::CountsAtNextStart => {
            let message =
                "`shared` or `components.compile` has changed: that counts when this process starts again";
            vec![Entry::new(LogLevel::Warning, "policy-counts-at-next-start", message)]
        }
    }
}

/// A file that cannot be used, and the policy that counts instead.
pub(crate) fn refused(tenant: Option<&TenantId>, error: &ConfigError) -> Entry {
    let (whose, instead) = match tenant {
        Some(tenant) => {
            (format!("the policy of the tenant `{tenant}`"), "the one before still counts, if there was one")
        }
        None => ("the policies of tenants".to_owned(), "those before still count"),
    };
    let message = format!("{whose} cannot be used, and {instead}: {}", with_help(error));
    let entry = Entry::new(LogLevel::Error, "policy-refused", message).coded(error.code());
    match tenant {
        Some(tenant) => entry.of(tenant),
        None => entry,
    }
}
