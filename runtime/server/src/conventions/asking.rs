//! A request as the routes read it: its head, the parts of its path, and its body, which is read last.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri};

use super::failure::Failure;
use crate::tools::Tools;

/// Where a request comes from, after the proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The address; `None` if the server did not say.
    pub address: Option<IpAddr>,
    /// Whether the client itself speaks TLS.
    pub is_secure: bool,
    /// The host that the client asked for.
    pub host: String,
}

/// Who asks, as limits and the log name them.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) String);

/// A request.
pub(crate) struct Asking {
    pub(crate) parts: Parts,
    pub(crate) tools: Arc<Tools>,
    /// Who asks, once that is known.
    pub(crate) who: Option<String>,
    path: Vec<(String, String)>,
    /// In a lock only because a body cannot be shared.
    body: Mutex<Option<Body>>,
}

impl Asking {
    /// Takes a request apart. Fails if its path is not UTF-8.
    pub(crate) async fn new(tools: Arc<Tools>, request: Request) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let path = match RawPathParams::from_request_parts(&mut parts, &()).await {
            Ok(path) => path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            // The template of the route has none.
            Err(RawPathParamsRejection::MissingPathParams(_)) => Vec::new(),
            Err(_) => return Err(Failure::no_route()),
        };
        Ok(Self { parts, tools, who: None, path, body: Mutex::new(Some(body)) })
    }

    /// A part of the path, decoded. The route has it in its template.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The query, without the question mark.
    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The body. The second call gets an empty one.
    pub(crate) fn take_body(&mut self) -> Body {
        self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Client {
        self.parts.extensions.get().cloned().unwrap_or_default()
    }

    /// A header that a request has at most once, as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Result<Option<&str>, Failure> {
        let wrong =
            |what: &str| Failure::bad_request("header-invalid", format!("the header `{name}` {what}"));
        let mut values = self.headers().get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(wrong("is there more than once"));
        }
        value.to_str().map(Some).map_err(|_| wrong("is no plain text"))
    }
}
