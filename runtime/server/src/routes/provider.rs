//! Signing in at an identity provider: the browser is sent there, and comes back.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use stepbox::{ErrorKind, SignedIn};
use url::Url;
use utoipa::ToSchema;

use crate::access::{ATTEMPT, Anybody, SESSION};
use crate::conventions::answer::Answer;
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Input, Query, With};
use crate::identity_provider::{
    ATTEMPT_MS_MAX, IdentityProvider, IdentityProviderError, ProvenIdentity, SignInAttempt,
};
use crate::table::Table;
use crate::tools::Tools;

/// How long the address may be to which the browser goes afterwards, in bytes. It travels in a cookie.
const NEXT_BYTES_MAX: usize = 1024;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/session/provider", "Go to the identity provider to sign in there, with a browser.", begin)
        .get(
            "/session/provider/callback",
            "Come back from the identity provider. The browser gets a session.",
            finish,
        )
}

/// How a sign-in begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// Where the browser goes afterwards: a path of this server. Without it, the browser sees who it is signed in as.
    next: Option<String>,
}

/// What the provider sends the browser back with. Providers add fields of their own.
#[derive(Debug, Deserialize, ToSchema)]
struct Back {
    /// The code for the statement about the user.
    code: Option<String>,
    /// The state of the attempt.
    state: Option<String>,
    /// The provider's refusal.
    error: Option<String>,
}

/// The attempt of the browser, from its cookie.
struct Attempt(Option<String>);

impl Input for Attempt {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        // Of two attempts neither is believed.
        Ok(Self(ATTEMPT.read(asking.headers(), &asking.client()).ok().flatten()))
    }

    fn describe(operation: &mut Describing) {
        let text = "The attempt that the browser has begun.";
        operation.parameter("cookie", ATTEMPT.whole_host, false, json!({ "type": "string" }), text);
    }
}

/// Sends the browser elsewhere, with cookies.
struct Redirected {
    to: String,
    cookies: Vec<HeaderValue>,
}

impl Answer for Redirected {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let to = HeaderValue::from_str(&self.to).map_err(|error| Failure::unexpected(error.to_string()))?;
        response.headers_mut().insert(LOCATION, to);
        for cookie in self.cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        operation.answer(303, "Go on at the address in `Location`.", &[]);
        operation.answer_header(303, "Location", "Where the browser goes on.");
        operation.answer_header(303, "Set-Cookie", "The attempt, or the session.");
        operation.problem(401, "The user must not come in.");
        operation.problem(403, "The provider refuses, or no group of the user has a role.");
        operation.problem(
            409,
            "The name of the user belongs to somebody else, or the last operator would be gone.",
        );
        operation.problem(502, "The identity provider does not answer as it should.");
    }
}

async fn begin(
    anybody: Anybody,
    (With(tools), Query(Begin { next })): (With, Query<Begin>),
) -> Result<Redirected, Failure> {
    let provider = provider(&tools)?;
    let base = tools.base_path().to_owned();
    let next = next.map(|next| of_this_server(&next, &base).ok_or_else(elsewhere)).transpose()?;
    anybody.count_sign_in()?;
    let (attempt, address) = provider.begin(anybody.now(), next).await.map_err(|error| failed(&error))?;
    let lasts = Duration::from_millis(ATTEMPT_MS_MAX.unsigned_abs());
    let cookie = attempt.to_cookie();
    let cookie = ATTEMPT.set(Some(cookie.expose_secret()), anybody.client(), &base, Some(lasts));
    Ok(Redirected { to: address.into(), cookies: vec![cookie] })
}

async fn finish(
    anybody: Anybody,
    (With(tools), Attempt(cookie), Query(back)): (With, Attempt, Query<Back>),
) -> Result<Redirected, Failure> {
    let provider = provider(&tools)?;
    anybody.count_sign_in()?;
    let (client, base) = (anybody.client().clone(), tools.base_path().to_owned());
    // A browser that goes away does not leave a user with half of the roles.
    let signed_in = tokio::spawn(async move { sign_in(&anybody, &provider, cookie, back).await });
    let signed_in = signed_in.await.map_err(|error| Failure::unexpected(error.to_string()))?;
    tools.meters.signed_in(if signed_in.is_ok() { "ok" } else { "refused" });
    // An attempt is finished once, however it ends.
    let used = ATTEMPT.set(None, &client, &base, None);
    match signed_in {
        Ok((session, next)) => {
            tools.streams.rights_changed();
            let session = SESSION.set(Some(session.id.as_str()), &client, &base, None);
            let next = next.and_then(|next| of_this_server(&next, &base));
            let to = next.unwrap_or_else(|| format!("{}/session", tools.base));
            Ok(Redirected { to, cookies: vec![session, used] })
        }
        Err(failure) => Err(failure.with_header(SET_COOKIE, used)),
    }
}

/// Begins the session of the user whom the provider names, and returns it with where the browser wanted to go.
async fn sign_in(
    anybody: &Anybody,
    provider: &IdentityProvider,
    cookie: Option<String>,
    back: Back,
) -> Result<(SignedIn, Option<String>), Failure> {
    match proven(anybody, provider, cookie, back).await {
        Ok((proven, next)) => {
            let provided = provider.settings().provided(proven);
            Ok((anybody.sign_in_as(provided).await?, next))
        }
        Err(error) => {
            anybody.refuse_identity(error.code()).await?;
            Err(failed(&error))
        }
    }
}

async fn proven(
    anybody: &Anybody,
    provider: &IdentityProvider,
    cookie: Option<String>,
    Back { code, state, error }: Back,
) -> Result<(ProvenIdentity, Option<String>), IdentityProviderError> {
    let now = anybody.now();
    let attempt = cookie.and_then(|cookie| SignInAttempt::of_cookie(&cookie, now));
    let attempt = attempt.ok_or(IdentityProviderError::NoAttempt)?;
    // A refusal has no code, or one that does not count.
    let code = code.filter(|_| error.is_none()).unwrap_or_default();
    let proven = provider.finish(&attempt, &state.unwrap_or_default(), &code, now).await?;
    Ok((proven, attempt.next().map(str::to_owned)))
}

fn provider(tools: &Tools) -> Result<Arc<IdentityProvider>, Failure> {
    tools.provider.clone().ok_or_else(|| {
        Failure::new(ErrorKind::NotFound, "no-identity-provider", "this server has no identity provider")
            .with_help("sign in with a password")
    })
}

fn failed(error: &IdentityProviderError) -> Failure {
    let code = error.code();
    let failure = match error {
        IdentityProviderError::NoAttempt => Failure::bad_request(code, error.to_string()),
        IdentityProviderError::Refused => Failure::new(ErrorKind::Forbidden, code, error.to_string()),
        IdentityProviderError::Unavailable { .. } => Failure::bad_gateway(
            code,
            "the identity provider does not answer as it should",
            error.to_string(),
        ),
        IdentityProviderError::NotBelieved { .. } => Failure::bad_gateway(
            code,
            "the answer of the identity provider is not believed",
            error.to_string(),
        ),
        IdentityProviderError::Settings(_) => return Failure::unexpected(error.to_string()),
    };
    failure.with_help(error.help())
}

fn elsewhere() -> Failure {
    Failure::bad_request("query-invalid", "`next` is no path of this server").with_help("write a path: `/…`")
}

/// An address as a path of this server, below its base path; `None` if it leads anywhere else, as some browser may
/// read it.
fn of_this_server(next: &str, base: &str) -> Option<String> {
    let is_plain = next.len() <= NEXT_BYTES_MAX && next.bytes().all(|byte| byte.is_ascii_graphic());
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    let here = Url::parse("https://here.invalid").ok().filter(|_| is_plain && is_path)?;
    let address = here.join(next).ok().filter(|address| address.origin() == here.origin())?;
    let path = address.as_str().strip_prefix("https://here.invalid")?;
    let below = address.path().strip_prefix(base)?;
    ((below.is_empty() || below.starts_with('/')) && !path.starts_with("//")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_the_browser_stays_at_this_server() {
        let long = format!("/{}", "x".repeat(NEXT_BYTES_MAX));
        let rows = [
            ("/", "", Some("/")),
            ("/a?b=c#d", "", Some("/a?b=c#d")),
            ("/jobs", "/jobs", Some("/jobs")),
            ("/jobs/a", "/jobs", Some("/jobs/a")),
            ("/jobs/../a", "/jobs", None),
            ("/jobs/%2e%2e/a", "/jobs", None),
            ("/jobsite", "/jobs", None),
            ("/", "/jobs", None),
            ("//evil.example", "", None),
            ("/..//evil.example", "", None),
            ("/\\evil.example", "", None),
            ("\\/evil.example", "", None),
            ("https://evil.example", "", None),
            ("https:/a", "", None),
            ("javascript:alert(1)", "", None),
            ("a", "", None),
            ("", "", None),
            (" /a", "", None),
            ("/\t/evil.example", "", None),
            ("/a\r\nSet-Cookie:b", "", None),
            ("/\u{e9}", "", None),
            (long.as_str(), "", None),
        ];
        for (next, base, expected) in rows {
            assert_eq!(of_this_server(next, base).as_deref(), expected, "{next:?} below {base:?}");
        }
    }
}
