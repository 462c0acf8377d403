//! CSV files: the reader and writer `csv`.

mod dialect;
mod parse;
mod reader;
mod render;
mod short;
mod simple_row;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::CsvReader;
pub(crate) use writer::CsvWriter;

/// Options of the reader, in the order of its documentation.
pub(crate) const READER_OPTIONS: &[&str] = &["from", "delimiter", "enclosure", "header"];
/// Options of the writer.
pub(crate) const WRITER_OPTIONS: &[&str] = &["to", "delimiter", "enclosure", "with_header", "lines_per_file"];
