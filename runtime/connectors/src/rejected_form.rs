//! How a file of rejected items is written, so that the reader of the items can read them again.

use serde::{Deserialize, Serialize};

use crate::error::{ConnectorError, Result};
use crate::formats::csv::dialect::Dialect;

/// The columns that are added to each item, after its original columns. A file with all of these columns is a file of
/// rejected items. Its readers leave these columns out, and read the text in the last column again.
pub(crate) const COLUMNS: [&str; 5] =
    ["rejected_code", "rejected_reason", "rejected_place", "rejected_phase", "rejected_item"];

/// The form in which items are written, so that their reader can read them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RejectedForm {
    /// Rows of CSV.
    Csv {
        /// The dialect of the input.
        dialect: Dialect,
        /// How many cells a row of the input has.
        cells: usize,
    },
    /// A JSON object on each line.
    JsonLines,
}

impl RejectedForm {
    /// The form as a reader passes it on.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// The form of these bytes. `None` is the form for readers whose items are not rows: CSV with commas.
    pub(crate) fn of(bytes: Option<&[u8]>) -> Result<Self> {
        match bytes {
            None => Ok(Self::Csv { dialect: Dialect::default(), cells: 0 }),
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|source| ConnectorError::BadState { source })
            }
        }
    }
}
