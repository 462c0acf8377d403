//! What happens to one execution, from now to its end.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stepbox_api::event::{Event as StateEvent, Gap, Progress};
use stepbox_api::execution::{Execution, LogLine};

use super::{Event, Events};
use crate::error::ClientError;

/// What a stream says of its execution.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionEvent {
    /// The execution as it is when the stream begins, and each time that it connects again.
    Execution(Box<Execution>),
    /// Something has happened to it, or to one of its parts.
    State(StateEvent),
    /// One of its steps has made progress.
    Progress(Progress),
    /// Lines of its log, in their order.
    Log(Vec<LogLine>),
    /// Events were lost. Look at the execution itself.
    Gap(Gap),
    /// The execution as it has ended. Nothing follows.
    End(Box<Execution>),
    /// The stream is over before the execution has ended: the token may no longer see it. Nothing follows.
    Refused,
}

/// The stream of an execution.
///
/// It connects again by itself. No event and no line of the log is lost thereby, and none comes twice.
#[derive(Debug)]
pub struct ExecutionEvents {
    events: Events,
    /// How many lines of the log have come; `None` if no log is asked for.
    lines: Option<u64>,
}

/// Lines of a log, as they are written.
#[derive(Deserialize)]
struct Lines {
    /// The number of the first of them, from 1.
    first: u64,
    lines: Vec<LogLine>,
}

impl ExecutionEvents {
    pub(crate) fn new(events: Events) -> Self {
        Self { events, lines: None }
    }

    /// The same with the log: the lines after this many. 0 is the whole log.
    #[must_use]
    pub fn with_log(mut self, after: u64) -> Self {
        self.lines = Some(after);
        self.events.set("log_after", after);
        self
    }

    /// Waits for the next event; `None` after the last one.
    ///
    /// It is safe to drop the waiting and to wait again.
    pub async fn next(&mut self) -> Result<Option<ExecutionEvent>, ClientError> {
        loop {
            let Some(event) = self.events.next().await? else { return Ok(None) };
            if let Some(event) = self.read(&event)? {
                return Ok(Some(event));
            }
        }
    }

    /// What an event says; `None` for one of a newer version, and for lines that have come before.
    fn read(&mut self, event: &Event) -> Result<Option<ExecutionEvent>, ClientError> {
        Ok(Some(match event.kind.as_str() {
            "execution" => ExecutionEvent::Execution(self.data(event)?),
            "state" => ExecutionEvent::State(self.data(event)?),
            "progress" => ExecutionEvent::Progress(self.data(event)?),
            "gap" => ExecutionEvent::Gap(self.data(event)?),
            "end" => self.data(event).map_or(ExecutionEvent::Refused, ExecutionEvent::End),
            "log" => {
                let Lines { first, lines } = self.data(event)?;
                let known = (self.lines.unwrap_or(0) + 1).saturating_sub(first);
                let fresh: Vec<_> =
                    lines.into_iter().skip(usize::try_from(known).unwrap_or(usize::MAX)).collect();
                if fresh.is_empty() {
                    return Ok(None);
                }
                let lines = first.max(self.lines.unwrap_or(0) + 1) - 1 + fresh.len() as u64;
                self.lines = Some(lines);
                self.events.set("log_after", lines);
                ExecutionEvent::Log(fresh)
            }
            _ => return Ok(None),
        }))
    }

    fn data<T: DeserializeOwned>(&self, event: &Event) -> Result<T, ClientError> {
        let origin = self.events.client.transport().origin();
        serde_json::from_str(&event.data).map_err(|error| {
            let problem = format!("an event of the kind `{}` cannot be read: {error}", event.kind);
            origin.strange(reqwest::StatusCode::OK, problem)
        })
    }
}
