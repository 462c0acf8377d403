//! What a connector's steps ask to touch, what the policy says on it, and what is left.

use serde::Serialize;
use stepbox::batch::repository::Connector;
use stepbox::{GrantError, Policy};

use crate::output::table::{Column, Table, indented};
use crate::policy_file::POLICY_FILE;

/// One grant of one step.
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    step: String,
    asked: String,
    policy: String,
    effective: String,
}

/// All grants, job by job and step by step.
pub(crate) fn asked(connector: &Connector, policy: &Policy) -> Vec<Asked> {
    let mut rows = Vec::new();
    for job in &connector.jobs {
        for step in &job.steps {
            let place = format!("{}/{}", job.name, step.name);
            rows.extend(step.grants.http.iter().map(|line| http(&place, line, policy)));
            rows.extend(
                step.grants.files.iter().map(|(name, line)| file(&place, &format!("{name}: {line}"))),
            );
        }
    }
    rows
}

/// A table of all grants; nothing if no step asks for any.
pub(crate) fn of(connector: &Connector, policy: &Policy) -> String {
    let rows = asked(connector, policy);
    if rows.is_empty() {
        return String::new();
    }
    let names = ["step", "asked", "policy", "effective"].map(Column::Left);
    let table = Table::of(names, &rows, |row| {
        [row.step.clone(), row.asked.clone(), row.policy.clone(), row.effective.clone()]
    });
    let heading = format!("\ngrants, cut down to the policy (`{POLICY_FILE}` in the data folder)\n");
    heading + &indented(&table.to_string())
}

fn http(place: &str, line: &str, policy: &Policy) -> Asked {
    let effective = match policy.http_within(line) {
        _ if is_template(line) => "known when it runs".to_owned(),
        Ok(lines) if lines.is_empty() => "nothing".to_owned(),
        Ok(lines) => lines.join(", "),
        Err(GrantError::BadHttp { problem, .. }) => format!("nothing: {problem}"),
        Err(error) => format!("nothing: {error}"),
    };
    Asked { step: place.to_owned(), asked: format!("http: {line}"), policy: requests(policy), effective }
}

/// Which requests the policy allows at most.
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

fn file(place: &str, line: &str) -> Asked {
    let effective = if is_template(line) { "known when it runs" } else { line };
    Asked {
        step: place.to_owned(),
        asked: format!("files: {line}"),
        policy: "as this user".to_owned(),
        effective: effective.to_owned(),
    }
}

/// Whether the line depends on the parameters of a run.
fn is_template(line: &str) -> bool {
    line.contains("${")
}
