//! A CSV file while it is read.

use super::dialect::Dialect;
use super::header::{Header, Naming};
use super::parse::Parser;
use crate::error::ConnectorError;
use crate::input_file::InputFile;
use crate::other_format::Encoding;
use crate::part::Part;

/// What the options say of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// With the delimiter by default if nobody names it.
    pub(super) dialect: Dialect,
    /// Whether an option names the delimiter.
    pub(super) has_delimiter: bool,
    pub(super) has_header: bool,
    pub(super) naming: Naming,
    /// Whether rows with enclosures in the wrong place are set aside.
    pub(super) is_strict: bool,
}

/// What is said of the file as a whole, with its first rows.
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
    /// That of the text of an item which could not be read, in a file of rejected items.
    pub(super) row_dialect: Dialect,
    pub(super) is_strict: bool,
    /// Whether more is asked of each row than how many cells it has.
    pub(super) looks_closely: bool,
    pub(super) header: Header,
    pub(super) header_fingerprint: u64,
    /// What is said of the file with its first chunk.
    pub(super) notes: Vec<Note>,
    pub(super) parser: Parser,
    /// Memory for a chunk.
    pub(super) settled: Vec<u32>,
    /// The line at the beginning of the unread bytes, from 1.
    pub(super) line: u64,
    pub(super) items: u64,
    /// None if it is read to its end.
    pub(super) part: Option<Part>,
}

impl Input {
    /// A file in another encoding fails the step: a million warnings would help nobody.
    pub(super) fn not_utf8(&self, line: u64) -> ConnectorError {
        ConnectorError::NotUtf8 { path: self.file.path(), line, encoding: Encoding::Unknown }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("line", &self.line).field("items", &self.items).finish_non_exhaustive()
    }
}
