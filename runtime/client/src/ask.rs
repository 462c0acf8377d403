//! A request before it is sent: what it asks, and whether it may be sent twice.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue, IF_MATCH};
use serde::Serialize;

use crate::error::ClientError;
use crate::outgoing::Outgoing;
use crate::retry::Repeat;

/// The header with the key by which a server knows a repeated request again.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// JSON, as the API speaks it.
pub(crate) const JSON: &str = "application/json";

/// A request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// The parts of the path below the API.
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Content<'a>,
    /// The type of a successful answer.
    pub(crate) accept: &'static str,
    pub(crate) repeat: Repeat,
    /// How long the server may work before it answers; `None` for as long as the client waits for any answer.
    pub(crate) works: Option<Duration>,
}

/// What a request brings along.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Nothing,
    Bytes {
        media_type: &'static str,
        bytes: Bytes,
    },
    /// A file, which each attempt reads from its beginning.
    File {
        media_type: &'static str,
        file: &'a Outgoing,
    },
}

impl<'a> Ask<'a> {
    fn new(method: Method, path: Vec<&'a str>, repeat: Repeat) -> Self {
        let (query, headers, content, accept) = (Vec::new(), Vec::new(), Content::Nothing, JSON);
        Self { method, path, query, headers, content, accept, repeat, works: None }
    }

    /// Asks for something.
    pub(crate) fn get(path: Vec<&'a str>) -> Self {
        Self::new(Method::GET, path, Repeat::Safe)
    }

    /// Removes something.
    pub(crate) fn delete(path: Vec<&'a str>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Safe)
    }

    /// Changes something.
    pub(crate) fn patch(path: Vec<&'a str>) -> Self {
        Self::new(Method::PATCH, path, Repeat::IfNothingWasDone)
    }

    /// Sets something to a value, whatever it was before.
    pub(crate) fn put(path: Vec<&'a str>) -> Self {
        Self::new(Method::PUT, path, Repeat::Safe)
    }

    /// Does something. It might do it twice, unless it has a key.
    pub(crate) fn post(path: Vec<&'a str>) -> Self {
        Self::new(Method::POST, path, Repeat::IfNothingWasDone)
    }

    /// The same with a field of the query, if it has a value.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// The same with a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ClientError> {
        let value = HeaderValue::from_str(value);
        let value = value.map_err(|_| ClientError::BadName { name: name.as_str().to_owned() })?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// The same with JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<Self, ClientError> {
        let json = serde_json::to_vec(value).map_err(|error| ClientError::Start(error.to_string()))?;
        Ok(self.content(Content::Bytes { media_type: JSON, bytes: json.into() }))
    }

    /// The same with other content.
    pub(crate) fn content(self, content: Content<'a>) -> Self {
        Self { content, ..self }
    }

    /// The same for a server that works for some time before it answers.
    pub(crate) fn working(self, works: Duration) -> Self {
        Self { works: Some(works), ..self }
    }

    /// The same for another type of answer.
    pub(crate) fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    /// The same with a new key, by which the server knows it again. So it may be sent twice.
    pub(crate) fn once(self) -> Result<Self, ClientError> {
        let key = random_hex()?;
        Ok(Self { repeat: Repeat::Safe, ..self.header(IDEMPOTENCY_KEY, &key)? })
    }

    /// The same on the condition that the thing still has this version.
    pub(crate) fn if_version(self, version: u64) -> Result<Self, ClientError> {
        self.header(IF_MATCH, &format!("\"{version}\""))
    }
}

/// 128 bits of the operating system's randomness.
fn random_hex() -> Result<String, ClientError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ClientError::Start(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
