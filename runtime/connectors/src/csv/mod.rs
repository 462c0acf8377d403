//! CSV files: the reader and writer `csv`.

mod dialect;
mod parse;
mod reader;
mod render;
mod short;
mod simple_row;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;
mod writer;

use dialect::Dialect;
use stepbox_batch::rows::Rows;

pub(crate) use reader::CsvReader;
pub(crate) use writer::CsvWriter;

/// Options of the reader, in the order of its documentation.
pub(crate) const READER_OPTIONS: &[&str] = &["from", "delimiter", "enclosure", "header"];
/// Options of the writer.
pub(crate) const WRITER_OPTIONS: &[&str] = &["to", "delimiter", "enclosure", "with_header", "lines_per_file"];

/// Appends one row as most programs write and read it, with commas.
pub(crate) fn append_row<'a>(cells: impl Iterator<Item = &'a str>, output: &mut Vec<u8>) {
    let cells: Vec<&str> = cells.collect();
    let mut row = Rows::new(cells.len());
    cells.iter().for_each(|cell| row.push(cell));
    render::append_rows(Dialect { delimiter: b',', enclosure: b'"' }, &row, 0..1, output);
}
