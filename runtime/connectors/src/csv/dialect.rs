//! What CSV files differ in.

use crate::error::Result;
use crate::options::{Options, bad};

/// The two characters that an author of CSV may choose. Both are ASCII, so no cell that is UTF-8 can
/// hold one of them in the middle of another character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between two cells; a comma by default.
    pub(super) delimiter: u8,
    /// Around a cell that holds special characters, doubled inside; `"` by default.
    pub(super) enclosure: u8,
}

impl Dialect {
    pub(super) fn from_options(options: &Options<'_>) -> Result<Self> {
        let delimiter = options.character("delimiter", b',')?;
        let enclosure = options.character("enclosure", b'"')?;
        if delimiter == enclosure {
            return Err(bad("enclosure", "is the same as `delimiter`".to_owned()));
        }
        Ok(Self { delimiter, enclosure })
    }
}
