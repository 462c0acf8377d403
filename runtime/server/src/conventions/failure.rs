//! Why a request failed, as a problem document.
//!
//! A failure of the server itself tells the client nothing of its cause: paths, addresses and names of other tenants may
//! be in it. The cause goes to the log, under the id of the request.

use std::path::Path;
use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stepbox::batch::remedy::{self, Listed};
use stepbox::{AccountError, Error, ErrorKind};
use stepbox_api::problem::{InvalidPart, MEDIA_TYPE, Problem, ProblemKind};
use stepbox_api::remedy::Remedy;

/// The codes that this crate gives out itself. Each is a heading in docs/errors.md.
const CODES: &[&str] = &[
    "body-broken-off",
    "body-invalid",
    "body-malformed",
    "body-too-large",
    "body-too-slow",
    "body-unexpected",
    "component-other-digest",
    "component-too-large",
    "content-type",
    "count-differs",
    "cross-site",
    "cursor-invalid",
    "forbidden",
    "header-invalid",
    "host-unknown",
    "identity-provider-answer",
    "identity-provider-refused",
    "identity-provider-unavailable",
    "method-not-allowed",
    "no-identity-provider",
    "no-route",
    "not-found",
    "package-invalid",
    "precondition-required",
    "pull-failed",
    "pull-needs-digest",
    "pull-no-component",
    "pull-not-found",
    "pull-other-auth-host",
    "pull-plain-realm",
    "pull-reference-malformed",
    "pull-unauthorized",
    "query-invalid",
    "sign-in-expired",
    "store-corrupt",
    "store-unavailable",
    "token-in-url",
    "too-many-form-questions",
    "too-many-launches",
    "too-many-pulls",
    "too-many-streams",
    "too-many-uploads",
    "too-slow",
    "unauthenticated",
    "unexpected",
    "unknown-field",
];

/// The code of what is damaged in the store, as the library gives it out.
const STORE_CORRUPT: &str = "store-corrupt";

/// Why a request failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The cause, for the log alone.
    cause: Option<String>,
}

/// The cause of a failure of the server, on its way to the log.
#[derive(Debug, Clone)]
pub(crate) struct Cause(pub(crate) String);

impl Failure {
    fn of(problem: Problem) -> Self {
        Self(Box::new(Inner { problem, headers: Vec::new(), cause: None }))
    }

    pub(crate) fn new(kind: impl Into<ProblemKind>, code: &str, detail: impl Into<String>) -> Self {
        debug_assert!(CODES.contains(&code), "`{code}` is in no list");
        Self::of(Problem::new(kind.into(), code, detail))
    }

    /// The request is wrong.
    pub(crate) fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, code, detail)
    }

    /// Nobody is signed in, or the credentials are of no use.
    pub(crate) fn unauthenticated(detail: &str) -> Self {
        Self::new(ProblemKind::Unauthorized, "unauthenticated", detail)
            .with_help("sign in, or send a token as `Authorization: Bearer sbx_…`")
            .challenging()
    }

    /// The same with the header that an answer 401 has: which credentials there are.
    fn challenging(self) -> Self {
        self.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stepbox\""))
    }

    /// The thing may be seen, but this may not be done with it.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, "forbidden", detail)
    }

    /// There is no such thing for this principal. Every hidden thing has the same answer as one that does not exist, so
    /// the text names nothing but the kind of thing.
    pub(crate) fn not_found(kind: &str) -> Self {
        let detail = format!("there is no such {kind}, or none that you may see");
        let mut failure = Self::new(ErrorKind::NotFound, "not-found", detail);
        let list = match kind {
            "instance" => Some(Listed::Instances),
            "execution" => Some(Listed::Executions),
            "token" => Some(Listed::Tokens),
            _ => None,
        };
        let remedies = list.map(|what| Remedy::of(&remedy::Remedy::List { what }));
        failure.0.problem.remedies = remedies.into_iter().collect();
        failure
    }

    /// There is no route at that address.
    pub(crate) fn no_route() -> Self {
        Self::new(ErrorKind::NotFound, "no-route", "there is nothing at this address")
            .with_help("see the document of the interface at `/api/v1/openapi.json`")
    }

    /// There is no page at that address.
    pub(crate) fn no_page() -> Self {
        Self::new(ErrorKind::NotFound, "no-route", "there is nothing at this address")
            .with_help("look at the address, or begin at the first page")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            ProblemKind::MethodNotAllowed,
            "method-not-allowed",
            "this address does not know that method",
        )
    }

    /// Too much at a time.
    pub(crate) fn too_many(code: &str, detail: impl Into<String>, retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        Self::new(ErrorKind::TooMany, code, detail).with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A failure of the server. Only the log learns the cause.
    pub(crate) fn unexpected(cause: impl Into<String>) -> Self {
        let detail = "the server could not do that; its log says more under the id of this request";
        Self::new(ErrorKind::Unexpected, "unexpected", detail).with_cause(cause)
    }

    /// Another server, which is needed here, does not do its part. Only the log learns the cause.
    pub(crate) fn bad_gateway(code: &str, detail: &str, cause: impl Into<String>) -> Self {
        debug_assert!(CODES.contains(&code), "`{code}` is in no list");
        let problem = Problem::new(ErrorKind::Unexpected.into(), code, detail);
        let (status, title) =
            (StatusCode::BAD_GATEWAY.as_u16(), "Another server does not answer as it should");
        Self::of(Problem { status, title: title.to_owned(), ..problem }).with_cause(cause)
    }

    /// A failure with a status that no kind of problem has.
    pub(crate) fn with_status(status: StatusCode, title: &str, code: &str, detail: &str) -> Self {
        debug_assert!(CODES.contains(&code), "`{code}` is in no list");
        let problem = Problem::new(ErrorKind::BadRequest.into(), code, detail);
        Self::of(Problem { status: status.as_u16(), title: title.to_owned(), ..problem })
    }

    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.problem.help = Some(help.into());
        self
    }

    /// The same with the wrong part of the body.
    #[must_use]
    pub(crate) fn with_part(mut self, pointer: String, detail: impl Into<String>) -> Self {
        self.0.problem.errors.push(InvalidPart { pointer, detail: detail.into() });
        self
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn code(&self) -> &str {
        &self.0.problem.code
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// An error about a folder of the server, whose path is nobody's business.
    pub(crate) fn within(error: &Error, folder: &Path) -> Self {
        let mut failure = Self::of_parameters(error, "/parameters");
        let (folder, problem) = (folder.display().to_string(), &mut failure.0.problem);
        let bare = |text: &str| text.replace(&format!("{folder}/"), "").replace(&folder, "the package");
        problem.detail = bare(&problem.detail);
        problem.cause = problem.cause.as_deref().map(bare);
        problem.help = problem.help.as_deref().map(bare);
        for other in &mut problem.others {
            other.detail = bare(&other.detail);
            other.help = other.help.as_deref().map(bare);
        }
        failure
    }

    /// An error of the library. `place` is where its parameters stand in the body: `/parameters`.
    pub(crate) fn of_parameters(error: &Error, place: &str) -> Self {
        let (kind, code) = (error.kind(), error.code());
        match kind {
            ErrorKind::Unexpected => return Self::unexpected(error.to_string()),
            // A second attempt would find the same.
            ErrorKind::StoreUnavailable if code == STORE_CORRUPT => {
                return Self::new(kind, STORE_CORRUPT, "what is stored of this is damaged")
                    .with_help("tell an operator: a check of the store shows the damage")
                    .with_cause(error.to_string());
            }
            ErrorKind::StoreUnavailable => {
                return Self::new(
                    kind,
                    "store-unavailable",
                    "the store does not answer, or its data cannot be used now",
                )
                .with_help("try again; the server's log says more under the id of this request")
                .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
                .with_cause(format!("{code}: {error}"));
            }
            _ => {}
        }
        let problem = Problem::of(error);
        let failure = Self::of(match error {
            Error::Violations { violations, .. } | Error::GuardedParameters { violations, .. } => {
                problem.with_violations(place, violations)
            }
            _ => problem,
        });
        match kind {
            _ if failure.status() == StatusCode::UNAUTHORIZED => failure.challenging(),
            ErrorKind::TooMany => {
                let seconds = match error {
                    Error::Account(AccountError::TooManyAttempts { seconds }) => *seconds,
                    _ => 5,
                };
                failure.with_header(RETRY_AFTER, HeaderValue::from(seconds))
            }
            _ => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of_parameters(&error, "/parameters")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let Inner { problem, headers, cause } = *self.0;
        let mut response = (status, shown(&problem)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response.headers_mut().extend(headers);
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        // Kept beside the text, so that the id of the request can be put in.
        response.extensions_mut().insert(Told(problem));
        response
    }
}

/// The problem document of an answer.
#[derive(Debug, Clone)]
struct Told(Problem);

fn shown(problem: &Problem) -> String {
    serde_json::to_string(problem).unwrap_or_default()
}

/// Puts the id of the request into the problem document of an answer, if it has one.
pub(crate) fn name_request(response: &mut Response, request_id: &str) {
    if let Some(Told(problem)) = response.extensions_mut().remove::<Told>() {
        *response.body_mut() = shown(&problem.of_request(request_id)).into();
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Takes the problem out of an answer that is shown in another form.
pub(crate) fn take_problem(response: &mut Response) -> Option<Problem> {
    response.extensions_mut().remove::<Told>().map(|Told(problem)| problem)
}

/// The answer to a method that an address does not know, with the methods that it knows.
pub(crate) fn not_this_method(allowed: &str) -> Failure {
    let failure = Failure::method_not_allowed();
    match HeaderValue::from_str(allowed) {
        Ok(allowed) => failure.with_header(ALLOW, allowed),
        Err(_) => failure,
    }
}
