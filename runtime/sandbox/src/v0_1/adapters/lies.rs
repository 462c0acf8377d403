//! The checks of values that a component returns, without a component: for the fuzz targets.

use stepbox_batch::element::SkippedRow;
use stepbox_batch::error::ElementError;
use stepbox_batch::rows::Rows;

use super::running::{checked, skipped_rows};
use crate::v0_1::bindings::stepbox::step::types::{RowsResult, Skipped};

/// Checks a returned batch.
pub fn believed(
    columns: usize,
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
) -> Result<Rows, ElementError> {
    checked(columns, RowsResult { data, ends, nulls })
}

/// Converts the rows that a component set aside, each with its code and its reason.
pub fn set_aside(skipped: impl IntoIterator<Item = (u32, String, String)>) -> Vec<SkippedRow> {
    skipped_rows(skipped.into_iter().map(|(row, code, reason)| Skipped { row, code, reason }).collect())
}
