//! What a connector's steps ask for, what the policy says about it, and what is effective.

use stepbox::batch::job::LimitOverrides;
use stepbox::batch::repository::Connector;
use stepbox::batch::visible::Visible;
use stepbox::config::POLICY_FILE;
use stepbox::{FilesPolicy, GrantError, Policy};
use stepbox_api::connector::Grant;

use crate::output::table::{Column, Table};

/// All grants and limits, job by job and step by step.
pub(crate) fn asked(connector: &Connector, policy: &Policy) -> Vec<Grant> {
    let mut rows = Vec::new();
    for job in &connector.jobs {
        for step in &job.steps {
            let place = format!("{}/{}", job.name, step.name);
            rows.extend(step.grants.http.iter().map(|line| http(&place, line, policy)));
            rows.extend(step.grants.files.iter().map(|(name, line)| file(&place, name, line, policy)));
            rows.extend(step.secrets().iter().map(|name| secret(&place, name, &step.grants.http, policy)));
            rows.extend(limits(&place, &step.limits, &policy.limits));
        }
    }
    rows
}

/// A table of all grants; `None` if no step asks for any.
pub(crate) fn of(connector: &Connector, policy: &Policy) -> Visible {
    let rows = asked(connector, policy);
    if rows.is_empty() {
        return Visible::default();
    }
    let names = ["step", "asked", "policy", "effective"].map(Column::Left);
    let table = Table::of(names, &rows, |row| {
        [row.step.clone(), row.asked.clone(), row.policy.clone(), row.effective.clone()]
    });
    let heading = format_args!("grants, cut down to the policy (`{POLICY_FILE}` in the data folder)");
    [Visible::line(""), Visible::line(heading), table.shown().indented(2)].into_iter().collect()
}

fn http(place: &str, line: &str, policy: &Policy) -> Grant {
    let effective = match policy.http_within(line) {
        _ if is_template(line) => "known when it runs".to_owned(),
        Ok(lines) if lines.is_empty() => "nothing".to_owned(),
        Ok(lines) => lines.join(", "),
        Err(GrantError::BadHttp { problem, .. }) => format!("nothing: {problem}"),
        Err(error) => format!("nothing: {error}"),
    };
    Grant { step: place.to_owned(), asked: format!("http: {line}"), policy: requests(policy), effective }
}

/// The requests that the policy allows at most.
fn requests(policy: &Policy) -> String {
    let limits = policy.http.to_string();
    let mut text = if limits.is_empty() { "any host".to_owned() } else { limits };
    text.push_str("; public addresses");
    if policy.network.allow_loopback {
        text.push_str(", loopback");
    }
    if policy.network.allow_private {
        text.push_str(", private networks");
    }
    text
}

/// The hosts of a secret that are also in the step's grants and in the policy.
fn secret(place: &str, name: &str, grants: &[String], policy: &Policy) -> Grant {
    let (limits, effective) = match policy.secrets.get(name) {
        None => ("no such secret".to_owned(), "nothing: the step fails".to_owned()),
        Some(secret) => {
            let hosts = secret.hosts().collect::<Vec<_>>().join(", ");
            let within = |grant: &String| policy.secret_within(secret, grant).unwrap_or_default();
            let mut sent: Vec<String> = grants.iter().flat_map(within).collect();
            sent.sort();
            sent.dedup();
            sent.extend(grants.iter().any(|line| is_template(line)).then(|| "known when it runs".to_owned()));
            let effective = match sent.is_empty() {
                true => "nothing: no grant leads to its hosts".to_owned(),
                false => format!("to {}", sent.join(", ")),
            };
            (format!("hosts: {hosts}"), effective.replace("to known when", "known when"))
        }
    };
    Grant { step: place.to_owned(), asked: format!("secret: {name}"), policy: limits, effective }
}

fn file(place: &str, name: &str, line: &str, policy: &Policy) -> Grant {
    let effective = match policy.folder_within(line) {
        _ if is_template(line) => "known when it runs".to_owned(),
        Ok(Some(line)) => format!("{name}: {line}"),
        Ok(None) => "nothing".to_owned(),
        Err(error) => format!("nothing: {error}"),
    };
    let allowed = match &policy.files {
        FilesPolicy::Anywhere { .. } => "as this user".to_owned(),
        FilesPolicy::Beneath(folders) => {
            let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            format!("below {}", folders.join(", "))
        }
    };
    Grant { step: place.to_owned(), asked: format!("files: {name}: {line}"), policy: allowed, effective }
}

/// The limits that a step sets itself.
fn limits(place: &str, asked: &LimitOverrides, max: &LimitOverrides) -> Vec<Grant> {
    let all = [
        ("memory_bytes_max", asked.memory_bytes_max, max.memory_bytes_max),
        ("time_ms_max", asked.time_ms_max, max.time_ms_max),
        ("cpu_ms_max", asked.cpu_ms_max, max.cpu_ms_max),
        ("disk_bytes_max", asked.disk_bytes_max, max.disk_bytes_max),
        ("log_bytes_max", asked.log_bytes_max, max.log_bytes_max),
        ("http_requests_max", asked.http_requests_max, max.http_requests_max),
        ("http_bytes_max", asked.http_bytes_max, max.http_bytes_max),
    ];
    let row = |(name, asked, max): (&str, Option<u64>, Option<u64>)| {
        let asked = asked?;
        Some(Grant {
            step: place.to_owned(),
            asked: format!("limits: {name}: {asked}"),
            policy: max.map_or("any".to_owned(), |max| format!("at most {max}")),
            effective: max.map_or(asked, |max| asked.min(max)).to_string(),
        })
    };
    all.into_iter().filter_map(row).collect()
}

/// Whether the line depends on the parameters of a run.
fn is_template(line: &str) -> bool {
    line.contains("${")
}
