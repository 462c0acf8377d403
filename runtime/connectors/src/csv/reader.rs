//! The reader `csv`: one row of the file is one item.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepbox_batch::element::{Chunk, ItemReader, More, Opening, Total, Unreadable};
use stepbox_batch::error::ElementError;
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::log::LogLevel;
use stepbox_batch::rows::{BadRows, ROWS_BYTES_MAX, Rows};
use stepbox_batch::step_context::{ITEM_BYTES_MAX, StepContext, cut};

use super::dialect::Dialect;
use super::parse::{Cells, Parsed, Parser};
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint_of_names;
use crate::folders::Folders;
use crate::input_file::InputFile;
use crate::options::Options;
use crate::part::{Mark, Part, Splitting};
use crate::storage::Storage;
use crate::{COLUMNS_MAX, ITEM_MIB_MAX};

/// Reads the rows of a CSV file.
///
/// Empty lines are no items. A row with more or fewer cells than the header is set aside as
/// `ragged-row`. Cells are never null: CSV cannot say so.
#[derive(Debug)]
pub(crate) struct CsvReader {
    from: Storage,
    folders: Folders,
    dialect: Dialect,
    has_header: bool,
    input: Option<Input>,
}

/// What the reader needs to go on after the last row it delivered.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    offset: u64,
    /// The line at that offset, from 1.
    line: u64,
    items: u64,
    /// Fingerprint of the header.
    header: u64,
    /// Fingerprint of the bytes before the offset.
    tail: u64,
    /// None for the whole file, and in what was stored when there was nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

/// The file while it is read.
struct Input {
    file: InputFile,
    dialect: Dialect,
    header: Vec<String>,
    header_fingerprint: u64,
    parser: Parser,
    /// The line at the beginning of the unread bytes, from 1.
    line: u64,
    items: u64,
    /// None if it is read to its end.
    part: Option<Part>,
}

impl CsvReader {
    pub(crate) fn new(options: &Value, folders: &Folders) -> Result<Self> {
        let options = Options::new(options, super::READER_OPTIONS)?;
        Ok(Self {
            from: options.storage("from")?,
            folders: folders.clone(),
            dialect: Dialect::from_options(&options)?,
            has_header: options.flag("header", true)?,
            input: None,
        })
    }

    /// Opens the file and goes where the state says.
    fn begin(&self, opening: &Opening<'_>) -> Result<Input> {
        let file = InputFile::open(&self.from, &self.folders, opening.context)?;
        let mut input = Input::begin(file, self.dialect, self.has_header)?;
        if let Some(state) = opening.state.filter(|state| !state.is_empty()) {
            input.resume(state)?;
        }
        Ok(input)
    }

    fn input(&mut self) -> Result<&mut Input> {
        self.input.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl ItemReader for CsvReader {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<Vec<String>, ElementError> {
        let input = self.begin(&opening)?;
        if let Some(hint) = input.hint() {
            opening.context.log(LogLevel::Warning, &hint);
        }
        Ok(self.input.insert(input).header.clone())
    }

    async fn read(
        &mut self,
        limit: ChunkLimit,
        chunk: &mut Chunk,
    ) -> std::result::Result<More, ElementError> {
        Ok(self.input()?.read(limit, chunk)?)
    }

    fn total(&self) -> Total {
        match &self.input {
            None => Total::Unknown,
            Some(input) => input.total(),
        }
    }

    async fn split(
        &mut self,
        opening: Opening<'_>,
        parts: u32,
    ) -> std::result::Result<Option<Vec<Vec<u8>>>, ElementError> {
        let mut input = self.begin(&opening)?;
        if input.part.is_some() {
            return Ok(None);
        }
        match input.split(parts, opening.context)? {
            Some(states) => Ok(Some(states)),
            None => Err(ElementError::Stopped),
        }
    }

    async fn state(&mut self) -> std::result::Result<Vec<u8>, ElementError> {
        Ok(self.input()?.state()?)
    }
}

impl Input {
    /// Reads as far as the first item.
    fn begin(file: InputFile, dialect: Dialect, has_header: bool) -> Result<Self> {
        let (header, parser) = (Vec::new(), Parser::new(dialect));
        let (line, items, part) = (1, 0, None);
        let mut input = Self { file, dialect, header, header_fingerprint: 0, parser, line, items, part };
        let mut first = Cells::default();
        let Some((bytes, lines)) = input.next_row(&mut first)? else {
            return Err(ConnectorError::EmptyFile { path: input.file.path() });
        };
        if first.ends.len() > COLUMNS_MAX {
            return Err(ConnectorError::TooManyColumns { path: input.file.path(), max: COLUMNS_MAX });
        }
        if has_header {
            let names = first.as_text().ok_or_else(|| input.not_utf8(input.line))?;
            input.header = names.map(str::to_owned).collect();
            check_names(&input.header, &input.file)?;
            input.consume(bytes, lines);
        } else {
            input.header = (1..=first.ends.len()).map(|i| format!("column_{i}")).collect();
        }
        input.header_fingerprint = fingerprint_of_names(&input.header);
        Ok(input)
    }

    /// A header of one column is mostly a file with another delimiter.
    fn hint(&self) -> Option<String> {
        let [only] = self.header.as_slice() else { return None };
        let other = [',', ';', '\t', '|'].into_iter().find(|&other| only.contains(other))?;
        Some(format!(
            "the header is one column, `{only}`; should `delimiter` be `{}`?",
            other.escape_default()
        ))
    }

    fn resume(&mut self, state: &[u8]) -> Result<()> {
        let state: State =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        if state.header != self.header_fingerprint {
            let (path, difference) = (self.file.path(), "its header differs".to_owned());
            return Err(ConnectorError::InputChanged { path, difference });
        }
        self.file.check_counts(state.offset, state.line, state.items)?;
        Part::check_counts(state.part, state.offset, state.items)?;
        self.file.resume(state.offset, state.tail)?;
        (self.line, self.items, self.part) = (state.line, state.items, state.part);
        Ok(())
    }

    fn mark(&mut self) -> Result<Mark> {
        let tail = self.file.tail()?;
        Ok(Mark { offset: self.file.offset(), line: self.line, items: self.items, tail })
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        let (mark, part) = (self.mark()?, self.part);
        self.state_at(mark, part)
    }

    fn state_at(&self, mark: Mark, part: Option<Part>) -> Result<Vec<u8>> {
        let Mark { offset, line, items, tail } = mark;
        let state =
            serde_json::to_vec(&State { offset, line, items, header: self.header_fingerprint, tail, part });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    /// Passes over all rows, and returns the states to read each part from; none if it was stopped on the
    /// way. Rows are not looked into, so that what is wrong with their cells is found by whoever reads them.
    fn split(&mut self, parts: u32, context: &StepContext) -> Result<Option<Vec<Vec<u8>>>> {
        let mut splitting = Splitting::of(&self.file, parts);
        while let Some((bytes, lines)) = self.next_with(Parser::skip_row)? {
            if splitting.begins_at(self.file.offset()) {
                splitting.begin_part(self.mark()?);
            }
            self.consume(bytes, lines);
            self.items += 1;
            if self.items.is_multiple_of(4096) && context.is_stopping() {
                return Ok(None);
            }
        }
        let parts = splitting.into_parts(self.mark()?);
        parts.into_iter().map(|(mark, part)| self.state_at(mark, Some(part))).collect::<Result<_>>().map(Some)
    }

    fn total(&self) -> Total {
        match self.part {
            Some(part) => part.total(self.items, self.is_at_end()),
            None if self.is_at_end() => Total::Exact(self.items),
            None => self.file.estimate(self.items),
        }
    }

    /// Fills a chunk. Whether all of it is UTF-8 shows at the end, in one pass.
    fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More> {
        let (text, ends) = std::mem::take(&mut chunk.rows).into_memory();
        let mut cells = Cells { text, ends };
        let more = self.read_rows(limit, &mut cells, chunk);
        match Rows::from_parts(self.header.len(), cells.text, cells.ends, Vec::new()) {
            Ok(rows) => chunk.rows = rows,
            Err(BadRows::NotUtf8 { row, .. }) => return Err(self.not_utf8(chunk.lines[row])),
            Err(broken) => unreachable!("the parser makes whole rows: {broken}"),
        }
        more
    }

    fn read_rows(&mut self, limit: ChunkLimit, cells: &mut Cells, chunk: &mut Chunk) -> Result<More> {
        let (mut items, rows_max, bytes_max) = (0, limit.rows as usize, limit.bytes as usize);
        while items < rows_max && cells.text.len() < bytes_max {
            let before = cells.mark();
            let row = self.next_row(cells);
            if row.is_err() {
                // What there is of a row that is too long would be more than a chunk may hold.
                cells.cut_off(before);
            }
            let Some((bytes, lines)) = row? else { break };
            if cells.text.len() > ROWS_BYTES_MAX {
                cells.cut_off(before);
                break;
            }
            if cells.ends.len() - before.1 == self.header.len() {
                chunk.lines.push(self.line);
            } else {
                chunk.unreadable.push(self.ragged(&cells.cut_off(before))?);
            }
            self.consume(bytes, lines);
            items += 1;
            self.items += 1;
        }
        // A last chunk that says so saves reading an empty one, and makes the total exact.
        self.skip_empty_lines()?;
        if !self.is_at_end() {
            return Ok(More::Yes);
        }
        Part::check_over(self.part, &self.file)?;
        Ok(More::No)
    }

    fn is_at_end(&self) -> bool {
        self.file.is_at_end() && self.file.unread().is_empty() || Part::is_over(self.part, self.file.offset())
    }

    /// Appends the cells of the next row and returns its bytes and lines, which are not consumed yet.
    fn next_row(&mut self, cells: &mut Cells) -> Result<Option<(usize, u64)>> {
        self.next_with(|parser, input, is_last| parser.append_row(input, is_last, cells))
    }

    fn next_with(
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
                    return Err(ConnectorError::RowTooLong { path, line, max_mib: ITEM_MIB_MAX });
                }
                Parsed::Unclosed => {
                    let (path, line) = (self.file.path(), self.line);
                    let enclosure = char::from(self.dialect.enclosure);
                    return Err(ConnectorError::UnclosedEnclosure { path, line, enclosure });
                }
            }
        }
    }

    fn skip_empty_lines(&mut self) -> Result<()> {
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

    fn consume(&mut self, bytes: usize, lines: u64) {
        self.file.consume(bytes);
        self.line += lines;
    }

    /// A file in another encoding fails the step: a million warnings would help nobody.
    fn not_utf8(&self, line: u64) -> ConnectorError {
        ConnectorError::NotUtf8 { path: self.file.path(), line, is_utf16: false }
    }

    fn ragged(&self, row: &Cells) -> Result<Unreadable> {
        let cells: Vec<&str> = row.as_text().ok_or_else(|| self.not_utf8(self.line))?.collect();
        let item = Value::from(cells.as_slice()).to_string();
        Ok(Unreadable {
            code: "ragged-row".to_owned(),
            reason: format!("it has {} cells, the header has {}", cells.len(), self.header.len()),
            place: format!("line {}", self.line),
            item: cut(&item, ITEM_BYTES_MAX).to_owned(),
        })
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("line", &self.line).field("items", &self.items).finish_non_exhaustive()
    }
}

/// Later elements find cells by their column's name.
fn check_names(header: &[String], file: &InputFile) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (i, name) in header.iter().enumerate() {
        let column = i + 1;
        if name.is_empty() {
            return Err(ConnectorError::EmptyColumnName { path: file.path(), column });
        }
        if let Some(first) = seen.insert(name, column) {
            let (path, name) = (file.path(), name.clone());
            return Err(ConnectorError::DuplicateColumnName { path, name, first, second: column });
        }
    }
    Ok(())
}
