//! The rules for a batch that the runtime accepts, checked cell by cell and without the runtime's short cuts.

use stepbox::batch::rows::{ROWS_BYTES_MAX, Rows};

/// Whole rows, ascending ends up to the end of the data, UTF-8 between each two of them, nulls that are empty cells,
/// each once.
#[track_caller]
pub(crate) fn assert_whole(rows: &Rows, columns: usize) {
    let (data, ends, nulls) = (rows.data(), rows.ends(), rows.nulls());
    assert_eq!(ends.len(), rows.len() * columns, "cells are lost or too many");
    assert!(data.len() <= ROWS_BYTES_MAX);
    let mut start = 0;
    for (cell, &end) in ends.iter().enumerate() {
        let end = end as usize;
        let bytes = data.get(start..end).expect("a cell lies inside of the data");
        let text = std::str::from_utf8(bytes).expect("a cell is UTF-8");
        let is_null = nulls.contains(&(cell as u32));
        assert!(!is_null || text.is_empty(), "a null has a text");
        assert_eq!(rows.cell(cell / columns, cell % columns), (!is_null).then_some(text));
        start = end;
    }
    assert_eq!(start, data.len(), "bytes belong to no cell");
    assert!(nulls.windows(2).all(|pair| pair[0] < pair[1]), "a null comes twice");
    assert!(nulls.iter().all(|&null| (null as usize) < ends.len()), "a null is no cell");
}
