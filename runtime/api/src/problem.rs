//! Why a request failed: a problem document (RFC 9457, `application/problem+json`).

use std::fmt;

use serde::{Deserialize, Serialize};
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::parameters;
use stepbox_batch::remedy;

use crate::audit::Subject;
use crate::remedy::Remedy;

/// The views of the host's errors.
#[cfg(feature = "host")]
mod of_the_host;
#[cfg(feature = "host")]
pub use of_the_host::{CONNECTOR_FILE, in_words};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A page about problems of this kind, relative to the server: `/errors/parameters-invalid`.
    pub r#type: String,
    /// The kind of problem in a few words, the same each time.
    pub title: String,
    /// The status of the HTTP answer.
    pub status: u16,
    /// What happened this time, in a sentence for people.
    pub detail: String,
    /// The request that failed, as a URI reference; absent if no request was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stable: a heading in docs/errors.md.
    pub code: String,
    /// What kind of problem it is, for programs: `wrong-state`. It also decides the exit code of the command line.
    #[serde(default)]
    pub kind: String,
    /// What led to it, for people; absent if there is no more to say. The detail may end with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The thing that it is about; absent if it is about none, or if no next action depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The next action, in a sentence for people; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Further next actions, for programs; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
    /// The wrong parts of the request; absent if the problem is not about parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InvalidPart>,
    /// Further mistakes in the same file; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherMistake>,
    /// The request, as the server's log names it; absent if no server answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A further mistake in the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherMistake {
    /// What is wrong, with its place.
    pub detail: String,
    /// Stable: a heading in docs/errors.md.
    pub code: String,
    /// The next action; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Further next actions, for programs; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// A part of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidPart {
    /// Its place in the body of the request: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The place, or `parameters`, and what is wrong there.
impl fmt::Display for InvalidPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "parameters" } else { &self.pointer };
        write!(f, "{place}: {}", self.detail)
    }
}

impl Problem {
    /// A problem of a kind, with its stable code and a description of what happened.
    pub fn new(kind: ProblemKind, code: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("/errors/{code}"),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            instance: None,
            code: code.to_owned(),
            kind: kind.name().to_owned(),
            cause: None,
            subject: None,
            help: None,
            remedies: Vec::new(),
            errors: Vec::new(),
            others: Vec::new(),
            request_id: None,
        }
    }

    /// The same with the failed request.
    #[must_use]
    pub fn at(self, instance: impl Into<String>) -> Self {
        Self { instance: Some(instance.into()), ..self }
    }

    /// The same with the name of the request in the server's log.
    #[must_use]
    pub fn of_request(self, request_id: impl Into<String>) -> Self {
        Self { request_id: Some(request_id.into()), ..self }
    }

    /// What kind of error of the library it is; `None` for a problem of HTTP itself, or of a newer version.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        ErrorKind::ALL.into_iter().find(|kind| ProblemKind::from(*kind).name() == self.kind)
    }

    /// The same with the next action, if there is one.
    #[must_use]
    pub fn with_help(self, help: Option<String>) -> Self {
        Self { help: help.filter(|help| !help.is_empty()), ..self }
    }

    /// The same with next actions for programs.
    #[must_use]
    pub fn with_remedies(self, remedies: &[remedy::Remedy]) -> Self {
        Self { remedies: remedies.iter().map(Remedy::of).collect(), ..self }
    }

    /// The same with the parameters that break their constraints. `place` is where the parameters stand in the body of
    /// the request, as a JSON pointer: `/parameters`.
    #[must_use]
    pub fn with_violations(self, place: &str, violations: &[parameters::Violation]) -> Self {
        let part = |violation: &parameters::Violation| InvalidPart {
            pointer: format!("{place}{}", violation.path),
            detail: violation.message.clone(),
        };
        Self { errors: violations.iter().map(part).collect(), ..self }
    }
}

/// A kind of problem. It decides the status of the HTTP answer.
///
/// Errors of the library have the kinds of [`ErrorKind`]. The other kinds are about HTTP itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// An error of the library.
    Domain(ErrorKind),
    /// The request has no valid credentials.
    Unauthorized,
    /// There is no such method for that address.
    MethodNotAllowed,
    /// The body of the request is too large.
    TooLarge,
    /// The body of the request has an unsupported type.
    UnsupportedMediaType,
    /// The request must name the version of the thing that it changes.
    PreconditionRequired,
}

impl From<ErrorKind> for ProblemKind {
    fn from(kind: ErrorKind) -> Self {
        Self::Domain(kind)
    }
}

impl ProblemKind {
    /// The status of the HTTP answer.
    pub const fn status(self) -> u16 {
        self.told().0
    }

    /// The kind in a few words, the same each time.
    pub const fn title(self) -> &'static str {
        self.told().1
    }

    /// The kind for programs: `wrong-state`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain(kind) => match kind {
                ErrorKind::BadRequest => "bad-request",
                ErrorKind::Violations => "violations",
                ErrorKind::NotFound => "not-found",
                ErrorKind::Forbidden => "forbidden",
                ErrorKind::Conflict => "conflict",
                ErrorKind::InUse => "in-use",
                ErrorKind::Stale => "stale",
                ErrorKind::WrongState => "wrong-state",
                ErrorKind::TooMany => "too-many",
                ErrorKind::ComponentRefused => "component-refused",
                ErrorKind::StoreUnavailable => "store-unavailable",
                ErrorKind::Unexpected => "unexpected",
            },
            Self::Unauthorized => "unauthorized",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::PreconditionRequired => "precondition-required",
        }
    }

    const fn told(self) -> (u16, &'static str) {
        match self {
            Self::Domain(kind) => match kind {
                ErrorKind::BadRequest => (400, "The request is wrong"),
                ErrorKind::Violations => (422, "Parameters break their constraints"),
                ErrorKind::NotFound => (404, "Not found"),
                ErrorKind::Forbidden => (403, "Not allowed"),
                ErrorKind::Conflict => (409, "Not possible beside what is there"),
                ErrorKind::InUse => (409, "Still in use"),
                ErrorKind::Stale => (412, "Changed in the meantime"),
                ErrorKind::WrongState => (409, "Not possible as things stand now"),
                ErrorKind::TooMany => (429, "Too many at a time"),
                ErrorKind::ComponentRefused => (422, "The component is refused"),
                ErrorKind::StoreUnavailable => (503, "The store cannot be used"),
                ErrorKind::Unexpected => (500, "Unexpected error"),
            },
            Self::Unauthorized => (401, "Who asks is not known"),
            Self::MethodNotAllowed => (405, "No such method here"),
            Self::TooLarge => (413, "The request is too large"),
            Self::UnsupportedMediaType => (415, "The type of the request is not understood"),
            Self::PreconditionRequired => (428, "The request has to name a version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_problem_survives_a_wire() {
        let bare = Problem::new(ErrorKind::NotFound.into(), "not-found", "there is no job `a`");
        let shown = survives(&bare.clone().with_help(Some(String::new())));
        assert_eq!(
            shown.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["type", "title", "status", "detail", "code", "kind"]
        );
        assert_eq!((&shown["type"], &shown["status"]), (&"/errors/not-found".into(), &404.into()));
        let violation =
            parameters::Violation { path: "/storage".to_owned(), message: "is required".to_owned() };
        let full = bare
            .at("/api/v1/x")
            .with_help(Some("do".to_owned()))
            .with_remedies(&[remedy::Remedy::RunAnew])
            .with_violations("/parameters", &[violation])
            .of_request("r-1");
        let other = OtherMistake {
            detail: "no such step".to_owned(),
            code: "unknown-step".to_owned(),
            help: None,
            remedies: vec![Remedy::RunAnew],
        };
        let subject = Subject { kind: "instance".to_owned(), name: "a".to_owned() };
        let full =
            Problem { cause: Some("why".to_owned()), subject: Some(subject), others: vec![other], ..full };
        assert_eq!(survives(&full)["errors"][0]["pointer"], "/parameters/storage");
    }

    /// The titles of kinds differ, and each kind is an error in HTTP.
    #[test]
    fn every_kind_has_a_status_and_a_title() {
        use ProblemKind::*;
        let of_http = [Unauthorized, MethodNotAllowed, TooLarge, UnsupportedMediaType, PreconditionRequired];
        let kinds: Vec<_> = ErrorKind::ALL.into_iter().map(Domain).chain(of_http).collect();
        let titles: BTreeSet<_> = kinds.iter().map(|kind| kind.title()).collect();
        let names: BTreeSet<_> = kinds.iter().map(|kind| kind.name()).collect();
        assert_eq!((titles.len(), names.len()), (kinds.len(), kinds.len()));
        for kind in ErrorKind::ALL {
            assert_eq!(Problem::new(kind.into(), "a", "b").error_kind(), Some(kind));
        }
        assert_eq!(Problem::new(Unauthorized, "a", "b").error_kind(), None);
        for kind in kinds {
            assert!((400..600).contains(&kind.status()), "{kind:?}");
        }
    }
}
