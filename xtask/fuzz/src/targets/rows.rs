//! Flat batches from lying guests: an item step with a reader, a processor and a writer that return anything. The
//! batches that the engine accepts are whole and add up. All others fail the step with a code.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::clock::{Clock, Timestamp};
use stepbox::batch::element::{
    Chunk, ItemProcessor, ItemReader, ItemWriter, More, Opening, Rejected, RejectedItems, SetAside,
    SkippedRow, Unreadable,
};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::execution::{Counts, ExecutionContext, Lease, Save, StepExecution, Tracking};
use stepbox::batch::findings::Findings;
use stepbox::batch::flow::Requests;
use stepbox::batch::item_step::{Elements, ItemStep, Journey, Named, StepOutcome, run as run_step};
use stepbox::batch::job::{Backoff, ChunkLimit, ItemSettings, RetryPolicy, Share, SkipPolicy};
use stepbox::batch::log::NoLog;
use stepbox::batch::name::{JobExecutionId, StepName, TenantId};
use stepbox::batch::observer::NoObserver;
use stepbox::batch::pattern::Pattern;
use stepbox::batch::ports::{ExecutionJournal, Result as JournalResult};
use stepbox::batch::projection::Projected;
use stepbox::batch::recorder::Recorder;
use stepbox::batch::rows::Rows;
use stepbox::batch::run_context::{RunContext, RunInfo};
use stepbox::batch::step_context::StepContext;
use stepbox_sandbox::fuzzing::{believed, set_aside};

use crate::oracle;

/// The most chunks of a reader.
const CHUNKS_MAX: usize = 20;

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime needs little");
    runtime.block_on(play(Bytes(bytes).script()));
}

/// The elements' answers, call by call. Once the script is used up, the elements work correctly.
struct Script {
    columns: usize,
    chunk_rows: u32,
    skip_limit: Option<u64>,
    skips_failures: bool,
    retries: u32,
    is_projected: bool,
    /// The processor's header; if there is none, that of its items.
    header: Vec<String>,
    reads: Vec<Read>,
    processed: Vec<Answer>,
    written: Vec<Vec<u32>>,
}

struct Read {
    rows: Batch,
    unreadable: usize,
    is_last: bool,
}

enum Answer {
    /// Unchanged.
    Passes,
    /// Any batch, with the rows that it skipped and filtered.
    Batch(Batch, Vec<u32>, Vec<u32>),
    /// All rows but these, which are skipped and filtered.
    Without(Vec<u32>, Vec<u32>),
    Fails {
        is_retryable: bool,
    },
}

enum Batch {
    /// This many rows of good cells.
    Good(usize),
    Any {
        data: Vec<u8>,
        ends: Vec<u32>,
        nulls: Vec<u32>,
    },
    /// Cells by their lengths, so that ends ascend.
    Lengths {
        data: Vec<u8>,
        lengths: Vec<u8>,
        nulls: Vec<u32>,
    },
}

/// The input, read as numbers; zeros once it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn below(&mut self, limit: u8) -> usize {
        usize::from(self.byte() % limit)
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Mostly a small number, since rows and cells are few.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::MAX,
            254 => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            small => u32::from(small),
        }
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(16);
        (0..length).map(|_| one(self)).collect()
    }

    fn numbers(&mut self) -> Vec<u32> {
        self.list(Self::number)
    }

    fn script(&mut self) -> Script {
        let flags = self.byte();
        Script {
            columns: self.below(5),
            chunk_rows: 1 + self.below(16) as u32,
            skip_limit: (flags & 1 != 0).then(|| self.below(20) as u64),
            skips_failures: flags & 2 != 0,
            is_projected: flags & 4 != 0,
            retries: self.below(4) as u32,
            header: self.list(|bytes| char::from(b'a' + bytes.byte() % 6).to_string()),
            reads: self.list(|bytes| Read {
                rows: bytes.batch(),
                unreadable: bytes.below(4),
                is_last: bytes.below(8) == 7,
            }),
            processed: self.list(Self::answer),
            written: self.list(Self::numbers),
        }
    }

    fn answer(&mut self) -> Answer {
        match self.below(4) {
            0 => Answer::Passes,
            1 => Answer::Batch(self.batch(), self.numbers(), self.numbers()),
            2 => Answer::Without(self.numbers(), self.numbers()),
            _ => Answer::Fails { is_retryable: self.below(2) == 1 },
        }
    }

    fn batch(&mut self) -> Batch {
        match self.below(4) {
            0 | 1 => Batch::Good(self.below(8)),
            2 => Batch::Any { data: self.list(Self::byte), ends: self.numbers(), nulls: self.numbers() },
            _ => Batch::Lengths {
                data: self.list(Self::byte),
                lengths: self.list(Self::byte),
                nulls: self.numbers(),
            },
        }
    }
}

impl Batch {
    fn of(&self, columns: usize) -> Result<Rows, ElementError> {
        let (data, ends, nulls) = match self {
            Self::Good(rows) => {
                let cells = rows * columns;
                (
                    "é".repeat(cells).into_bytes(),
                    (1..=cells as u32).map(|cell| 2 * cell).collect(),
                    Vec::new(),
                )
            }
            Self::Any { data, ends, nulls } => (data.clone(), ends.clone(), nulls.clone()),
            Self::Lengths { data, lengths, nulls } => {
                let mut end = 0;
                let mut ends: Vec<u32> = Vec::new();
                for length in lengths {
                    end = (end + u32::from(*length % 4)).min(data.len() as u32);
                    ends.push(end);
                }
                if let Some(last) = ends.last_mut() {
                    *last = data.len() as u32;
                }
                (data.clone(), ends, nulls.clone())
            }
        };
        believed(columns, data, ends, nulls).inspect(|rows| oracle::assert_whole(rows, columns))
    }
}

/// The shared state of the elements.
struct Stage {
    script: Script,
    /// The number of rows that the writer took.
    written: Mutex<u64>,
}

struct Reader(Arc<Stage>, usize);

#[async_trait]
impl ItemReader for Reader {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.1 = opening.state.map_or(0, |state| usize::from(state[0]));
        Ok(names(self.0.script.columns))
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        let Some(read) = self.0.script.reads.get(self.1).filter(|_| self.1 < CHUNKS_MAX) else {
            return Ok(More::No);
        };
        self.1 += 1;
        let rows = read.rows.of(self.0.script.columns)?;
        let unreadable = read.unreadable;
        // Like the sandbox's reader.
        if rows.len() + unreadable > limit.rows as usize {
            return Err(ElementError::failed("lying-batch", "too many").into());
        }
        chunk.rows = rows;
        chunk.unreadable.extend((0..unreadable).map(|_| Unreadable {
            code: "bad".to_owned(),
            reason: String::new(),
            place: String::new(),
            item: String::new(),
        }));
        Ok(if read.is_last { More::No } else { More::Yes })
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(vec![self.1 as u8])
    }
}

struct Processor(Arc<Stage>, usize, usize);

#[async_trait]
impl ItemProcessor for Processor {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        let own = &self.0.script.header;
        let header = if own.is_empty() { opening.header.to_vec() } else { own.clone() };
        self.2 = header.len();
        Ok(header)
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let answer = self.0.script.processed.get(self.1).unwrap_or(&Answer::Passes);
        self.1 += 1;
        let nothing = Vec::new();
        let (skipped, filtered) = match answer {
            Answer::Passes | Answer::Fails { .. } => (&nothing, &nothing),
            Answer::Batch(_, skipped, filtered) | Answer::Without(skipped, filtered) => (skipped, filtered),
        };
        *output = match answer {
            Answer::Fails { is_retryable } => {
                let failure = ElementError::failed("bad", "it will not");
                return Err(if *is_retryable { failure.retryable() } else { failure }.into());
            }
            Answer::Batch(batch, ..) => batch.of(self.2)?,
            Answer::Passes | Answer::Without(..) => {
                let kept =
                    (0..rows.len() as u32).filter(|row| !skipped.contains(row) && !filtered.contains(row));
                let cells = kept.count() * self.2;
                let ends = (1..=cells as u32).collect();
                believed(self.2, vec![b'x'; cells], ends, Vec::new())?
            }
        };
        Ok(SetAside { skipped: told(skipped), filtered: filtered.clone() })
    }
}

struct Writer(Arc<Stage>, usize, usize);

#[async_trait]
impl ItemWriter for Writer {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt> {
        self.2 = opening.header.len();
        *lock(&self.0.written) = opening.state.map_or(0, |state| u64::from(state[0]));
        Ok(())
    }

    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, Halt> {
        oracle::assert_whole(rows, self.2);
        let skipped = self.0.script.written.get(self.1).cloned().unwrap_or_default();
        self.1 += 1;
        // A lie fails the step, and nothing of this batch counts.
        *lock(&self.0.written) += (rows.len() as u64).saturating_sub(skipped.len() as u64);
        Ok(told(&skipped))
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(vec![*lock(&self.0.written) as u8])
    }

    async fn complete(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

struct Nowhere;

#[async_trait]
impl RejectedItems for Nowhere {
    async fn open(&mut self, _: &[String], _: Option<&[u8]>, _: Option<&[u8]>) -> Result<(), ElementError> {
        Ok(())
    }

    async fn append(&mut self, rejected: Rejected<'_>) -> Result<(), ElementError> {
        if let Some((rows, row)) = rejected.row {
            assert!(row < rows.len(), "a rejected item is none of its batch");
        }
        Ok(())
    }

    async fn absorb(&mut self, _: &[u8]) -> Result<More, ElementError> {
        Ok(More::No)
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ExecutionJournal for Nowhere {
    async fn heartbeat(&self, _: &Lease, _: Timestamp, _: u64) -> JournalResult<Requests> {
        Ok(Requests::default())
    }

    async fn requests(&self, _: &Lease) -> JournalResult<Requests> {
        Ok(Requests::default())
    }

    async fn save(&self, _: &Lease, _: Save<'_>) -> JournalResult<()> {
        Ok(())
    }

    async fn save_tracking(&self, _: &Lease, _: u32, _: Tracking, _: Timestamp) -> JournalResult<()> {
        Ok(())
    }
}

#[async_trait]
impl Clock for Nowhere {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn ticks_us(&self) -> u64 {
        0
    }

    async fn sleep_ms(&self, _: u64) {}
}

async fn play(script: Script) {
    let columns = script.columns;
    let settings = ItemSettings {
        chunk: ChunkLimit { rows: script.chunk_rows, bytes: u32::MAX },
        skip: SkipPolicy {
            share: Some(Share::ALL),
            limit: script.skip_limit,
            on: script.skips_failures.then(|| vec![Pattern::new("*")]),
        },
        ..ItemSettings::default()
    };
    let retry = RetryPolicy { limit: script.retries, on: None, backoff: Backoff { ms: 0, ms_max: 0 } };
    let is_projected = script.is_projected && columns > 0;
    let stage = Arc::new(Stage { script, written: Mutex::new(0) });
    let mut processor: Box<dyn ItemProcessor> = Box::new(Processor(stage.clone(), 0, 0));
    if is_projected {
        processor = Box::new(Projected::new(processor, names(1 + columns / 2)));
    }
    let step = ItemStep {
        elements: Elements {
            reader: Named::new("reader", Box::new(Reader(stage.clone(), 0))),
            chains: vec![vec![Named::new("processor", processor)]],
        },
        writer: Named::new("writer", Box::new(Writer(stage.clone(), 0, 0))),
        rejected: Box::new(Nowhere),
        settings,
        retry,
        fragment: None,
    };
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, json!({}), ExecutionContext::default(), Arc::new(NoLog));
    let name = StepName::new("step").expect("a word");
    let context = StepContext::new(run, name.clone(), true, Findings::default());
    let lease = Lease { tenant: TenantId::default(), id: JobExecutionId(1), token: 1 };
    let recorder = Recorder {
        journal: Arc::new(Nowhere),
        lease,
        clock: Arc::new(Nowhere),
        observer: Arc::new(NoObserver),
    };
    let mut execution = StepExecution::new(0, name, Timestamp(0));
    let journey = Journey { execution: &mut execution, context: &context, recorder: &recorder };
    let outcome = run_step(step, journey).await;
    let Counts { read, written, filtered, skipped } = execution.counts;
    assert_eq!(read, written + filtered + skipped, "{outcome:?}");
    match outcome {
        Ok(StepOutcome::Completed(_)) => assert_eq!(written, *lock(&stage.written), "the counts differ"),
        Ok(StepOutcome::Stopped) => panic!("nobody stopped it"),
        Err(error) => {
            let code = error.code();
            assert!(["lying-batch", "skip-limit", "bad", "missing-column"].contains(&code), "{error:?}");
        }
    }
}

/// Every other one has an invalid code.
fn told(rows: &[u32]) -> Vec<SkippedRow> {
    let code = |row: u32| if row.is_multiple_of(2) { "bad" } else { "No Code\0" }.to_owned();
    set_aside(rows.iter().map(|&row| (row, code(row), "\0é".repeat(row as usize % 4096))))
}

fn names(columns: usize) -> Vec<String> {
    (b'a'..).take(columns).map(|letter| char::from(letter).to_string()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
