//! The beginning of a file: Excel's line that names the delimiter, the search for the delimiter if no option names it,
//! and the header.

use memchr::memchr2;
use stepbox_batch::rows::ROWS_BYTES_MAX;

use super::cells::Cells;
use super::dialect::{DELIMITER, Dialect, LIKELY_DELIMITERS, shown};
use super::faults::{self, Fault};
use super::header::Header;
use super::input::{Input, Note, Settings};
use super::parse::Parser;
use crate::COLUMNS_MAX;
use crate::error::{ConnectorError, Result};
use crate::known_beginnings;

/// How many bytes of a header are searched for the delimiter.
const HEADER_BYTES: usize = 64 << 10;

impl Input {
    /// Reads up to the first item.
    pub(super) fn read_beginning(&mut self, settings: &Settings) -> Result<()> {
        known_beginnings::check_csv(
            &self.file.unread()[..self.file.unread().len().min(64)],
            &self.file.path(),
        )?;
        let is_empty = self.file.unread().is_empty() && self.file.is_at_end();
        self.skip_empty_lines()?;
        let mut is_given = settings.has_delimiter;
        if let Some((delimiter, bytes)) = sep_line(self.file.unread(), settings.dialect) {
            self.set_dialect(Dialect { delimiter, ..settings.dialect });
            self.consume(bytes, 1);
            self.skip_empty_lines()?;
            is_given = true;
        }
        if !is_given && settings.has_header {
            self.find_delimiter(settings.dialect)?;
        }
        let mut first = Cells::default();
        let Some((bytes, lines)) = self.next_row(&mut first)? else {
            // The header line has an end but no names: the file has no columns and no items.
            return match is_empty && settings.has_header {
                true => Err(ConnectorError::EmptyFile { path: self.file.path() }),
                false => Ok(()),
            };
        };
        if first.ends.len() > COLUMNS_MAX {
            return Err(ConnectorError::TooManyColumns { path: self.file.path(), max: COLUMNS_MAX });
        }
        let names = |cells: &Cells| cells.as_text().map(|names| names.map(str::to_owned).collect::<Vec<_>>());
        let mut row = names(&first).ok_or_else(|| self.not_utf8(self.line))?;
        let of_rejected = Header::is_of_rejected(&row);
        if of_rejected && self.dialect.enclosure.is_none() {
            // Such a file always has enclosures, since one of its cells contains a whole row.
            self.set_dialect(self.dialect.or_own_enclosure());
            first = Cells::default();
            self.next_row(&mut first)?;
            row = names(&first).ok_or_else(|| self.not_utf8(self.line))?;
        }
        if !settings.has_header && !of_rejected {
            self.header = Header::numbered(row.len());
            self.doubt_single_column(&row);
            return Ok(());
        }
        self.check_single_column(&row, bytes)?;
        self.note_fault_of_header(bytes, lines, row.len());
        self.header = Header::of(row, settings.naming, &self.file.path())?;
        if self.header.names.is_empty() {
            return Err(ConnectorError::EmptyColumnName { path: self.file.path(), column: 1 });
        }
        self.consume(bytes, lines);
        Ok(())
    }

    /// Takes the likely delimiter that occurs most often in the header.
    fn find_delimiter(&mut self, dialect: Dialect) -> Result<()> {
        self.file.ensure(HEADER_BYTES)?;
        let line = header_line(self.file.unread(), dialect);
        let counts = LIKELY_DELIMITERS.map(|likely| (count(line, likely, dialect), likely));
        let most = counts.iter().map(|&(count, _)| count).max().unwrap_or_default();
        let found: Vec<u8> = counts.iter().filter(|(count, _)| *count == most).map(|&(_, it)| it).collect();
        match found[..] {
            _ if most == 0 => {}
            [delimiter] => self.set_dialect(Dialect { delimiter, ..dialect }),
            _ => {
                let (path, header) = (self.file.path(), String::from_utf8_lossy(line).into_owned());
                let likely = found.into_iter().map(char::from).collect();
                return Err(ConnectorError::DelimiterUnclear { path, header, likely });
            }
        }
        Ok(())
    }

    /// A header of one column that contains another delimiter mostly means a file with that delimiter. A name in an
    /// enclosure is certainly one name, so it is accepted.
    fn check_single_column(&self, row: &[String], bytes: usize) -> Result<()> {
        let [only] = row else { return Ok(()) };
        if self.dialect.encloses(&self.file.unread()[..bytes]) {
            return Ok(());
        }
        let Some(other) = self.other_delimiter(only) else { return Ok(()) };
        let (path, header) = (self.file.path(), only.clone());
        Err(ConnectorError::DelimiterUnclear { path, header, likely: vec![char::from(other)] })
    }

    /// Without a header, the first item may show that the file has another delimiter.
    fn doubt_single_column(&mut self, row: &[String]) {
        let [only] = row else { return };
        if let Some(other) = self.other_delimiter(only) {
            let (delimiter, other) = (shown(self.dialect.delimiter), shown(other));
            let reason =
                format!("its first item is one cell with {other} in it; the delimiter is {delimiter}");
            let (code, line, item) = ("delimiter-unclear", self.line, only.clone());
            self.notes.push(Note { code, reason, line, item });
        }
    }

    fn other_delimiter(&self, text: &str) -> Option<u8> {
        let is_there =
            |likely: u8| memchr::memchr_iter(likely, text.as_bytes()).any(|at| !is_prose(text, at));
        LIKELY_DELIMITERS.into_iter().find(|&likely| likely != self.dialect.delimiter && is_there(likely))
    }

    fn note_fault_of_header(&mut self, bytes: usize, lines: u64, cells: usize) {
        let raw = &self.file.unread()[..bytes];
        if let Some(fault) = Fault::of(raw, lines, cells, self.dialect) {
            let item = String::from_utf8_lossy(raw).trim_end_matches(['\r', '\n']).to_owned();
            let (code, line) = (faults::CODE, self.line);
            self.notes.push(Note { code, reason: fault.reason(self.dialect), line, item });
        }
    }

    fn set_dialect(&mut self, dialect: Dialect) {
        if self.dialect != dialect {
            self.parser = Parser::new(dialect);
        }
        self.dialect = dialect;
        // The text of a row before it was rejected has the delimiter of the file itself.
        if self.row_dialect.delimiter != dialect.delimiter {
            self.row_dialect.delimiter = dialect.delimiter;
        }
    }
}

/// Whether a comma belongs to text for people: such a comma has a blank after it.
fn is_prose(text: &str, at: usize) -> bool {
    text.as_bytes()[at] == DELIMITER && text.as_bytes().get(at + 1) == Some(&b' ')
}

/// The delimiter that Excel's first line names, as in `sep=;`, and the length of the line in bytes.
fn sep_line(text: &[u8], dialect: Dialect) -> Option<(u8, usize)> {
    let (word, rest) = text.split_at_checked(4)?;
    let (&delimiter, rest) = rest.split_first()?;
    let is_one = matches!(delimiter, b' '..=b'~' | b'\t') && Some(delimiter) != dialect.enclosure;
    let line_end = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => return None,
    };
    (word.eq_ignore_ascii_case(b"sep=") && is_one).then_some((delimiter, 5 + line_end))
}

/// The header up to the first line end outside of enclosures; the first line if an enclosure is not closed.
fn header_line(text: &[u8], dialect: Dialect) -> &[u8] {
    let text = &text[..text.len().min(HEADER_BYTES.min(ROWS_BYTES_MAX))];
    let mut is_open = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if Some(byte) == dialect.enclosure => is_open = !is_open,
            b'\n' | b'\r' if !is_open => return &text[..at],
            _ => {}
        }
    }
    if is_open { &text[..memchr2(b'\n', b'\r', text).unwrap_or(text.len())] } else { text }
}

/// How often a delimiter occurs in a header, outside of enclosed cells.
fn count(line: &[u8], delimiter: u8, dialect: Dialect) -> usize {
    let mut is_open = false;
    let stands = |&&byte: &&u8| {
        is_open ^= Some(byte) == dialect.enclosure;
        !is_open && byte == delimiter
    };
    line.iter().filter(stands).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excel_names_the_delimiter_in_a_line_of_its_own() {
        let check = |text: &str, expected| assert_eq!(sep_line(text.as_bytes(), Dialect::DEFAULT), expected);
        check("sep=;\r\na;b\n", Some((b';', 7)));
        check("SEP=\t\na", Some((b'\t', 6)));
        check("sep=|\ra", Some((b'|', 6)));
        check("sep=;;\n", None);
        check("sep=\n", None);
        check("sep=\"\n", None);
        check("sep=;", None);
        check("separator\n", None);
        check("se", None);
    }

    #[test]
    fn a_header_ends_at_a_line_end_outside_of_enclosures() {
        let check = |text: &str, expected: &str| {
            assert_eq!(header_line(text.as_bytes(), Dialect::DEFAULT), expected.as_bytes());
        };
        check("a,b\nc", "a,b");
        check("\"a\nb\";c\r\nd", "\"a\nb\";c");
        check("5\" pipe,b\nc,d\n", "5\" pipe,b");
        check("a", "a");
    }
}
