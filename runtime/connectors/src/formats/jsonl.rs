//! JSON Lines files: the reader and writer `jsonl`.

mod line;
mod reader;
mod rejected;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::JsonlReader;
pub(crate) use writer::JsonlWriter;

/// Options of the reader, in the order of its documentation.
pub(crate) const READER_OPTIONS: &[&str] = &["from", "columns"];
/// Options of the writer, in the order of its documentation.
pub(crate) const WRITER_OPTIONS: &[&str] = &["to", "json", "lines_per_file"];
