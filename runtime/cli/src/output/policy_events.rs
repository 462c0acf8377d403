//! What a running process says about the operator's files: a change that counts, and a file that cannot be used.

use stepbox::batch::log::LogLevel;
use stepbox::batch::name::TenantId;
use stepbox::config::{ConfigError, ConfigWarning, PolicyEvent};

use super::voice::Entry;
use super::words::counted;

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

/// An error with what to do about it.
pub(crate) fn with_help(error: &ConfigError) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}
