//! A line of a file of rejected items, corrected or not.

use std::borrow::Cow;

use super::line::{BadLine, Cells, Columns};
use crate::rejected_form::COLUMNS as OF_REJECTED;

/// Takes the cells of the item itself. If the item could not be read, the line contains its text. The text is read
/// again, unless the item's keys were added beside it instead. If reading fails again, the text is the unreadable item.
pub(super) fn parse_rejected<'a>(
    line: &'a str,
    columns: &Columns,
    cells: &mut Cells,
) -> Result<(), (BadLine, Cow<'a, str>)> {
    let whole = |bad| (bad, Cow::Borrowed(line));
    if let Some(text) = text_of_rejected(line) {
        let bad = match cells.parse(&text, columns) {
            Ok(()) => return Ok(()),
            Err(bad) => bad,
        };
        cells.parse(line, columns).map_err(whole)?;
        return if cells.are_null() { Err((bad, Cow::Owned(text))) } else { Ok(()) };
    }
    cells.parse(line, columns).map_err(whole)
}

/// The text of an item that could not be read; `None` if the item could be read.
pub(super) fn text_of_rejected(line: &str) -> Option<String> {
    let own = Columns::new(vec![OF_REJECTED[OF_REJECTED.len() - 1].to_owned()]);
    let mut cells = Cells::default();
    cells.parse(line, &own).ok()?;
    cells.first().filter(|text| !text.is_empty()).map(str::to_owned)
}
