//! The requests of a connector's steps, the policy for each request, and the part that is allowed.

use stepbox_batch::inventory::Connector;
use stepbox_batch::limits::{LIMITS, Limit, LimitOverrides};
use stepbox_sandbox::GrantError;

use super::{FilesPolicy, Policy};

/// One grant or limit that a step asks for, and the part of it that the policy allows, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedGrant {
    /// The job and the step: `csv_product_export_notify/notify`.
    pub step: String,
    /// The request of the step: `http: POST https://example.com`.
    pub asked: String,
    /// The most that the policy allows.
    pub policy: String,
    /// The part that is allowed.
    ///
    /// If nothing is allowed, `nothing: …` with the reason. `known when it runs` if it depends on the
    /// parameters of a run.
    pub effective: String,
}

impl Policy {
    /// The requests of a connector's steps, and the part of each that this policy allows: job by job and step
    /// by step, in the order of the connector's file.
    pub fn leaves_of(&self, connector: &Connector) -> Vec<AskedGrant> {
        let mut rows = Vec::new();
        for job in &connector.jobs {
            for step in &job.steps {
                let place = format!("{}/{}", job.name, step.name);
                rows.extend(step.grants.http.iter().map(|line| http(&place, line, self)));
                rows.extend(step.grants.files.iter().map(|(name, line)| file(&place, name, line, self)));
                rows.extend(step.secrets().iter().map(|name| secret(&place, name, &step.grants.http, self)));
                rows.extend(limits(&place, &step.limits, &self.limits));
            }
        }
        rows
    }

    /// The requests that a component names in its own description, and the part of each that this policy allows.
    ///
    /// A description is text for people: `http: POST https://api.example.com`. The connector decides what its steps
    /// really ask for.
    pub fn leaves_of_component(&self, lines: &[String]) -> Vec<AskedGrant> {
        let row = |line: &String| {
            let (kind, rest) =
                line.split_once(':').map_or(("", ""), |(kind, rest)| (kind.trim(), rest.trim()));
            let found = match kind {
                "http" if is_template(rest) || self.http_within(rest).is_ok() => Some(http("", rest, self)),
                // A word and a path, not a sentence.
                "files" if rest.split_whitespace().count() == 2 && self.folder_within(rest).is_ok() => {
                    Some(file("", "files", rest, self))
                }
                _ => None,
            };
            let of_the_connector = || AskedGrant {
                step: String::new(),
                asked: String::new(),
                policy: String::new(),
                effective: "as the connector asks for it".to_owned(),
            };
            // In its own words, whatever was understood of them.
            AskedGrant { asked: line.clone(), ..found.unwrap_or_else(of_the_connector) }
        };
        lines.iter().map(row).collect()
    }
}

fn http(place: &str, line: &str, policy: &Policy) -> AskedGrant {
    let effective = match policy.http_within(line) {
        _ if is_template(line) => "known when it runs".to_owned(),
        Ok(lines) if lines.is_empty() => "nothing".to_owned(),
        Ok(lines) => lines.join(", "),
        Err(GrantError::BadHttp { problem, .. }) => format!("nothing: {problem}"),
        Err(error) => format!("nothing: {error}"),
    };
    AskedGrant { step: place.to_owned(), asked: format!("http: {line}"), policy: requests(policy), effective }
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

/// A secret is sent to the hosts that the secret, the step's grants and the policy all allow.
fn secret(place: &str, name: &str, grants: &[String], policy: &Policy) -> AskedGrant {
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
    AskedGrant { step: place.to_owned(), asked: format!("secret: {name}"), policy: limits, effective }
}

fn file(place: &str, name: &str, line: &str, policy: &Policy) -> AskedGrant {
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
    AskedGrant { step: place.to_owned(), asked: format!("files: {name}: {line}"), policy: allowed, effective }
}

/// The limits that a step sets itself.
fn limits(place: &str, asked: &LimitOverrides, max: &LimitOverrides) -> Vec<AskedGrant> {
    let row = |limit: &Limit| {
        let (asked, max) = (limit.of(asked)?, limit.of(max));
        Some(AskedGrant {
            step: place.to_owned(),
            asked: format!("limits: {}: {asked}", limit.name),
            policy: max.map_or("any".to_owned(), |max| format!("at most {max}")),
            effective: max.map_or(asked, |max| asked.min(max)).to_string(),
        })
    };
    LIMITS.iter().filter_map(row).collect()
}

/// Whether the line depends on the parameters of a run.
fn is_template(line: &str) -> bool {
    line.contains("${")
}
