//! The values that cross between a step and the runtime, as `wit/0.1/types.wit` defines them, independent of
//! any binding. The drivers take and return them, in a component and in a native test.

/// Items as one flat batch: all cells without gaps, row by row, and the end of each cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// All cells, UTF-8, without separators.
    pub data: Vec<u8>,
    /// The end offset of each cell in `data`. There are rows × columns of them.
    pub ends: Vec<u32>,
    /// The cells that are null and not empty, as ascending indexes into `ends`.
    pub nulls: Vec<u32>,
}

impl Rows {
    /// Adds a cell at the end.
    pub fn push(&mut self, cell: &[u8]) {
        self.data.extend_from_slice(cell);
        self.ends.push(offset(self.data.len()));
    }

    /// Adds a null cell at the end.
    pub fn push_null(&mut self) {
        self.nulls.push(offset(self.ends.len()));
        self.ends.push(offset(self.data.len()));
    }

    /// The cell at an index into `ends`; `None` if it is null.
    #[inline]
    pub fn cell(&self, index: usize) -> Option<&[u8]> {
        (!self.is_null(index)).then(|| &self.data[self.start(index)..self.ends[index] as usize])
    }

    #[inline]
    pub(crate) fn is_null(&self, index: usize) -> bool {
        !self.nulls.is_empty() && self.nulls.binary_search(&offset(index)).is_ok()
    }

    /// The offset in `data` where the cell at an index into `ends` starts.
    #[inline]
    pub(crate) fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// Removes all cells from this one on.
    pub(crate) fn truncate(&mut self, cells: usize) {
        self.data.truncate(self.start(cells));
        self.ends.truncate(cells);
        while self.nulls.last().is_some_and(|null| *null as usize >= cells) {
            self.nulls.pop();
        }
    }
}

/// The setup with which an element or a tasklet starts.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The names of the columns of the rows to come; empty for a reader and a tasklet.
    pub header: Vec<String>,
    /// The parameters, as a JSON object.
    pub parameters: String,
    /// The state that the element returned when the step was last committed; `None` if the step is not
    /// resumed.
    pub checkpoint: Option<Vec<u8>>,
}

/// An item that is set aside, by its row in the input batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The index of the row in the input batch.
    pub row: u32,
    /// The reason for machines: lower-case words joined by hyphens.
    pub code: String,
    /// The reason for people, in one sentence.
    pub reason: String,
}

/// The result of a batch: each of its items is kept, skipped or filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The kept items, in order.
    pub rows: Rows,
    /// The items that are set aside.
    pub skipped: Vec<Skipped>,
    /// The indexes of the rows of the input batch that were filtered.
    pub filtered: Vec<u32>,
}

/// An item that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The reason for machines: lower-case words joined by hyphens.
    pub code: String,
    /// The reason for people, in one sentence.
    pub reason: String,
    /// The place of the item in words that people use: `line 41`.
    pub place: String,
    /// The part of the item that could be read.
    pub item: String,
}

/// The result of one call of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The items.
    pub rows: Rows,
    /// The parts of the input that could not become items.
    pub unreadable: Vec<Unreadable>,
    /// False if nothing comes after this chunk.
    pub more: bool,
}

/// A question about the form of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The name of the tab or the field that asks.
    pub what: String,
    /// The parameters as they stand in the form, as a JSON object.
    pub parameters: String,
    /// The names of the columns of the source, if the runtime could read it.
    pub header: Vec<String>,
    /// The language of the person, a tag of BCP 47.
    pub language: String,
}

/// A position in a batch. The contract's positions have 32 bits, and a batch has at most 16 MiB.
#[inline]
pub(crate) fn offset(position: usize) -> u32 {
    debug_assert!(u32::try_from(position).is_ok());
    position as u32
}
