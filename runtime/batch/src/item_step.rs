//! A data item's journey: read, processed, written, accounted for.
//!
//! Items travel in chunks. A chunk that could not go all the way leaves no trace: the step ends at
//! the last whole one, and a restart takes it up again from there.

use std::future::poll_fn;
use std::task::Poll;

use crate::accounting::{check_header, check_processed, check_written};
use crate::clock::Timestamp;
use crate::element::{Chunk, ItemProcessor, ItemReader, ItemWriter, More, Opening, SkippedRow, Total};
use crate::error::{ElementError, LyingBatch, StepError};
use crate::execution::{Checkpoint, Counts, StepExecution, Tracking};
use crate::job::ChunkLimit;
use crate::recorder::{Recorder, With};
use crate::rows::Rows;
use crate::step_context::{Mark, StepContext};

/// How long items may be written without a checkpoint, in milliseconds.
///
/// A checkpoint costs two fsyncs, about 8 ms on a plain disk; a crash costs what was done since.
pub const CHECKPOINT_MS: u64 = 1000;

/// The elements of an item step, ready to open.
pub struct ItemStep {
    /// Where items come from.
    pub reader: Box<dyn ItemReader>,
    /// The reader, for people: ``reader `csv` ``.
    pub reader_name: String,
    /// What happens to them, each with its name for people.
    pub processors: Vec<(String, Box<dyn ItemProcessor>)>,
    /// Where they go.
    pub writer: Box<dyn ItemWriter>,
    /// The writer, for people.
    pub writer_name: String,
    /// How many items make a chunk.
    pub chunk: ChunkLimit,
}

/// How a step ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Everything is done; a tasklet may say more with an exit code of its own.
    Completed(Option<String>),
    /// A stop was requested; it can go on from its checkpoint.
    Stopped,
}

/// What the journey needs beside the elements.
pub struct Journey<'a> {
    /// What is stored of the step.
    pub execution: &'a mut StepExecution,
    /// What its elements report.
    pub context: &'a StepContext,
    /// How it is stored.
    pub recorder: &'a Recorder,
}

/// Runs an item step from its checkpoint, or from the beginning, to its end.
pub async fn run(step: &mut ItemStep, mut journey: Journey<'_>) -> Result<StepOutcome, StepError> {
    let mut belt = open(step, &journey).await?;
    let outcome = match move_chunks(step, &mut journey, &mut belt).await {
        Ok(outcome) => outcome,
        Err(Interruption { error, is_writers }) => {
            keep_what_is_whole(step, &mut journey, &mut belt, is_writers).await?;
            match error {
                StepError::Element { source: ElementError::Stopped, .. } => return Ok(StepOutcome::Stopped),
                error => return Err(error),
            }
        }
    };
    finish(step, &mut journey, &mut belt, outcome).await
}

/// Why a chunk did not go all the way, and whether the writer may have taken part of it.
struct Interruption {
    error: StepError,
    is_writers: bool,
}

async fn move_chunks(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
) -> Result<StepOutcome, Interruption> {
    let before_writing = |error| Interruption { error, is_writers: false };
    let while_writing = |error| Interruption { error, is_writers: true };
    loop {
        if journey.context.is_stopping() {
            return Ok(StepOutcome::Stopped);
        }
        belt.note_where_it_stands(step, journey).await.map_err(before_writing)?;
        let more = read_chunk(step, journey, belt).await.map_err(before_writing)?;
        process_chunk(step, journey, belt).await.map_err(before_writing)?;
        write_chunk(step, journey, belt).await.map_err(while_writing)?;
        checkpoint_if_due(step, journey, belt).await.map_err(while_writing)?;
        if more == More::No {
            return Ok(StepOutcome::Completed(None));
        }
        let_others_run().await;
    }
}

/// What moves from element to element, and what is needed to take a chunk back.
struct Belt {
    /// The column names after the reader and after each processor.
    headers: Vec<Vec<String>>,
    chunk: Chunk,
    /// What the last processor returned, and room for the next one.
    processed: Rows,
    spare: Rows,
    /// What the chunk on the belt adds to the counts.
    chunk_counts: Counts,
    /// Where the readers and processors stood before it, and the findings.
    before_chunk: Checkpoint,
    before_chunk_mark: Mark,
    /// The counts and findings of the last checkpoint.
    committed_counts: Counts,
    committed_mark: Mark,
    committed_at: Timestamp,
}

/// Opens the elements in the order of the journey: each needs the header that the one before it gives.
async fn open(step: &mut ItemStep, journey: &Journey<'_>) -> Result<Belt, StepError> {
    let context = journey.context;
    let checkpoint = journey.execution.checkpoint.as_ref();
    let opening = Opening { header: &[], state: checkpoint.map(|c| &c.reader[..]), context };
    let mut header =
        step.reader.open(opening).await.map_err(|source| failed(&step.reader_name, "", source))?;
    check_header(&header).map_err(|source| lied(&step.reader_name, "", source))?;
    let mut headers = vec![header.clone()];
    for (index, (name, processor)) in step.processors.iter_mut().enumerate() {
        let state = checkpoint.and_then(|c| c.processors.get(index)).map(|state| &state[..]);
        let opening = Opening { header: &header, state, context };
        header = processor.open(opening).await.map_err(|source| failed(name, "", source))?;
        check_header(&header).map_err(|source| lied(name, "", source))?;
        headers.push(header.clone());
    }
    let opening = Opening { header: &header, state: checkpoint.map(|c| &c.writer[..]), context };
    step.writer.open(opening).await.map_err(|source| failed(&step.writer_name, "", source))?;
    track(step, journey);
    Ok(Belt {
        chunk: Chunk { rows: Rows::new(headers[0].len()), ..Chunk::default() },
        processed: Rows::default(),
        spare: Rows::default(),
        headers,
        chunk_counts: Counts::default(),
        before_chunk: Checkpoint::default(),
        before_chunk_mark: context.mark(),
        committed_counts: journey.execution.counts,
        committed_mark: context.mark(),
        committed_at: journey.recorder.clock.now(),
    })
}

impl Belt {
    /// Remembers what a chunk can be taken back to.
    async fn note_where_it_stands(
        &mut self,
        step: &mut ItemStep,
        journey: &Journey<'_>,
    ) -> Result<(), StepError> {
        self.chunk_counts = Counts::default();
        self.before_chunk_mark = journey.context.mark();
        self.before_chunk.reader =
            step.reader.state().await.map_err(|source| failed(&step.reader_name, "", source))?;
        self.before_chunk.processors = processor_states(step).await?;
        Ok(())
    }

    /// The items on the belt, for people: `items 1001 to 2000 (lines 1002 to 2001)`.
    fn place(&self, journey: &Journey<'_>) -> String {
        let first = journey.execution.counts.read + 1;
        let last = journey.execution.counts.read + self.chunk.items() as u64;
        let lines = match (self.chunk.lines.first(), self.chunk.lines.last()) {
            (Some(from), Some(to)) if from < to => format!(" (lines {from} to {to})"),
            (Some(line), _) => format!(" (line {line})"),
            _ => String::new(),
        };
        if first < last { format!("items {first} to {last}{lines}") } else { format!("item {first}{lines}") }
    }

    /// A row as the reader delivered it, for people.
    fn place_of_row(&self, journey: &Journey<'_>, row: usize) -> String {
        match self.chunk.lines.get(row) {
            Some(line) => format!("line {line}"),
            None if self.chunk.unreadable.is_empty() => {
                format!("item {}", journey.execution.counts.read + row as u64 + 1)
            }
            None => self.place(journey),
        }
    }
}

/// Reads the next items; those that cannot be read are set aside.
async fn read_chunk(step: &mut ItemStep, journey: &Journey<'_>, belt: &mut Belt) -> Result<More, StepError> {
    belt.chunk.reset(belt.headers[0].len());
    let read = step.reader.read(step.chunk, &mut belt.chunk).await;
    let more = read.map_err(|source| {
        let done = journey.execution.counts.read;
        let place = if done > 0 { format!("after item {done}") } else { String::new() };
        failed(&step.reader_name, &place, source)
    })?;
    for item in &belt.chunk.unreadable {
        journey.context.add_warning(&item.code, &item.reason, &item.place, &item.item);
    }
    belt.chunk_counts.read = belt.chunk.items() as u64;
    belt.chunk_counts.skipped = belt.chunk.unreadable.len() as u64;
    Ok(more)
}

/// Sends the chunk through the processors; what comes out of one goes into the next.
async fn process_chunk(step: &mut ItemStep, journey: &Journey<'_>, belt: &mut Belt) -> Result<(), StepError> {
    for index in 0..step.processors.len() {
        let (name, processor) = &mut step.processors[index];
        let input = if index == 0 { &belt.chunk.rows } else { &belt.processed };
        if input.is_empty() {
            belt.spare.reset(belt.headers[index + 1].len());
            std::mem::swap(&mut belt.processed, &mut belt.spare);
            continue;
        }
        belt.spare.reset(belt.headers[index + 1].len());
        let processed = processor.process(input, &mut belt.spare).await;
        let set_aside = processed.map_err(|source| failed(name, &belt.place(journey), source))?;
        let input = if index == 0 { &belt.chunk.rows } else { &belt.processed };
        check_processed(input.len(), belt.spare.len(), &set_aside)
            .map_err(|source| lied(name, &belt.place(journey), source))?;
        warn_of(journey, belt, index, &set_aside.skipped);
        belt.chunk_counts.filtered += set_aside.filtered.len() as u64;
        belt.chunk_counts.skipped += set_aside.skipped.len() as u64;
        std::mem::swap(&mut belt.processed, &mut belt.spare);
    }
    Ok(())
}

/// Writes what is left of the chunk. Only now do its items count.
async fn write_chunk(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
) -> Result<(), StepError> {
    let stage = step.processors.len();
    let rows = if stage == 0 { &belt.chunk.rows } else { &belt.processed };
    if !rows.is_empty() {
        let written = step.writer.write(rows).await;
        let skipped = written.map_err(|source| failed(&step.writer_name, &belt.place(journey), source))?;
        check_written(rows.len(), &skipped)
            .map_err(|source| lied(&step.writer_name, &belt.place(journey), source))?;
        warn_of(journey, belt, stage, &skipped);
        belt.chunk_counts.written = (rows.len() - skipped.len()) as u64;
        belt.chunk_counts.skipped += skipped.len() as u64;
    }
    let (counts, chunk) = (&mut journey.execution.counts, belt.chunk_counts);
    counts.read += chunk.read;
    counts.written += chunk.written;
    counts.filtered += chunk.filtered;
    counts.skipped += chunk.skipped;
    track(step, journey);
    Ok(())
}

/// Commits at chunk ends, about once a second.
async fn checkpoint_if_due(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
) -> Result<(), StepError> {
    let now = journey.recorder.clock.now();
    if now.ms_since(belt.committed_at) < CHECKPOINT_MS {
        return Ok(());
    }
    checkpoint(step, journey, belt).await
}

/// Makes everything up to here durable: first the output, then, in one transaction, the counts, the
/// warnings and where each element resumes.
async fn checkpoint(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
) -> Result<(), StepError> {
    let reader = step.reader.state().await.map_err(|source| failed(&step.reader_name, "", source))?;
    let processors = processor_states(step).await?;
    commit(step, journey, belt, reader, processors).await
}

async fn commit(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
    reader: Vec<u8>,
    processors: Vec<Vec<u8>>,
) -> Result<(), StepError> {
    let writer = step.writer.checkpoint().await.map_err(|source| failed(&step.writer_name, "", source))?;
    let checkpoint = Checkpoint { reader, processors, writer, ..Checkpoint::default() };
    let with = With { checkpoint: Some(&checkpoint), ..With::default() };
    journey.recorder.save_step(journey.execution, journey.context, with).await?;
    belt.committed_counts = journey.execution.counts;
    belt.committed_mark = journey.context.mark();
    belt.committed_at = journey.recorder.clock.now();
    Ok(())
}

/// Ends a step that ran to its end or to a stop. The output appears under its final name last.
async fn finish(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
    outcome: StepOutcome,
) -> Result<StepOutcome, StepError> {
    if outcome != StepOutcome::Stopped {
        let processed = journey.execution.counts.read;
        journey.context.set_tracking(Tracking { processed, total: Some(processed), is_estimate: false });
    }
    checkpoint(step, journey, belt).await?;
    step.reader.close().await.map_err(|source| failed(&step.reader_name, "", source))?;
    for (name, processor) in &mut step.processors {
        processor.close().await.map_err(|source| failed(name, "", source))?;
    }
    if outcome != StepOutcome::Stopped {
        step.writer.complete().await.map_err(|source| failed(&step.writer_name, "", source))?;
    }
    if journey.execution.counts.add_up() {
        Ok(outcome)
    } else {
        Err(StepError::Accounting { counts: journey.execution.counts })
    }
}

/// Ends a step whose last chunk did not go all the way: commits what was whole before it. If the
/// writer may hold part of it, or cannot say what it holds, the last checkpoint is what counts.
async fn keep_what_is_whole(
    step: &mut ItemStep,
    journey: &mut Journey<'_>,
    belt: &mut Belt,
    is_writers: bool,
) -> Result<(), StepError> {
    if !is_writers {
        let mark = std::mem::replace(&mut belt.before_chunk_mark, journey.context.mark());
        journey.context.rollback(mark);
        let Checkpoint { reader, processors, .. } = std::mem::take(&mut belt.before_chunk);
        match commit(step, journey, belt, reader, processors).await {
            Ok(()) => return Ok(()),
            Err(StepError::Repository(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    let mark = std::mem::replace(&mut belt.committed_mark, journey.context.mark());
    journey.context.rollback(mark);
    journey.execution.counts = belt.committed_counts;
    track(step, journey);
    Ok(())
}

/// Makes warnings of the rows that an element set aside. Rows after the first processor cannot be
/// told apart by line any more.
fn warn_of(journey: &Journey<'_>, belt: &Belt, stage: usize, skipped: &[SkippedRow]) {
    let rows = if stage == 0 { &belt.chunk.rows } else { &belt.processed };
    for SkippedRow { row, code, reason } in skipped {
        if !journey.context.keeps_warnings() {
            journey.context.count_warnings(1);
            continue;
        }
        let place = if stage == 0 { belt.place_of_row(journey, *row as usize) } else { belt.place(journey) };
        let item = rows.row_as_json(&belt.headers[stage], *row as usize).to_string();
        journey.context.add_warning(code, reason, &place, &item);
    }
}

async fn processor_states(step: &mut ItemStep) -> Result<Vec<Vec<u8>>, StepError> {
    let mut states = Vec::with_capacity(step.processors.len());
    for (name, processor) in &mut step.processors {
        states.push(processor.state().await.map_err(|source| failed(name, "", source))?);
    }
    Ok(states)
}

fn track(step: &ItemStep, journey: &Journey<'_>) {
    let processed = journey.execution.counts.read;
    let (total, is_estimate) = match step.reader.total() {
        Total::Unknown => (None, false),
        Total::Estimate(total) => (Some(total.max(processed)), true),
        Total::Exact(total) => (Some(total), false),
    };
    journey.context.set_tracking(Tracking { processed, total, is_estimate });
}

/// Native elements never wait, so a step gives way after each chunk; the beat that looks for stop
/// requests runs on the same task.
async fn let_others_run() {
    let mut has_waited = false;
    poll_fn(|context| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn failed(name: &str, place: &str, source: ElementError) -> StepError {
    StepError::Element { culprit: name.to_owned(), place: place.to_owned(), source }
}

fn lied(name: &str, place: &str, source: LyingBatch) -> StepError {
    StepError::LyingBatch { culprit: name.to_owned(), place: place.to_owned(), source }
}

#[cfg(test)]
mod tests;
