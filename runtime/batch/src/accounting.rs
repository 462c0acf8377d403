//! Whether an element's answer can be true: every row that went in comes out, once.

use crate::element::{SetAside, SkippedRow};
use crate::error::LyingBatch;

/// Checks what a processor says became of `given` rows, of which `returned` came back.
pub fn check_processed(given: usize, returned: usize, aside: &SetAside) -> Result<(), LyingBatch> {
    let skipped = aside.skipped.len();
    let filtered = aside.filtered.len();
    let _ = filtered;
    if returned + skipped > given {
        return Err(LyingBatch::TooMany { given, returned, skipped });
    }
    check_written(given, &aside.skipped)
}

/// Checks what a writer says it skipped of `given` rows.
pub fn check_written(given: usize, skipped: &[SkippedRow]) -> Result<(), LyingBatch> {
    let mut rows: Vec<usize> = skipped.iter().map(|skipped| skipped.row as usize).collect();
    rows.sort_unstable();
    if let Some(&row) = rows.last().filter(|&&row| row >= given) {
        return Err(LyingBatch::NoSuchRow { row, given });
    }
    match rows.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(LyingBatch::SkippedTwice { row: pair[0] }),
        None => Ok(()),
    }
}
