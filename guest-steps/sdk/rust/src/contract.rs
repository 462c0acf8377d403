//! The values that cross between a step and the runtime, as `wit/0.1/types.wit` defines them, free of
//! any binding. The drivers take and return them, in a component as in a native test.

/// Items as one flat batch: all cells back to back, row by row, and where each one ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// All cells, UTF-8, without separators.
    pub data: Vec<u8>,
    /// End offset of each cell in `data`; rows × columns of them.
    pub ends: Vec<u32>,
    /// Indexes into `ends`, ascending, of the cells that are null rather than empty.
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

    /// The cell at an index into `ends`; none for null.
    #[inline]
    pub fn cell(&self, index: usize) -> Option<&[u8]> {
        (!self.is_null(index)).then(|| &self.data[self.start(index)..self.ends[index] as usize])
    }

    #[inline]
    pub(crate) fn is_null(&self, index: usize) -> bool {
        !self.nulls.is_empty() && self.nulls.binary_search(&offset(index)).is_ok()
    }

    /// Where the cell at an index into `ends` starts in `data`.
    #[inline]
    pub(crate) fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// Takes back all cells from this one on.
    pub(crate) fn truncate(&mut self, cells: usize) {
        self.data.truncate(self.start(cells));
        self.ends.truncate(cells);
        while self.nulls.last().is_some_and(|null| *null as usize >= cells) {
            self.nulls.pop();
        }
    }
}

/// What an element or a tasklet starts with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Names of the columns of the rows to come; empty for a reader and a tasklet.
    pub header: Vec<String>,
    /// A JSON object.
    pub parameters: String,
    /// What the element returned when the step was last committed, if it is being resumed.
    pub checkpoint: Option<Vec<u8>>,
}

/// An item set aside, by its row in the batch it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Index of the row in the input batch.
    pub row: u32,
    /// For machines: lower-case words joined by hyphens.
    pub code: String,
    /// For people, in one sentence.
    pub reason: String,
}

/// What became of a batch: every item is kept, skipped or filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The items kept, in order.
    pub rows: Rows,
    /// The items set aside.
    pub skipped: Vec<Skipped>,
    /// Indexes of the rows of the input batch that were left out on purpose.
    pub filtered: Vec<u32>,
}

/// An item that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// For machines: lower-case words joined by hyphens.
    pub code: String,
    /// For people, in one sentence.
    pub reason: String,
    /// Where it stands, as a person would say it: `line 41`.
    pub place: String,
    /// What there is of the item.
    pub item: String,
}

/// What a reader found in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The items.
    pub rows: Rows,
    /// What could not become an item.
    pub unreadable: Vec<Unreadable>,
    /// False when nothing comes after this chunk.
    pub more: bool,
}

/// A position in a batch. The contract's are 32 bits wide, and a batch is 16 MiB at most.
#[inline]
pub(crate) fn offset(position: usize) -> u32 {
    debug_assert!(u32::try_from(position).is_ok());
    position as u32
}
