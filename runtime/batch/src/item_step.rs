//! A data item's journey: read, processed, written, accounted for.
//!
//! Items travel in chunks. A chunk that could not go all the way leaves no trace: the step ends at
//! the last whole one, and a restart, or a retry, takes it up again from there.

mod merge;
mod pace;
mod parcel;
mod pipeline;
mod recovery;
mod rejected;
mod source;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::accounting::{check_header, check_processed, check_read, check_shape, check_written};
use crate::clock::Timestamp;
use crate::element::{Fragment, ItemProcessor, ItemReader, ItemWriter, Opening, RejectedItems, Total};
use crate::error::{ElementError, LyingBatch, StepError};
use crate::execution::{Checkpoint, Counts, StepExecution, Tracking};
use crate::gate::Call;
use crate::job::{ChunkLimit, ItemSettings, RetryPolicy, SkipPolicy};
use crate::log::LogLevel;
use crate::observer::Observation;
use crate::recorder::{Recorder, With};
use crate::reports::Reports;
use crate::step_context::StepContext;
pub use merge::{FragmentState, merge};
use pace::Pace;
use parcel::{Parcel, Skipped};
use recovery::{Interruption, Next, Recovery, explained};
use source::Source;

pub(crate) use recovery::wait;

/// How long a retry waits at a time before it looks whether the step should stop, in milliseconds.
const STOP_CHECK_MS: u64 = 100;

/// An item step, ready to open.
pub struct ItemStep {
    /// Where items come from and what happens to them.
    pub elements: Elements,
    /// Where they go.
    pub writer: Named<dyn ItemWriter>,
    /// Where those go that are skipped.
    pub rejected: Box<dyn RejectedItems>,
    /// How they move.
    pub settings: ItemSettings,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// Which part of the output it writes, for `merge` to put together; none for all of it.
    pub fragment: Option<Fragment>,
}

/// The reader, and the processors.
#[derive(Debug)]
pub struct Elements {
    /// Where items come from.
    pub reader: Named<dyn ItemReader>,
    /// At least one line of processors, all alike; each chunk goes through one of them.
    pub lines: Vec<Line>,
}

/// Processors, in the order that items go through them.
pub type Line = Vec<Named<dyn ItemProcessor>>;

/// An element with its name for people: ``reader `csv` ``.
pub struct Named<E: ?Sized> {
    name: Arc<str>,
    element: Box<E>,
    /// Where its reports wait, once it is open.
    context: Option<StepContext>,
}

impl<E: ?Sized> Named<E> {
    /// An element that is not open yet.
    pub fn new(name: impl Into<Arc<str>>, element: Box<E>) -> Self {
        Self { name: name.into(), element, context: None }
    }

    fn is_open(&self) -> bool {
        self.context.is_some()
    }

    fn failed(&self, place: &str, source: ElementError) -> StepError {
        StepError::Element { culprit: self.name.to_string(), place: place.to_owned(), source }
    }

    fn lied(&self, place: &str, source: LyingBatch) -> StepError {
        StepError::LyingBatch { culprit: self.name.to_string(), place: place.to_owned(), source }
    }

    /// Gets it ready to be opened for a step.
    fn begin(&mut self, step: &StepContext) -> (&mut E, StepContext, Call) {
        let call = step.call(&self.name);
        let context = self.context.insert(step.for_element());
        (&mut self.element, context.clone(), call)
    }

    /// The element, for a call that is under way as long as the second value is there.
    fn calling(&mut self) -> (&mut E, Option<Call>) {
        let call = self.context.as_ref().map(|context| context.call(&self.name));
        (&mut self.element, call)
    }

    fn take_reports(&self) -> Reports {
        self.context.as_ref().map(StepContext::take_reports).unwrap_or_default()
    }
}

impl<E: ?Sized> fmt::Debug for Named<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How a step ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Everything is done; a tasklet may say more with an exit code of its own.
    Completed(Option<String>),
    /// It was asked to end, for good or for a pause; it can go on from its checkpoint.
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

impl Journey<'_> {
    fn observe(&self, observation: Observation) {
        self.recorder.observer.observe(observation);
    }

    fn us_since(&self, began: u64) -> u64 {
        self.recorder.clock.ticks_us().saturating_sub(began)
    }

    /// Ends the journey if nobody waits for it any more, before anything is written down.
    fn check_gate(&self) -> Result<(), StepError> {
        match self.context.gate().is_closed() {
            true => Err(StepError::stopped()),
            false => Ok(()),
        }
    }
}

/// Runs an item step from its checkpoint, or from the beginning, to its end.
///
/// A step execution that writes a fragment begins with a checkpoint in which there is only the state that
/// the reader's `split` gave; its last checkpoint is what [`merge`] needs.
pub async fn run(step: ItemStep, mut journey: Journey<'_>) -> Result<StepOutcome, StepError> {
    let ItemStep { mut elements, writer, rejected, settings, retry, fragment } = step;
    let (mut end, mut recovery) = (Destination::new(writer, rejected, &journey), Recovery::default());
    let pace = Pace::new(&settings, &journey);
    loop {
        let checkpoint = journey.execution.checkpoint.as_ref();
        let moved = match open(&mut elements, &mut end, &journey, checkpoint, fragment).await {
            Ok(headers) => {
                let moved;
                (elements, moved) =
                    move_all(elements, &headers, &mut end, &mut journey, (&settings, &pace), &mut recovery)
                        .await?;
                moved
            }
            Err(error) => Err(Interruption::of(error)),
        };
        let finished = match moved {
            Ok(outcome) => {
                // Parts of an input are judged together.
                let skip = fragment.is_none().then_some(&settings.skip);
                finish(&mut elements, &mut end, &mut journey, outcome, skip).await
            }
            Err(failure) => Err(failure),
        };
        match finished {
            Ok(outcome) => return Ok(outcome),
            Err(Interruption { error: StepError::Element { source: ElementError::Stopped, .. }, .. }) => {
                return Ok(StepOutcome::Stopped);
            }
            Err(failure) => {
                if let Some(items) = failure.items_out_of_time() {
                    pace.was_too_slow(items);
                }
                recover(failure, &mut recovery, &mut journey, &settings, &retry).await?;
            }
        }
    }
}

/// Moves chunks until there are none or the step is asked to end. What went all the way is committed
/// also if a chunk fails.
async fn move_all(
    mut elements: Elements,
    headers: &Arc<Headers>,
    end: &mut Destination,
    journey: &mut Journey<'_>,
    (settings, pace): (&ItemSettings, &Arc<Pace>),
    recovery: &mut Recovery,
) -> Result<(Elements, Result<StepOutcome, Interruption>), StepError> {
    loop {
        let read = journey.execution.counts.read;
        end.number = 0;
        let mut source = Source::start(elements, headers.clone(), (settings, pace), recovery, read);
        let moved = move_chunks(&mut source, end, journey, (settings, pace), recovery).await;
        if let Err(failure) = &moved {
            let is_whole = source.is_settled() && !failure.is_writers;
            keep_what_is_whole(end, journey, is_whole).await?;
        }
        elements = source.end().await?;
        match moved {
            Ok(Some(outcome)) => return Ok((elements, Ok(outcome))),
            Err(failure) => return Ok((elements, Err(failure))),
            // The items at fault are passed.
            Ok(None) => {}
        }
    }
}

async fn move_chunks(
    source: &mut Source,
    end: &mut Destination,
    journey: &mut Journey<'_>,
    (settings, pace): (&ItemSettings, &Arc<Pace>),
    recovery: &mut Recovery,
) -> Result<Option<StepOutcome>, Interruption> {
    loop {
        if journey.context.is_stopping() {
            if source.is_settled() {
                return Ok(Some(StepOutcome::Stopped));
            }
            source.settle();
        }
        let began = journey.recorder.clock.ticks_us();
        let mut parcel = source.next(recovery).await?; // read and processed
        let writing_since = pace.ticks_us();
        write_chunk(&mut parcel, end, journey, settings).await?;
        pace.took(parcel.chunk.items() as u64, parcel.us + pace.us_since(writing_since));
        source.written(parcel);
        journey.observe(Observation::Chunk { us: journey.us_since(began) });
        checkpoint_if_due(source, end, journey, settings, recovery).await?;
        if source.is_done() {
            return Ok(Some(StepOutcome::Completed(None)));
        }
        if recovery.is_past(journey.execution.counts.read) {
            return Ok(None);
        }
        let_others_run().await;
    }
}

/// The end of the journey, and what is committed of it.
struct Destination {
    writer: Named<dyn ItemWriter>,
    rejected: Box<dyn RejectedItems>,
    /// Who reads, for people.
    reader_name: String,
    /// The columns as they are read.
    header: Vec<String>,
    /// The last chunk that was written.
    number: u64,
    /// Where the reader and the processors stood after it.
    reader: Vec<u8>,
    processors: Vec<Vec<u8>>,
    committed_counts: Counts,
    committed_at: Timestamp,
}

impl Destination {
    fn new(writer: Named<dyn ItemWriter>, rejected: Box<dyn RejectedItems>, journey: &Journey<'_>) -> Self {
        Self {
            writer,
            rejected,
            reader_name: String::new(),
            header: Vec::new(),
            number: 0,
            reader: Vec::new(),
            processors: Vec::new(),
            committed_counts: journey.execution.counts,
            committed_at: journey.recorder.clock.now(),
        }
    }
}

/// The column names after the reader and after each processor.
#[derive(Debug)]
struct Headers(Vec<Vec<String>>);

impl Headers {
    fn of_reader(&self) -> &[String] {
        &self.0[0]
    }

    fn of_writer(&self) -> &[String] {
        &self.0[self.0.len() - 1]
    }
}

/// Opens the elements in the order of the journey, at the last checkpoint if there is one: each needs
/// the header that the one before it gives.
async fn open(
    elements: &mut Elements,
    end: &mut Destination,
    journey: &Journey<'_>,
    checkpoint: Option<&Checkpoint>,
    fragment: Option<Fragment>,
) -> Result<Arc<Headers>, StepError> {
    journey.recorder.check_lease().await?;
    let Elements { reader, lines } = elements;
    let (element, context, call) = reader.begin(journey.context);
    let (state, context) = (checkpoint.map(|c| &c.reader[..]), &context);
    let opened = element.open(Opening { header: &[], state, context, fragment: None }).await;
    drop(call);
    let header = opened.map_err(|source| reader.failed("", source))?;
    // Where each item names its own columns, none tells them: the processors have nothing to do, and stay closed.
    let has_no_items = header.is_empty() && reader.element.total() == Total::Exact(0);
    if !has_no_items {
        check_header(&header).map_err(|source| reader.lied("", source))?;
    }
    let mut headers = vec![header];
    for (number, line) in lines.iter_mut().enumerate() {
        let opened = match has_no_items {
            true => leave_closed(line),
            false => open_line(line, &headers[0], checkpoint, journey.context).await?,
        };
        if number == 0 {
            headers.extend(opened);
        } else if headers[1..] != opened {
            return Err(line[0].lied("", LyingBatch::OtherHeader));
        }
    }
    let (writer, header) = (&mut end.writer, &headers[headers.len() - 1]);
    // Where only the reader begins somewhere, the writer has said nothing yet.
    let state =
        checkpoint.map(|c| &c.writer[..]).filter(|state| !state.is_empty() || !writer.element.can_absorb());
    journey.check_gate()?;
    let (element, context, call) = writer.begin(journey.context);
    let opened = element.open(Opening { header, state, context: &context, fragment }).await;
    drop(call);
    opened.map_err(|source| writer.failed("", source))?;
    journey.check_gate()?;
    // Once more: what the writer has made by now is found by the next worker, or withdrawn here.
    if let Err(lost) = journey.recorder.check_lease().await {
        writer.element.withdraw().await;
        return Err(lost.into());
    }
    let state = checkpoint.map(|c| &c.rejected[..]).filter(|state| !state.is_empty());
    let form = reader.element.form();
    end.rejected.open(&headers[0], form.as_deref(), state).await.map_err(rejected::failed)?;

    (end.reader_name, end.header) = (reader.name.to_string(), headers[0].clone());
    end.reader = reader.element.state().await.map_err(|source| reader.failed("", source))?;
    end.processors = states(&mut lines[0]).await?;
    accept_reports(elements, journey.context);
    journey.context.accept(end.writer.take_reports());
    track(journey, elements.reader.element.total());
    Ok(Arc::new(Headers(headers)))
}

/// Leaves a line of processors without columns; returns the header after each.
fn leave_closed(line: &mut Line) -> Vec<Vec<String>> {
    line.iter_mut().for_each(|processor| processor.context = None);
    vec![Vec::new(); line.len()]
}

/// Opens a line of processors; returns the header after each.
async fn open_line(
    line: &mut Line,
    header: &[String],
    checkpoint: Option<&Checkpoint>,
    step: &StepContext,
) -> Result<Vec<Vec<String>>, StepError> {
    let mut headers: Vec<Vec<String>> = Vec::with_capacity(line.len());
    for (index, processor) in line.iter_mut().enumerate() {
        let state = checkpoint.and_then(|c| c.processors.get(index)).map(|state| &state[..]);
        let header = headers.last().map_or(header, |header| header);
        let (element, context, call) = processor.begin(step);
        let opened = element.open(Opening { header, state, context: &context, fragment: None }).await;
        drop(call);
        let header = opened.map_err(|source| processor.failed("", source))?;
        check_header(&header).map_err(|source| processor.lied("", source))?;
        headers.push(header);
    }
    Ok(headers)
}

/// Reads the next items; those that cannot be read are set aside later.
async fn read_chunk(
    reader: &mut Named<dyn ItemReader>,
    limit: ChunkLimit,
    parcel: &mut Parcel,
) -> Result<(), StepError> {
    let columns = parcel.chunk.rows.columns();
    let done = parcel.items_before;
    let place = || if done > 0 { format!("after item {done}") } else { String::new() };
    let failed = |reader: &Named<dyn ItemReader>, source| reader.failed(&place(), source);
    let (element, call) = reader.calling();
    let read = element.read(limit, &mut parcel.chunk).await;
    drop(call);
    parcel.more = read.map_err(|source| failed(reader, source))?;
    check_read(columns, &parcel.chunk).map_err(|lie| reader.lied(&place(), lie))?;
    parcel.reader = reader.element.state().await.map_err(|source| failed(reader, source))?;
    parcel.total = reader.element.total();
    parcel.reports.push(reader.take_reports());
    Ok(())
}

/// Sends the chunk through the processors; what comes out of one goes into the next.
async fn process_chunk(line: &mut Line, headers: &Headers, parcel: &mut Parcel) -> Result<(), StepError> {
    for (index, processor) in line.iter_mut().enumerate() {
        let mut output = std::mem::take(&mut parcel.spare);
        output.reset(headers.0[index + 1].len());
        let input = parcel.rows();
        if !input.is_empty() {
            let (element, call) = processor.calling();
            let processed = element.process(input, &mut output).await;
            drop(call);
            let aside = processed.map_err(|source| processor.failed(&parcel.place(), source))?;
            check_shape(headers.0[index + 1].len(), &output)
                .and_then(|()| check_processed(input.len(), output.len(), &aside))
                .map_err(|source| processor.lied(&parcel.place(), source))?;
            parcel.set_aside(&processor.name, aside.skipped, &aside.filtered);
        } else {
            parcel.set_aside(&processor.name, Vec::new(), &[]);
        }
        parcel.spare = std::mem::replace(&mut parcel.processed, output);
    }
    parcel.processors = states(line).await?;
    parcel.reports.extend(line.iter().map(Named::take_reports));
    Ok(())
}

/// Writes what is left of the chunk. Only now do its items count.
async fn write_chunk(
    parcel: &mut Parcel,
    end: &mut Destination,
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
) -> Result<(), Interruption> {
    let skipped_before = journey.execution.counts.skipped;
    let refused = |parcel: &Parcel, reader: &str| {
        let error = rejected::refused(parcel, reader, &settings.skip, skipped_before)?;
        Some(Interruption::refusal(error, parcel.items()))
    };
    if let Some(refusal) = refused(parcel, &end.reader_name) {
        return Err(refusal);
    }
    let given = parcel.rows().len();
    if given > 0 {
        let writer = &mut end.writer;
        let over = |error| Interruption::over(error, parcel.items()).while_writing();
        let (element, call) = writer.calling();
        let written = element.write(parcel.rows()).await;
        drop(call);
        let skipped = written.map_err(|source| over(writer.failed(&parcel.place(), source)))?;
        check_written(given, &skipped).map_err(|source| over(writer.lied(&parcel.place(), source)))?;
        if !skipped.is_empty() {
            let skipped_rows = skipped.len();
            parcel.skip(&writer.name, skipped, "write");
            if let Some(refusal) = refused(parcel, &end.reader_name) {
                let has_taken_none = skipped_rows == given;
                return Err(if has_taken_none { refusal } else { refusal.while_writing() });
            }
        }
    }
    journey.check_gate().map_err(Interruption::of)?;
    let set_aside = rejected::set_aside(parcel, end.rejected.as_mut(), &end.header, journey.context).await;
    set_aside.map_err(|error| Interruption::of(error).while_writing())?;
    parcel.reports.drain(..).for_each(|reports| journey.context.accept(reports));
    journey.context.accept(end.writer.take_reports());

    let counts = &mut journey.execution.counts;
    let skipped = (parcel.skipped.len() + parcel.chunk.unreadable.len()) as u64;
    counts.read += parcel.chunk.items() as u64;
    counts.filtered += parcel.filtered;
    counts.skipped += skipped;
    counts.written += parcel.chunk.items() as u64 - parcel.filtered - skipped;
    if parcel.number >= end.number {
        end.number = parcel.number;
        std::mem::swap(&mut end.reader, &mut parcel.reader);
        std::mem::swap(&mut end.processors, &mut parcel.processors);
        track(journey, parcel.total);
    }
    Ok(())
}

/// Commits at chunk ends, as often as the step's settings say.
async fn checkpoint_if_due(
    source: &mut Source,
    end: &mut Destination,
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
    recovery: &Recovery,
) -> Result<(), Interruption> {
    let read = journey.execution.counts.read;
    let items = read - end.committed_counts.read;
    let ms = journey.recorder.clock.now().ms_since(end.committed_at);
    let is_due = ms >= settings.checkpoint.ms
        || settings.checkpoint.items.is_some_and(|max| items >= max)
        || recovery.is_border(read);
    if is_due && source.is_settled() {
        commit(end, journey).await.map_err(|error| Interruption::of(error).while_writing())?;
    } else if is_due {
        source.settle();
    }
    Ok(())
}

/// Makes everything up to here durable: first the output, then, in one transaction, the counts, the
/// warnings and where each element resumes.
async fn commit(end: &mut Destination, journey: &mut Journey<'_>) -> Result<(), StepError> {
    let began = journey.recorder.clock.ticks_us();
    let Destination { writer, rejected, reader, processors, .. } = end;
    let (element, call) = writer.calling();
    let written = element.checkpoint().await;
    drop(call);
    let written = written.map_err(|source| writer.failed("", source))?;
    journey.check_gate()?;
    journey.context.accept(writer.take_reports());
    let checkpoint = Checkpoint {
        reader: reader.clone(),
        processors: processors.clone(),
        writer: written,
        rejected: rejected.checkpoint().await.map_err(rejected::failed)?,
    };
    let with = With { checkpoint: Some(&checkpoint), ..With::default() };
    journey.recorder.save_step(journey.execution, journey.context, with).await?;
    let counts = journey.execution.counts.since(end.committed_counts);
    journey.observe(Observation::Checkpoint { us: journey.us_since(began), counts });
    end.committed_counts = journey.execution.counts;
    end.committed_at = journey.recorder.clock.now();
    Ok(())
}

/// Ends a step that ran to its end or to a stop. The output appears under its final name last, and only if as many
/// items have arrived as `skip` wants.
async fn finish(
    elements: &mut Elements,
    end: &mut Destination,
    journey: &mut Journey<'_>,
    outcome: StepOutcome,
    skip: Option<&SkipPolicy>,
) -> Result<StepOutcome, Interruption> {
    let counts = journey.execution.counts;
    if !counts.add_up() {
        return Err(Interruption::of(StepError::Accounting { counts }));
    }
    if outcome != StepOutcome::Stopped {
        let processed = counts.read;
        journey.context.set_tracking(Tracking { processed, total: Some(processed), is_estimate: false });
    }
    commit(end, journey).await.map_err(|error| Interruption::of(error).while_writing())?;
    close(elements).await.map_err(Interruption::of)?;
    accept_reports(elements, journey.context);
    if outcome != StepOutcome::Stopped {
        if let Some(error) = skip.and_then(|skip| rejected::too_many(counts, skip)) {
            return Err(Interruption::of(error));
        }
        journey.recorder.check_lease().await.map_err(|error| Interruption::of(error.into()))?;
        journey.check_gate().map_err(Interruption::of)?;
        let (element, call) = end.writer.calling();
        let completed = element.complete().await;
        drop(call);
        completed.map_err(|source| Interruption::of(end.writer.failed("", source)).while_writing())?;
        journey.context.accept(end.writer.take_reports());
    }
    Ok(outcome)
}

async fn close(elements: &mut Elements) -> Result<(), StepError> {
    let Elements { reader, lines } = elements;
    let (element, call) = reader.calling();
    let closed = element.close().await;
    drop(call);
    closed.map_err(|source| reader.failed("", source))?;
    for processor in lines.iter_mut().flatten().filter(|processor| processor.is_open()) {
        let (element, call) = processor.calling();
        let closed = element.close().await;
        drop(call);
        closed.map_err(|source| processor.failed("", source))?;
    }
    Ok(())
}

/// After a failure: commits the chunks that went all the way. If the writer may hold part of another
/// one, or cannot say what it holds, the last checkpoint is what counts.
async fn keep_what_is_whole(
    end: &mut Destination,
    journey: &mut Journey<'_>,
    is_whole: bool,
) -> Result<(), StepError> {
    if is_whole {
        match commit(end, journey).await {
            Ok(()) => return Ok(()),
            Err(StepError::Repository(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    journey.context.go_back_to_saved();
    journey.execution.counts = end.committed_counts;
    journey
        .context
        .set_tracking(Tracking { total: journey.context.tracking().total, ..end.committed_counts.into() });
    Ok(())
}

/// Gets ready for another attempt from the last checkpoint, or fails for good.
async fn recover(
    failure: Interruption,
    recovery: &mut Recovery,
    journey: &mut Journey<'_>,
    settings: &ItemSettings,
    retry: &RetryPolicy,
) -> Result<(), StepError> {
    let retries = journey.execution.retries;
    match recovery.next(&failure, (retry, retries), &settings.skip, journey.execution.counts.read) {
        Next::Fail => Err(explained(failure, &settings.skip)),
        Next::Narrow => {
            let what = match failure.is_refusal {
                true => "the items before it go first",
                false => "looking for the item at fault",
            };
            let message = format!("{}; {what}", failure.error.to_failure());
            journey.context.log(LogLevel::Warning, &message);
            Ok(())
        }
        Next::Smaller => {
            let message = format!("{}; trying smaller chunks", failure.error.to_failure());
            journey.context.log(LogLevel::Warning, &message);
            Ok(())
        }
        Next::Retry { after_ms } => {
            journey.execution.retries += 1;
            wait_to_retry(
                &failure.error,
                (retries + 1, retry.limit),
                after_ms,
                journey.context,
                journey.recorder,
            )
            .await;
            Ok(())
        }
    }
}

/// Waits before a retry, unless the step is asked to end.
pub(crate) async fn wait_to_retry(
    error: &StepError,
    (number, limit): (u32, u32),
    ms: u64,
    context: &StepContext,
    recorder: &Recorder,
) {
    let message = format!("{}; retry {number} of {limit} in {ms} ms", error.to_failure());
    context.log(LogLevel::Warning, &message);
    let began = recorder.clock.now();
    while !context.is_stopping() {
        let waited = recorder.clock.now().ms_since(began);
        if waited >= ms {
            break;
        }
        recorder.clock.sleep_ms((ms - waited).min(STOP_CHECK_MS)).await;
    }
}

/// Lets count what elements report outside of any chunk.
fn accept_reports(elements: &Elements, step: &StepContext) {
    step.accept(elements.reader.take_reports());
    elements.lines.iter().flatten().for_each(|processor| step.accept(processor.take_reports()));
}

async fn states(line: &mut Line) -> Result<Vec<Vec<u8>>, StepError> {
    let mut states = Vec::with_capacity(line.len());
    for processor in line {
        if !processor.is_open() {
            states.push(Vec::new());
            continue;
        }
        states.push(processor.element.state().await.map_err(|source| processor.failed("", source))?);
    }
    Ok(states)
}

fn track(journey: &Journey<'_>, total: Total) {
    let processed = journey.execution.counts.read;
    let (total, is_estimate) = match total {
        Total::Unknown => (None, false),
        Total::Estimate(total) => (Some(total.max(processed)), true),
        Total::Exact(total) => (Some(total), false),
    };
    journey.context.set_tracking(Tracking { processed, total, is_estimate });
}

/// Native elements never wait, so a step gives way after each chunk: whoever drops it, or works on the
/// same thread, gets a turn.
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

#[cfg(test)]
mod tests;
