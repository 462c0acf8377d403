//! The common part of both readers' targets: a file is read in windows and chunks of any size, and a run that
//! continues from a checkpoint, good or forged, is compared with an undisturbed one.

use std::cell::LazyCell;
use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::element::{Chunk, ItemReader, More, Opening, Total};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::ExecutionContext;
use stepbox::batch::findings::Findings;
use stepbox::batch::job::ChunkLimit;
use stepbox::batch::log::NoLog;
use stepbox::batch::name::{JobExecutionId, StepName};
use stepbox::batch::run_context::{RunContext, RunInfo};
use stepbox::batch::step_context::StepContext;
use stepbox_connectors::fuzzing::{self, set_window_bytes};
use stepbox_connectors::{CODES, Folders, native_reader};
use tempfile::TempDir;

use crate::oracle;

/// An item and the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) line: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Row(Vec<Option<String>>),
    /// An item that cannot be read: the code, and its text.
    Unreadable(String, String),
}

/// The result of reading a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) header: Vec<String>,
    pub(super) items: Vec<Item>,
    /// The code of the error that ended it early.
    pub(super) failure: Option<String>,
}

/// How a file is read, as two bytes decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    window_bytes: usize,
    limit: ChunkLimit,
    /// The number of chunks after which the second run takes over.
    chunks: usize,
    forgery: usize,
}

impl Manner {
    pub(super) fn of(one: u8, other: u8) -> Self {
        let (one, other) = (usize::from(one), usize::from(other));
        Self {
            window_bytes: [1, 2, 3, 5, 8, 16, 61, 4096][one % 8],
            limit: ChunkLimit { rows: [1, 2, 3, 7][one / 8 % 4], bytes: [1, 9, 64, u32::MAX][one / 32 % 4] },
            chunks: other % 16,
            forgery: other / 16,
        }
    }
}

/// The place where a run is interrupted.
struct Checkpoint {
    before: Outcome,
    state: Vec<u8>,
}

/// A reader's file, in a folder that is used again.
pub(super) struct Input<'a> {
    reader: &'static str,
    options: &'a Value,
    folders: Folders,
}

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("there is room"));
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: &'static str, options: &'a Value, content: &[u8]) -> Self {
        let folder = FOLDER.with(|folder| folder.path().to_owned());
        fs::write(folder.join("in"), content).expect("there is room");
        Self { reader, options, folders: Folders::anywhere(folder) }
    }

    /// Reads the file in this manner and in one piece. Returns the result.
    pub(super) fn check(&self, manner: Manner) -> Outcome {
        set_window_bytes(8192);
        let (whole, _) = self.read(None, ChunkLimit { rows: u32::MAX, bytes: u32::MAX }, usize::MAX);
        set_window_bytes(manner.window_bytes);
        let (pieces, checkpoint) = self.read(None, manner.limit, manner.chunks);
        pieces.assert_same(&whole);
        if let Some(Checkpoint { mut before, state }) = checkpoint {
            let (resumed, _) = self.read(Some(&state), manner.limit, usize::MAX);
            before.items.extend(resumed.items);
            let resumed = Outcome { items: before.items, ..resumed };
            resumed.assert_same(&pieces);
            self.check_state(&forged(&state, manner.forgery));
        }
        self.check_parts(&pieces, manner);
        pieces
    }

    /// Reads the file in parts: together they are the whole. A defect of the file is found as well, at the latest by
    /// the reader of its part.
    fn check_parts(&self, whole: &Outcome, manner: Manner) {
        let mut reader = self.reader().expect("it was made before");
        let opening = Opening { header: &[], state: None, context: &step_context(), fragment: None };
        let states = match at_once(reader.split(opening, 1 + manner.chunks as u32 % 5)) {
            Ok(states) => states.expect("it can be split"),
            Err(Halt::Failed(ElementError { code, .. })) => {
                assert!(CODES.contains(&&*code), "`{code}` is no code of a connector");
                return assert!(whole.failure.is_some(), "`{code}`, and nobody else finds it");
            }
            Err(Halt::Stopped) => panic!("nobody stopped it"),
        };
        let mut together = Outcome { header: whole.header.clone(), ..Outcome::default() };
        for (number, state) in states.iter().enumerate() {
            let (part, _) = self.read(Some(state), manner.limit, usize::MAX);
            assert!(states.len() == 1 || !part.items.is_empty() || part.failure.is_some(), "an empty part");
            together.items.extend(part.items);
            together.failure = together.failure.or(part.failure);
            if together.failure.is_some() {
                break;
            }
            if number == 0 {
                self.check_state(&forged(state, manner.forgery));
            }
        }
        together.assert_same(whole);
    }

    fn reader(&self) -> Result<Box<dyn ItemReader>, ElementError> {
        Ok(native_reader(self.reader, &fuzzing::setup(self.options, &self.folders))?.expect("it is native"))
    }

    /// Reads on from any bytes in place of a checkpoint.
    pub(super) fn check_state(&self, state: &[u8]) {
        let (outcome, _) = self.read(Some(state), ChunkLimit::default(), usize::MAX);
        drop(outcome);
    }

    /// Reads everything. Also returns the checkpoint after this many chunks, if there are as many.
    fn read(&self, state: Option<&[u8]>, limit: ChunkLimit, chunks: usize) -> (Outcome, Option<Checkpoint>) {
        let (mut outcome, mut checkpoint) = (Outcome::default(), None);
        let read = self.read_into(&mut outcome, &mut checkpoint, state, limit, chunks);
        if let Err(error) = at_once(read) {
            let Halt::Failed(ElementError { code, .. }) = error else { panic!("nobody stopped it") };
            assert!(CODES.contains(&&*code), "`{code}` is no code of a connector");
            outcome.failure = Some(code.into_owned());
        }
        (outcome, checkpoint)
    }

    async fn read_into(
        &self,
        outcome: &mut Outcome,
        checkpoint: &mut Option<Checkpoint>,
        state: Option<&[u8]>,
        limit: ChunkLimit,
        chunks: usize,
    ) -> Result<(), Halt> {
        let mut reader = self.reader()?;
        let context = step_context();
        outcome.header =
            reader.open(Opening { header: &[], state, context: &context, fragment: None }).await?;
        let mut chunk = Chunk::default();
        for number in 0.. {
            if number == chunks {
                *checkpoint = Some(Checkpoint { before: outcome.clone(), state: reader.state().await? });
            }
            chunk.reset(outcome.header.len());
            let more = reader.read(limit, &mut chunk).await?;
            outcome.take(&chunk, limit);
            if more == More::No {
                break;
            }
        }
        if state.is_none() {
            assert_eq!(reader.total(), Total::Exact(outcome.items.len() as u64));
        }
        reader.close().await
    }
}

impl Outcome {
    fn take(&mut self, chunk: &Chunk, limit: ChunkLimit) {
        assert!(chunk.items() <= limit.rows as usize, "more items than asked for");
        assert_eq!(chunk.lines.len(), chunk.rows.len());
        oracle::assert_whole(&chunk.rows, self.header.len());
        let cells = |row| chunk.rows.row(row).map(|cell| cell.map(str::to_owned)).collect();
        let rows = chunk.lines.iter().enumerate();
        let rows = rows.map(|(row, &line)| Item { line, what: What::Row(cells(row)) });
        let unreadable = chunk.unreadable.iter().map(|found| {
            let line = found.place.strip_prefix("line ").and_then(|line| line.parse().ok());
            let what = What::Unreadable(found.code.clone(), found.item.clone());
            Item { line: line.expect("a place is a line"), what }
        });
        let mut items: Vec<_> = rows.chain(unreadable).collect();
        items.sort_by_key(|item| item.line);
        self.items.append(&mut items);
        let ascends = self.items.windows(2).all(|pair| pair[0].line < pair[1].line);
        assert!(ascends, "two items on one line");
    }

    /// Nothing of a failed chunk counts, so a failed run may have delivered less.
    #[track_caller]
    fn assert_same(&self, other: &Self) {
        assert_eq!((&self.header, &self.failure), (&other.header, &other.failure));
        let items = match self.failure {
            None => self.items.len().max(other.items.len()),
            Some(_) => self.items.len().min(other.items.len()),
        };
        assert_eq!(self.items.get(..items), other.items.get(..items));
    }
}

/// A checkpoint that this reader did not write: one of its numbers is changed.
fn forged(state: &[u8], forgery: usize) -> Vec<u8> {
    let mut state: Value = serde_json::from_slice(state).expect("it is JSON");
    let numbers = ["offset", "line", "items", "tail"];
    let number = &mut state[numbers[forgery % 4]];
    let right = number.as_u64().expect("it is a number");
    *number = json!([u64::MAX, u64::MAX - 1, right + 1, 0][forgery / 4]);
    state.to_string().into_bytes()
}

/// Native elements never wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a native element waits"),
    }
}

fn step_context() -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, json!({}), ExecutionContext::default(), Arc::new(NoLog));
    StepContext::new(run, StepName::new("step").expect("a word"), true, Findings::default())
}
