//! What a component may return, without the component: for the fuzz targets.

use stepbox_batch::element::SkippedRow;
use stepbox_batch::error::ElementError;
use stepbox_batch::rows::Rows;

use super::running::{checked, skipped_rows};
use crate::v0_1::bindings::stepbox::step::types::{RowsResult, Skipped};

/// A batch that came back.
pub fn believed(
    columns: usize,
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
) -> Result<Rows, ElementError> {
    checked(columns, RowsResult { data, ends, nulls })
}

/// Rows that a component says it set aside, each with the code and the reason that it gives.
pub fn set_aside(skipped: impl IntoIterator<Item = (u32, String, String)>) -> Vec<SkippedRow> {
    skipped_rows(skipped.into_iter().map(|(row, code, reason)| Skipped { row, code, reason }).collect())
}
