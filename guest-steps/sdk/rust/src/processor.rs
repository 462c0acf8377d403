//! Steps that change items, and the driver that calls them for each item of a batch.

use serde::de::DeserializeOwned;

use crate::columns::Layout;
use crate::contract::{Outcome, Rows, Setup, Skipped, offset};
use crate::item::Changes;
use crate::output::Output;
use crate::{Checkpoint, Columns, Description, Item, Opening, StepError};

/// A step that looks at each item and keeps, changes, filters or skips it.
pub trait Processor: Sized {
    /// The parameters of the step; [`NoParameters`](crate::NoParameters) if it has none.
    type Parameters: DeserializeOwned;

    /// Describes the component for people who install it. Name, version and summary are already set.
    ///
    /// If each call of a processor depends on its own items alone, call `about.stateless()`. Then several
    /// instances may run it in parallel.
    fn describe(about: Description) -> Description {
        about
    }

    /// Reads the parameters, looks up the columns that the step uses, and adds and removes others.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// Decides what happens to one item.
    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError>;

    /// The state that `open` needs to continue after the last item. Most processors need none.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError> {
        Ok(Checkpoint::none())
    }

    /// Called once after the last item, also if the step is stopped. Not called after a failure.
    fn close(&mut self) -> Result<(), StepError> {
        Ok(())
    }
}

/// What happens to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The item goes to the next element, with the cells that were set.
    Keep,
    /// The item is dropped on purpose, and counted as filtered.
    Filter,
    /// The item is set aside: it is counted as skipped, and a warning has the reason.
    Skip(Skip),
}

impl Verdict {
    /// Sets the item aside, with a code for machines and a sentence for people.
    pub fn skip(code: &str, reason: impl Into<String>) -> Verdict {
        Verdict::Skip(Skip::new(code, reason))
    }
}

/// Why an item is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The code for machines: lower-case words joined by hyphens, at most 100 bytes.
    pub code: String,
    /// The reason for people, in one sentence.
    pub reason: String,
}

impl Skip {
    /// Makes a reason of a code for machines and a sentence for people.
    pub fn new(code: &str, reason: impl Into<String>) -> Skip {
        Skip { code: code.to_owned(), reason: reason.into() }
    }

    pub(crate) fn of_row(self, row: usize) -> Skipped {
        Skipped { row: offset(row), code: self.code, reason: self.reason }
    }
}

/// Runs a processor on flat batches. A component uses it, and native programs can use it as well.
pub struct ProcessorDriver<P> {
    processor: P,
    columns: Columns,
    layout: Layout,
    changes: Changes,
}

impl<P: Processor> ProcessorDriver<P> {
    /// Opens the processor. Returns the columns that it will return.
    pub fn open(setup: Setup) -> Result<(ProcessorDriver<P>, Vec<String>), StepError> {
        let (parameters, mut opening) = Opening::of(setup)?;
        if opening.columns.incoming() == 0 {
            return Err(StepError::new("no-columns", "a processor needs items with at least one column"));
        }
        let processor = P::open(parameters, &mut opening)?;
        let columns = opening.columns;
        let header = columns.outgoing_names()?;
        let layout = columns.layout();
        Ok((ProcessorDriver { processor, columns, layout, changes: Changes::default() }, header))
    }

    /// Processes a batch. The batch must consist of whole rows of the columns given at `open`.
    pub fn process(&mut self, rows: Rows) -> Result<Outcome, StepError> {
        let mut output = Output::new(&rows, &self.layout);
        let (mut skipped, mut filtered) = (Vec::new(), Vec::new());
        let row_count = rows.ends.len() / self.layout.incoming;
        for row in 0..row_count {
            self.changes.clear();
            let first = row * self.layout.incoming;
            let mut item = Item::new(&rows, first, &self.columns, &mut self.changes);
            match self.processor.process(&mut item)? {
                Verdict::Keep => output.keep(row, &self.changes),
                Verdict::Filter => filtered.push(offset(row)),
                Verdict::Skip(skip) => skipped.push(skip.of_row(row)),
            }
        }
        let rows = output.finish(row_count).unwrap_or(rows);
        Ok(Outcome { rows, skipped, filtered })
    }

    /// The state of the processor.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.processor.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Closes the processor.
    pub fn close(&mut self) -> Result<(), StepError> {
        self.processor.close()
    }
}
