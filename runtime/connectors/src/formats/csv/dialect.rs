//! The settings in which CSV files differ.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::options::{Options, bad};

/// The delimiter of a reader that finds no other one, and of a writer without the option.
pub(super) const DELIMITER: u8 = b',';
/// The delimiters of nearly all files.
pub(super) const LIKELY_DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The two characters that an author of CSV can choose. Both are ASCII, so they never occur in the middle of a UTF-8
/// character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialect {
    /// The character between two cells; a comma by default.
    pub(super) delimiter: u8,
    /// The character around a cell with special characters, doubled inside of the cell; `"` by default. `None` if cells
    /// have no enclosures: then they can contain any character but delimiters and line ends.
    pub(super) enclosure: Option<u8>,
}

impl Dialect {
    pub(super) const DEFAULT: Self = Self { delimiter: DELIMITER, enclosure: Some(b'"') };

    /// The dialect of the options. Without the option `delimiter`, the delimiter is a comma.
    pub(crate) fn from_options(options: &Options<'_>) -> Result<Self> {
        let delimiter = options.character("delimiter")?.unwrap_or(DELIMITER);
        let enclosure = match options.word("enclosure") {
            Some("none") => None,
            _ => Some(options.character("enclosure")?.unwrap_or(b'"')),
        };
        if Some(delimiter) == enclosure {
            return Err(bad("enclosure", "is the same as `delimiter`".to_owned()));
        }
        Ok(Self { delimiter, enclosure })
    }

    /// The enclosure as a number to compare bytes with. Without an enclosure, it is larger than any byte.
    pub(super) fn enclosure_or_none(self) -> u16 {
        self.enclosure.map_or(u16::MAX, u16::from)
    }

    /// The same dialect with an enclosure, for rows that must be readable without loss.
    pub(super) fn or_own_enclosure(self) -> Self {
        let own = if self.delimiter == b'"' { b'\'' } else { b'"' };
        Self { enclosure: self.enclosure.or(Some(own)), ..self }
    }

    /// Whether the text begins with the enclosure.
    pub(super) fn encloses(self, text: &[u8]) -> bool {
        self.enclosure.is_some() && text.first().copied() == self.enclosure
    }
}

/// A character as messages show it.
pub(super) fn shown(character: u8) -> String {
    if character == b'\t' { "\\t".to_owned() } else { char::from(character).to_string() }
}

impl Default for Dialect {
    /// The dialect that most programs write and read.
    fn default() -> Self {
        Self::DEFAULT
    }
}
