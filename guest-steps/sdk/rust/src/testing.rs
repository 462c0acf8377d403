//! Runs a step natively, in an ordinary unit test.
//!
//! A test prepares the step's environment ([`Host`]), runs the step ([`process`], [`read`], [`write`],
//! [`run`]), and checks the results ([`recorded`]). Each test thread has a host of its own.
//!
//! ```
//! use stepbox_step::testing::{self, Answer, Host};
//! use stepbox_step::{Exit, NoParameters, StepError, Tasklet, execution, http, json};
//!
//! struct Ping;
//!
//! impl Tasklet for Ping {
//!     type Parameters = NoParameters;
//!
//!     fn run(_: NoParameters) -> Result<Exit, StepError> {
//!         let answer = http::get("https://example.com/").send()?;
//!         execution::set_summary("status", &answer.status().to_string());
//!         Ok(Exit::Completed)
//!     }
//! }
//!
//! Host::new().http(|_| Ok(Answer::status(204))).install();
//! testing::run::<Ping>(json!({}))?;
//! assert_eq!(testing::recorded().summary["status"], "204");
//! # Ok::<(), StepError>(())
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use serde_json::Value;

use crate::contract::{Outcome, Question, Rows, Setup, Skipped, Unreadable};
use crate::form::{self, FormDescriber};
use crate::http::HttpError;
use crate::log::Level;
use crate::{Exit, Processor, ProcessorDriver, Reader, ReaderDriver, StepError};
use crate::{Tasklet, Writer, WriterDriver, run_tasklet};

/// The environment of a step. Empty by default: no folders, no hosts, no stop request.
#[derive(Default)]
pub struct Host {
    pub(crate) parameters: Value,
    pub(crate) folders: BTreeMap<String, PathBuf>,
    pub(crate) responder: Option<Box<Responder>>,
    pub(crate) stop_checks_left: Option<u32>,
    pub(crate) recorded: Recorded,
}

pub(crate) type Responder = dyn FnMut(&SentRequest) -> Result<Answer, HttpError>;

/// The results that a step left.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The total number of items; `None` if the step did not report it.
    pub total: Option<u32>,
    /// The number of items that the step reported as done.
    pub processed: u32,
    /// The counters and texts of the summary.
    pub summary: BTreeMap<String, String>,
    /// The reason and the item of each warning.
    pub warnings: Vec<(String, String)>,
    /// The errors for people.
    pub errors: Vec<String>,
    /// The messages of the log.
    pub log: Vec<(Level, String)>,
    /// The values of the execution context, as JSON.
    pub context: BTreeMap<String, String>,
    /// How often the step saved the execution context.
    pub saves: u32,
    /// The requests that were sent, with or without an answer.
    pub requests: Vec<SentRequest>,
}

/// A request as the other side would receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// The method, in upper case.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// The headers that the step set.
    pub headers: Vec<(String, String)>,
    /// The timeout that the step set, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The answer of a test to a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without headers and body.
    pub fn status(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

impl Host {
    /// A host without folders, answers or values.
    pub fn new() -> Host {
        Host::default()
    }

    /// Adds a granted folder: `folder("inbox", dir.path())` makes its files `inbox/…`.
    #[must_use]
    pub fn folder(mut self, name: &str, path: &Path) -> Host {
        self.folders.insert(name.to_owned(), path.to_owned());
        self
    }

    /// Adds a value of an earlier step to the execution context.
    #[must_use]
    pub fn context(mut self, key: &str, value: Value) -> Host {
        self.recorded.context.insert(key.to_owned(), value.to_string());
        self
    }

    /// Answers the requests that the step sends. Without it, all requests are refused.
    #[must_use]
    pub fn http(self, responder: impl FnMut(&SentRequest) -> Result<Answer, HttpError> + 'static) -> Host {
        Host { responder: Some(Box::new(responder)), ..self }
    }

    /// Requests a stop: this many checks return `false`, and the next check returns `true`.
    #[must_use]
    pub fn stop_after_checks(self, checks: u32) -> Host {
        Host { stop_checks_left: Some(checks), ..self }
    }

    /// Makes this the host of all steps that run in this thread from now on.
    pub fn install(self) {
        HOST.with_borrow_mut(|host| *host = self);
    }
}

/// The results that steps in this thread left since the last [`Host::install`].
pub fn recorded() -> Recorded {
    with_host(|host| host.recorded.clone())
}

/// The result of the items that a processor was given.
#[derive(Clone, Debug)]
pub struct Processed {
    /// The columns that the processor returned.
    pub header: Vec<String>,
    /// The kept items.
    pub rows: Rows,
    /// The items that were set aside.
    pub skipped: Vec<Skipped>,
    /// The indexes of the filtered rows.
    pub filtered: Vec<u32>,
}

/// The result of a reader.
#[derive(Clone, Debug)]
pub struct Found {
    /// The columns of its items.
    pub header: Vec<String>,
    /// The items.
    pub rows: Rows,
    /// The parts of the input that could not become items.
    pub unreadable: Vec<Unreadable>,
}

impl Processed {
    /// The kept items, one line for each: see [`lines`].
    pub fn lines(&self) -> Vec<String> {
        lines(&self.rows, self.header.len())
    }
}

impl Found {
    /// The items, one line for each: see [`lines`].
    pub fn lines(&self) -> Vec<String> {
        lines(&self.rows, self.header.len())
    }
}

/// Opens a processor, gives it these items in one batch, and closes it.
pub fn process<P: Processor>(
    parameters: Value,
    header: &[&str],
    items: &[&[&str]],
) -> Result<Processed, StepError> {
    let (mut driver, outgoing) = ProcessorDriver::<P>::open(setup(parameters, header))?;
    let outcome = driver.process(rows(items))?;
    driver.close()?;
    let Outcome { rows, skipped, filtered } = outcome;
    Ok(Processed { header: outgoing, rows, skipped, filtered })
}

/// Opens a reader, reads to the end, and closes it.
pub fn read<R: Reader>(parameters: Value) -> Result<Found, StepError> {
    let (mut driver, header) = ReaderDriver::<R>::open(setup(parameters, &[]))?;
    let chunk = driver.read(u32::MAX, u32::MAX)?;
    driver.close()?;
    Ok(Found { header, rows: chunk.rows, unreadable: chunk.unreadable })
}

/// Opens a writer, gives it these items in one batch, and completes it.
pub fn write<W: Writer>(
    parameters: Value,
    header: &[&str],
    items: &[&[&str]],
) -> Result<Vec<Skipped>, StepError> {
    let mut driver = WriterDriver::<W>::open(setup(parameters, header))?;
    let skipped = driver.write(&rows(items))?;
    driver.complete()?;
    Ok(skipped)
}

/// Runs a tasklet.
pub fn run<T: Tasklet>(parameters: Value) -> Result<Exit, StepError> {
    run_tasklet::<T>(&setup(parameters, &[]))
}

/// Asks a [`FormDescriber`] for its answer, as a form does whose source has these columns.
pub fn describe_form<F: FormDescriber>(parameters: Value, header: &[&str]) -> Result<Value, StepError> {
    let question = Question {
        what: "form".to_owned(),
        parameters: parameters.to_string(),
        header: header.iter().map(|name| (*name).to_owned()).collect(),
        language: "en".to_owned(),
    };
    Ok(serde_json::from_str(&form::describe_form::<F>(question)?)?)
}

/// The setup for a driver's `open`.
///
/// The parameters are the job's as well, for [`execution`](crate::execution).
pub fn setup(parameters: Value, header: &[&str]) -> Setup {
    let header = header.iter().map(|name| (*name).to_owned()).collect();
    let json = parameters.to_string();
    with_host(|host| host.parameters = parameters);
    Setup { header, parameters: json, checkpoint: None }
}

/// A flat batch of these items. For null cells, see [`Rows::push_null`].
pub fn rows(items: &[&[&str]]) -> Rows {
    let mut rows = Rows::default();
    for cell in items.iter().copied().flatten() {
        rows.push(cell.as_bytes());
    }
    rows
}

/// Each item of a batch as a line for a test: cells joined by `|`, null as `NULL`.
pub fn lines(rows: &Rows, columns: usize) -> Vec<String> {
    let text = |index| rows.cell(index).map_or("NULL".into(), String::from_utf8_lossy);
    let line = |first| (first..first + columns).map(text).collect::<Vec<_>>().join("|");
    (0..rows.ends.len()).step_by(columns).map(line).collect()
}

/// Calls `look` with the host of this thread. `look` must not call the step, which uses the host itself.
pub(crate) fn with_host<T>(look: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(look)
}
