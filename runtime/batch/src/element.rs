//! The ports of a step's elements. A native element and a sandboxed one look the same from here.
//!
//! A call that gives no result returns a [`Halt`]: a stop request ended it, or the element failed.

use std::fmt;

use async_trait::async_trait;

use crate::error::{ElementError, Halt};
use crate::job::ChunkLimit;
use crate::rows::Rows;
use crate::step_context::StepContext;

/// The code of a call that ran longer than it may. The same items in smaller chunks may do.
pub const TIME_LIMIT_CODE: &str = "step-time-limit";

/// What an element does in its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Delivers items.
    Reader,
    /// Changes items.
    Processor,
    /// Takes items.
    Writer,
    /// Does one task without items.
    Tasklet,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reader => "reader",
            Self::Processor => "processor",
            Self::Writer => "writer",
            Self::Tasklet => "tasklet",
        })
    }
}

/// What an element starts with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Names of the columns of the rows to come; empty for a reader.
    pub header: &'a [String],
    /// What the element returned from `state` or `checkpoint` at the last commit, if it resumes.
    pub state: Option<&'a [u8]>,
    /// The running step.
    pub context: &'a StepContext,
    /// For a writer: which part of the output it writes, if not all of it.
    pub fragment: Option<Fragment>,
}

/// A part of an output. Several step executions write one each, and another one puts them together.
///
/// The name that a writer gives its part comes from the run and this number, so all of them belong to one
/// run ([`RunInfo`](crate::run_context::RunInfo)), that of the execution that puts them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Its place in the output, from 0.
    pub number: u32,
}

/// What a reader delivers in one go.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The items.
    pub rows: Rows,
    /// The line on which each row begins, from 1; empty if the reader does not know.
    pub lines: Vec<u64>,
    /// Items that could not be read. They count as read and skipped.
    pub unreadable: Vec<Unreadable>,
}

impl Chunk {
    /// Empties it for rows with `columns` cells, and keeps its memory.
    pub fn reset(&mut self, columns: usize) {
        self.rows.reset(columns);
        self.lines.clear();
        self.unreadable.clear();
    }

    /// How many items were read, readable or not.
    pub fn items(&self) -> usize {
        self.rows.len() + self.unreadable.len()
    }
}

/// An item that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Stable, for machines.
    pub code: String,
    /// For people.
    pub reason: String,
    /// Where it stands: `line 41`.
    pub place: String,
    /// All there is of it, as it stands in the input: JSON or any other text. What is left out says so.
    pub item: String,
}

/// Whether there may be items after this chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Read again.
    Yes,
    /// This was the last chunk.
    No,
}

/// How many items a reader has to deliver in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Total {
    /// It cannot say.
    #[default]
    Unknown,
    /// From the bytes read so far.
    Estimate(u64),
    /// Counted.
    Exact(u64),
}

/// A row of the batch that an element set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRow {
    /// Its index in the batch.
    pub row: u32,
    /// Stable, for machines.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// What a processor did not pass on. With the rows that it returns it accounts for every row of the
/// batch; the engine checks that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Rows set aside, each with its reason. They become warnings.
    pub skipped: Vec<SkippedRow>,
    /// Indexes of the rows that were left out on purpose.
    pub filtered: Vec<u32>,
}

impl SetAside {
    /// The indexes of all its rows, the skipped ones first.
    pub fn rows(&self) -> impl Iterator<Item = u32> {
        self.skipped.iter().map(|skipped| skipped.row).chain(self.filtered.iter().copied())
    }
}

/// An item that was skipped, as the rejected items file keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Rejected<'a> {
    /// The batch that the item was read in, and its row there; `None` for an item that could not be read.
    pub row: Option<(&'a Rows, usize)>,
    /// Stable, for machines.
    pub code: &'a str,
    /// For people.
    pub reason: &'a str,
    /// Where it stands: `line 41`.
    pub place: &'a str,
    /// Where it ended: `read`, `process` or `write`.
    pub phase: &'static str,
    /// The text of an item that could not be read.
    pub item: &'a str,
}

/// Where skipped items go, in the order they were read. Called in the order open, append …,
/// checkpoint (now and then); may be opened again after a failure.
#[async_trait]
pub trait RejectedItems: Send {
    /// Prepares for items with these columns, in the form that their reader gave, and undoes everything that came
    /// after the given state.
    async fn open(
        &mut self,
        header: &[String],
        form: Option<&[u8]>,
        state: Option<&[u8]>,
    ) -> Result<(), ElementError>;

    /// Adds an item.
    async fn append(&mut self, rejected: Rejected<'_>) -> Result<(), ElementError>;

    /// Appends what other step executions have rejected, given the last state of each in their order. To be
    /// called again with the same state after `More::Yes`, when a checkpoint may be made. Once it was opened
    /// again it starts over with the first one, and what the checkpoint holds already is passed over.
    async fn absorb(&mut self, state: &[u8]) -> Result<More, ElementError>;

    /// Makes everything durable, and returns all that `open` needs to go on from here.
    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError>;
}

/// Where items come from. Called in the order open, read …, state (now and then), close. After a
/// failure it may be opened again, to go on from a state.
#[async_trait]
pub trait ItemReader: Send {
    /// Returns the names of the columns that `read` will deliver.
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt>;

    /// Fills `chunk`, which is empty and set to the columns, up to its limit.
    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt>;

    /// How many items there are in all, as far as it knows by now.
    fn total(&self) -> Total {
        Total::Unknown
    }

    /// Divides the items into at most so many parts of about the same size, so that several step executions
    /// can read them side by side. Called instead of `open`, which takes the states that it returns: one
    /// reads on from each, in this order, until the next one begins. There is one at least, and as much of
    /// each item is said as without parts: its line, for example. A total is that of the part.
    ///
    /// None if it cannot do so, or not from the state given.
    async fn split(&mut self, _opening: Opening<'_>, _parts: u32) -> Result<Option<Vec<Vec<u8>>>, Halt> {
        Ok(None)
    }

    /// How skipped items can be written so that this reader reads them again once they are corrected, for
    /// [`RejectedItems::open`] to understand. Asked for once it is open; `None` if it has no such form.
    fn form(&self) -> Option<Vec<u8>> {
        None
    }

    /// All that `open` needs to go on after the last item read.
    async fn state(&mut self) -> Result<Vec<u8>, Halt>;

    /// Called once at the end, also when the step stops; not after a failure.
    async fn close(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

/// What happens to items. Called in the order open, process …, state (now and then), close. After a
/// failure it may be opened again, to go on from a state.
#[async_trait]
pub trait ItemProcessor: Send {
    /// Returns the names of the columns that `process` will return.
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt>;

    /// Appends what becomes of `rows` to `output`, which is empty and set to the columns: the rows
    /// kept, in their order. Returns which rows are not among them.
    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt>;

    /// All that `open` needs to go on after the last batch; empty for most.
    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }

    /// Called once at the end, also when the step stops; not after a failure.
    async fn close(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

/// Where items go. Called in the order open, write …, checkpoint (now and then), complete. After a
/// failure it may be opened again, to go on from a state.
#[async_trait]
pub trait ItemWriter: Send {
    /// Prepares to write, and undoes everything that was written after the given state.
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt>;

    /// Removes what `open` has made, and nothing else. Called right after it, in place of all other calls, if the
    /// lease was lost by then: another worker may have completed the output, and would leave it there.
    async fn withdraw(&mut self) {}

    /// Writes all rows but those it returns as skipped.
    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, Halt>;

    /// Makes what was written durable, and returns all that `open` needs to go on from here.
    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt>;

    /// Whether it writes fragments and absorbs them. Then no state of it is empty.
    fn can_absorb(&self) -> bool {
        false
    }

    /// Appends what other step executions have written as fragments, given the last state of each in their
    /// order. To be called again with the same state after `More::Yes`, when a checkpoint may be made. Once
    /// it was opened again it starts over with the first one, and what the checkpoint holds already is
    /// passed over. The output is what it would be if it had been written in one go.
    async fn absorb(&mut self, _state: &[u8]) -> Result<More, Halt> {
        Err(ElementError::failed("cannot-absorb", "it cannot put an output together from fragments").into())
    }

    /// Shows the output under its final name, and removes the fragments that it was made of. Called once,
    /// after the last item, never when the step stops or fails. Called again on a restart that finds it done
    /// already. A fragment is left as it is, for the writer that absorbs it.
    async fn complete(&mut self) -> Result<(), Halt>;
}

/// One task without items.
#[async_trait]
pub trait Tasklet: Send {
    /// Does it all; returns the code of an exit status of its own, if it has one to say.
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt>;
}
