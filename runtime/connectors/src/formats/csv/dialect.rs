//! What CSV files differ in.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::options::{Options, bad};

/// What a reader takes for the delimiter if nothing tells it, and what a writer writes.
pub(super) const DELIMITER: u8 = b',';
/// What files have for a delimiter, nearly all of them.
pub(super) const LIKELY_DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The two characters that an author of CSV may choose. Both are ASCII, so no cell that is UTF-8 can
/// hold one of them in the middle of another character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialect {
    /// Between two cells; a comma by default.
    pub(super) delimiter: u8,
    /// Around a cell that holds special characters, doubled inside; `"` by default. `None` if cells hold any
    /// character but delimiters and line ends, as they are.
    pub(super) enclosure: Option<u8>,
}

impl Dialect {
    pub(super) const DEFAULT: Self = Self { delimiter: DELIMITER, enclosure: Some(b'"') };

    /// What the options say, with the delimiter by default if they name none.
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

    /// The enclosure for comparing bytes with it: more than any byte if there is none.
    pub(super) fn enclosure_or_none(self) -> u16 {
        self.enclosure.map_or(u16::MAX, u16::from)
    }

    /// The same with an enclosure, for rows that must come back whole.
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
    /// As most programs write and read it.
    fn default() -> Self {
        Self::DEFAULT
    }
}
