//! Steps that store or send items, and the driver that passes the items to them.

use serde::de::DeserializeOwned;

use crate::contract::{Rows, Setup, Skipped};
use crate::item::Changes;
use crate::{Checkpoint, Columns, Description, Item, Opening, Skip, StepError};

/// A step that stores items or sends them.
///
/// After an interruption the runtime repeats all items that may not be stored: it opens the writer with the
/// last checkpoint and sends all later items again. For exactly-once output, the writer must undo in `open`
/// everything that it wrote after that checkpoint.
pub trait Writer: Sized {
    /// The parameters of the step; [`NoParameters`](crate::NoParameters) if it has none.
    type Parameters: DeserializeOwned;

    /// Describes the component for people who install it. Name, version and summary are already set.
    fn describe(about: Description) -> Description {
        about
    }

    /// Starts new output, or goes back to the checkpoint.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// Writes one item, or returns why it does not.
    fn write(&mut self, item: &Item<'_>) -> Result<Written, StepError>;

    /// Makes the written items durable. Returns the state that `open` needs to undo everything written later.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError>;

    /// Called once after all items are written. Only now may the output get its final name. Not called if the
    /// step stops or fails.
    fn complete(&mut self) -> Result<(), StepError>;
}

/// What happened to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The item is written.
    Done,
    /// The item is set aside: it is counted as skipped, and a warning has the reason.
    Skip(Skip),
}

impl Written {
    /// Sets the item aside, with a code for machines and a sentence for people.
    pub fn skip(code: &str, reason: impl Into<String>) -> Written {
        Written::Skip(Skip::new(code, reason))
    }
}

/// Runs a writer on flat batches. A component uses it, and native programs can use it as well.
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

    /// Writes a batch. The batch must consist of whole rows of the columns given at `open`.
    pub fn write(&mut self, rows: &Rows) -> Result<Vec<Skipped>, StepError> {
        let mut skipped = Vec::new();
        let mut changes = Changes::default(); // a writer cannot set cells, so this stays empty
        for row in 0..rows.ends.len() / self.columns.incoming() {
            let first = row * self.columns.incoming();
            let item = Item::new(rows, first, &self.columns, &mut changes);
            if let Written::Skip(skip) = self.writer.write(&item)? {
                skipped.push(skip.of_row(row));
            }
        }
        Ok(skipped)
    }

    /// Makes the written items durable, and returns the state of the writer.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.writer.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Gives the output its final name.
    pub fn complete(&mut self) -> Result<(), StepError> {
        self.writer.complete()
    }
}
