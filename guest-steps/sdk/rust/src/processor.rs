//! Steps that change items, and the driver that leads them through a batch.

use serde::de::DeserializeOwned;

use crate::columns::Layout;
use crate::contract::{Outcome, Rows, Setup, Skipped, offset};
use crate::item::Changes;
use crate::output::Output;
use crate::{Checkpoint, Columns, Description, Item, Opening, StepError};

/// A step that looks at each item and keeps, changes, filters or skips it.
pub trait Processor: Sized {
    /// What the step is configured with; [`NoParameters`](crate::NoParameters) if nothing.
    type Parameters: DeserializeOwned;

    /// What whoever installs the component is shown. Name, version and summary are already there.
    ///
    /// A processor whose every call depends on its own items alone says so, and may then be run by
    /// several instances side by side: `about.stateless()`.
    fn describe(about: Description) -> Description {
        about
    }

    /// Looks up the columns it works on, adds and removes others, and takes its parameters.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// What becomes of one item.
    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError>;

    /// What `open` needs to go on after the last item. Nothing, for most.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError> {
        Ok(Checkpoint::none())
    }

    /// Called once after the last item, also when the step is stopped; not after a failure.
    fn close(&mut self) -> Result<(), StepError> {
        Ok(())
    }
}

/// What becomes of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next element, with the cells that were set.
    Keep,
    /// It is left out, as intended, and counted as filtered.
    Filter,
    /// It is set aside: a warning with its reason, counted as skipped.
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
    /// Lower-case words joined by hyphens, at most 100 bytes.
    pub code: String,
    /// One sentence.
    pub reason: String,
}

impl Skip {
    /// A reason, with a code for machines and a sentence for people.
    pub fn new(code: &str, reason: impl Into<String>) -> Skip {
        Skip { code: code.to_owned(), reason: reason.into() }
    }

    pub(crate) fn of_row(self, row: usize) -> Skipped {
        Skipped { row: offset(row), code: self.code, reason: self.reason }
    }
}

/// Leads a processor through flat batches: what a component does, for native use as well.
pub struct ProcessorDriver<P> {
    processor: P,
    columns: Columns,
    layout: Layout,
    changes: Changes,
}

impl<P: Processor> ProcessorDriver<P> {
    /// Opens the processor, and says which columns it will return.
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

    /// Processes a batch, which must be whole rows of the columns given at `open`.
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

    /// Where the processor stands.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.processor.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Ends the processor.
    pub fn close(&mut self) -> Result<(), StepError> {
        self.processor.close()
    }
}
