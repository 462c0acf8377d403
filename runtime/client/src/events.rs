//! Events of executions, as the server sends them. A reader that loses its connection continues where it was.

mod of_execution;
mod parser;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderName;
use tokio::time::{sleep, timeout};

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;
use parser::Parser;

pub use of_execution::{ExecutionEvent, ExecutionEvents};

const EVENT_STREAM: &str = "text/event-stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a reader waits before it connects again, unless the server says otherwise.
const RECONNECT: Duration = Duration::from_secs(1);

/// The kind of the last event of a stream.
const END: &str = "end";

/// The longest wait that a server may ask for.
const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// How often a reader connects again without hearing anything new, before it gives up.
const IN_VAIN_MAX: u32 = 5;

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind: `ended`. New versions add kinds, which a reader leaves out.
    pub kind: String,
    /// Its data, as a rule a JSON object.
    pub data: String,
    /// Where a reader continues after this event; `None` if the server numbers no events.
    pub id: Option<String>,
}

/// A stream of events.
///
/// [`next`](Self::next) waits for the next event, and connects again if the connection is lost: no event is lost
/// thereby, and none comes twice. If the server no longer has the events in between, it sends one of the kind `gap`.
#[derive(Debug)]
pub struct Events {
    client: Client,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    last_id: Option<String>,
    parser: Parser,
    response: Option<Response>,
    waiting: VecDeque<Event>,
    in_vain: u32,
    is_at_end: bool,
}

impl Events {
    pub(crate) fn new(client: Client, path: Vec<String>, query: Vec<(&'static str, String)>) -> Self {
        let (parser, waiting) = (Parser::default(), VecDeque::new());
        let (last_id, response) = (None, None);
        Self { client, path, query, last_id, parser, response, waiting, in_vain: 0, is_at_end: false }
    }

    /// The same after an event: a reader that has stored its [`id`](Event::id) hears what came since.
    #[must_use]
    pub fn after(self, id: impl Into<String>) -> Self {
        Self { last_id: Some(id.into()), ..self }
    }

    /// The same with a field of the query, also for the connections to come.
    pub(crate) fn set(&mut self, name: &'static str, value: impl ToString) {
        self.query.retain(|(known, _)| *known != name);
        self.query.push((name, value.to_string()));
    }

    /// Waits for the next event; `None` after the event `end`.
    ///
    /// It is safe to drop the waiting and to wait again.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.last_id.clone_from(&event.id);
                if event.kind == END {
                    // Whatever a server might say after it.
                    self.waiting.clear();
                    (self.response, self.is_at_end) = (None, true);
                }
                return Ok(Some(event));
            }
            if self.is_at_end {
                return Ok(None);
            }
            match self.piece().await? {
                Some(piece) => self.read(&piece)?,
                None => self.lost().await?,
            }
        }
    }

    /// The next bytes; `None` if the connection is lost.
    async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.response.is_none() {
            self.response = match self.connect().await {
                // A server that starts again is back in a moment.
                Err(error) if is_passing(&error) && self.in_vain < IN_VAIN_MAX => return Ok(None),
                response => response?,
            };
        }
        let Some(response) = &mut self.response else { return Ok(None) };
        // A living server sends a comment now and then, if nothing happens.
        let silence_max = self.client.transport().origin().limits.silence_max;
        match timeout(silence_max, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    async fn connect(&self) -> Result<Option<Response>, ClientError> {
        let mut ask = Ask::get(self.path.iter().map(String::as_str).collect()).accept(EVENT_STREAM);
        ask.query.clone_from(&self.query);
        if let Some(id) = &self.last_id {
            ask = ask.header(LAST_EVENT_ID, id)?;
        }
        Ok(self.client.transport().send(ask).await?.into_response())
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), ClientError> {
        let origin = self.client.transport().origin();
        let strange = |problem: &str| origin.strange(reqwest::StatusCode::OK, problem);
        for written in self.parser.feed(piece).map_err(|broken| strange(broken.in_words()))? {
            let id = written.id.or_else(|| self.last_id.clone());
            self.waiting.push_back(Event { kind: written.kind, data: written.data, id });
            self.in_vain = 0;
        }
        Ok(())
    }

    /// Waits until the next attempt, unless there were too many that brought nothing.
    async fn lost(&mut self) -> Result<(), ClientError> {
        self.response = None;
        self.in_vain += 1;
        if self.in_vain > IN_VAIN_MAX {
            let server = self.client.transport().origin().server();
            let problem = "the event stream ends again and again".to_owned();
            return Err(ClientError::BrokenOff { server, problem });
        }
        let wait = self.parser.retry().unwrap_or(RECONNECT * self.in_vain).min(RECONNECT_MAX);
        self.parser.restart();
        sleep(wait).await;
        Ok(())
    }
}

/// Whether the server may be back soon.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::BrokenOff { .. } | ClientError::Silent { .. } => true,
        error => matches!(error.status(), Some(502..=504)),
    }
}
