//! The reader `csv`: one row of the file is one item.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stepbox_batch::element::{Chunk, ItemReader, More, Opening, Total};
use stepbox_batch::error::Halt;
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::step_context::StepContext;

use super::dialect::Dialect;
use super::header::{Header, Naming};
use super::input::{Input, Settings};
use super::parse::Parser;
use crate::element_setup::ElementSetup;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint_of_names;
use crate::input_file::InputFile;
use crate::location::Location;
use crate::options::Options;
use crate::part::{Mark, Part, Splitting};
use crate::reach::Reach;
use crate::rejected_form::RejectedForm;

/// Reads the rows of a CSV file.
///
/// Empty lines are not items. A row with more or fewer cells than the header is set aside as `ragged-row`. Cells are
/// never null, because CSV cannot express null. A row with an enclosure in the wrong place gets a warning; with the
/// option `strict` it is set aside.
#[derive(Debug)]
pub(crate) struct CsvReader {
    from: Location,
    reach: Reach,
    settings: Settings,
    input: Option<Input>,
}

/// The state that the reader needs to continue after the last row it delivered.
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
    /// The part to read; `None` for the whole file, and in states from before there were parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

impl CsvReader {
    pub(crate) fn new(setup: &ElementSetup) -> Result<Self> {
        let options = Options::new(&setup.options, super::READER_OPTIONS)?;
        Ok(Self {
            from: options.location("from")?,
            reach: setup.reach.clone(),
            settings: Settings {
                dialect: Dialect::from_options(&options)?,
                has_delimiter: options.character("delimiter")?.is_some(),
                has_header: options.flag("header", true)?,
                naming: Naming::from_options(&options)?,
                is_strict: options.flag("strict", false)?,
            },
            input: None,
        })
    }

    /// Opens the file and goes to the position of the state.
    fn begin(&self, opening: &Opening<'_>) -> Result<Input> {
        let file = InputFile::open(&self.from, &self.reach, opening.context)?;
        let mut input = Input::begin(file, &self.settings)?;
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
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<Vec<String>, Halt> {
        let input = self.begin(&opening)?;
        Ok(self.input.insert(input).header.names.clone())
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> std::result::Result<More, Halt> {
        Ok(self.input()?.read(limit, chunk)?)
    }

    /// The form in which skipped rows are written: as they could be in the file.
    fn form(&self) -> Option<Vec<u8>> {
        let input = self.input.as_ref()?;
        let (dialect, cells) = (input.row_dialect, input.header.names_or_cells());
        RejectedForm::Csv { dialect, cells }.to_bytes()
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
    ) -> std::result::Result<Option<Vec<Vec<u8>>>, Halt> {
        let mut input = self.begin(&opening)?;
        if input.part.is_some() {
            return Ok(None);
        }
        match input.split(parts, opening.context)? {
            Some(states) => Ok(Some(states)),
            None => Err(Halt::Stopped),
        }
    }

    async fn state(&mut self) -> std::result::Result<Vec<u8>, Halt> {
        Ok(self.input()?.state()?)
    }
}

impl Input {
    /// Reads up to the first item.
    fn begin(file: InputFile, settings: &Settings) -> Result<Self> {
        let dialect = settings.dialect;
        let mut input = Self {
            file,
            dialect,
            row_dialect: dialect,
            is_strict: settings.is_strict,
            looks_closely: false,
            header: Header::default(),
            header_fingerprint: 0,
            notes: Vec::new(),
            parser: Parser::new(dialect),
            settled: Vec::new(),
            line: 1,
            items: 0,
            part: None,
        };
        input.read_beginning(settings)?;
        input.looks_closely = settings.is_strict || !input.header.keeps_all();
        input.header_fingerprint = fingerprint_of_names(&input.header.names);
        Ok(input)
    }

    fn resume(&mut self, state: &[u8]) -> Result<()> {
        let state: State =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        if state.header != self.header_fingerprint {
            let (path, difference) = (self.file.path(), "its header differs".to_owned());
            return Err(ConnectorError::InputChanged { path, difference });
        }
        let State { offset, line, items, tail, part, .. } = state;
        Mark { offset, line, items, tail }.resume(&mut self.file, part, b"\r")?;
        (self.line, self.items, self.part) = (line, items, part);
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
        let state =
            serde_json::to_vec(&State { offset, line, items, header: self.header_fingerprint, tail, part });
        state.map_err(|source| ConnectorError::BadState { source })
    }

    /// Reads over all rows, and returns the states from which to read each part; `None` if the step must stop. The
    /// cells of the rows are not checked: the readers of the parts find their errors.
    fn split(&mut self, parts: u32, context: &StepContext) -> Result<Option<Vec<Vec<u8>>>> {
        let mut splitting = Splitting::of(&self.file, parts);
        while let Some((bytes, lines)) = self.next_with(Parser::skip_row)? {
            if splitting.begins_at(self.file.offset()) {
                splitting.begin_part(self.mark()?);
            }
            self.consume(bytes, lines);
            self.items += 1;
            if self.items.is_multiple_of(4096) && context.should_stop() {
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
}
