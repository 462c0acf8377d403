//! Steps that find items, and the driver that collects them into batches.

use serde::de::DeserializeOwned;

use crate::contract::{Chunk, Rows, Setup, Unreadable};
use crate::opening::parse_parameters;
use crate::{Checkpoint, Description, Opening, StepError};

/// A step that finds items, one after the other.
pub trait Reader: Sized {
    /// The parameters of the step; [`NoParameters`](crate::NoParameters) if it has none.
    type Parameters: DeserializeOwned;

    /// Describes the component for people who install it. Name, version and summary are already set.
    fn describe(about: Description) -> Description {
        about
    }

    /// Adds the columns of its items, and goes to the start of the input or to the checkpoint.
    fn open(parameters: Self::Parameters, opening: &mut Opening) -> Result<Self, StepError>;

    /// Fills in the next item, cell by cell in the order of the columns.
    fn read(&mut self, item: &mut NewItem<'_>) -> Result<Next, StepError>;

    /// The state that `open` needs to continue after the last item that was read.
    fn checkpoint(&mut self) -> Result<Checkpoint, StepError>;

    /// Called once at the end, also if the step is stopped. Not called after a failure.
    fn close(&mut self) -> Result<(), StepError> {
        Ok(())
    }
}

/// A reader whose items can be read in parts, in parallel and on any machine: for a step with `partitions`.
pub trait PartitionedReader: Reader {
    /// Divides the items into at most `parts` parts of about the same size; `None` if they cannot be divided.
    ///
    /// Each part is opened with its checkpoint, which says where the part begins and where it ends. All parts
    /// one after the other must give the same items as one reader alone, with the same places in the input.
    fn split(parameters: Self::Parameters, parts: u32) -> Result<Option<Vec<Checkpoint>>, StepError>;
}

/// Divides the items of a reader. A component uses it, and native programs can use it as well.
pub fn split<R: PartitionedReader>(setup: &Setup, parts: u32) -> Result<Option<Vec<Vec<u8>>>, StepError> {
    let states = R::split(parse_parameters(&setup.parameters)?, parts)?;
    Ok(states.map(|states| states.into_iter().map(Checkpoint::into_bytes).collect()))
}

/// The result of reading the next item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An item. Its cells are filled in.
    Item,
    /// A part of the input that is not an item. The filled cells are dropped, and reading continues after it.
    Unreadable(Unreadable),
    /// The end of the input.
    End,
}

/// The item that a reader fills in.
pub struct NewItem<'a> {
    rows: &'a mut Rows,
}

impl NewItem<'_> {
    /// Adds the next cell.
    pub fn push(&mut self, cell: &str) {
        self.rows.push(cell.as_bytes());
    }

    /// Adds the next cell, which is null.
    pub fn push_null(&mut self) {
        self.rows.push_null();
    }
}

/// Runs a reader, which fills flat batches.
///
/// A component uses it, and native programs can use it as well.
pub struct ReaderDriver<R> {
    reader: R,
    columns: usize,
}

impl<R: Reader> ReaderDriver<R> {
    /// Opens the reader. Returns the columns of its items.
    pub fn open(setup: Setup) -> Result<(ReaderDriver<R>, Vec<String>), StepError> {
        let (parameters, mut opening) = Opening::of(setup)?;
        let reader = R::open(parameters, &mut opening)?;
        let header = opening.columns.outgoing_names()?;
        Ok((ReaderDriver { reader, columns: header.len() }, header))
    }

    /// Reads the next items: at most `max_rows`, and no further item after `max_bytes` is exceeded.
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

    /// The state of the reader.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, StepError> {
        self.reader.checkpoint().map(Checkpoint::into_bytes)
    }

    /// Closes the reader.
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
