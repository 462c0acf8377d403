//! Next actions in the words of the command line: commands, options, and keys of the policy file.
//!
//! A problem is described in words for every program, and says what helps as a [`Remedy`]. This file has the wording
//! of each remedy, and the next actions that only the command line knows.

use stepbox::config::POLICY_FILE;
use stepbox_api::execution::Failure;
use stepbox_api::problem::{CONNECTOR_FILE, OtherMistake, Problem};
use stepbox_api::remedy::Remedy;

/// The next action after a problem; `None` if there is none.
pub(crate) fn of_problem(problem: &Problem) -> Option<String> {
    let is_of_file = problem.subject.as_ref().is_some_and(|subject| subject.kind == CONNECTOR_FILE);
    match is_of_file {
        true => joined(problem.help.clone(), &problem.remedies)
            .or_else(|| Some(of_connector_file(&problem.code).to_owned())),
        false => joined(problem.help.clone().or_else(|| own(problem)), &problem.remedies),
    }
}

/// The next action after a stored failure; `None` if there is none.
pub(crate) fn of_failure(failure: &Failure) -> Option<String> {
    joined(Some(failure.help.clone()), &failure.remedies)
}

/// The next action after a further mistake in a connector file.
pub(crate) fn of_mistake(mistake: &OtherMistake) -> String {
    joined(mistake.help.clone(), &mistake.remedies)
        .unwrap_or_else(|| of_connector_file(&mistake.code).to_owned())
}

/// The next action after a mistake in a connector file that says none itself.
fn of_connector_file(code: &str) -> &'static str {
    match code {
        "bad-schema" => "`stepbox jobs show csv_export --format json` shows a schema that works",
        "bad-name" => "write letters, digits and `_`",
        "component-wrong-role" => {
            "name a component of that world; `stepbox steps inspect` shows a component's world"
        }
        "bad-component-path" => "give the path of a file below that folder",
        "connector-file-unreadable" => "a connector is a folder with a file `connector.yaml`",
        _ => "examples/csv-notify/connector.yaml is a file that works",
    }
}

/// A next action that only the command line knows.
fn own(problem: &Problem) -> Option<String> {
    let subject = problem.subject.as_ref();
    let (kind, name) = subject.map_or(("", ""), |subject| (subject.kind.as_str(), subject.name.as_str()));
    let action = match (problem.code.as_str(), kind) {
        ("already-exists", "instance") => {
            format!("choose another code, or change that one with `stepbox instances edit {name}`")
        }
        ("already-exists", "user") => {
            format!("choose another name, or change that user with `stepbox users change {name}`")
        }
        ("already-exists", kind) if !kind.is_empty() => {
            format!("choose another name for the {kind}; `stepbox jobs list` shows those that are taken")
        }
        ("in-use", "connector") => "delete its instances first: `stepbox instances delete`".to_owned(),
        ("in-use", "component") => "remove what uses it first".to_owned(),
        ("in-use", _) => "wait until that has ended, or stop it: `stepbox executions stop`".to_owned(),
        ("store-corrupt", _) => "put back a copy of the data folder".to_owned(),
        ("parameters-invalid", _) => "`stepbox jobs show` shows the parameters of a job".to_owned(),
        ("instances-would-break", _) => {
            "add `--force` to install it all the same, and then change or delete these instances".to_owned()
        }
        _ => return None,
    };
    Some(action)
}

/// The help and the remedies in one sentence; `None` if there is neither.
fn joined(help: Option<String>, remedies: &[Remedy]) -> Option<String> {
    let mut text = help.unwrap_or_default();
    for remedy in remedies {
        let Some(words) = in_words(remedy) else { continue };
        let link = match remedy {
            _ if text.is_empty() => "",
            _ if text.ends_with('?') => " If not, ",
            remedy if is_another_way(remedy) => ", or ",
            _ => "; ",
        };
        text.push_str(link);
        text.push_str(&words);
    }
    (!text.is_empty()).then_some(text)
}

/// Whether a remedy is an alternative to the one before it.
fn is_another_way(remedy: &Remedy) -> bool {
    !matches!(
        remedy,
        Remedy::List { .. }
            | Remedy::ShowConnector { .. }
            | Remedy::ShowExecution { .. }
            | Remedy::ReadLog { .. }
            | Remedy::RestartExecution { .. }
            | Remedy::RunAnew
    )
}

/// A remedy in words; `None` for one of a newer version.
fn in_words(remedy: &Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::List { what } => listed(what)?.to_owned(),
        Remedy::ShowConnector { connector } => {
            format!("`stepbox connectors show {connector}` shows the connector's jobs")
        }
        Remedy::ShowExecution { execution } => {
            format!("`stepbox executions show {execution}` shows its status")
        }
        Remedy::ReadLog { execution } => format!("`stepbox executions log {execution}` tells more"),
        Remedy::StopExecution { execution } => format!("stop it with `stepbox executions stop {execution}`"),
        Remedy::RestartExecution { execution } => {
            format!("`stepbox executions restart {execution}` continues from its last checkpoint")
        }
        Remedy::RestartWithOtherSteps { execution } => format!(
            "`stepbox executions restart {execution}` continues with the job as it was, `--newest-job` takes settings of \
             the same steps, and `--anew` lets a step begin again whose elements or options have changed"
        ),
        Remedy::RestartWithNewestComponents => {
            "restart with `stepbox executions restart --newest-components`".to_owned()
        }
        Remedy::RunAnew => "`stepbox run` starts a new execution".to_owned(),
        Remedy::UploadComponent => "upload the same file again with `stepbox steps upload`".to_owned(),
        Remedy::RemoveComponents => "remove some that nothing needs with `stepbox steps remove`".to_owned(),
        Remedy::MigrateStore => {
            "`stepbox store migrate` brings it up to date, once for all workers".to_owned()
        }
        policy => format!("let the operator {}", change_of_policy(policy)?),
    })
}

fn listed(what: &str) -> Option<&'static str> {
    Some(match what {
        "connectors" => "`stepbox connectors list` shows all of them",
        "jobs" => "`stepbox jobs list` shows all of them",
        "components" => "`stepbox steps list` shows all of them",
        "instances" => "`stepbox instances list` shows all of them",
        "executions" => "`stepbox executions list` shows all of them",
        "workers" => "`stepbox workers list` shows whether there are any",
        "users" => "`stepbox users list` shows all of them",
        "members" => "`stepbox members list` shows all of them",
        "tokens" => "`stepbox tokens list` shows all of them",
        _ => return None,
    })
}

/// The change of the policy file that the operator makes; `None` for a remedy that does not change the policy.
fn change_of_policy(remedy: &Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::AllowRequests { list, value } => {
            format!("add `{value}` to `http: {{ {list}: [ … ] }}` in `{POLICY_FILE}`")
        }
        Remedy::OpenNetwork { network } => {
            format!("open them with `network: {{ {network}: true }}` in `{POLICY_FILE}`")
        }
        Remedy::AllowSecret { secret, host } => {
            format!("add `{host}` to `secrets: {{ {secret}: {{ hosts: [ … ] }} }}` in `{POLICY_FILE}`")
        }
        Remedy::AddSecret { secret } => format!(
            "add `secrets: {{ {secret}: {{ file: PATH, hosts: [HOST] }} }}` to `{POLICY_FILE}`, with the hosts that \
             may get it"
        ),
        Remedy::AddStorage => format!("name storages under `storages` in `{POLICY_FILE}`"),
        Remedy::RaiseQuota { quota } => format!("raise `quotas: {{ {quota}: … }}` in `{POLICY_FILE}`"),
        Remedy::RaiseComponentQuota { quota } => {
            format!("raise `components: {{ {quota}: … }}` in `{POLICY_FILE}`")
        }
        Remedy::RaiseCompileLimit { limit } => {
            format!("raise `components: {{ compile: {{ {limit}: … }} }}` in `{POLICY_FILE}`")
        }
        Remedy::AllowUploads => format!("take `components: {{ upload: false }}` out of `{POLICY_FILE}`"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_help_and_remedies_in_one_sentence() {
        let quota = || Remedy::RaiseQuota { quota: "queued_max".to_owned() };
        let workers = || Remedy::List { what: "workers".to_owned() };
        let secret = || Remedy::AddSecret { secret: "t".to_owned() };
        let restart = || Remedy::RestartExecution { execution: 7 };
        let rows: [(&str, Vec<Remedy>, Option<&str>); 8] = [
            ("", vec![], None),
            ("wait", vec![], Some("wait")),
            ("wait", vec![Remedy::Unknown], Some("wait")),
            ("", vec![restart()], Some("`stepbox executions restart 7` continues from its last checkpoint")),
            (
                "wait",
                vec![workers(), quota()],
                Some(
                    "wait; `stepbox workers list` shows whether there are any, or let the operator raise `quotas: { \
                     queued_max: … }` in `policy.yaml`",
                ),
            ),
            (
                "did you mean `u`?",
                vec![secret()],
                Some(
                    "did you mean `u`? If not, let the operator add `secrets: { t: { file: PATH, hosts: [HOST] } }` to \
                     `policy.yaml`, with the hosts that may get it",
                ),
            ),
            (
                "",
                vec![Remedy::UploadComponent, Remedy::RestartWithNewestComponents],
                Some(
                    "upload the same file again with `stepbox steps upload`, or restart with `stepbox executions \
                     restart --newest-components`",
                ),
            ),
            (
                "",
                vec![Remedy::AllowSecret { secret: "t".to_owned(), host: "a.example".to_owned() }],
                Some(
                    "let the operator add `a.example` to `secrets: { t: { hosts: [ … ] } }` in `policy.yaml`",
                ),
            ),
        ];
        for (help, remedies, expected) in rows {
            assert_eq!(joined(Some(help.to_owned()), &remedies).as_deref(), expected);
        }
    }
}
