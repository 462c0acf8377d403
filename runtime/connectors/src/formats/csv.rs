//! CSV files: the reader and writer `csv`.

mod beginning;
mod cells;
mod copy_short;
pub(crate) mod dialect;
mod faults;
mod header;
mod input;
mod parse;
mod reader;
mod render;
mod rows;
mod simple_row;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;
mod writer;

use stepbox_batch::rows::Rows;

use dialect::Dialect;

pub(crate) use cells::Cells;
pub(crate) use parse::{Parsed, Parser};
pub(crate) use reader::CsvReader;
pub(crate) use writer::CsvWriter;

/// Options of the reader, in the order of its documentation.
pub(crate) const READER_OPTIONS: &[&str] =
    &["from", "delimiter", "enclosure", "header", "unnamed_columns", "repeated_columns", "strict"];
/// Options of the writer, in the order of its documentation.
pub(crate) const WRITER_OPTIONS: &[&str] = &["to", "delimiter", "enclosure", "with_header", "lines_per_file"];

/// Appends the names of columns, as a header above such rows.
pub(crate) fn append_header<'a>(
    dialect: Dialect,
    names: impl Iterator<Item = &'a str>,
    output: &mut Vec<u8>,
) {
    render::append_header(dialect.or_own_enclosure(), names, output);
}

/// Appends one row. If the dialect has no enclosure, `"` encloses cells (`'` if `"` is the delimiter): rows of
/// Stepbox's own files must be readable without loss.
pub(crate) fn append_row<'a>(dialect: Dialect, cells: impl Iterator<Item = &'a str>, output: &mut Vec<u8>) {
    let cells: Vec<&str> = cells.collect();
    let mut row = Rows::new(cells.len());
    cells.iter().for_each(|cell| row.push(cell));
    render::append_rows(dialect.or_own_enclosure(), &row, 0..1, output);
}
