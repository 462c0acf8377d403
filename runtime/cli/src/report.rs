//! The form of an error for people: what happened, the cause, the next action, where to read more.

use std::error::Error as _;
use std::io::{self, IsTerminal as _};

use clap::builder::styling::{AnsiColor, Style};
use stepbox::batch::log::LogLevel;
use stepbox::batch::visible::Visible;
use stepbox_api::exit_code::ExitCode;
use stepbox_api::problem::{InvalidPart, OtherMistake, Problem, in_words};

use crate::error::CliError;
use crate::next_action;
use crate::output::Format;
use crate::output::talk_styled;
use crate::output::voice::{Entry, Voice};

/// Prints an error on standard error, and returns the exit code.
pub(crate) fn report(error: &CliError, voice: Voice) -> ExitCode {
    if voice == Voice::Log(Format::Json) {
        voice.say(&entry(error));
        return error.exit_code();
    }
    let has_colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let style = if has_colour { AnsiColor::Red.on_default().bold() } else { Style::new() };
    talk_styled(style, "error:", &text(error));
    error.exit_code()
}

/// ```text
/// error: there is no instance `my_exprot`
///  cause: …
///   help: did you mean `my_export`?
///   docs: errors#not-found
/// ```
fn text(error: &CliError) -> Visible {
    let problem = error.problem();
    let (message, causes) = message_and_causes(error, problem.as_deref());
    let mut lines = vec![("error: ", message)];
    lines.extend(causes.into_iter().map(|cause| ("  cause: ", cause)));
    lines.extend(error.help().map(|help| ("   help: ", help)));
    lines.push(("   docs: ", format!("errors#{}", error.code())));
    lines.extend(in_the_log(problem.as_deref()).map(|id| ("request: ", id.to_owned())));
    for other in others(problem.as_deref()) {
        lines.push(("error: ", other.detail.clone()));
        lines.push(("   help: ", next_action::of_mistake(other)));
        lines.push(("   docs: ", format!("errors#{}", other.code)));
    }
    lines.iter().map(|(name, text)| Visible::named(name, text.trim_end())).collect()
}

/// The request in the log of a server that has failed, for people who may read that log.
fn in_the_log(problem: Option<&Problem>) -> Option<&str> {
    let problem = problem.filter(|problem| problem.status >= 500)?;
    problem.request_id.as_deref()
}

/// The further mistakes of a connector file.
fn others(problem: Option<&Problem>) -> &[OtherMistake] {
    problem.map_or(&[], |problem| &problem.others)
}

/// The same as one entry of a log.
fn entry(error: &CliError) -> Entry {
    let problem = error.problem();
    let (message, causes) = message_and_causes(error, problem.as_deref());
    let mut message = [vec![message], causes].concat().join(": ");
    if let Some(help) = error.help() {
        message = format!("{message}; {help}");
    }
    for other in others(problem.as_deref()) {
        message = format!("{message}; {}", other.detail);
    }
    Entry::new(LogLevel::Error, "error", message).coded(error.code().to_owned())
}

/// What happened, and why. If a message ends with its own cause, the cause is removed from it.
fn message_and_causes(error: &CliError, problem: Option<&Problem>) -> (String, Vec<String>) {
    if let Some(problem) = problem {
        return of_problem(problem);
    }
    let message = error.to_string();
    let Some(source) = error.source() else { return (message, Vec::new()) };
    let cause = match source.downcast_ref::<io::Error>() {
        Some(error) => in_words(error),
        None => source.to_string(),
    };
    let said = source.to_string();
    match message.strip_suffix(&said).and_then(|message| message.strip_suffix(": ")) {
        Some(message) => (message.to_owned(), vec![cause]),
        None if message.contains(&said) => (message, Vec::new()),
        None => (message, vec![cause]),
    }
}

fn of_problem(Problem { detail, cause, errors, .. }: &Problem) -> (String, Vec<String>) {
    if !errors.is_empty() {
        let lines: Vec<_> = errors.iter().map(InvalidPart::to_string).collect();
        return (detail.clone(), vec![lines.join("\n")]);
    }
    let Some(cause) = cause else { return (detail.clone(), Vec::new()) };
    let before = detail.strip_suffix(cause.as_str()).and_then(|detail| detail.strip_suffix(": "));
    (before.unwrap_or(detail).to_owned(), vec![cause.clone()])
}

#[cfg(test)]
mod tests {
    use stepbox::Error;
    use stepbox::batch::parameters::Violation;
    use stepbox::batch::remedy::{Listed, Remedy};

    use super::*;

    fn violation(path: &str, message: &str) -> Violation {
        Violation { path: path.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn tells_what_happened_why_and_what_to_do() {
        let rows = [
            (
                CliError::unreadable("a.wasm".as_ref())(io::ErrorKind::IsADirectory.into()),
                "error: `a.wasm` cannot be read\n  cause: it is a folder\n   help: check the path; it must be a file you may read\n   docs: errors#file-unreadable",
            ),
            (
                Error::Violations {
                    subject: "`x`".to_owned(),
                    violations: vec![
                        violation("/storage", "is required"),
                        violation("/a", "is not a known parameter"),
                    ],
                }
                .into(),
                "error: 2 of the parameters of `x` cannot be accepted\n  cause: /storage: is required\n         /a: is not a known parameter\n   help: `stepbox jobs show` shows the parameters of a job\n   docs: errors#parameters-invalid",
            ),
            (
                Error::NotFound {
                    kind: "job",
                    name: "a".to_owned(),
                    nearest: Some("b".to_owned()),
                    remedy: Remedy::List { what: Listed::Jobs },
                }
                .into(),
                "error: there is no job `a`\n   help: did you mean `b`?\n   docs: errors#not-found",
            ),
            (
                Error::DataFolder {
                    path: "d".into(),
                    action: "cannot be created",
                    source: io::ErrorKind::PermissionDenied.into(),
                }
                .into(),
                "error: d cannot be created\n  cause: permission denied\n   help: check that the data folder can be written and has room\n   docs: errors#data-folder",
            ),
        ];
        for (error, expected) in rows {
            assert_eq!(text(&error).as_str(), format!("{expected}\n"));
        }
    }
}
