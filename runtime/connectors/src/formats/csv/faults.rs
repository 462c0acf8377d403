//! Enclosures in the wrong place.
//!
//! A row with such a fault can be read, in the same way as csv-core reads it. But it may not be the row that was meant:
//! for example, two rows may have become one. The only possible fault of a simple row is a stray enclosure, which is
//! searched for in a whole chunk at once. Only the few other rows are checked here, byte by byte.

use memchr::{memchr, memchr_iter, memchr2_iter};

use super::dialect::{Dialect, shown};

/// A fault in the enclosures of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A cell continues after its closing enclosure. Cells are counted from 1.
    TextAfterClosing { cell: usize },
    /// A cell contains an enclosure, but does not begin with one.
    Stray { cell: usize },
    /// An enclosed cell covers this many lines, and each line has as many cells as a row.
    Lines { lines: u64 },
}

/// The code of a row with a fault, in a warning or when the row is set aside.
pub(super) const CODE: &str = "broken-enclosure";

impl Fault {
    /// The fault in words for people.
    pub(super) fn reason(self, dialect: Dialect) -> String {
        let enclosure = dialect.enclosure.map(shown).unwrap_or_default();
        match self {
            Self::TextAfterClosing { cell } => {
                format!("text follows the closing {enclosure} of its cell {cell}")
            }
            Self::Stray { cell } => {
                format!("a {enclosure} stands inside of its cell {cell}, which does not begin with one")
            }
            Self::Lines { lines } => {
                format!("an enclosed cell goes over {lines} lines, and each of them looks like a row")
            }
        }
    }

    /// The first fault of a row; `None` if it has none. The row is whole and has `lines` lines. `columns` is the number
    /// of cells that rows have.
    pub(super) fn of(row: &[u8], lines: u64, columns: usize, dialect: Dialect) -> Option<Self> {
        let enclosure = dialect.enclosure?;
        let row = without_line_end(row);
        let (mut at, mut cell) = (0, 1);
        while at <= row.len() {
            let rest = &row[at..];
            let end = if rest.first() == Some(&enclosure) {
                let end = enclosed_bytes(enclosure, rest)?;
                if rest.get(end).is_some_and(|&byte| byte != dialect.delimiter) {
                    return Some(Self::TextAfterClosing { cell });
                }
                end
            } else {
                let end = memchr(dialect.delimiter, rest).unwrap_or(rest.len());
                if memchr(enclosure, &rest[..end]).is_some() {
                    return Some(Self::Stray { cell });
                }
                end
            };
            at += end + 1;
            cell += 1;
        }
        (lines > 1 && looks_like_rows(row, columns, dialect)).then_some(Self::Lines { lines })
    }
}

/// Whether each line of a row has as many cells as a row, enclosures not counted. An enclosure that was forgotten may
/// have taken in line ends, until another enclosure closed it by chance. A line with a blank after a comma counts as
/// text for people.
fn looks_like_rows(row: &[u8], columns: usize, dialect: Dialect) -> bool {
    let is_row = |line: &[u8]| {
        let mut delimiters = memchr_iter(dialect.delimiter, line);
        let cells = 1 + delimiters.clone().take(columns).count();
        cells == columns && delimiters.all(|at| line.get(at + 1) != Some(&b' '))
    };
    let (mut start, mut ends) = (0, memchr2_iter(b'\n', b'\r', row));
    columns > 1
        && ends.all(|end| {
            let line = &row[start..end];
            start = end + 1;
            // The empty line between a carriage return and its line feed.
            line.is_empty() && row[end] == b'\n' && end > 0 && row[end - 1] == b'\r' || is_row(line)
        })
        && is_row(&row[start..])
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// The length in bytes of the enclosed cell at the beginning of `text`; `None` if the cell is not closed there.
fn enclosed_bytes(enclosure: u8, text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr(enclosure, &text[at..])? + 1;
        if text.get(at) != Some(&enclosure) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, columns: usize, expected: &str) {
        let lines = 1 + memchr_iter(b'\n', without_line_end(row.as_bytes())).count() as u64;
        let found = Fault::of(row.as_bytes(), lines, columns, Dialect::DEFAULT);
        assert_eq!(
            found.map_or("fine".to_owned(), |fault| fault.reason(Dialect::DEFAULT)),
            expected,
            "{row:?}"
        );
    }

    #[test]
    fn a_row_with_its_enclosures_in_place_is_fine() {
        for row in [
            "a,b\n",
            "\"a\",b\r\n",
            "\"a\"\"b\",\"\"\n",
            ",\n",
            "a,\"b\"",
            "\"a,b\",\"c\nd\"\n",
            "\"\"\"\"\r",
        ] {
            check(row, 2, "fine");
        }
    }

    #[test]
    fn says_in_which_cell_an_enclosure_stands_wrong() {
        check("\"a\"b,c\n", 2, "text follows the closing \" of its cell 1");
        check("1,\"Anna,25\n3,\"Carla\",35\n", 3, "text follows the closing \" of its cell 2");
        check("a,\"b\" ,c\n", 3, "text follows the closing \" of its cell 2");
        check("a,5\" pipe\n", 2, "a \" stands inside of its cell 2, which does not begin with one");
        check("a, \"b\"\n", 2, "a \" stands inside of its cell 2, which does not begin with one");
    }

    #[test]
    fn lines_that_look_like_rows_are_suspicious() {
        let two = "an enclosed cell goes over 2 lines, and each of them looks like a row";
        check("1,\"Anna,25\n3,Carla\",35\n", 3, two);
        check("1,\"Anna,25\r\n3,Carla\",35\r\n", 3, two);
        check("1,2,\"Anna\n3,4,Carla\"", 3, two);
        check("1,\"Anna\n2,Bob\n3,Carla\"\n", 2, &two.replace('2', "3"));
        check("1,\"one, two\nthree, four\"\n", 2, "fine");
        check("1,\"Dear Sir,\nthanks, bye\"\n", 2, "fine");
        check("1,\"Anna\n\n2,Bob\"\n", 2, "fine");
        check("\"a\nb\"\n", 1, "fine");
    }
}
