//! A CSV file while it is read.

use super::dialect::Dialect;
use super::header::{Header, Naming};
use super::parse::Parser;
use crate::error::ConnectorError;
use crate::input_file::InputFile;
use crate::other_format::Encoding;
use crate::part::Part;

/// The settings of the options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The dialect; its delimiter is the default if no option names it.
    pub(super) dialect: Dialect,
    /// Whether an option names the delimiter.
    pub(super) has_delimiter: bool,
    pub(super) has_header: bool,
    pub(super) naming: Naming,
    /// Whether rows with enclosures in the wrong place are set aside.
    pub(super) is_strict: bool,
}

/// A warning about the file as a whole. It is reported with the first rows.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) line: u64,
    pub(super) item: String,
}

/// The file while it is read.
pub(super) struct Input {
    pub(super) file: InputFile,
    pub(super) dialect: Dialect,
    /// In a file of rejected items: the dialect of the text of an item that could not be read.
    pub(super) row_dialect: Dialect,
    pub(super) is_strict: bool,
    /// Whether each row is checked for more than its number of cells.
    pub(super) looks_closely: bool,
    pub(super) header: Header,
    pub(super) header_fingerprint: u64,
    /// The warnings about the file, reported with its first chunk.
    pub(super) notes: Vec<Note>,
    pub(super) parser: Parser,
    /// Reused memory for `Cells::settled`.
    pub(super) settled: Vec<u32>,
    /// The line at the beginning of the unread bytes, from 1.
    pub(super) line: u64,
    pub(super) items: u64,
    /// The part to read; `None` if the file is read to its end.
    pub(super) part: Option<Part>,
}

impl Input {
    /// The error for a file in another encoding. It fails the step: a million warnings would not help.
    pub(super) fn not_utf8(&self, line: u64) -> ConnectorError {
        ConnectorError::NotUtf8 { path: self.file.path(), line, encoding: Encoding::Unknown }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("line", &self.line).field("items", &self.items).finish_non_exhaustive()
    }
}
