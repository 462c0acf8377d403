//! The ports of a step's elements. The engine sees no difference between a native element and a sandboxed one.
//!
//! A call that gives no result returns a [`Halt`]: a stop request ended it, or the element failed.

use std::fmt;

use async_trait::async_trait;

use crate::error::{ElementError, Halt};
use crate::job::ChunkLimit;
use crate::rows::Rows;
use crate::step_context::StepContext;

/// The code of a call that ran longer than it may.
///
/// The same items in smaller chunks may succeed.
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

/// What an element gets when it is opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Names of the columns of the rows to come; empty for a reader.
    pub header: &'a [String],
    /// The bytes that the element returned from `state` or `checkpoint` at the last commit; `None` if it does not
    /// resume.
    pub state: Option<&'a [u8]>,
    /// The running step.
    pub context: &'a StepContext,
    /// For a writer: the part of the output that it writes; `None` if it writes all of it.
    pub fragment: Option<Fragment>,
}

/// A part of an output.
///
/// Several step executions write one part each, and another step execution puts the parts together.
///
/// The name that a writer gives its part comes from the run and this number. All parts belong to one run
/// ([`RunInfo`](crate::run_context::RunInfo)): the run of the execution that puts them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Its place in the output, from 0.
    pub number: u32,
}

/// The items that a reader delivers in one call.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The items.
    pub rows: Rows,
    /// The line on which each row begins, from 1; empty if the reader does not know.
    pub lines: Vec<u64>,
    /// Items that could not be read.
    ///
    /// They count as read and skipped.
    pub unreadable: Vec<Unreadable>,
}

impl Chunk {
    /// Empties the chunk for rows with `columns` cells, and keeps its memory.
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
    /// Where the item is in the input: `line 41`.
    pub place: String,
    /// The text of the item as it is in the input: JSON or any other text.
    ///
    /// A mark shows where text is left out.
    pub item: String,
}

/// Whether there may be items after this chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There may be: the engine reads again.
    Yes,
    /// There are no more: this was the last chunk.
    No,
}

/// How many items a reader delivers in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Total {
    /// The reader does not know.
    #[default]
    Unknown,
    /// Estimated from the bytes read so far.
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

/// The rows that a processor did not pass on.
///
/// Together with the rows that it returns, they account for every row of the batch; the engine checks that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Rows set aside, each with its reason.
    ///
    /// They become warnings.
    pub skipped: Vec<SkippedRow>,
    /// Indexes of the rows that were left out on purpose.
    pub filtered: Vec<u32>,
}

impl SetAside {
    /// The indexes of all these rows, the skipped ones first.
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
    /// Where the item is in the input: `line 41`.
    pub place: &'a str,
    /// The phase in which it was skipped: `read`, `process` or `write`.
    pub phase: &'static str,
    /// The text of an item that could not be read.
    pub item: &'a str,
}

/// Receives the skipped items, in the order they were read.
///
/// The calls come in the order open, append …, checkpoint (now and then). After a failure it may be opened again.
#[async_trait]
pub trait RejectedItems: Send {
    /// Prepares for items with these columns, in the form that their reader gave, and undoes everything that was
    /// added after the given state.
    async fn open(
        &mut self,
        header: &[String],
        form: Option<&[u8]>,
        state: Option<&[u8]>,
    ) -> Result<(), ElementError>;

    /// Adds an item.
    async fn append(&mut self, rejected: Rejected<'_>) -> Result<(), ElementError>;

    /// Appends the items that other step executions have rejected.
    ///
    /// The caller passes the last state of each of them, in their order. After `More::Yes` a checkpoint may be
    /// made, and the caller calls again with the same state. After a new `open` the caller starts again with the
    /// first state; what the checkpoint already holds is skipped.
    async fn absorb(&mut self, state: &[u8]) -> Result<More, ElementError>;

    /// Makes everything durable, and returns all that `open` needs to continue from here.
    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError>;
}

/// Delivers items.
///
/// The calls come in the order open, read …, state (now and then), close. After a failure it may be opened again,
/// to continue from a state.
#[async_trait]
pub trait ItemReader: Send {
    /// Returns the names of the columns that `read` will deliver.
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt>;

    /// Fills `chunk`, which is empty and set to the columns, up to its limit.
    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt>;

    /// How many items there are in all, as far as the reader knows by now.
    fn total(&self) -> Total {
        Total::Unknown
    }

    /// Divides the items into at most `parts` parts of about the same size, so that several step executions can
    /// read them side by side.
    ///
    /// Called instead of `open`.
    ///
    /// Returns at least one state, in the order of the parts. A reader that is opened with a state reads from there
    /// until the next part begins. It gives the same details of each item as without parts, for example the line.
    /// Its total is the total of its part.
    ///
    /// `None` if the reader cannot divide its items, or cannot divide them from the given state.
    async fn split(&mut self, _opening: Opening<'_>, _parts: u32) -> Result<Option<Vec<Vec<u8>>>, Halt> {
        Ok(None)
    }

    /// How skipped items must be written so that this reader can read them again once they are corrected.
    ///
    /// [`RejectedItems::open`] gets this form. Called after `open`; `None` if the reader has no such form.
    fn form(&self) -> Option<Vec<u8>> {
        None
    }

    /// All that `open` needs to continue after the last item read.
    async fn state(&mut self) -> Result<Vec<u8>, Halt>;

    /// Called once at the end, also if the step stops; not called after a failure.
    async fn close(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

/// Changes items.
///
/// The calls come in the order open, process …, state (now and then), close. After a failure it may be opened
/// again, to continue from a state.
#[async_trait]
pub trait ItemProcessor: Send {
    /// Returns the names of the columns that `process` will return.
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt>;

    /// Appends the results for `rows` to `output`, which is empty and set to the columns: the rows that are kept,
    /// in their order.
    ///
    /// Returns the rows that were not kept.
    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt>;

    /// All that `open` needs to continue after the last batch; empty for most processors.
    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(Vec::new())
    }

    /// Called once at the end, also if the step stops; not called after a failure.
    async fn close(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

/// Receives items.
///
/// The calls come in the order open, write …, checkpoint (now and then), complete. After a failure it may be opened
/// again, to continue from a state.
#[async_trait]
pub trait ItemWriter: Send {
    /// Prepares to write, and undoes everything that was written after the given state.
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), Halt>;

    /// Removes what `open` has made, and nothing else.
    ///
    /// Called right after `open`, instead of all other calls, if the lease was lost in the meantime: another worker
    /// may have completed the output, and would not remove what this `open` has made.
    async fn withdraw(&mut self) {}

    /// Writes all rows, except the skipped rows that it returns.
    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, Halt>;

    /// Makes all written rows durable, and returns all that `open` needs to continue from here.
    async fn checkpoint(&mut self) -> Result<Vec<u8>, Halt>;

    /// Whether the writer can write fragments and absorb them.
    ///
    /// If so, its states are never empty.
    fn can_absorb(&self) -> bool {
        false
    }

    /// Appends the fragments that other step executions have written.
    ///
    /// The caller passes the last state of each of them, in their order. After `More::Yes` a checkpoint may be
    /// made, and the caller calls again with the same state. After a new `open` the caller starts again with the
    /// first state; what the checkpoint already holds is skipped. The output is the same as if one step execution
    /// had written all of it.
    async fn absorb(&mut self, _state: &[u8]) -> Result<More, Halt> {
        Err(ElementError::failed("cannot-absorb", "it cannot put an output together from fragments").into())
    }

    /// Gives the output its final name, and removes the fragments that it was made of.
    ///
    /// Called once, after the last item; never called if the step stops or fails. A restart may call it again
    /// although the output is complete already. A fragment is left as it is, for the writer that absorbs it.
    async fn complete(&mut self) -> Result<(), Halt>;
}

/// One task without items.
#[async_trait]
pub trait Tasklet: Send {
    /// Does the whole task.
    ///
    /// Returns the code of an exit status of its own, or `None`.
    async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt>;
}
