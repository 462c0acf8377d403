//! The one place where requests leave: what every request carries, how long it may take, and when it is sent again.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use stepbox_api::problem::{self, Problem};
use tokio::time::{Instant, sleep, timeout};

use crate::address::ServerAddress;
use crate::answer::{Answer, read_whole};
use crate::ask::{Ask, Content};
use crate::error::{ClientError, root_of};
use crate::origin::{Limits, Origin};
use crate::outgoing::Sending;
use crate::retry::{self, Failed, Repeat};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest problem document, in bytes.
const PROBLEM_BYTES_MAX: u64 = 1 << 20;

/// The id under which the server's log has a request.
const REQUEST_ID: &str = "x-request-id";

/// Sends requests to one server.
#[derive(Debug)]
pub(crate) struct Transport {
    http: Client,
    origin: Origin,
    authorization: Option<HeaderValue>,
}

/// An attempt that did not succeed.
struct Miss {
    error: ClientError,
    /// What is known of it; `None` if another attempt would not help.
    failed: Option<FailedOwned>,
}

enum FailedOwned {
    NotSent,
    NotAnswered,
    Answered { status: u16, retry_after: Option<Duration> },
}

impl Transport {
    pub(crate) fn new(
        address: ServerAddress,
        authorization: Option<HeaderValue>,
        tls: rustls::ClientConfig,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        let mut builder = Client::builder()
            .user_agent(concat!("stepbox-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .referer(false)
            .redirect(Policy::none())
            // Which requests are sent again is decided here alone.
            .retry(reqwest::retry::never())
            .tls_backend_preconfigured(tls);
        if !address.has_tls() {
            // A proxy would read the token.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ClientError::Start(root_of(&error)))?;
        Ok(Self { http, origin: Origin { address, limits }, authorization })
    }

    /// The server, and what is expected of it.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a request, again if that is safe and may help, and returns the answer if it is a good one.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer<'_>, ClientError> {
        let (mut attempt, mut may_be_done) = (1, false);
        loop {
            let miss = match self.attempt(&ask).await {
                Ok(answer) => return Ok(answer),
                // The thing that an earlier attempt was to remove is gone.
                Err(miss) if may_be_done && ask.method == Method::DELETE && miss.error.is_not_found() => {
                    return Ok(Answer::nothing(&self.origin));
                }
                Err(miss) => miss,
            };
            let Some(wait) = miss.wait(ask.repeat, attempt) else { return Err(miss.error) };
            may_be_done |= !matches!(miss.failed, Some(FailedOwned::NotSent));
            sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Answer<'_>, Miss> {
        let final_error = |error| Miss { error, failed: None };
        let url = self.origin.address.of(&ask.path, &ask.query).map_err(final_error)?;
        let mut request = self.http.request(ask.method.clone(), url).header(ACCEPT, ask.accept);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut sending = None;
        request = match &ask.content {
            Content::Nothing => request,
            Content::Bytes { media_type, bytes } => {
                request.header(CONTENT_TYPE, *media_type).body(bytes.clone())
            }
            Content::File { media_type, file } => {
                let (body, state) = file.body().await.map_err(final_error)?;
                sending = Some(state);
                request
                    .header(CONTENT_TYPE, *media_type)
                    .header(CONTENT_LENGTH, file.length())
                    .body(reqwest::Body::wrap(body))
            }
        };
        let sent = self.head(request.send(), sending.as_ref(), ask.works).await;
        match sent {
            Ok(response) => self.judged(response, ask.accept).await,
            Err(miss) => match (&ask.content, sending.and_then(|sending| sending.take_error())) {
                (Content::File { file, .. }, Some(error)) => Err(final_error(file.unreadable(error))),
                _ => Err(miss),
            },
        }
    }

    /// Waits for the head of an answer. The time counts from the last bytes that were sent.
    async fn head(
        &self,
        response: impl Future<Output = reqwest::Result<Response>>,
        sending: Option<&Sending>,
        works: Option<Duration>,
    ) -> Result<Response, Miss> {
        let silence_max = self.origin.limits.silence_max.max(works.unwrap_or_default());
        let (mut seen, mut until) = (0, Instant::now() + silence_max);
        tokio::pin!(response);
        loop {
            tokio::select! {
                response = &mut response => return response.map_err(|error| self.unsent(error)),
                () = tokio::time::sleep_until(until) => {
                    let sent = sending.map_or(0, Sending::bytes);
                    if sent == seen {
                        return Err(Miss { error: self.origin.silent(), failed: Some(FailedOwned::NotAnswered) });
                    }
                    (seen, until) = (sent, Instant::now() + silence_max);
                }
            }
        }
    }

    fn unsent(&self, error: reqwest::Error) -> Miss {
        let server = self.origin.server();
        match error.is_connect() {
            true => Miss {
                error: ClientError::Unreachable { server, problem: root_of(&error) },
                failed: Some(FailedOwned::NotSent),
            },
            false => Miss {
                error: ClientError::BrokenOff { server, problem: root_of(&error) },
                failed: Some(FailedOwned::NotAnswered),
            },
        }
    }

    /// An answer that is what was asked for, or the error that it is.
    async fn judged(&self, response: Response, accept: &str) -> Result<Answer<'_>, Miss> {
        let (status, headers) = (response.status(), response.headers().clone());
        let final_error = |error| Miss { error, failed: None };
        if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
            return Err(final_error(
                self.origin.strange(status, "the answer is compressed, which nobody asked for"),
            ));
        }
        if status.is_success() {
            let has_content = status != StatusCode::NO_CONTENT;
            return match has_content && !is_of_type(&headers, accept) {
                true => Err(final_error(self.origin.strange(status, of_other_type(&headers, accept)))),
                false => Ok(Answer::new(&self.origin, response)),
            };
        }
        let error = match status {
            _ if status.is_redirection() => self.origin.strange(status, redirected(&headers)),
            _ if is_of_type(&headers, problem::MEDIA_TYPE) => self.problem(response).await,
            _ => self.origin.strange(status, format!("it answers {status} without a problem document")),
        };
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        // The form with a date is not used by Stepbox, and would need a clock that agrees.
        let retry_after = retry_after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let failed = FailedOwned::Answered { status: status.as_u16(), retry_after };
        Err(Miss { error, failed: Some(failed) })
    }

    /// The problem that an answer tells.
    async fn problem(&self, response: Response) -> ClientError {
        let status = response.status();
        let request_id =
            response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let read = timeout(
            self.origin.limits.answer_time_max,
            read_whole(&self.origin, response, PROBLEM_BYTES_MAX),
        )
        .await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return error,
            Err(_) => return self.origin.silent(),
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            // The status of the answer counts, whatever the document says.
            Ok(problem) => {
                let request_id = problem.request_id.clone().or(request_id);
                Problem { status: status.as_u16(), request_id, ..problem }.into()
            }
            Err(error) => {
                self.origin.strange(status, format!("its problem document cannot be read: {error}"))
            }
        }
    }
}

impl Miss {
    /// How long to wait before the next attempt; `None` if there is none.
    fn wait(&self, repeat: Repeat, attempt: u32) -> Option<Duration> {
        let code = self.error.code();
        let failed = match *self.failed.as_ref()? {
            FailedOwned::NotSent => Failed::NotSent,
            FailedOwned::NotAnswered => Failed::NotAnswered,
            FailedOwned::Answered { status, retry_after } => Failed::Answered { status, code, retry_after },
        };
        retry::wait(failed, repeat, attempt, jitter())
    }
}

/// From 0 to 1. Without randomness, all clients come back at once, which is no error.
fn jitter() -> f64 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// Whether an answer has a type; its parameters do not count. `*/*` is every type.
fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let found = headers.get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    let found = found.split(';').next().unwrap_or_default().trim();
    wanted == "*/*" || found.eq_ignore_ascii_case(wanted)
}

fn of_other_type(headers: &HeaderMap, wanted: &str) -> String {
    match headers.get(CONTENT_TYPE).map(|found| String::from_utf8_lossy(found.as_bytes())) {
        Some(found) => format!("the answer is of the type `{}`, not `{wanted}`", cut(&found)),
        None => format!("the answer has no type, and should be `{wanted}`"),
    }
}

fn redirected(headers: &HeaderMap) -> String {
    match headers.get(LOCATION).map(|found| String::from_utf8_lossy(found.as_bytes())) {
        Some(to) => {
            format!("it sends requests elsewhere, to `{}`, where this client does not follow", cut(&to))
        }
        None => "it sends requests elsewhere".to_owned(),
    }
}

/// The beginning of a text that a stranger has written.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
