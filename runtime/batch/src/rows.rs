//! Items as one flat batch: all cells one after the other, and the end of each cell.
//!
//! The layout is that of `csv::ByteRecord`, for many rows at once. A component gets the same layout, so a chunk
//! costs two memory copies, whatever its size.

use std::ops::Range;

/// The most bytes one batch may hold: offsets are 32 bits wide on both sides of the boundary.
pub const ROWS_BYTES_MAX: usize = 16 << 20;

/// A batch of items, all with the same number of columns; every cell is UTF-8 or null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    columns: usize,
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
}

/// The rule that a batch from outside breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRows {
    /// The number of cells is not a multiple of the number of columns.
    #[error("{cells} cells do not make whole rows of {columns} columns")]
    PartialRow {
        /// How many cells there are.
        cells: usize,
        /// How many columns a row has.
        columns: usize,
    },
    /// An end offset is smaller than the one before it.
    #[error("the cell in row {row}, column {column} ends before it begins")]
    Descending {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
    },
    /// The last end offset is not the end of the data.
    #[error("the last cell ends at byte {end} of {bytes}")]
    WrongEnd {
        /// The last end offset.
        end: usize,
        /// How many bytes there are.
        bytes: usize,
    },
    /// A cell is not UTF-8.
    #[error("the cell in row {row}, column {column} is not UTF-8")]
    NotUtf8 {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
    },
    /// The list of null cells names a cell that does not exist, that is not empty, or that is out of order.
    #[error(
        "the list of null cells names cell {cell}, which does not exist, is not empty or is out of order"
    )]
    BadNull {
        /// The index into the cells.
        cell: u32,
    },
    /// The batch has more bytes than it may have.
    #[error("{bytes} bytes are more than the {ROWS_BYTES_MAX} that a batch may hold")]
    TooLarge {
        /// How many bytes there are.
        bytes: usize,
    },
}

impl Rows {
    /// An empty batch of rows with `columns` cells each.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Makes a batch from parts that come from outside.
    ///
    /// Every rule is checked first.
    pub fn from_parts(
        columns: usize,
        data: Vec<u8>,
        ends: Vec<u32>,
        nulls: Vec<u32>,
    ) -> Result<Self, BadRows> {
        if data.len() > ROWS_BYTES_MAX {
            return Err(BadRows::TooLarge { bytes: data.len() });
        }
        if columns == 0 || !ends.len().is_multiple_of(columns) {
            return Err(BadRows::PartialRow { cells: ends.len(), columns });
        }
        let rows = Self { columns, data, ends, nulls };
        rows.check_ends()?;
        rows.check_utf8()?;
        rows.check_nulls()?;
        Ok(rows)
    }

    fn check_ends(&self) -> Result<(), BadRows> {
        let pairs = || self.ends.iter().zip(self.ends.iter().skip(1));
        // A loop without an early exit compares many offsets at once; the culprit is searched only after a failure.
        if !pairs().fold(true, |ascends, (start, end)| ascends & (start <= end)) {
            let cell = 1 + pairs().position(|(start, end)| start > end).unwrap_or_default();
            return Err(BadRows::Descending { row: cell / self.columns, column: cell % self.columns });
        }
        match self.ends.last().map_or(0, |&end| end as usize) {
            end if end == self.data.len() => Ok(()),
            end => Err(BadRows::WrongEnd { end, bytes: self.data.len() }),
        }
    }

    /// Checks that each cell is UTF-8. A text that is UTF-8 as a whole can still be cut in the middle of a
    /// character.
    fn check_utf8(&self) -> Result<(), BadRows> {
        if self.data.is_ascii() {
            return Ok(());
        }
        // A byte `10xxxxxx` continues a character that began before it.
        let cuts = |&end: &u32| self.data.get(end as usize).is_some_and(|byte| byte & 0xc0 == 0x80);
        let is_utf8 = simdutf8::basic::from_utf8(&self.data).is_ok();
        if is_utf8 && !self.ends.iter().fold(false, |cut, end| cut | cuts(end)) {
            return Ok(());
        }
        let bad = (0..self.ends.len()).find(|&cell| std::str::from_utf8(self.bytes(cell)).is_err());
        let cell = bad.unwrap_or_default();
        Err(BadRows::NotUtf8 { row: cell / self.columns, column: cell % self.columns })
    }

    fn check_nulls(&self) -> Result<(), BadRows> {
        let mut previous = None;
        for &cell in &self.nulls {
            let is_in_order = previous.is_none_or(|p| p < cell);
            let is_empty_cell = (cell as usize) < self.ends.len() && self.range(cell as usize).is_empty();
            if !is_in_order || !is_empty_cell {
                return Err(BadRows::BadNull { cell });
            }
            previous = Some(cell);
        }
        Ok(())
    }

    /// How many cells a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All cells, one after the other.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The end offset of each cell.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The cells that are null, ascending.
    pub fn nulls(&self) -> &[u32] {
        &self.nulls
    }

    /// Empties the batch, keeps its memory, and sets the number of columns of the next rows.
    pub fn reset(&mut self, columns: usize) {
        self.columns = columns;
        self.data.clear();
        self.ends.clear();
        self.nulls.clear();
    }

    /// The emptied memory of a batch that is no longer needed: for the data and for the ends.
    ///
    /// A reader that makes a batch itself fills this memory and gives it to `from_parts`.
    pub fn into_memory(mut self) -> (Vec<u8>, Vec<u32>) {
        self.data.clear();
        self.ends.clear();
        (self.data, self.ends)
    }

    /// Appends the next cell.
    ///
    /// A row is complete after `columns` cells.
    pub fn push(&mut self, cell: &str) {
        self.data.extend_from_slice(cell.as_bytes());
        self.ends.push(self.data.len() as u32);
    }

    /// Appends a null as the next cell.
    pub fn push_null(&mut self) {
        self.nulls.push(self.ends.len() as u32);
        self.ends.push(self.data.len() as u32);
    }

    /// Appends row `row` of another batch with the same columns.
    pub fn push_row_of(&mut self, other: &Rows, row: usize) {
        self.push_cells_of(other, row * other.columns..(row + 1) * other.columns);
    }

    /// Appends cells of another batch, counted row by row from its first cell. Their bytes are copied at once, so a
    /// long range costs little more than a short one.
    pub(crate) fn push_cells_of(&mut self, other: &Rows, cells: Range<usize>) {
        if cells.is_empty() {
            return;
        }
        let bytes = other.start(cells.start)..other.ends[cells.end - 1] as usize;
        if !other.nulls.is_empty() {
            let moved = (self.ends.len() as u32).wrapping_sub(cells.start as u32);
            let from = other.nulls.partition_point(|&null| (null as usize) < cells.start);
            let copied = other.nulls[from..].iter().take_while(|&&null| (null as usize) < cells.end);
            self.nulls.extend(copied.map(|null| null.wrapping_add(moved)));
        }
        let moved = (self.data.len() as u32).wrapping_sub(bytes.start as u32);
        self.data.extend_from_slice(&other.data[bytes]);
        self.ends.extend(other.ends[cells].iter().map(|end| end.wrapping_add(moved)));
    }

    /// The text of a cell; `None` if it is null.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        let cell = row * self.columns + column;
        if !self.nulls.is_empty() && self.nulls.binary_search(&(cell as u32)).is_ok() {
            return None;
        }
        // Every batch was checked for UTF-8 when it was made, so this default is never used.
        Some(std::str::from_utf8(self.bytes(cell)).unwrap_or_default())
    }

    /// The cells of a row, in order.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = Option<&str>> {
        (0..self.columns).map(move |column| self.cell(row, column))
    }

    /// A row as a JSON object, for a warning.
    pub fn row_as_json(&self, header: &[String], row: usize) -> serde_json::Value {
        let cells = header.iter().zip(self.row(row));
        cells.map(|(name, cell)| (name.clone(), serde_json::Value::from(cell))).collect()
    }

    fn range(&self, cell: usize) -> Range<usize> {
        self.start(cell)..self.ends[cell] as usize
    }

    fn start(&self, cell: usize) -> usize {
        if cell == 0 { 0 } else { self.ends[cell - 1] as usize }
    }

    fn bytes(&self, cell: usize) -> &[u8] {
        &self.data[self.range(cell)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: usize, data: &[u8], ends: &[u32], nulls: &[u32], expected: &str) {
        let rows = Rows::from_parts(columns, data.to_vec(), ends.to_vec(), nulls.to_vec());
        let found = match rows {
            Err(error) => error.to_string(),
            Ok(rows) => (0..rows.len())
                .map(|row| rows.row(row).map(|cell| cell.unwrap_or("∅")).collect::<Vec<_>>().join(","))
                .collect::<Vec<_>>()
                .join(" "),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn believes_a_batch_only_if_every_rule_holds() {
        check(2, b"abcd", &[1, 2, 3, 4], &[], "a,b c,d");
        check(2, b"ab", &[1, 1, 2, 2], &[1], "a,∅ b,");
        check(1, b"", &[], &[], "");
        check(1, "é".as_bytes(), &[2], &[], "é");
        check(2, b"abc", &[1, 2, 3], &[], "3 cells do not make whole rows of 2 columns");
        check(0, b"", &[], &[], "0 cells do not make whole rows of 0 columns");
        check(2, b"abc", &[2, 1], &[], "the cell in row 0, column 1 ends before it begins");
        check(1, b"abc", &[4], &[], "the last cell ends at byte 4 of 3");
        check(1, b"abc", &[2], &[], "the last cell ends at byte 2 of 3");
        check(1, &[0xff], &[1], &[], "the cell in row 0, column 0 is not UTF-8");
        check(2, "é".as_bytes(), &[1, 2], &[], "the cell in row 0, column 0 is not UTF-8");
        for nulls in [&[1u32, 1] as &[u32], &[1, 0], &[2], &[0]] {
            let found = Rows::from_parts(2, b"a".to_vec(), vec![1, 1], nulls.to_vec());
            assert!(matches!(found, Err(BadRows::BadNull { .. })), "{nulls:?}");
        }
    }

    #[test]
    fn keeps_null_apart_from_empty() {
        let mut rows = Rows::new(2);
        rows.push("");
        rows.push_null();
        assert_eq!((rows.cell(0, 0), rows.cell(0, 1)), (Some(""), None));
        let mut copy = Rows::new(2);
        copy.push_row_of(&rows, 0);
        assert_eq!(copy, rows);
        let header = ["a".to_owned(), "b".to_owned()];
        assert_eq!(rows.row_as_json(&header, 0).to_string(), r#"{"a":"","b":null}"#);
    }
}
