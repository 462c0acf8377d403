//! How a file of rejected items is written, so that the reader that they came from reads them again.

use serde::{Deserialize, Serialize};

use crate::error::{ConnectorError, Result};
use crate::formats::csv::dialect::Dialect;

/// What is said of each item, after its original columns. A file with all of these is one of rejected items: its
/// readers leave these columns out, and read again what stands in the last one.
pub(crate) const COLUMNS: [&str; 5] =
    ["rejected_code", "rejected_reason", "rejected_place", "rejected_phase", "rejected_item"];

/// How items are written so that the reader they came from reads them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RejectedForm {
    /// Rows of CSV.
    Csv {
        /// That of the input.
        dialect: Dialect,
        /// How many cells a row has there.
        cells: usize,
    },
    /// A JSON object on each line.
    JsonLines,
}

impl RejectedForm {
    /// As a reader passes it on.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// CSV with commas for readers that have no form, whose items are no rows.
    pub(crate) fn of(bytes: Option<&[u8]>) -> Result<Self> {
        match bytes {
            None => Ok(Self::Csv { dialect: Dialect::default(), cells: 0 }),
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|source| ConnectorError::BadState { source })
            }
        }
    }
}
