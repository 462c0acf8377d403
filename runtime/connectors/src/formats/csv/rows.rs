//! Rows of a CSV file become items.
//!
//! Nearly all rows have the right number of cells, one line, and their enclosures in place. They need no further check.
//! Other rows are checked closely. Stray enclosures are searched for in a whole chunk at once.

use stepbox_batch::element::{Chunk, More, Unreadable};
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::rows::{BadRows, ROWS_BYTES_MAX, Rows};

use super::cells::Cells;
use super::faults::{CODE, Fault};
use super::input::Input;
use super::parse::{Parsed, Parser};
use crate::error::{ConnectorError, Result};
use crate::part::Part;

/// The code of a row with too many cells or too few.
const RAGGED_CODE: &str = "ragged-row";

/// A fault of a row that is delivered nevertheless. It becomes a warning.
#[derive(Debug)]
struct Doubt {
    /// The index of the row in the chunk.
    row: usize,
    fault: Fault,
    /// The row as it is in the file; `None` if the fault was found in the search over the whole chunk.
    raw: Option<String>,
}

impl Input {
    /// Fills a chunk. Whether all of it is UTF-8 is checked at the end, in one pass.
    pub(super) fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More> {
        self.tell_notes();
        if self.header.names.is_empty() {
            return Ok(More::No);
        }
        let (text, ends) = std::mem::take(&mut chunk.rows).into_memory();
        let mut cells = Cells { text, ends, settled: std::mem::take(&mut self.settled) };
        let mut doubts = Vec::new();
        let more = self.read_rows(limit, &mut cells, chunk, &mut doubts);
        self.find_strays(&cells, &mut doubts);
        cells.settled.clear();
        self.settled = cells.settled;
        match Rows::from_parts(self.header.names.len(), cells.text, cells.ends, Vec::new()) {
            Ok(rows) => chunk.rows = rows,
            Err(BadRows::NotUtf8 { row, .. }) => return Err(self.not_utf8(chunk.lines[row])),
            Err(broken) => unreachable!("the parser makes whole rows: {broken}"),
        }
        self.tell(&doubts, chunk);
        more
    }

    fn read_rows(
        &mut self,
        limit: ChunkLimit,
        cells: &mut Cells,
        chunk: &mut Chunk,
        doubts: &mut Vec<Doubt>,
    ) -> Result<More> {
        let (mut items, rows_max, bytes_max) = (0, limit.rows as usize, limit.bytes as usize);
        let mut bytes_aside = 0;
        while items < rows_max && cells.text.len() + bytes_aside < bytes_max {
            let before = cells.mark();
            let row = self.next_row(cells);
            if row.is_err() {
                // The beginning of a row that is too long would be more than a chunk may contain.
                cells.cut_off(before);
            }
            let Some((bytes, lines)) = row? else { break };
            if cells.text.len() > ROWS_BYTES_MAX {
                cells.cut_off(before);
                break;
            }
            let is_usual = cells.ends.len() - before.1 == self.header.cells && lines == 1;
            if is_usual && !self.parser.is_odd() && !self.looks_closely {
                chunk.lines.push(self.line);
            } else if let Some(aside) = self.take_closely((bytes, lines), cells, before, chunk, doubts)? {
                bytes_aside += aside.item.len();
                chunk.unreadable.push(aside);
            } else {
                chunk.lines.push(self.line);
            }
            self.consume(bytes, lines);
            items += 1;
            self.items += 1;
        }
        // If this chunk says that it is the last one, no empty chunk is read after it, and the total is exact.
        self.skip_empty_lines()?;
        if !self.is_at_end() {
            return Ok(More::Yes);
        }
        Part::check_over(self.part, &self.file)?;
        Ok(More::No)
    }

    /// Checks a row of this many bytes and lines, whose cells came after a mark. Returns the row if it is set aside.
    fn take_closely(
        &mut self,
        (bytes, lines): (usize, u64),
        cells: &mut Cells,
        before: (usize, usize),
        chunk: &Chunk,
        doubts: &mut Vec<Doubt>,
    ) -> Result<Option<Unreadable>> {
        let raw = without_line_end(&self.file.unread()[..bytes]);
        let found = cells.ends.len() - before.1;
        let fault = Fault::of(raw, lines, self.header.cells, self.dialect);
        let is_ragged = !self.header.fits(found);
        if is_ragged || self.is_strict && fault.is_some() {
            cells.cut_off(before);
            let raw = std::str::from_utf8(raw).map_err(|_| self.not_utf8(self.line))?;
            return Ok(Some(self.set_aside(raw, is_ragged.then_some((found, self.header.cells)), fault)));
        }
        if self.header.rejected_item.is_some() {
            match self.take_corrected(cells, before, chunk.lines.len(), doubts)? {
                Taken::Aside(aside) => return Ok(Some(aside)),
                Taken::Again => {}
                Taken::Columns => self.header.drop_cells(cells, before),
            }
        } else {
            let raw = fault.map(|_| String::from_utf8_lossy(raw).into_owned());
            doubts.extend(fault.map(|fault| Doubt { row: chunk.lines.len(), fault, raw }));
            self.header.drop_cells(cells, before);
        }
        cells.settle(self.dialect, before.1);
        Ok(None)
    }

    /// Takes a row of a file of rejected items, whose cells came after a mark. If the item could not be read, the row
    /// contains its text. The text is read again, unless the columns beside it were corrected instead.
    fn take_corrected(
        &mut self,
        cells: &mut Cells,
        before: (usize, usize),
        row: usize,
        doubts: &mut Vec<Doubt>,
    ) -> Result<Taken> {
        let Some(place) = self.header.rejected_item else { return Ok(Taken::Columns) };
        let start = place.checked_sub(1).map_or(before.0, |cell| cells.ends[before.1 + cell] as usize);
        let raw = cells.text[start..cells.ends[before.1 + place] as usize].to_vec();
        if raw.is_empty() {
            return Ok(Taken::Columns);
        }
        let raw = String::from_utf8(raw).map_err(|_| self.not_utf8(self.line))?;
        let mut again = Cells::default();
        let parsed = Parser::new(self.row_dialect).append_row(raw.as_bytes(), true, &mut again);
        let (columns, found) = (self.header.names.len(), again.ends.len());
        let lines = match parsed {
            Parsed::Row { bytes, lines } if bytes == raw.len() => Some(lines),
            _ => None,
        };
        let fault = lines.and_then(|lines| Fault::of(raw.as_bytes(), lines, columns, self.row_dialect));
        if lines.is_some() && found == columns && !(self.is_strict && fault.is_some()) {
            cells.cut_off(before);
            cells.push_row(&again);
            doubts.extend(fault.map(|fault| Doubt { row, fault, raw: Some(raw) }));
            return Ok(Taken::Again);
        }
        let mut row = cells.take_off(before);
        self.header.drop_cells(&mut row, (0, 0));
        if row.is_beginning_of(&again) || row.text.is_empty() {
            let is_ragged = lines.is_some() && found != columns;
            return Ok(Taken::Aside(self.set_aside(&raw, is_ragged.then_some((found, columns)), fault)));
        }
        cells.push_row(&row);
        Ok(Taken::Again)
    }

    /// A row that is set aside, as it is in the file. `ragged` has the number of cells that the row has, and the number
    /// that it should have.
    fn set_aside(&self, raw: &str, ragged: Option<(usize, usize)>, fault: Option<Fault>) -> Unreadable {
        let ragged = ragged.map(|(found, cells)| format!("it has {found} cells, the header has {cells}"));
        let code = if ragged.is_some() { RAGGED_CODE } else { CODE };
        let fault = match fault {
            None if ragged.is_none() => Some("it is not one whole row".to_owned()),
            // If the number of cells is wrong, a fault in the lines of the row is only a chance.
            Some(Fault::Lines { .. }) if ragged.is_some() => None,
            fault => fault.map(|fault| fault.reason(self.dialect)),
        };
        let reason: Vec<_> = [ragged, fault].into_iter().flatten().collect();
        let (reason, place) = (reason.join("; "), format!("line {}", self.line));
        Unreadable { code: code.to_owned(), reason, place, item: raw.to_owned() }
    }

    /// Finds stray enclosures in cells that were not checked.
    fn find_strays(&self, cells: &Cells, doubts: &mut Vec<Doubt>) {
        let Some(enclosure) = self.dialect.enclosure else { return };
        let columns = self.header.names.len();
        let mut last = None;
        for cell in cells.strays(enclosure) {
            let (row, cell) = (cell / columns, cell % columns + 1);
            if last.replace(row) != Some(row) {
                doubts.push(Doubt { row, fault: Fault::Stray { cell }, raw: None });
            }
        }
    }

    /// Reports doubts as warnings, in the order of the rows, so that the warnings do not depend on the size of chunks.
    fn tell(&self, doubts: &[Doubt], chunk: &Chunk) {
        let mut doubts: Vec<_> = doubts.iter().collect();
        doubts.sort_by_key(|doubt| doubt.row);
        let context = self.file.context();
        for Doubt { row, fault, raw } in doubts {
            let item = match raw {
                _ if !context.keeps_warnings() => String::new(),
                Some(raw) => raw.clone(),
                None => chunk.rows.row_as_json(&self.header.names, *row).to_string(),
            };
            let place = format!("line {}", chunk.lines[*row]);
            context.add_warning(CODE, &fault.reason(self.dialect), &place, &item);
        }
    }

    /// Reports the warnings about the file. They go with the first chunk, which only one reader reads.
    fn tell_notes(&mut self) {
        let notes = std::mem::take(&mut self.notes);
        if self.items == 0 {
            for note in notes {
                let place = format!("line {}", note.line);
                self.file.context().add_warning(note.code, &note.reason, &place, &note.item);
            }
        }
    }
}

/// The outcome for a row of a file of rejected items.
enum Taken {
    /// The text of the item could not be read again.
    Aside(Unreadable),
    /// The cells are those of the text that was read again, or the corrected columns.
    Again,
    /// The row is like any other, with the columns of rejected items.
    Columns,
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

impl Input {
    /// Appends the cells of the next row and returns its length in bytes and lines. The row is not consumed yet.
    pub(super) fn next_row(&mut self, cells: &mut Cells) -> Result<Option<(usize, u64)>> {
        self.next_with(|parser, input, is_last| parser.append_row(input, is_last, cells))
    }

    pub(super) fn next_with(
        &mut self,
        mut parse: impl FnMut(&mut Parser, &[u8], bool) -> Parsed,
    ) -> Result<Option<(usize, u64)>> {
        self.skip_empty_lines()?;
        loop {
            if self.is_at_end() {
                return Ok(None);
            }
            let (input, is_last) = (self.file.unread(), self.file.is_at_end());
            match parse(&mut self.parser, input, is_last) {
                Parsed::Row { bytes, lines } if bytes <= ROWS_BYTES_MAX => return Ok(Some((bytes, lines))),
                Parsed::Cut if input.len() < ROWS_BYTES_MAX => self.file.fill()?,
                Parsed::Row { .. } | Parsed::Cut => {
                    let (path, line) = (self.file.path(), self.line);
                    return Err(ConnectorError::RowTooLong { path, line, max_mib: crate::ITEM_MIB_MAX });
                }
                Parsed::Unclosed => {
                    let (path, line) = (self.file.path(), self.line);
                    let enclosure = char::from(self.dialect.enclosure.unwrap_or(b'"'));
                    return Err(ConnectorError::UnclosedEnclosure { path, line, enclosure });
                }
            }
        }
    }

    pub(super) fn skip_empty_lines(&mut self) -> Result<()> {
        loop {
            match self.file.unread() {
                _ if Part::is_over(self.part, self.file.offset()) => return Ok(()),
                [b'\r'] | [] if !self.file.is_at_end() => self.file.fill()?,
                [b'\r', b'\n', ..] => self.consume(2, 1),
                [b'\r' | b'\n', ..] => self.consume(1, 1),
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn consume(&mut self, bytes: usize, lines: u64) {
        self.file.consume(bytes);
        self.line += lines;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.file.is_at_end() && self.file.unread().is_empty() || Part::is_over(self.part, self.file.offset())
    }
}
