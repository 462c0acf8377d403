//! One item: a view into its batch, and the changes to it.

use std::fmt::{self, Write};
use std::ops::Range;

use serde::Serializer;

use crate::contract::Rows;
use crate::{Column, Columns};

/// One item. Reading a cell returns the incoming value; setting a cell changes the outgoing row.
pub struct Item<'a> {
    rows: &'a Rows,
    /// The index of the item's first cell in the batch.
    first: usize,
    columns: &'a Columns,
    changes: &'a mut Changes,
}

impl<'a> Item<'a> {
    pub(crate) fn new(
        rows: &'a Rows,
        first: usize,
        columns: &'a Columns,
        changes: &'a mut Changes,
    ) -> Item<'a> {
        Item { rows, first, columns, changes }
    }

    /// A cell's text; `None` if it is null, or in a column that the step itself adds.
    #[inline]
    pub fn get(&self, column: impl Into<Column>) -> Option<&'a str> {
        self.bytes(column).map(as_text)
    }

    /// A cell's text; the empty text if the cell is null.
    #[inline]
    pub fn text(&self, column: impl Into<Column>) -> &'a str {
        self.get(column).unwrap_or_default()
    }

    /// A cell by its column's name.
    ///
    /// This searches the header each time. It is faster to call [`Columns::find`] once in `open` and then
    /// [`get`](Item::get).
    pub fn named(&self, name: &str) -> Option<&'a str> {
        self.columns.get(name).and_then(|column| self.get(column))
    }

    /// A cell's bytes, which are UTF-8; `None` if it is null.
    ///
    /// Use it to scan a cell without a check of the text.
    #[inline]
    pub fn bytes(&self, column: impl Into<Column>) -> Option<&'a [u8]> {
        let position = column.into().position();
        if position >= self.columns.incoming() {
            return None;
        }
        self.rows.cell(self.first + position)
    }

    /// The bytes of all incoming cells, in order; `None` for null.
    #[inline]
    pub fn cells(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let rows = self.rows;
        let cells = self.first..self.first + self.columns.incoming();
        let mut start = rows.start(cells.start);
        rows.ends[cells.clone()].iter().zip(cells).map(move |(end, index)| {
            let cell = start..*end as usize;
            start = cell.end;
            (!rows.is_null(index)).then(|| &rows.data[cell])
        })
    }

    /// The columns of this item.
    #[inline]
    pub fn columns(&self) -> &'a Columns {
        self.columns
    }

    /// Sets a cell of the outgoing row. The last call for a cell counts.
    #[inline]
    pub fn set(&mut self, column: impl Into<Column>, text: &str) {
        self.set_parts(column, &[text]);
    }

    /// Sets a cell to these parts, one after the other, without joining them before.
    #[inline]
    pub fn set_parts(&mut self, column: impl Into<Column>, parts: &[&str]) {
        let start = self.changes.text.len();
        for part in parts {
            self.changes.text.extend_from_slice(part.as_bytes());
        }
        self.change(column.into(), Some(start..self.changes.text.len()));
    }

    /// Sets a cell to these bytes, which together must be UTF-8.
    ///
    /// Use it with [`bytes`](Item::bytes), for a cell that was scanned and is known to be text. If they are
    /// not UTF-8, the step fails with `lying-batch`.
    #[inline]
    pub fn set_bytes(&mut self, column: impl Into<Column>, parts: &[&[u8]]) {
        let start = self.changes.text.len();
        for part in parts {
            self.changes.text.extend_from_slice(part);
        }
        self.change(column.into(), Some(start..self.changes.text.len()));
    }

    /// Sets a cell to a formatted text: `item.set_fmt(price, format_args!("{value:.2}"))`.
    pub fn set_fmt(&mut self, column: impl Into<Column>, text: fmt::Arguments<'_>) {
        let start = self.changes.text.len();
        // Writing to memory does not fail. A value's own `Display` may fail; then the text ends here.
        let _ = self.changes.write_fmt(text);
        self.change(column.into(), Some(start..self.changes.text.len()));
    }

    /// Sets a cell of the outgoing row to null.
    pub fn set_null(&mut self, column: impl Into<Column>) {
        self.change(column.into(), None);
    }

    /// The incoming item as a JSON object, which a warning shows.
    pub fn to_json(&self) -> String {
        let cells = self.columns.iter().take(self.columns.incoming());
        let mut json = Vec::new();
        let object = cells.map(|(column, name)| (name, self.get(column)));
        let _ = serde_json::Serializer::new(&mut json).collect_map(object); // texts into memory: cannot fail
        String::from_utf8(json).unwrap_or_default()
    }

    fn change(&mut self, column: Column, cell: Option<Range<usize>>) {
        let column = column.position();
        let cells = &mut self.changes.cells;
        match cells.last() {
            Some(last) if last.column >= column => {
                match cells.binary_search_by_key(&column, |known| known.column) {
                    Ok(place) => cells[place].cell = cell,
                    Err(place) => cells.insert(place, Change { column, cell }),
                }
            }
            _ => cells.push(Change { column, cell }),
        }
    }
}

/// The changes to one item. The value is reused for the next item, so that no item allocates.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The changed cells, ascending by column.
    pub(crate) cells: Vec<Change>,
    text: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) column: usize,
    /// The range of the new text; `None` for null.
    pub(crate) cell: Option<Range<usize>>,
}

impl Changes {
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.text.clear();
    }

    pub(crate) fn text(&self, cell: Range<usize>) -> &[u8] {
        &self.text[cell]
    }
}

impl Write for Changes {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn as_text(cell: &[u8]) -> &str {
    std::str::from_utf8(cell).expect("the runtime sends cells in UTF-8")
}
