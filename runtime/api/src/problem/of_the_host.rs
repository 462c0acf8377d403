//! Built from errors of the host, so that an error reads alike wherever it happened.

use std::error::Error as _;
use std::io;

use stepbox::Error;
use stepbox::connector_file::ConnectorFileError;
use stepbox_batch::ports::RepositoryError;

use super::{OtherMistake, Problem};
use crate::audit::Subject;
use crate::remedy::Remedy;

/// The kind of subject of a mistake in a connector file.
pub const CONNECTOR_FILE: &str = "connector file";

impl Problem {
    /// Built from an error of the host.
    ///
    /// The places of violations begin in the parameters themselves. [`with_violations`](Self::with_violations) says
    /// where the parameters are in the body of a request.
    pub fn of(error: &Error) -> Self {
        let (detail, cause) = detail_and_cause(error);
        let problem = Self::new(error.kind().into(), error.code(), detail);
        let problem = Self { cause, subject: subject(error), ..problem };
        let problem = problem.with_help(error.help()).with_remedies(&error.remedies());
        match error {
            Error::Violations { violations, .. } | Error::GuardedParameters { violations, .. } => {
                problem.with_violations("", violations)
            }
            Error::ConnectorFile(error) => {
                Self { others: error.others.iter().map(OtherMistake::of).collect(), ..problem }
            }
            _ => problem,
        }
    }
}

impl OtherMistake {
    fn of(mistake: &ConnectorFileError) -> Self {
        Self {
            detail: mistake.to_string(),
            code: mistake.code.to_owned(),
            help: Some(mistake.help.clone()).filter(|help| !help.is_empty()),
            remedies: mistake.remedies.iter().map(Remedy::of).collect(),
        }
    }
}

/// What happened, and why. A detail that ends with its cause in the words of the operating system ends with the cause
/// in our words.
fn detail_and_cause(error: &Error) -> (String, Option<String>) {
    let detail = error.to_string();
    if let Error::BreaksInstances { instances, .. } = error {
        let causes: Vec<_> = instances.iter().map(ToString::to_string).collect();
        return (detail, Some(causes.join("\n")));
    }
    let Some(source) = error.source() else { return (detail, None) };
    let said = source.to_string();
    let cause = source.downcast_ref::<io::Error>().map_or_else(|| said.clone(), in_words);
    match detail.strip_suffix(&said).and_then(|detail| detail.strip_suffix(": ")) {
        Some(before) => (format!("{before}: {cause}"), Some(cause)),
        None if detail.contains(&said) => (detail, None),
        None => (detail, Some(cause)),
    }
}

/// The error of the operating system, without its number.
pub fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is not a folder".to_owned(),
        io::ErrorKind::AlreadyExists => "something else has that name".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::AddrInUse => "something else has that address".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

/// The thing that an error is about, if a next action depends on it.
fn subject(error: &Error) -> Option<Subject> {
    let (kind, name) = match error {
        Error::Repository(
            RepositoryError::AlreadyExists { kind, name } | RepositoryError::InUse { kind, name, .. },
        ) => (*kind, name.clone()),
        Error::ConnectorFile(_) => (CONNECTOR_FILE, String::new()),
        _ => return None,
    };
    Some(Subject { kind: kind.to_owned(), name })
}

#[cfg(test)]
mod tests {
    use stepbox_batch::parameters::Violation;

    use super::*;

    #[test]
    fn a_detail_ends_with_its_cause_in_our_words() {
        let error = Error::DataFolder {
            path: "d".into(),
            action: "cannot be created",
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let problem = Problem::of(&error);
        assert_eq!(problem.detail, "d cannot be created: permission denied");
        assert_eq!(problem.cause.as_deref(), Some("permission denied"));
    }

    #[test]
    fn a_problem_has_what_its_next_actions_need() {
        let exists = RepositoryError::AlreadyExists { kind: "instance", name: "a".to_owned() };
        let problem = Problem::of(&exists.into());
        assert_eq!(problem.subject.map(|subject| subject.name).as_deref(), Some("a"));
        let violation = Violation { path: "/b".to_owned(), message: "is required".to_owned() };
        let error = Error::Violations { subject: "`a`".to_owned(), violations: vec![violation] };
        assert_eq!(Problem::of(&error).errors[0].pointer, "/b");
    }
}
