//! The form of a stream of events, as the HTML standard has it.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use stepbox::batch::execution::event::EventNumber;
use tokio::sync::mpsc;

use crate::conventions::answer::Answer;
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Input, parsed};

/// How long a client waits before it connects again.
pub(crate) const RETRY: &str = "retry: 2000\n\n";
/// Sent if nothing happens, so that proxies keep the connection, and so that it is noticed that nobody listens.
pub(crate) const STILL_HERE: &str = ": still here\n\n";
/// How many events may wait for a slow client.
const WAITING: usize = 64;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One event. Whatever is in the data is one line of JSON, so it cannot begin a field of its own.
pub(crate) fn event(kind: &str, id: Option<EventNumber>, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {kind}\n{id}data: {data}\n\n")
}

/// An answer that goes on: what is sent into its channel.
pub(crate) struct EventStream(mpsc::Receiver<String>);

impl EventStream {
    pub(crate) fn new() -> (mpsc::Sender<String>, Self) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (sender, Self(receiver))
    }
}

impl Answer for EventStream {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let pieces = stream::unfold(self.0, |mut receiver| async move {
            let text = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), receiver))
        });
        let mut response = Body::from_stream(pieces).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // Proxies that would gather the events send them on at once.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let text = "Events as they happen: `state`, `progress`, `log`, `gap` if events in between were dropped, and \
                    one `end` after the last.";
        operation.answer(200, text, &[("text/event-stream", json!({ "type": "string" }))]);
    }
}

/// Where a stream begins.
pub(crate) struct From {
    /// The last event that the client has seen; `None` begins now.
    pub(crate) after: Option<EventNumber>,
    /// The last line of the log that the client has seen; `None` sends no log.
    pub(crate) log_after: Option<u64>,
    /// Who asks, for the limit of streams.
    pub(crate) who: String,
}

/// The query of a stream.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The number of the last event that you have seen. The header `Last-Event-ID` goes before it.
    after: Option<u64>,
    /// Send the lines of the log after this one; 0 sends all. Only for one execution.
    log_after: Option<u64>,
}

impl Input for From {
    const TAKES_QUERY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let Asked { after, log_after } = parsed(asking.query())?;
        let last = asking.header(&LAST_EVENT_ID)?.map(str::parse::<u64>);
        let last = last.transpose().map_err(|_| {
            Failure::bad_request("header-invalid", "the header `last-event-id` is no number of an event")
        })?;
        let after = last.or(after).filter(|number| i64::try_from(*number).is_ok());
        let who = asking.who.clone().unwrap_or_default();
        Ok(Self { after: after.map(EventNumber), log_after, who })
    }

    fn describe(operation: &mut Describing) {
        operation.query::<Asked>();
        let text = "The number of the last event that you have seen.";
        operation.parameter(
            "header",
            "Last-Event-ID",
            false,
            json!({ "type": "integer", "minimum": 0 }),
            text,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_leave_its_line() {
        let hostile = "a\nevent: end\n\ndata: b\r\u{2028}";
        let text = event("state", Some(EventNumber(7)), &hostile);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.starts_with("event: state\nid: 7\ndata: \"a\\n"), "{text}");
        assert!(!text.contains('\r'), "{text:?}");
    }
}
