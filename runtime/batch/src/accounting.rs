//! Whether an element's answer can be true. The names of its columns differ, its rows are whole, and each row that
//! went in came out or was set aside once. Native elements are checked as components are.

use std::collections::HashSet;

use crate::element::{Chunk, SetAside, SkippedRow};
use crate::error::LyingBatch;
use crate::rows::{BadRows, Rows};

/// Whether a reader delivered whole rows of its columns, and either a line for each row or no lines.
pub(crate) fn check_read(columns: usize, chunk: &Chunk) -> Result<(), LyingBatch> {
    check_shape(columns, &chunk.rows)?;
    let (lines, rows) = (chunk.lines.len(), chunk.rows.len());
    if lines == 0 || lines == rows { Ok(()) } else { Err(LyingBatch::OtherLines { lines, rows }) }
}

/// Whether these are whole rows of `columns` cells.
pub(crate) fn check_shape(columns: usize, rows: &Rows) -> Result<(), LyingBatch> {
    let cells = rows.ends().len();
    if rows.columns() != columns {
        return Err(LyingBatch::OtherColumns { expected: columns, found: rows.columns() });
    }
    if cells == rows.len() * columns { Ok(()) } else { Err(BadRows::PartialRow { cells, columns }.into()) }
}

/// Whether there are at most as many parts as were asked for.
pub fn check_parts(asked: u32, returned: usize) -> Result<(), LyingBatch> {
    if returned <= asked as usize { Ok(()) } else { Err(LyingBatch::TooManyParts { asked, returned }) }
}

/// Whether a processor accounts for each of the rows it was given. A row that is lost on the way does not count as
/// filtered.
pub(crate) fn check_processed(given: usize, returned: usize, set_aside: &SetAside) -> Result<(), LyingBatch> {
    check_rows(given, set_aside.rows())?;
    let (skipped, filtered) = (set_aside.skipped.len(), set_aside.filtered.len());
    if returned + skipped + filtered == given {
        Ok(())
    } else {
        Err(LyingBatch::DoNotAddUp { given, returned, skipped, filtered })
    }
}

/// Whether a writer skipped only rows that it was given. All other rows count as written.
pub(crate) fn check_written(given: usize, skipped: &[SkippedRow]) -> Result<(), LyingBatch> {
    check_rows(given, skipped.iter().map(|skipped| skipped.row))
}

/// Whether there are columns, and all their names differ.
pub(crate) fn check_header(header: &[String]) -> Result<(), LyingBatch> {
    if header.is_empty() {
        return Err(LyingBatch::NoColumns);
    }
    let mut names = HashSet::new();
    match header.iter().find(|name| !names.insert(name.as_str())) {
        Some(name) => Err(LyingBatch::ColumnTwice { name: name.clone() }),
        None => Ok(()),
    }
}

/// Whether these rows, in any order, are rows of the batch, and each occurs once at most.
fn check_rows(given: usize, rows: impl Iterator<Item = u32>) -> Result<(), LyingBatch> {
    let mut rows: Vec<usize> = rows.map(|row| row as usize).collect();
    rows.sort_unstable();
    if let Some(&row) = rows.last().filter(|&&row| row >= given) {
        return Err(LyingBatch::NoSuchRow { row, given });
    }
    match rows.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(LyingBatch::SetAsideTwice { row: pair[0] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(rows: &[u32]) -> Vec<SkippedRow> {
        let skip = |&row| SkippedRow { row, code: "bad".to_owned(), reason: String::new() };
        rows.iter().map(skip).collect()
    }

    fn told(found: Result<(), LyingBatch>) -> String {
        found.map_or_else(|lie| lie.to_string(), |()| "true".to_owned())
    }

    #[test]
    fn a_processor_accounts_for_every_row() {
        check(0, 0, &[], &[], "true");
        check(3, 3, &[], &[], "true");
        check(3, 0, &[0, 1, 2], &[], "true");
        check(3, 0, &[], &[2, 0, 1], "true");
        check(5, 2, &[4], &[3, 0], "true");
        check(3, 2, &[], &[], "2 rows, 0 skipped and 0 filtered ones came back for 3");
        check(3, 4, &[], &[], "4 rows, 0 skipped and 0 filtered ones came back for 3");
        check(3, 3, &[0], &[], "3 rows, 1 skipped and 0 filtered ones came back for 3");
        check(3, 3, &[], &[0], "3 rows, 0 skipped and 1 filtered ones came back for 3");
        check(3, 1, &[0], &[0], "it skipped or filtered row 0 twice");
        check(3, 1, &[], &[1, 1], "it skipped or filtered row 1 twice");
        check(3, 1, &[2, 2], &[], "it skipped or filtered row 2 twice");
        check(3, 2, &[3], &[], "it skipped or filtered row 3 of a batch of 3");
        check(3, 2, &[], &[u32::MAX], "it skipped or filtered row 4294967295 of a batch of 3");

        fn check(given: usize, returned: usize, skips: &[u32], filtered: &[u32], expected: &str) {
            let set_aside = SetAside { skipped: skipped(skips), filtered: filtered.to_vec() };
            assert_eq!(told(check_processed(given, returned, &set_aside)), expected);
        }
    }

    #[test]
    fn a_reader_delivers_whole_rows_and_their_lines() {
        check(&["a", "b", "c", "d"], &[], 2, "true");
        check(&["a", "b", "c", "d"], &[2, 3], 2, "true");
        check(&[], &[], 2, "true");
        check(&["a"], &[], 2, "1 cells do not make whole rows of 2 columns");
        check(&["a", "b", "c", "d", "e"], &[], 2, "5 cells do not make whole rows of 2 columns");
        check(&["a", "b"], &[2, 3, 4], 2, "it says 3 lines for 1 rows");
        check(&["a", "b", "c"], &[], 3, "it returned rows of 3 columns, not of 2");

        fn check(cells: &[&str], lines: &[u64], columns: usize, expected: &str) {
            let mut chunk = Chunk { rows: Rows::new(columns), lines: lines.to_vec(), unreadable: Vec::new() };
            cells.iter().for_each(|cell| chunk.rows.push(cell));
            assert_eq!(told(check_read(2, &chunk)), expected);
        }
    }

    #[test]
    fn no_more_parts_come_than_were_asked_for() {
        assert_eq!(told(check_parts(8, 8)), "true");
        assert_eq!(told(check_parts(8, 100_000)), "it split into 100000 parts, and 8 were asked for");
    }

    #[test]
    fn columns_have_names_of_their_own() {
        let check = |header: &[&str], expected: &str| {
            let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(told(check_header(&header)), expected);
        };
        check(&["a", "b", ""], "true");
        check(&[], "it has no columns");
        check(&["a", "b", "a"], "it has two columns called `a`");
    }

    #[test]
    fn a_writer_skips_what_it_was_given() {
        check(0, &[], "true");
        check(3, &[2, 0], "true");
        check(3, &[1, 1], "it skipped or filtered row 1 twice");
        check(3, &[3], "it skipped or filtered row 3 of a batch of 3");

        fn check(given: usize, skips: &[u32], expected: &str) {
            assert_eq!(told(check_written(given, &skipped(skips))), expected);
        }
    }
}
