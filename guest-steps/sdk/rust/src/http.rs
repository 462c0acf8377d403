//! HTTP requests within the grants of this step.
//!
//! ```no_run
//! use stepbox_step::http;
//!
//! let answer = http::post("https://api.example.com/hook")
//!     .header("content-type", "application/json")
//!     .body(r#"{"done": true}"#)
//!     .send()?;
//! assert!(answer.is_success());
//! # Ok::<(), http::HttpError>(())
//! ```
//!
//! An answer with any status is an answer and not an error. Redirects are answers as well: to follow one,
//! send a new request.

use std::fmt::{self, Display};
use std::io::{self, Read};

use crate::{StepError, host};

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No grant of the step covers this request, or the operator does not allow it. The text names the rule
    /// that refused the request. If a grant is missing, the text has the line that would grant it.
    Refused(String),
    /// The URL, the method or a header cannot be sent.
    BadRequest(String),
    /// The host does not resolve, does not accept the connection, or breaks it off.
    Unreachable(String),
    /// A phase of the request took too long. The text names the phase.
    TimedOut(String),
    /// A limit of the step was reached. The text names it.
    OverLimit(String),
}

/// A request before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout_ms: Option<u32>,
    body: Vec<u8>,
}

/// A request in progress, whose body is being written.
pub struct Exchange(host::Exchange);

/// An answer whose head has arrived. Its body is read piece by piece.
pub struct Response(host::Response);

/// A `GET` request.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `POST` request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A request with any method, in upper case.
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request {
        method: method.to_owned(),
        url: url.into(),
        headers: Vec::new(),
        timeout_ms: None,
        body: Vec::new(),
    }
}

impl Request {
    /// Adds a header. The runtime sets `host`, `connection` and `content-length` itself.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets how long everything up to the answer's head may take, in milliseconds. The default is 30,000.
    #[must_use]
    pub fn timeout_ms(self, timeout_ms: u32) -> Request {
        Request { timeout_ms: Some(timeout_ms), ..self }
    }

    /// Sets the body for [`send`](Request::send).
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Request {
        Request { body: body.into(), ..self }
    }

    /// Sends the request and waits for the answer's head.
    ///
    /// A body over 1 MiB is sent in pieces, so the other side does not know its length in advance.
    pub fn send(mut self) -> Result<Response, HttpError> {
        if host::piece(&self.body).len() == self.body.len() {
            return host::send(&self, &self.body).map(Response);
        }
        let body = std::mem::take(&mut self.body);
        let mut exchange = host::Exchange::start(&self)?;
        body.chunks(host::PIECE_BYTES).try_for_each(|piece| exchange.write(piece))?;
        exchange.finish().map(Response)
    }

    /// Sends the head. The body is then written piece by piece.
    pub fn start(self) -> Result<Exchange, HttpError> {
        host::Exchange::start(&self).map(Exchange)
    }
}

impl Exchange {
    /// Ends the body and waits for the answer's head.
    pub fn finish(self) -> Result<Response, HttpError> {
        self.0.finish().map(Response)
    }
}

impl io::Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = host::piece(bytes);
        self.0.write(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// All headers.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.0.headers()
    }

    /// Reads at most `bytes_max` bytes of the body as text. Bytes that are not UTF-8 are replaced.
    pub fn text(&mut self, bytes_max: u64) -> io::Result<String> {
        let mut body = Vec::new();
        self.take(bytes_max).read_to_end(&mut body)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let bytes = self.0.read(wanted)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl HttpError {
    fn code(&self) -> &'static str {
        match self {
            HttpError::Refused(_) => "http-refused",
            HttpError::BadRequest(_) => "http-bad-request",
            HttpError::Unreachable(_) => "http-unreachable",
            HttpError::TimedOut(_) => "http-timed-out",
            HttpError::OverLimit(_) => "http-over-limit",
        }
    }
}

impl Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Refused(why) => write!(f, "refused: {why}"),
            HttpError::BadRequest(why) => write!(f, "not a request that could be sent: {why}"),
            HttpError::Unreachable(why) => write!(f, "unreachable: {why}"),
            HttpError::TimedOut(phase) => write!(f, "timed out: {phase}"),
            HttpError::OverLimit(which) => write!(f, "a limit is reached: {which}"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<HttpError> for io::Error {
    fn from(error: HttpError) -> io::Error {
        let kind = match error {
            HttpError::Refused(_) => io::ErrorKind::PermissionDenied,
            HttpError::BadRequest(_) => io::ErrorKind::InvalidInput,
            HttpError::Unreachable(_) => io::ErrorKind::HostUnreachable,
            HttpError::TimedOut(_) => io::ErrorKind::TimedOut,
            HttpError::OverLimit(_) => io::ErrorKind::QuotaExceeded,
        };
        io::Error::new(kind, error)
    }
}

/// The error is retryable if the host may answer another try.
impl From<HttpError> for StepError {
    fn from(error: HttpError) -> StepError {
        let retryable = matches!(error, HttpError::Unreachable(_) | HttpError::TimedOut(_));
        StepError { retryable, ..StepError::new(error.code(), &error) }
    }
}
