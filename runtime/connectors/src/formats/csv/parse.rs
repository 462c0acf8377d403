//! Parsing rows of CSV from a window onto the file.
//!
//! Most rows are found by a search for delimiters and enclosures, as in `simple_row`. csv-core parses all others. This
//! module adds what restarts and good messages need. A row that the window cuts off does not count yet. Each row knows
//! its bytes and lines. A cell that is opened and never closed is an error, since it has swallowed the rest of the
//! file.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::memchr_iter;

use super::cells::Cells;
use super::dialect::Dialect;
use super::simple_row::{append_simple_row, skip_simple_row};

/// The result of parsing at the beginning of a window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A whole row, with its length in bytes and lines.
    Row { bytes: usize, lines: u64 },
    /// Only the beginning of a row.
    Cut,
    /// An enclosure is not closed before the end of the file.
    Unclosed,
}

/// Parses rows.
pub(crate) struct Parser {
    dialect: Dialect,
    core: Reader,
    /// The text of a row from csv-core, which needs the room beforehand.
    text: Vec<u8>,
    text_bytes: usize,
    ends: Vec<usize>,
    cells: usize,
    is_odd: bool,
}

impl Parser {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(dialect.delimiter).quoting(dialect.enclosure.is_some());
        if let Some(enclosure) = dialect.enclosure {
            builder.quote(enclosure);
        }
        let (core, text, ends) = (builder.build(), vec![0; 4096], vec![0; 64]);
        let mut parser = Self { dialect, core, text, text_bytes: 0, ends, cells: 0, is_odd: false };
        parser.begin_row();
        parser
    }

    /// Appends the cells of the row at the beginning of `input`, which is not empty. Appends nothing if the row is not
    /// whole. `is_last` says that the file ends where the input ends.
    pub(crate) fn append_row(&mut self, input: &[u8], is_last: bool, cells: &mut Cells) -> Parsed {
        let before @ (start, _) = cells.mark();
        self.is_odd = false;
        if let Some((bytes, lines)) = append_simple_row(self.dialect, input, is_last, cells) {
            return Parsed::Row { bytes, lines };
        }
        cells.cut_off(before);
        let parsed = self.parse_row(input, is_last);
        if matches!(parsed, Parsed::Row { .. }) {
            cells.text.extend_from_slice(&self.text[..self.text_bytes]);
            cells.ends.extend(self.ends[..self.cells].iter().map(|end| (start + end) as u32));
            self.is_odd = true;
        }
        parsed
    }

    /// Whether the last row was not a simple one, so that its enclosures were not checked.
    pub(super) fn is_odd(&self) -> bool {
        self.is_odd
    }

    /// Finds the end of the row at the beginning of `input`, like `append_row` without the cells.
    pub(super) fn skip_row(&mut self, input: &[u8], is_last: bool) -> Parsed {
        match skip_simple_row(self.dialect, input, is_last) {
            Some((bytes, lines)) => Parsed::Row { bytes, lines },
            None => self.parse_row(input, is_last),
        }
    }

    /// Forgets the row that was begun. A new parser would remove a byte order mark from the next row. A parser that has
    /// read an empty line does not.
    fn begin_row(&mut self) {
        self.core.reset();
        self.core.read_record(b"\n", &mut self.text, &mut self.ends);
    }

    /// Parses any row with csv-core.
    fn parse_row(&mut self, input: &[u8], is_last: bool) -> Parsed {
        (self.text_bytes, self.cells) = (0, 0);
        let Some(mut bytes) = self.take_row(input) else {
            // The last row of a file may have no line feed. One more line feed ends the row, unless an enclosure is
            // open.
            return match is_last && self.take_row(b"\n").is_some() {
                true => Parsed::Row { bytes: input.len(), lines: 1 + self.inner_lines() },
                false => {
                    self.begin_row();
                    if is_last { Parsed::Unclosed } else { Parsed::Cut }
                }
            };
        };
        if input[bytes - 1] == b'\r' {
            match input.get(bytes) {
                Some(b'\n') => bytes += 1,
                // The line feed may be the first byte of the next window.
                None if !is_last => return Parsed::Cut,
                _ => {}
            }
        }
        Parsed::Row { bytes, lines: 1 + self.inner_lines() }
    }

    /// Feeds csv-core, and returns the length of the row in bytes; `None` if the row does not end in the input.
    fn take_row(&mut self, input: &[u8]) -> Option<usize> {
        let mut bytes = 0;
        while bytes < input.len() {
            let (text, ends) = (&mut self.text[self.text_bytes..], &mut self.ends[self.cells..]);
            let (result, read, written, cells) = self.core.read_record(&input[bytes..], text, ends);
            bytes += read;
            self.text_bytes += written;
            self.cells += cells;
            match result {
                ReadRecordResult::Record => return Some(bytes),
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
        None
    }

    /// The number of line feeds in cells. The line feeds between rows are not in the text.
    fn inner_lines(&self) -> u64 {
        memchr_iter(b'\n', &self.text[..self.text_bytes]).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parser for tests, which parses one row at a time.
    struct Record {
        parser: Parser,
        row: Cells,
    }

    impl Record {
        fn new(dialect: Dialect) -> Self {
            Self { parser: Parser::new(dialect), row: Cells::default() }
        }

        fn parse_row(&mut self, input: &[u8], is_last: bool) -> Parsed {
            self.row.cut_off((0, 0));
            self.parser.append_row(input, is_last, &mut self.row)
        }

        fn text(&self) -> Option<&str> {
            self.row.as_text().and(std::str::from_utf8(&self.row.text).ok())
        }

        fn cells(&self) -> impl Iterator<Item = &str> {
            self.row.as_text().into_iter().flatten()
        }
    }

    const COMMA: Dialect = Dialect::DEFAULT;

    /// All rows of a text, with `|` between cells and `;` between rows, and the line on which each row begins.
    fn rows(text: &[u8], dialect: Dialect) -> String {
        let (mut record, mut rest, mut line, mut found) = (Record::new(dialect), text, 1, Vec::new());
        while !rest.is_empty() {
            match record.parse_row(rest, true) {
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
        let tab = Dialect { delimiter: b'\t', enclosure: Some(b'\'') };
        assert_eq!(rows(b"a\t'b\tc'\t\"d\n", tab), "1:a|b\tc|\"d");
        let none = Dialect { enclosure: None, ..COMMA };
        assert_eq!(rows(b"5\" pipe,\"a\nb\",\"\"\n\xc3\xbf", none), "1:5\" pipe|\"a;2:b\"|\"\";3:\u{ff}");
    }

    #[test]
    fn a_row_cut_anywhere_is_the_same_row() {
        let text = "\"a\"\"b\",c\r\n\"d\re\",\r\nf,\"g\"\nh,i".as_bytes();
        let mut record = Record::new(COMMA);
        for cut in 1..text.len() {
            let mut rest = text;
            while !rest.is_empty() {
                let whole = record.parse_row(rest, true);
                let cells = record.cells().collect::<Vec<_>>().join("|");
                let window = &rest[..cut.min(rest.len())];
                let found = record.parse_row(window, window.len() == rest.len());
                assert!(
                    found == Parsed::Cut
                        || (found == whole && record.cells().collect::<Vec<_>>().join("|") == cells),
                    "{cut}"
                );
                let Parsed::Row { bytes, .. } = whole else { panic!("{whole:?}") };
                rest = &rest[bytes..];
            }
        }
    }

    /// Every text of seven special characters is read in the same way as by the `csv` crate.
    #[test]
    fn agrees_with_the_csv_crate() {
        let alphabet = b"a,\"\n\r";
        for number in 0..5u32.pow(7) {
            let text: Vec<u8> = (0..7).map(|i| alphabet[(number / 5u32.pow(i) % 5) as usize]).collect();
            let mut builder = csv::ReaderBuilder::new();
            let mut reader = builder.has_headers(false).flexible(true).from_reader(text.as_slice());
            let expected: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
            let (mut record, mut rest, mut found) = (Record::new(COMMA), text.as_slice(), Vec::new());
            let closed = loop {
                rest = rest.trim_ascii_start();
                if rest.is_empty() {
                    break true;
                }
                let Parsed::Row { bytes, .. } = record.parse_row(rest, true) else {
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

    /// The search finds the same cells, bytes and lines as csv-core, in every text of seven characters: before the end
    /// of the file, at the end, and with room for a search of 16 bytes.
    #[test]
    fn searching_finds_what_csv_core_finds() {
        check_searching(COMMA);
        check_searching(Dialect { enclosure: None, ..COMMA });
    }

    fn check_searching(dialect: Dialect) {
        let alphabet = b"a,\"\n\r";
        let (mut parser, mut alone) = (Parser::new(dialect), Parser::new(dialect));
        for number in 0..5u32.pow(7) {
            let text = (0..7).map(|i| alphabet[(number / 5u32.pow(i) % 5) as usize]);
            let text: Vec<u8> = text.chain(*b"b,cccccccccccccccc\nd").collect();
            for (length, is_last) in [(7, true), (7, false), (text.len(), false)] {
                let (input, mut cells) =
                    (&text[..length], Cells { text: b"x".to_vec(), ends: vec![1], ..Cells::default() });
                let found = parser.append_row(input, is_last, &mut cells);
                let expected = alone.parse_row(input, is_last);
                let is_row = matches!(expected, Parsed::Row { .. });
                let (bytes, count) = if is_row { (alone.text_bytes, alone.cells) } else { (0, 0) };
                assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(input));
                assert_eq!(parser.skip_row(input, is_last), expected, "{:?}", String::from_utf8_lossy(input));
                assert_eq!(cells.text[1..], alone.text[..bytes]);
                assert!(
                    cells.ends[1..]
                        .iter()
                        .map(|&end| end as usize - 1)
                        .eq(alone.ends[..count].iter().copied())
                );
            }
        }
    }

    #[test]
    fn two_bad_cells_do_not_make_a_good_one() {
        let mut record = Record::new(COMMA);
        record.parse_row(b"a\xc3,\xa9b\n", true);
        assert_eq!(record.text(), None);
        record.parse_row("aé,ü\n".as_bytes(), true);
        assert_eq!(record.text(), Some("aéü"));
    }
}
