//! What is around every route: whom a request is for, where it comes from, what every answer carries, and the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use stepbox::ErrorKind;

use super::asking::{Client, Who};
use super::failure::{Cause, Failure, name_request};
use super::input::pairs;
use super::request_log::{RequestEntry, RequestListener, Template};
use crate::listening::origin::{Origins, Peer};
use crate::tools::Tools;

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// What is around every route.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) origins: Arc<Origins>,
    pub(crate) tools: Arc<Tools>,
    pub(crate) listener: Option<RequestListener>,
}

/// Answers a request, whatever becomes of it.
pub(crate) async fn around(State(around): State<Around>, mut request: Request, next: Next) -> Response {
    let began_at = Instant::now();
    let method = request.method().clone();
    let request_id = request_id(&request);
    let client = around.origins.client(request.extensions().get::<Peer>().copied(), &request);
    request.extensions_mut().insert(client.clone());
    request.extensions_mut().insert(RequestId(request_id.clone()));
    // What follows compares the host that the client asked for, not the one that a proxy asks for.
    if let Ok(host) = HeaderValue::from_str(&client.host) {
        request.headers_mut().insert(HOST, host);
    }
    let mut response = match refused(&around.origins, &client, &request) {
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    };
    finish(&mut response, &request_id, &client);
    let took = began_at.elapsed();
    let route = response.extensions().get().map_or("-", |Template(route)| route);
    let status = response.status().as_u16();
    around.tools.meters.answered(method.as_str(), route, status, took);
    if let Some(listener) = &around.listener {
        listener(&entry(&method, route, status, took, request_id, &client, &response));
    }
    response
}

fn entry(
    method: &Method,
    route: &'static str,
    status: u16,
    took: Duration,
    request_id: String,
    client: &Client,
    response: &Response,
) -> RequestEntry {
    let extensions = response.extensions();
    RequestEntry {
        method: method.as_str().chars().take(16).collect(),
        route,
        status,
        took,
        request_id,
        user: extensions.get().map(|Who(who)| who.clone()),
        client: client.address,
        cause: extensions.get().map(|Cause(cause)| cause.clone()),
    }
}

/// The id that the client gave, if it is a plain one, or else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(is_plain).map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    let mut bytes = [0; 12];
    // Without randomness the id is the same each time, which only the log suffers from.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a request is not even looked at.
fn refused(origins: &Origins, client: &Client, request: &Request) -> Option<Failure> {
    if !origins.is_ours(&client.host) {
        let detail = "this server has another name than the request asks for";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Some(Failure::with_status(status, "Sent to the wrong server", "host-unknown", detail));
    }
    if has_credentials(request.uri().path(), request.uri().query().unwrap_or_default()) {
        let failure = Failure::bad_request(
            "token-in-url",
            "credentials do not belong in an address, which is logged and kept",
        );
        return Some(
            failure.with_help(
                "send it as `Authorization: Bearer …`, and revoke the one that was in the address",
            ),
        );
    }
    (request.uri().path().len() > 4096)
        .then(|| Failure::new(ErrorKind::BadRequest, "no-route", "the address is too long"))
}

/// Whether an address has something that looks like credentials.
fn has_credentials(path: &str, query: &str) -> bool {
    const NAMES: [&str; 8] =
        ["token", "access_token", "auth_token", "api_key", "apikey", "authorization", "password", "session"];
    path.contains("sbx_")
        || pairs(query).iter().any(|(name, value)| {
            NAMES.contains(&name.to_ascii_lowercase().as_str()) || value.contains("sbx_")
        })
}

fn finish(response: &mut Response, request_id: &str, client: &Client) {
    name_request(response, request_id);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    if client.is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_taken_from_an_address() {
        let rows = [
            ("/a", "limit=5", false),
            ("/a", "token=x", true),
            ("/a", "Access_Token=x", true),
            ("/a", "name=sbx_abc", true),
            ("/a", "name=sbx%5Fabc", true),
            ("/a/sbx_abc", "", true),
            ("/a/tokens", "", false),
        ];
        for (path, query, expected) in rows {
            assert_eq!(has_credentials(path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn only_a_plain_id_of_a_client_is_taken() {
        let rows =
            [("abc-1.2_3", true), ("", false), ("a b", false), ("a\"b", false), (&"x".repeat(65), false)];
        for (id, is_taken) in rows {
            let request =
                Request::builder().header("x-request-id", id).body(axum::body::Body::empty()).unwrap();
            assert_eq!(request_id(&request) == id, is_taken, "{id}");
        }
    }
}
