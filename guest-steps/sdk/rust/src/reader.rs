//! Steps that find items, and the driver that collects them into batches.

use serde::de::DeserializeOwned;

use crate::contract::{Chunk, Rows, Setup, Unreadable};
use crate::opening::parse_parameters;
use crate::{Checkpoint, Description, Opening, StepError};

/// A step that finds items, one after the other.
pub trait Reader: Sized {
    /// What the step is configured with; [`NoParameters`](crate::NoParameters) if nothing.
    type Parameters: DeserializeOwned;

    /// What whoever installs the component is shown. Name, version and summary are already there.
    fn describe(about: Description) -> Description {
        about
    }

    /// Adds the columns it will deliver, and goes to its beginning or to the checkpoint.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// Fills in the next item, cell by cell in the order of the columns.
    fn read(&mut self, item: &mut NewItem<'_>) -> Result<Next, StepError>;

    /// All that `open` needs to go on after the last item read.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError>;

    /// Called once at the end, also when the step is stopped; not after a failure.
    fn close(&mut self) -> Result<(), StepError> {
        Ok(())
    }
}

/// A reader whose items can be read in parts, side by side and on any machine: for a step with `partitions`.
pub trait PartitionedReader: Reader {
    /// Divides the items into at most `parts` parts of about the same size; none if they cannot be divided.
    ///
    /// Each part is opened with its checkpoint, which tells where the part begins and where it ends. All of
    /// them, one after the other, are what one reader alone finds, and what they say of a place in the input
    /// is the same, too.
    fn split(parameters: Self::Parameters, parts: u32) -> Result<Option<Vec<Checkpoint>>, StepError>;
}

/// Divides what a reader finds: what a component does, for native use as well.
pub fn split<R: PartitionedReader>(setup: &Setup, parts: u32) -> Result<Option<Vec<Vec<u8>>>, StepError> {
    let states = R::split(parse_parameters(&setup.parameters)?, parts)?;
    Ok(states.map(|states| states.into_iter().map(Checkpoint::into_bytes).collect()))
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An item, which is filled in.
    Item,
    /// Something that is no item. What was filled in is forgotten, and reading goes on after it.
    Unreadable(Unreadable),
    /// Nothing.
    End,
}

/// The item that a reader fills in.
pub struct NewItem<'a> {
    rows: &'a mut Rows,
}

impl NewItem<'_> {
    /// The next cell.
    pub fn push(&mut self, cell: &str) {
        self.rows.push(cell.as_bytes());
    }

    /// The next cell, which is null.
    pub fn push_null(&mut self) {
        self.rows.push_null();
    }
}

/// Lets a reader fill flat batches: what a component does, for native use as well.
pub struct ReaderDriver<R> {
    reader: R,
    columns: usize,
}

impl<R: Reader> ReaderDriver<R> {
    /// Opens the reader, and says which columns it will deliver.
    pub fn open(setup: Setup) -> Result<(ReaderDriver<R>, Vec<String>), StepError> {
        let (parameters, mut opening) = Opening::of(setup)?;
        let reader = R::open(parameters, &mut opening)?;
        let header = opening.columns.outgoing_names()?;
        Ok((ReaderDriver { reader, columns: header.len() }, header))
    }

    /// The next items: at most `max_rows`, and no further one once `max_bytes` is passed.
    pub fn read(&mut self, max_rows: u32, max_bytes: u32) -> Result<Chunk, StepError> {
        let mut chunk = Chunk { more: true, ..Chunk::default() };
        let mut items = 0;
        while items < max_rows && chunk.rows.data.len() < max_bytes as usize {
            let before = chunk.rows.ends.len();
            match self.reader.read(&mut NewItem { rows: &mut chunk.rows })? {
                Next::Item => self.check_cells(chunk.rows.ends.len() - before)?,
                Next::Unreadable(unreadable) => {
                    chunk.rows.truncate(before);
                    chunk.unreadable.push(unreadable);
                }
                Next::End => {
                    chunk.rows.truncate(before);
                    chunk.more = false;
                    break;
                }
            }
            items += 1;
        }
        Ok(chunk)
    }

    /// Where the reader stands.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.reader.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Ends the reader.
    pub fn close(&mut self) -> Result<(), StepError> {
        self.reader.close()
    }

    fn check_cells(&self, filled_in: usize) -> Result<(), StepError> {
        if filled_in == self.columns {
            return Ok(());
        }
        let problem =
            format_args!("the reader filled in {filled_in} cells of an item with {} columns", self.columns);
        Err(StepError::new("wrong-cell-count", problem))
    }
}
