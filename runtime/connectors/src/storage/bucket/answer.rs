//! The answers that a bucket may give, and how much of an answer is taken. Every answer passes through this module.
//!
//! A bucket is another machine, and so are the gateways before it. An answer must have a length that its request
//! allows, arrive with at least the minimum speed, and be about what was requested. Any other answer is refused before
//! it takes memory or time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request, Response, StatusCode};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use tokio::time::{Instant, Sleep, sleep};

use super::page;

/// The largest length of an error's text, in bytes. The rest is cut off.
const ERROR_BYTES_MAX: u64 = 64 << 10;
/// The largest length in bytes of a page of a list, and of a server's report on what it did.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// The largest length in bytes of an object that is read in one go, unless its reader sets another limit.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// The minimum speed of an answer: this many bytes in each [`SPEED_TIME`], unless the answer ends before.
const SPEED_BYTES: u64 = 64 << 10;
const SPEED_TIME: Duration = Duration::from_secs(30);

/// The facts that the sender of a request knows about the answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// The length of the object of which a range is read, as the bucket gave it before, in bytes.
    pub(super) object_bytes: Option<u64>,
    /// The largest length of an object that is read in one go, in bytes.
    pub(super) bytes_max: Option<u64>,
    /// The token in the last page of a list, which names the next page.
    pub(super) last_token: Arc<Mutex<Option<String>>>,
}

tokio::task_local! {
    /// The facts about the answers to the requests of this task.
    pub(super) static ASKED: Asked;
}

/// Why an answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The answer is longer than the request allows.
    #[error("sends more than it was asked for")]
    TooLong,
    /// The answer is slower than that of a bucket that works.
    #[error("sends less than 64 KiB in 30 seconds")]
    TooSlow,
    /// The answer has another range, or none.
    #[error("answers with other bytes than those it was asked for")]
    OtherRange,
    /// The answer does not give its length.
    #[error("does not say how long its answer is")]
    NoLength,
    /// A list has a next page, but this page is empty, or the token of the next page is missing or the last one again.
    #[error("sends a list that does not end")]
    EndlessList,
    /// The bucket takes an object, and does not confirm which object it has.
    #[error("does not say that it has kept what it was sent")]
    NotKept,
    /// The length of the object has changed.
    #[error("has an object of another length than it said")]
    OtherLength,
}

impl From<BadAnswer> for Error {
    fn from(bad: BadAnswer) -> Self {
        let error = Self::new(ErrorKind::Unexpected, bad.to_string()).set_source(bad);
        // The next answer may not come from a faulty gateway. An answer that is too long, or another object, stays so.
        match bad {
            BadAnswer::TooSlow | BadAnswer::NotKept => error.set_temporary(),
            _ => error,
        }
    }
}

/// Sends requests, and lets only the requested part of the answers through.
pub(in crate::storage) struct Door<T>(pub(in crate::storage) T);

impl<T: HttpTransport> HttpTransport for Door<T> {
    async fn fetch(&self, request: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        let asked = ASKED.try_with(Asked::clone).unwrap_or_default();
        let question = Question::of(&request);
        let (mut head, body) = self.0.fetch(request).await?.into_parts();
        let allowed = question.judge(head.status, &head.headers, &asked)?;
        let mut body = body.map_inner(|stream| Box::new(Bounded::new(stream, allowed)));
        let prefix = match question {
            Question::List { prefix } if head.status.is_success() => prefix,
            _ => return Ok(Response::from_parts(head, body)),
        };
        let text = body.to_buffer().await?.to_bytes();
        let page = page::read(&text, &prefix).ok_or_else(unreadable)?;
        let mut last_token = asked.last_token.lock().unwrap_or_else(PoisonError::into_inner);
        if page.is_truncated && (page.keys == 0 || page.token.is_none() || page.token == *last_token) {
            return Err(BadAnswer::EndlessList.into());
        }
        *last_token = page.token;
        head.headers.remove(header::CONTENT_LENGTH);
        let text = Bytes::from(page.text);
        let whole = futures_util::stream::iter([Ok(Buffer::from(text))]);
        Ok(Response::from_parts(head, HttpBody::new(whole, None)))
    }
}

/// A list that is cut off when the server is busy may be complete the next time.
fn unreadable() -> Error {
    Error::new(ErrorKind::Unexpected, "the list cannot be read").set_temporary()
}

/// The kind of a request, as far as the length of the answer depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    /// The metadata of an object.
    Head,
    /// The names below a prefix.
    List { prefix: String },
    /// The content of an object, or the range from the first to the last byte.
    Read { range: Option<(u64, u64)> },
    /// To store an object, or a part of one.
    Keep,
    /// Any other request: to begin, to complete, to remove.
    Other,
}

impl Question {
    fn of(request: &Request<Buffer>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let query = || url::form_urlencoded::parse(query.as_bytes());
        match *request.method() {
            Method::HEAD => Self::Head,
            Method::GET if query().any(|(name, _)| name == "list-type") => {
                let prefix = query().find(|(name, _)| name == "prefix");
                Self::List { prefix: prefix.map(|(_, prefix)| prefix.into_owned()).unwrap_or_default() }
            }
            Method::GET => {
                let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
                Self::Read { range: range.and_then(asked_range) }
            }
            Method::PUT => Self::Keep,
            _ => Self::Other,
        }
    }

    /// How much of the answer is taken, or why it is refused.
    fn judge(&self, status: StatusCode, headers: &HeaderMap, asked: &Asked) -> Result<Allowed, BadAnswer> {
        if !status.is_success() {
            return Ok(Allowed::cut_off(ERROR_BYTES_MAX));
        }
        match *self {
            Self::Read { range: Some((first, last)) } => {
                let length = last - first + 1;
                if status == StatusCode::PARTIAL_CONTENT {
                    let found = text(headers, header::CONTENT_RANGE).and_then(content_range);
                    let (from, to, total) = found.ok_or(BadAnswer::OtherRange)?;
                    if asked.object_bytes.is_some_and(|bytes| total.is_some_and(|total| total != bytes)) {
                        return Err(BadAnswer::OtherLength);
                    }
                    if (from, to) != (first, last) {
                        return Err(BadAnswer::OtherRange);
                    }
                } else if first > 0 {
                    return Err(BadAnswer::OtherRange);
                } else {
                    let found = content_length(headers).ok_or(BadAnswer::NoLength)?;
                    if asked.object_bytes.is_some_and(|bytes| bytes != found) {
                        return Err(BadAnswer::OtherLength);
                    }
                }
                Allowed::refusing(length, headers)
            }
            Self::Read { range: None } if content_length(headers).is_none() => Err(BadAnswer::NoLength),
            Self::Read { range: None } => {
                let max = asked.bytes_max.unwrap_or(OBJECT_BYTES_MAX);
                Allowed::refusing(max, headers)
            }
            Self::Keep if text(headers, header::ETAG).is_none() => Err(BadAnswer::NotKept),
            Self::Head => Ok(Allowed::cut_off(0)),
            Self::List { .. } | Self::Keep | Self::Other => Allowed::refusing(TEXT_BYTES_MAX, headers),
        }
    }
}

/// The first and the last byte of `bytes=0-9`, the form of a request.
fn asked_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

/// The first and the last byte of `bytes 0-9/100`, and the length of the object; `None` for the length `*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// How many bytes of a body are taken. Further bytes are refused or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowed {
    bytes_max: u64,
    refuses_more: bool,
}

impl Allowed {
    fn cut_off(bytes_max: u64) -> Self {
        Self { bytes_max, refuses_more: false }
    }

    /// The limit for an answer that must not be longer. If its header says that it is, it is refused before any of it
    /// is read.
    fn refusing(bytes_max: u64, headers: &HeaderMap) -> Result<Self, BadAnswer> {
        match content_length(headers) {
            Some(length) if length > bytes_max => Err(BadAnswer::TooLong),
            _ => Ok(Self { bytes_max, refuses_more: true }),
        }
    }
}

/// A body that is taken only up to its limit, and only with at least the minimum speed.
struct Bounded {
    body: Body,
    left: u64,
    refuses_more: bool,
    /// The end of the current period for the minimum speed, after the first wait.
    window: Option<Pin<Box<Sleep>>>,
    window_bytes: u64,
}

type Body = Box<dyn Stream<Item = opendal_core::Result<Buffer>> + Send + Sync + Unpin + 'static>;

impl Bounded {
    fn new(body: Body, Allowed { bytes_max, refuses_more }: Allowed) -> Self {
        Self { body, left: bytes_max, refuses_more, window: None, window_bytes: 0 }
    }

    /// The bytes of a piece that may be taken.
    fn admit(&mut self, piece: Buffer) -> Option<opendal_core::Result<Buffer>> {
        let length = piece.len() as u64;
        self.window_bytes += length;
        if length <= self.left {
            self.left -= length;
            return Some(Ok(piece));
        }
        if self.refuses_more {
            return Some(Err(BadAnswer::TooLong.into()));
        }
        let rest = std::mem::take(&mut self.left) as usize;
        (rest > 0).then(|| Ok(piece.slice(..rest)))
    }

    /// Whether fewer bytes than the minimum have come in a period.
    fn is_too_slow(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let window = self.window.get_or_insert_with(|| Box::pin(sleep(SPEED_TIME)));
            if window.as_mut().poll(context).is_pending() {
                return false;
            }
            if self.window_bytes < SPEED_BYTES {
                return true;
            }
            window.as_mut().reset(Instant::now() + SPEED_TIME);
            self.window_bytes = 0;
        }
    }
}

impl Stream for Bounded {
    type Item = opendal_core::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.body.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(piece))) => Poll::Ready(self.admit(piece)),
            Poll::Pending if self.is_too_slow(context) => Poll::Ready(Some(Err(BadAnswer::TooSlow.into()))),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn judged(question: &Question, status: u16, headers: &[(&'static str, &str)], asked: &Asked) -> String {
        let pairs = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"))
        });
        let headers = pairs.collect();
        match question.judge(StatusCode::from_u16(status).expect("a status"), &headers, asked) {
            Ok(Allowed { bytes_max, refuses_more }) => {
                format!("{bytes_max}{}", if refuses_more { "" } else { " cut off" })
            }
            Err(bad) => format!("{bad:?}"),
        }
    }

    #[test]
    fn an_answer_is_as_long_as_its_question_allows() {
        let asked = Asked { object_bytes: Some(100), ..Asked::default() };
        let range = Question::Read { range: Some((10, 19)) };
        let first = Question::Read { range: Some((0, 9)) };
        let whole = Question::Read { range: None };
        let list = Question::List { prefix: String::new() };
        let rows: [(&Question, u16, &[(&str, &str)], &str); 20] = [
            (&range, 206, &[("content-range", "bytes 10-19/100")], "10"),
            (&range, 206, &[("content-range", "bytes 10-19/*")], "10"),
            (&range, 206, &[("content-range", "bytes 10-19/101")], "OtherLength"),
            (&range, 206, &[("content-range", "bytes 0-9/100")], "OtherRange"),
            (&range, 206, &[("content-range", "bytes 10-29/100")], "OtherRange"),
            (&range, 206, &[("content-range", "bytes 10-/100")], "OtherRange"),
            (&range, 206, &[], "OtherRange"),
            (&range, 206, &[("content-range", "bytes 10-19/100"), ("content-length", "11")], "TooLong"),
            (&range, 200, &[], "OtherRange"),
            (&range, 403, &[("content-length", "99999999")], "65536 cut off"),
            (&first, 200, &[("content-length", "100")], "TooLong"),
            (&first, 200, &[("content-length", "9")], "OtherLength"),
            (&first, 200, &[], "NoLength"),
            (&whole, 200, &[], "NoLength"),
            (&whole, 200, &[("content-length", "7")], "67108864"),
            (&whole, 200, &[("content-length", "67108865")], "TooLong"),
            (&list, 200, &[("content-length", "4194305")], "TooLong"),
            (&Question::Keep, 200, &[], "NotKept"),
            (&Question::Keep, 200, &[("etag", "\"0\"")], "4194304"),
            (&Question::Head, 200, &[("content-length", "1152921504606846976")], "0 cut off"),
        ];
        for (question, status, headers, expected) in rows {
            assert_eq!(
                judged(question, status, headers, &asked),
                expected,
                "{question:?} {status} {headers:?}"
            );
        }
        let small = Asked { bytes_max: Some(7), ..Asked::default() };
        assert_eq!(judged(&whole, 200, &[("content-length", "7")], &small), "7");
    }

    #[test]
    fn a_question_is_what_its_request_says() {
        let check = |method: &str, uri: &str, range: Option<&str>, expected: Question| {
            let mut request = Request::builder().method(method).uri(uri);
            if let Some(range) = range {
                request = request.header(header::RANGE, range);
            }
            assert_eq!(Question::of(&request.body(Buffer::new()).expect("a request")), expected, "{uri}");
        };
        let list = Question::List { prefix: "shop/out/.a b/".to_owned() };
        check("GET", "http://h/acme?list-type=2&prefix=shop/out/.a%20b/&max-keys=9", None, list);
        check("GET", "http://h/acme/in.csv", Some("bytes=0-9"), Question::Read { range: Some((0, 9)) });
        check("GET", "http://h/acme/in.csv", Some("bytes=9-0"), Question::Read { range: None });
        check("GET", "http://h/acme/in.csv", None, Question::Read { range: None });
        check("HEAD", "http://h/acme/in.csv", None, Question::Head);
        check("PUT", "http://h/acme/in.csv?partNumber=1&uploadId=x", None, Question::Keep);
        check("POST", "http://h/acme/in.csv?uploadId=x", None, Question::Other);
    }

    fn body(pieces: Vec<&'static [u8]>) -> Body {
        Box::new(futures_util::stream::iter(
            pieces.into_iter().map(|piece| Ok(Buffer::from(Bytes::from_static(piece)))),
        ))
    }

    async fn taken(body: Body, allowed: Allowed) -> String {
        let mut bounded = Bounded::new(body, allowed);
        let mut found = String::new();
        while let Some(piece) = bounded.next().await {
            match piece {
                Ok(piece) => found.push_str(&String::from_utf8(piece.to_vec()).expect("text")),
                Err(error) => return format!("{found}: {}", error.message()),
            }
        }
        found
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_taken_than_is_allowed_and_no_slower() {
        let refusing = |bytes_max| Allowed { bytes_max, refuses_more: true };
        assert_eq!(taken(body(vec![b"abc", b"de"]), refusing(5)).await, "abcde");
        assert_eq!(
            taken(body(vec![b"abc", b"de"]), refusing(4)).await,
            "abc: sends more than it was asked for"
        );
        assert_eq!(taken(body(vec![b"abc", b"de", b"f"]), Allowed::cut_off(4)).await, "abcd");
        let slow = "sends less than 64 KiB in 30 seconds";
        assert_eq!(taken(Box::new(futures_util::stream::pending()), refusing(9)).await, format!(": {slow}"));
        let drips = |bytes: usize| -> Body {
            let piece = move |_| async move {
                sleep(Duration::from_secs(1)).await;
                Ok(Buffer::from(vec![b'x'; bytes]))
            };
            Box::new(Box::pin(futures_util::stream::iter(0..100).then(piece)))
        };
        assert!(taken(drips(1), refusing(1 << 20)).await.ends_with(slow));
        assert_eq!(taken(drips(3000), refusing(1 << 20)).await.len(), 300_000);
    }
}
