//! Rows as CSV, byte for byte as the `csv` crate writes them.
//!
//! Few cells contain a special character. One search over the whole batch finds them. All other cells are copied as
//! they are.

use std::ops::Range;

use memchr::{memchr_iter, memchr2, memchr3};
use stepbox_batch::rows::Rows;

use super::copy_short::append_part;
use super::dialect::{Dialect, LIKELY_DELIMITERS};
use crate::known_beginnings;

/// Appends the names of columns, so that a reader that finds the delimiter itself finds this one. So names that contain
/// another likely delimiter are enclosed too, and a first name that looks like the beginning of another format.
pub(super) fn append_header<'a>(
    dialect: Dialect,
    names: impl Iterator<Item = &'a str>,
    output: &mut Vec<u8>,
) {
    let enclosure = dialect.or_own_enclosure().enclosure.unwrap_or(b'"');
    let begin = output.len();
    for name in names {
        if output.len() > begin {
            output.push(dialect.delimiter);
        }
        if needs_enclosure(dialect, name) || output.len() == begin && looks_odd(name) {
            append_enclosed(enclosure, name.as_bytes(), output);
        } else {
            output.extend_from_slice(name.as_bytes());
        }
    }
    output.push(b'\n');
}

/// Whether a name needs an enclosure in a header.
pub(super) fn needs_enclosure(dialect: Dialect, name: &str) -> bool {
    let is_special = |byte: &u8| {
        *byte == dialect.delimiter || Some(*byte) == dialect.enclosure || matches!(byte, b'\n' | b'\r')
    };
    let is_likely = |byte: &u8| dialect.enclosure.is_some() && LIKELY_DELIMITERS.contains(byte);
    name.bytes().any(|byte| is_special(&byte) || is_likely(&byte))
}

/// Whether a file that begins with this name would be taken for another format.
pub(super) fn looks_odd(name: &str) -> bool {
    let head = name.as_bytes();
    let is_sep = name.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("sep="));
    let is_other =
        known_beginnings::check(head, "").is_err() || known_beginnings::check_csv(head, "").is_err();
    is_sep || is_other || name.starts_with('\u{feff}')
}

/// Whether a row can be written without an enclosure, and be read again.
pub(super) fn is_plain(delimiter: u8, rows: &Rows, row: usize) -> bool {
    let cells = rows.row(row).map(Option::unwrap_or_default);
    let is_empty_line = rows.columns() == 1 && rows.cell(row, 0).unwrap_or_default().is_empty();
    !is_empty_line
        && cells.into_iter().all(|cell| memchr3(delimiter, b'\n', b'\r', cell.as_bytes()).is_none())
}

/// Appends some rows, with a line feed after each. A cell is enclosed only if it must be.
pub(super) fn append_rows(dialect: Dialect, rows: &Rows, range: Range<usize>, output: &mut Vec<u8>) {
    let delimiter = dialect.delimiter;
    // Without an enclosure, only delimiters and line ends are special. The caller has checked that there are none.
    let enclosure = dialect.enclosure.unwrap_or(delimiter);
    let columns = rows.columns().max(1);
    let ends = &rows.ends()[range.start * columns..range.end * columns];
    let before = (range.start * columns).checked_sub(1);
    let mut start = before.map_or(0, |cell| rows.ends()[cell] as usize);
    let data = &rows.data()[..ends.last().map_or(start, |&end| end as usize)];
    // The place of the next special character. Two searches for two bytes each, since there is no search for four.
    let next = |first, second, from| memchr2(first, second, &data[from..]).map_or(usize::MAX, |at| from + at);
    let (mut mark, mut line_end) = (next(delimiter, enclosure, start), next(b'\n', b'\r', start));
    output.reserve(data.len() - start + ends.len());
    for ends in ends.chunks_exact(columns) {
        for &end in ends {
            let end = end as usize;
            if mark.min(line_end) < end {
                append_enclosed(enclosure, &data[start..end], output);
                // Both places must stay ahead of the cell.
                mark = if mark < end { next(delimiter, enclosure, end) } else { mark };
                line_end = if line_end < end { next(b'\n', b'\r', end) } else { line_end };
            } else if columns == 1 && start == end {
                // An empty cell alone would be an empty line, which is not a row.
                append_enclosed(enclosure, b"", output);
            } else {
                append_part(data, start..end, output);
            }
            output.push(delimiter);
            start = end;
        }
        output.pop();
        output.push(b'\n');
    }
}

fn append_enclosed(enclosure: u8, cell: &[u8], output: &mut Vec<u8>) {
    output.push(enclosure);
    let mut start = 0;
    for place in memchr_iter(enclosure, cell) {
        output.extend_from_slice(&cell[start..=place]);
        start = place;
    }
    output.extend_from_slice(&cell[start..]);
    output.push(enclosure);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that this crate and the `csv` crate write the same for rows with this many columns.
    fn check(dialect: Dialect, columns: usize, cells: &[&str]) {
        let mut rows = Rows::new(columns);
        cells.iter().for_each(|cell| rows.push(cell));
        let mut found = b"before\n".to_vec();
        // In two calls, as at the end of a file of a series.
        append_rows(dialect, &rows, 0..rows.len() / 2, &mut found);
        append_rows(dialect, &rows, rows.len() / 2..rows.len(), &mut found);
        let mut builder = csv::WriterBuilder::new();
        let builder = builder.delimiter(dialect.delimiter).quote(dialect.enclosure.unwrap_or(b'"'));
        let mut oracle = builder.from_writer(b"before\n".to_vec());
        cells.chunks_exact(columns).for_each(|row| oracle.write_record(row).unwrap());
        let expected = oracle.into_inner().unwrap();
        assert_eq!(String::from_utf8(found), String::from_utf8(expected), "{columns} columns of {cells:?}");
    }

    /// Every text of up to five special characters, cut into cells in every way.
    #[test]
    fn agrees_with_the_csv_crate() {
        let alphabet = ["a", ",", "\"", "\n", "\r", ";", "'"];
        let dialects = [
            Dialect::DEFAULT,
            Dialect { delimiter: b';', enclosure: Some(b'\'') },
            Dialect { delimiter: b'a', enclosure: Some(b',') },
        ];
        for number in 0..7u32.pow(5) {
            let text: String = (0..5).map(|i| alphabet[(number / 7u32.pow(i) % 7) as usize]).collect();
            let dialect = dialects[number as usize % 3];
            for cut in 0..=5 {
                let (first, second) = text.split_at(cut);
                check(dialect, 1, &[first, second]);
                check(dialect, 2, &[first, second, second, first]);
            }
        }
    }

    #[test]
    fn few_and_empty_cells() {
        let comma = Dialect::DEFAULT;
        check(comma, 1, &[]);
        check(comma, 1, &["", "a", ""]);
        check(comma, 2, &["", "", "a", "", "", "é"]);
        check(comma, 3, &["", "\"", "", ",", ",", "\n"]);
    }
}
