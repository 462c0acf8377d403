//! One row of CSV, from a window onto the file.
//!
//! The format is that of RFC 4180 as spreadsheets and the `csv` crate read it: rows end with a line
//! feed, a carriage return or both; an enclosure counts only at the beginning of a cell; whatever
//! follows a closed one belongs to the cell as it is. One thing is stricter than in most readers: a
//! cell that is opened and never closed is an error, since it has swallowed the rest of the file.

use memchr::{memchr, memchr_iter, memchr3};

use super::dialect::Dialect;

/// A row without its delimiters and enclosures: all cells back to back, and where each one ends.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    /// The cells as text; none if one of them is not UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.text).ok()?;
        // Two bad cells can make a good character where they meet.
        self.ends.iter().all(|&end| text.is_char_boundary(end)).then_some(text)
    }

    /// The end of each cell in the text.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// How many bytes its cells have.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The cells of a record whose text is UTF-8.
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> {
        let text = self.text().unwrap_or_default();
        let mut start = 0;
        self.ends.iter().map(move |&end| &text[std::mem::replace(&mut start, end)..end])
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// What a window holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole row that takes so many bytes and lines.
    Row { bytes: usize, lines: u64 },
    /// The beginning of a row.
    Cut,
    /// An enclosure that is not closed before the end of the file.
    Unclosed,
}

/// Parses the row at the beginning of `input`, which is not empty. `is_last` says that the file ends
/// where the input does.
pub(super) fn parse_row(input: &[u8], is_last: bool, dialect: Dialect, record: &mut Record) -> Parsed {
    record.clear();
    let (mut at, mut lines) = (0, 1);
    loop {
        if input.get(at) == Some(&dialect.enclosure) {
            let cell = &input[at + 1..];
            let Some(bytes) = parse_enclosed(cell, is_last, dialect.enclosure, record) else {
                return if is_last { Parsed::Unclosed } else { Parsed::Cut };
            };
            lines += memchr_iter(b'\n', &cell[..bytes]).count() as u64;
            at += 1 + bytes;
        }
        let Some(plain) = memchr3(dialect.delimiter, b'\n', b'\r', &input[at..]) else {
            if !is_last {
                return Parsed::Cut;
            }
            record.text.extend_from_slice(&input[at..]);
            record.end_cell();
            return Parsed::Row { bytes: input.len(), lines };
        };
        record.text.extend_from_slice(&input[at..at + plain]);
        record.end_cell();
        at += plain + 1;
        match (input[at - 1], input.get(at)) {
            (b'\r', Some(b'\n')) => return Parsed::Row { bytes: at + 1, lines },
            // The line feed may be the first byte of the next window.
            (b'\r', None) if !is_last => return Parsed::Cut,
            (b'\r' | b'\n', _) => return Parsed::Row { bytes: at, lines },
            _ => {}
        }
    }
}

/// Appends an enclosed part of a cell and returns its bytes with the closing enclosure; none if it
/// does not close here.
fn parse_enclosed(input: &[u8], is_last: bool, enclosure: u8, record: &mut Record) -> Option<usize> {
    let mut at = 0;
    loop {
        let part = memchr(enclosure, &input[at..])?;
        record.text.extend_from_slice(&input[at..at + part]);
        at += part + 1;
        match input.get(at) {
            Some(&next) if next == enclosure => {
                record.text.push(enclosure);
                at += 1;
            }
            // A second one may be the first byte of the next window.
            None if !is_last => return None,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', enclosure: b'"' };

    /// All rows of a text, `|` between cells and `;` between rows, with the line each begins on.
    fn rows(text: &[u8], dialect: Dialect) -> String {
        let (mut record, mut rest, mut line, mut found) = (Record::default(), text, 1, Vec::new());
        while !rest.is_empty() {
            match parse_row(rest, true, dialect, &mut record) {
                Parsed::Row { bytes, lines } => {
                    found.push(format!("{line}:{}", record.cells().collect::<Vec<_>>().join("|")));
                    rest = &rest[bytes..];
                    line += lines;
                }
                other => return format!("{} {other:?} on line {line}", found.join(";")),
            }
        }
        found.join(";")
    }

    #[test]
    fn takes_rows_apart() {
        let check = |text: &str, expected| assert_eq!(rows(text.as_bytes(), COMMA), expected, "{text:?}");
        check("a,b\nc,d\n", "1:a|b;2:c|d");
        check("a,b\r\nc,d", "1:a|b;2:c|d");
        check("a,b\rc,d\r", "1:a|b;2:c|d");
        check("a,\n,\n", "1:a|;2:|");
        check("\"a,b\",\"c\nd\"\ne,f\n", "1:a,b|c\nd;3:e|f");
        check("\"a\r\nb\"\r\nc", "1:a\r\nb;3:c");
        check("\"say \"\"hi\"\"\",\"\"", "1:say \"hi\"|");
        check("5\" pipe,a\"b\"", "1:5\" pipe|a\"b\"");
        check("\"a\"b,c", "1:ab|c");
        check("a\0b,c", "1:a\0b|c");
        check("a,\"b\nc\n", " Unclosed on line 1");
        check("a\n\"", "1:a Unclosed on line 2");
    }

    #[test]
    fn the_characters_are_free() {
        let tab = Dialect { delimiter: b'\t', enclosure: b'\'' };
        assert_eq!(rows(b"a\t'b\tc'\t\"d\n", tab), "1:a|b\tc|\"d");
    }

    #[test]
    fn a_row_cut_anywhere_is_the_same_row() {
        let text = "\"a\"\"b\",c\r\n\"d\re\",\r\nf,\"g\"\nh,i".as_bytes();
        let mut record = Record::default();
        for cut in 1..text.len() {
            let mut rest = text;
            while !rest.is_empty() {
                let whole = parse_row(rest, true, COMMA, &mut record);
                let cells = format!("{record:?}");
                let window = &rest[..cut.min(rest.len())];
                let found = parse_row(window, window.len() == rest.len(), COMMA, &mut record);
                assert!(found == Parsed::Cut || (found == whole && format!("{record:?}") == cells), "{cut}");
                let Parsed::Row { bytes, .. } = whole else { panic!("{whole:?}") };
                rest = &rest[bytes..];
            }
        }
    }

    /// Every text of seven characters over the special ones reads as the `csv` crate reads it.
    #[test]
    fn agrees_with_the_csv_crate() {
        let alphabet = b"a,\"\n\r";
        for number in 0..5u32.pow(7) {
            let text: Vec<u8> = (0..7).map(|i| alphabet[(number / 5u32.pow(i) % 5) as usize]).collect();
            let mut builder = csv::ReaderBuilder::new();
            let mut reader = builder.has_headers(false).flexible(true).from_reader(text.as_slice());
            let expected: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
            let (mut record, mut rest, mut found) = (Record::default(), text.as_slice(), Vec::new());
            let closed = loop {
                rest = rest.trim_ascii_start();
                if rest.is_empty() {
                    break true;
                }
                let Parsed::Row { bytes, .. } = parse_row(rest, true, COMMA, &mut record) else {
                    break false;
                };
                found.push(record.cells().map(str::as_bytes).collect::<csv::ByteRecord>());
                rest = &rest[bytes..];
            };
            if closed {
                assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&text));
            } else {
                assert_eq!(found, expected[..found.len()], "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn two_bad_cells_do_not_make_a_good_one() {
        let mut record = Record::default();
        parse_row(b"a\xc3,\xa9b\n", true, COMMA, &mut record);
        assert_eq!(record.text(), None);
        parse_row("aé,ü\n".as_bytes(), true, COMMA, &mut record);
        assert_eq!(record.text(), Some("aéü"));
    }
}
