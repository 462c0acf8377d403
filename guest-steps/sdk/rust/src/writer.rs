//! Steps that put items somewhere, and the driver that hands them over.

use serde::de::DeserializeOwned;

use crate::contract::{Rows, Setup, Skipped};
use crate::item::Changes;
use crate::{Checkpoint, Columns, Description, Item, Opening, Skip, StepError};

/// A step that puts items somewhere.
///
/// The runtime repeats what it is not sure of: after an interruption it opens the writer with the
/// last checkpoint and sends the items after it again. A writer that undoes, in `open`, whatever it
/// wrote after that checkpoint gives exactly-once output.
pub trait Writer: Sized {
    /// What the step is configured with; [`NoParameters`](crate::NoParameters) if nothing.
    type Parameters: DeserializeOwned;

    /// What whoever installs the component is shown. Name, version and summary are already there.
    fn describe(about: Description) -> Description {
        about
    }

    /// Starts afresh, or goes back to the checkpoint.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// Writes one item, or says why not.
    fn write(&mut self, item: &Item<'_>) -> Result<Written, StepError>;

    /// Makes what was written durable, and returns all that `open` needs to undo what comes after.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError>;

    /// Called once when every item is written: only now may the output get its final name. Not
    /// called when the step stops or fails.
    fn complete(&mut self) -> Result<(), StepError>;
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// It is set aside: a warning with its reason, counted as skipped.
    Skip(Skip),
}

impl Written {
    /// Sets the item aside, with a code for machines and a sentence for people.
    pub fn skip(code: &str, reason: impl Into<String>) -> Written {
        Written::Skip(Skip::new(code, reason))
    }
}

/// Hands a writer the items of flat batches: what a component does, for native use as well.
pub struct WriterDriver<W> {
    writer: W,
    columns: Columns,
}

impl<W: Writer> WriterDriver<W> {
    /// Opens the writer.
    pub fn open(setup: Setup) -> Result<WriterDriver<W>, StepError> {
        let (parameters, mut opening) = Opening::of(setup)?;
        if opening.columns.incoming() == 0 {
            return Err(StepError::new("no-columns", "a writer needs items with at least one column"));
        }
        let writer = W::open(parameters, &mut opening)?;
        Ok(WriterDriver { writer, columns: opening.columns })
    }

    /// Writes a batch, which must be whole rows of the columns given at `open`.
    pub fn write(&mut self, rows: &Rows) -> Result<Vec<Skipped>, StepError> {
        let mut skipped = Vec::new();
        let mut changes = Changes::default(); // a writer cannot set cells: this stays empty
        for row in 0..rows.ends.len() / self.columns.incoming() {
            let first = row * self.columns.incoming();
            let item = Item::new(rows, first, &self.columns, &mut changes);
            if let Written::Skip(skip) = self.writer.write(&item)? {
                skipped.push(skip.of_row(row));
            }
        }
        Ok(skipped)
    }

    /// Makes what was written durable, and says where the writer stands.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.writer.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Gives the output its final name.
    pub fn complete(&mut self) -> Result<(), StepError> {
        self.writer.complete()
    }
}
