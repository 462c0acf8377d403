//! The reader `jsonl`: one line of the file is one item.

use std::borrow::Cow;

use async_trait::async_trait;
use memchr::memchr;
use serde::de::Error;
use serde::{Deserialize, Serialize};
use stepbox_batch::cut::cut_with_mark;
use stepbox_batch::element::{Chunk, ItemReader, More, Opening, Total, Unreadable};
use stepbox_batch::error::Halt;
use stepbox_batch::findings::ITEM_BYTES_MAX;
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::rows::ROWS_BYTES_MAX;
use stepbox_batch::step_context::StepContext;

use super::line::{BadLine, Cells, Columns, add_keys};
use super::rejected::{parse_rejected, text_of_rejected};
use crate::element_setup::ElementSetup;
use crate::error::{ConnectorError, Result};
use crate::input_file::InputFile;
use crate::known_beginnings;
use crate::location::Location;
use crate::options::Options;
use crate::other_format::Encoding;
use crate::part::{Mark, Part, Splitting};
use crate::reach::Reach;
use crate::rejected_form::{COLUMNS as OF_REJECTED, RejectedForm};
use crate::{COLUMNS_MAX, ITEM_MIB_MAX};

/// Reads the objects of a JSON Lines file.
///
/// Without the option `columns`, a first pass over the file finds all keys and counts the items. With the option, other
/// keys are left out, and a column that an item does not have is null. Empty lines are not items. A line that is not an
/// object is set aside.
#[derive(Debug)]
pub(crate) struct JsonlReader {
    from: Location,
    reach: Reach,
    columns: Option<Vec<String>>,
    input: Option<Input>,
}

/// The state that the reader needs to continue after the last line it delivered.
#[derive(Debug, Serialize, Deserialize)]
struct State<'a> {
    offset: u64,
    /// The line at that offset, from 1.
    line: u64,
    items: u64,
    /// Fingerprint of the bytes before the offset.
    tail: u64,
    /// The result of the first pass, so that there is only one pass.
    found: Option<Cow<'a, Found>>,
    /// The part to read; `None` for the whole file, and in states from before there were parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

/// The result of the first pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Found {
    columns: Vec<String>,
    items: u64,
}

/// The file while it is read.
struct Input {
    file: InputFile,
    /// The line at the beginning of the unread bytes, from 1.
    line: u64,
    items: u64,
    columns: Columns,
    /// Whether the columns are known. Also true if it is known that there are none.
    has_columns: bool,
    found: Option<Found>,
    /// The part to read; `None` if the file is read to its end.
    part: Option<Part>,
    cells: Cells,
    /// Whether each line contains a rejected item, with its reason.
    is_of_rejected: bool,
}

/// A line that is not empty, at the beginning of the unread bytes.
enum Line {
    /// The length of the line in bytes, with its line feed.
    Whole(usize),
    /// The line is longer than an item may be.
    TooLong,
}

impl JsonlReader {
    pub(crate) fn new(setup: &ElementSetup) -> Result<Self> {
        let options = Options::new(&setup.options, super::READER_OPTIONS)?;
        Ok(Self {
            from: options.location("from")?,
            reach: setup.reach.clone(),
            columns: options.names("columns")?,
            input: None,
        })
    }

    /// Opens the file and goes to the position of the state. Afterwards the columns are known if there is a state, or
    /// if the job has chosen them.
    fn begin(&self, opening: &Opening<'_>) -> Result<Input> {
        let mut input = Input::begin(InputFile::open(&self.from, &self.reach, opening.context)?)?;
        let state = opening.state.filter(|state| !state.is_empty());
        let resumed = state.map(|state| input.resume(state)).transpose()?;
        match &self.columns {
            Some(names) => input.choose(names),
            None if resumed.is_some() => input.check_found()?,
            None => {}
        }
        Ok(input)
    }

    fn input(&mut self) -> Result<&mut Input> {
        self.input.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl ItemReader for JsonlReader {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<Vec<String>, Halt> {
        let mut input = self.begin(&opening)?;
        if !input.has_columns {
            input.first_pass(opening.context, None)?;
            input.go_back()?;
        }
        Ok(self.input.insert(input).columns.names().to_vec())
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> std::result::Result<More, Halt> {
        Ok(self.input()?.read(limit, chunk)?)
    }

    async fn split(
        &mut self,
        opening: Opening<'_>,
        parts: u32,
    ) -> std::result::Result<Option<Vec<Vec<u8>>>, Halt> {
        let mut input = self.begin(&opening)?;
        if input.part.is_some() {
            return Ok(None);
        }
        Ok(Some(input.split(parts, opening.context)?))
    }

    /// The form in which skipped items are written: as lines that this reader can read.
    fn form(&self) -> Option<Vec<u8>> {
        RejectedForm::JsonLines.to_bytes()
    }

    fn total(&self) -> Total {
        match &self.input {
            None => Total::Unknown,
            Some(input @ Input { part: Some(part), .. }) => part.total(input.items, input.is_at_end()),
            Some(input) if input.is_at_end() => Total::Exact(input.items),
            Some(Input { found: Some(found), .. }) => Total::Exact(found.items),
            Some(input) => input.file.estimate(input.items),
        }
    }

    async fn state(&mut self) -> std::result::Result<Vec<u8>, Halt> {
        Ok(self.input()?.state()?)
    }
}

impl Input {
    /// Begins to read, and checks the first line: the file may not be JSON Lines at all.
    fn begin(file: InputFile) -> Result<Self> {
        let mut input = Self {
            file,
            line: 1,
            items: 0,
            columns: Columns::default(),
            has_columns: false,
            found: None,
            part: None,
            cells: Cells::default(),
            is_of_rejected: false,
        };
        if let Some(Line::Whole(bytes)) = input.next_line()? {
            let line = &input.file.unread()[..bytes];
            known_beginnings::check_jsonl(line, &input.file.path())?;
            let mut columns = Columns::default();
            let keys = std::str::from_utf8(line).map(|line| add_keys(line, &mut columns));
            input.is_of_rejected =
                matches!(keys, Ok(Ok(()))) && OF_REJECTED.iter().all(|name| columns.has(name));
        }
        Ok(input)
    }

    /// Reads over all lines to count the items, to find the columns if they are not known, and to split.
    fn first_pass(
        &mut self,
        context: &StepContext,
        mut splitting: Option<&mut Splitting>,
    ) -> std::result::Result<(), Halt> {
        let finds_columns = !self.has_columns;
        let mut columns = Columns::default();
        while let Some(line) = self.next_line()? {
            if let Some(splitting) = splitting.as_mut().filter(|it| it.begins_at(self.file.offset())) {
                splitting.begin_part(self.mark()?);
            }
            match line {
                // A bad line is ignored here, and set aside when it is delivered.
                Line::Whole(bytes) if finds_columns => {
                    let _ = self.add_keys_of(self.text(bytes)?, &mut columns);
                    self.consume(bytes);
                }
                Line::Whole(bytes) => self.consume(bytes),
                Line::TooLong => self.skip_line()?,
            }
            self.items += 1;
            if columns.names().len() > COLUMNS_MAX {
                let (path, max) = (self.file.path(), COLUMNS_MAX);
                return Err(ConnectorError::TooManyColumns { path, max }.into());
            }
            if self.items.is_multiple_of(1024) && context.should_stop() {
                return Err(Halt::Stopped);
            }
        }
        if finds_columns {
            if self.is_of_rejected {
                columns = columns.without(&OF_REJECTED);
            }
            // A file without lines has no items. This is not an error.
            if columns.names().is_empty() && self.items > 0 {
                return Err(ConnectorError::EmptyFile { path: self.file.path() }.into());
            }
            self.has_columns = true;
            self.found = Some(Found { columns: columns.names().to_vec(), items: self.items });
            self.columns = columns;
        }
        Ok(())
    }

    /// Adds the keys of a line. If the line contains the text of an item that could not be read, the keys of that text
    /// are added instead; the keys of the line if the text is still not readable.
    fn add_keys_of(&self, line: &str, columns: &mut Columns) -> std::result::Result<(), BadLine> {
        match self.is_of_rejected.then(|| text_of_rejected(line)).flatten() {
            Some(text) => add_keys(&text, columns).or_else(|_| add_keys(line, columns)),
            None => add_keys(line, columns),
        }
    }

    /// Goes back to the first item, after a pass.
    fn go_back(&mut self) -> Result<()> {
        (self.line, self.items) = (1, 0);
        self.file.rewind()
    }

    /// The states from which to read each part.
    fn split(&mut self, parts: u32, context: &StepContext) -> std::result::Result<Vec<Vec<u8>>, Halt> {
        let mut splitting = Splitting::of(&self.file, parts);
        self.first_pass(context, Some(&mut splitting))?;
        let parts = splitting.into_parts(self.mark()?);
        let states = parts.into_iter().map(|(mark, part)| self.state_at(mark, Some(part)));
        Ok(states.collect::<Result<_>>()?)
    }

    fn resume(&mut self, state: &[u8]) -> Result<()> {
        let state: State<'_> =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        let State { offset, line, items, tail, found, part } = state;
        Mark { offset, line, items, tail }.resume(&mut self.file, part, b"")?;
        (self.line, self.items, self.part) = (line, items, part);
        self.found = found.map(Cow::into_owned);
        self.columns = Columns::new(self.found.iter().flat_map(|found| found.columns.clone()).collect());
        self.has_columns = self.found.is_some();
        Ok(())
    }

    /// Sets the columns that the job chooses. Other keys are left out, also those that an earlier attempt found without
    /// the option.
    fn choose(&mut self, columns: &[String]) {
        self.columns = Columns::new(columns.to_vec());
        (self.found, self.has_columns) = (None, true);
    }

    /// Fails if the columns are not known. An attempt with the option `columns` makes no first pass, so its checkpoint
    /// has no columns for an attempt without the option.
    fn check_found(&self) -> Result<()> {
        if !self.has_columns {
            let source =
                serde_json::Error::custom("it holds no columns, and the option `columns` names none");
            return Err(ConnectorError::BadState { source });
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<Mark> {
        Mark::reached(&mut self.file, self.line, self.items)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        let (mark, part) = (self.mark()?, self.part);
        self.state_at(mark, part)
    }

    fn state_at(&self, mark: Mark, part: Option<Part>) -> Result<Vec<u8>> {
        let Mark { offset, line, items, tail } = mark;
        let found = self.found.as_ref().map(Cow::Borrowed);
        let state = serde_json::to_vec(&State { offset, line, items, tail, found, part });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More> {
        let mut bytes_aside = 0;
        while chunk.items() < limit.rows as usize
            && chunk.rows.data().len() + bytes_aside < limit.bytes as usize
        {
            let Some(line) = self.next_line()? else { break };
            let unreadable = chunk.unreadable.len();
            match line {
                Line::Whole(bytes) => {
                    if !self.deliver(bytes, chunk)? {
                        break;
                    }
                    self.consume(bytes);
                }
                Line::TooLong => {
                    let reason = format!("it is longer than {ITEM_MIB_MAX} MiB");
                    let bad = BadLine { code: "line-too-long", reason };
                    chunk.unreadable.push(self.unreadable(bad, &self.beginning_of_line()));
                    self.skip_line()?;
                }
            }
            if let (Some(aside), true) = (chunk.unreadable.last(), chunk.unreadable.len() > unreadable) {
                bytes_aside += aside.item.len();
            }
            self.items += 1;
        }
        // If this chunk says that it is the last one, no empty chunk is read after it, and the total is exact.
        if self.next_line()?.is_some() {
            return Ok(More::Yes);
        }
        Part::check_over(self.part, &self.file)?;
        Ok(More::No)
    }

    /// Adds a line to the chunk. Returns false if the chunk has no room for it.
    fn deliver(&mut self, bytes: usize, chunk: &mut Chunk) -> Result<bool> {
        let mut cells = std::mem::take(&mut self.cells);
        let text = self.text(bytes)?;
        let parsed = match self.is_of_rejected {
            false => cells.parse(text, &self.columns).map_err(|bad| (bad, Cow::Borrowed(text))),
            true => parse_rejected(text, &self.columns, &mut cells),
        };
        let has_room = chunk.rows.data().len() + cells.bytes() <= ROWS_BYTES_MAX;
        match parsed {
            Err((bad, text)) => chunk.unreadable.push(self.unreadable(bad, &text)),
            Ok(()) => {
                let is_own = |key: &str| self.is_of_rejected && OF_REJECTED.contains(&key);
                if let (Some(key), Some(_)) = (cells.unknown_key(is_own), &self.found) {
                    let difference = format!("the key `{key}` on line {} is new", self.line);
                    return Err(ConnectorError::InputChanged { path: self.file.path(), difference });
                }
                if has_room {
                    cells.push_to(&mut chunk.rows);
                    chunk.lines.push(self.line);
                }
            }
        }
        self.cells = cells;
        Ok(has_room)
    }

    fn is_at_end(&self) -> bool {
        self.file.is_at_end() && self.file.unread().is_empty() || Part::is_over(self.part, self.file.offset())
    }

    /// Finds the next line that is not empty. The line is not consumed yet.
    fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            if Part::is_over(self.part, self.file.offset()) {
                return Ok(None);
            }
            let unread = self.file.unread();
            let bytes = match memchr(b'\n', unread) {
                Some(at) => at + 1,
                None if unread.len() > ROWS_BYTES_MAX => return Ok(Some(Line::TooLong)),
                None if !self.file.is_at_end() => {
                    self.file.fill()?;
                    continue;
                }
                None if unread.is_empty() => return Ok(None),
                None => unread.len(),
            };
            if bytes > ROWS_BYTES_MAX {
                return Ok(Some(Line::TooLong));
            }
            if !unread[..bytes].trim_ascii().is_empty() {
                return Ok(Some(Line::Whole(bytes)));
            }
            self.consume(bytes);
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.file.consume(bytes);
        self.line += 1;
    }

    /// Skips a line that does not fit in memory.
    fn skip_line(&mut self) -> Result<()> {
        loop {
            match memchr(b'\n', self.file.unread()) {
                Some(at) => {
                    self.consume(at + 1);
                    return Ok(());
                }
                None if self.file.is_at_end() => {
                    self.consume(self.file.unread().len());
                    return Ok(());
                }
                None => {
                    self.file.consume(self.file.unread().len());
                    self.file.fill()?;
                }
            }
        }
    }

    /// The line without its end. A file in another encoding fails the step: a million warnings would not help.
    fn text(&self, bytes: usize) -> Result<&str> {
        let encoding = Encoding::Unknown;
        let not_utf8 = |_| ConnectorError::NotUtf8 { path: self.file.path(), line: self.line, encoding };
        let text = std::str::from_utf8(&self.file.unread()[..bytes]).map_err(not_utf8)?;
        Ok(text.trim_end_matches(['\r', '\n']))
    }

    fn unreadable(&self, bad: BadLine, line: &str) -> Unreadable {
        Unreadable {
            code: bad.code.to_owned(),
            reason: bad.reason,
            place: format!("line {}", self.line),
            item: line.trim_end().to_owned(),
        }
    }

    /// The beginning of a line that does not fit in memory, with a mark that it was cut.
    fn beginning_of_line(&self) -> String {
        let unread = self.file.unread();
        let beginning = String::from_utf8_lossy(&unread[..unread.len().min(2 * ITEM_BYTES_MAX)]);
        cut_with_mark(&beginning, ITEM_BYTES_MAX).into_owned()
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("line", &self.line).field("items", &self.items).finish_non_exhaustive()
    }
}
