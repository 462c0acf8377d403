//! The native writer of files with one line for each item.
//!
//! The life of the file is here: it is opened, continued, numbered, put together from parts and completed. A format
//! says only what stands at the top of a file, and how items become lines.

use std::fmt;

use async_trait::async_trait;
use stepbox_batch::element::{ItemWriter, More, Opening, SkippedRow};
use stepbox_batch::error::Halt;
use stepbox_batch::rows::Rows;
use stepbox_batch::step_context::StepContext;

use crate::error::{ConnectorError, Result};
use crate::location::Location;
use crate::options::Options;
use crate::output_file::{Layout, OutputFile};
use crate::reach::Reach;

/// How a format writes items as lines.
pub(crate) trait LineFormat: fmt::Debug + Send + 'static {
    /// Prepares the format for the items of an opening, and returns the top of its files.
    ///
    /// Fails for columns that the format's reader would refuse.
    fn begin(&mut self, opening: &Opening<'_>, to: &Location) -> Result<Top>;

    /// Writes items, and returns those that are set aside.
    fn write(&mut self, rows: &Rows, lines: &mut Lines) -> Result<Vec<SkippedRow>>;
}

/// What stands at the top of each file.
#[derive(Debug, Default)]
pub(crate) struct Top {
    /// The text; empty for a format without a header.
    pub(crate) text: Vec<u8>,
    /// The fingerprint of the columns, if a file can only be continued with the same columns.
    pub(crate) columns: Option<u64>,
}

/// The file that is being written.
#[derive(Debug)]
pub(crate) struct Lines {
    file: OutputFile,
    /// The text at the top of each file.
    top: Vec<u8>,
}

/// A writer of lines in one format.
#[derive(Debug)]
pub(crate) struct LineWriter<F> {
    to: Location,
    reach: Reach,
    /// The largest number of items in a file.
    lines_per_file: Option<u64>,
    format: F,
    output: Option<Output>,
}

#[derive(Debug)]
struct Output {
    lines: Lines,
    context: StepContext,
}

impl Lines {
    /// The file, for its buffer and its count of lines.
    pub(crate) fn file(&mut self) -> &mut OutputFile {
        &mut self.file
    }

    /// Begins the next file if this one has all its lines.
    pub(crate) fn begin_next_file_if_full(&mut self) -> Result<()> {
        if self.file.lines_left() == 0 {
            self.file.begin_next_file()?;
            self.file.buffer().extend_from_slice(&self.top);
        }
        Ok(())
    }
}

impl<F: LineFormat> LineWriter<F> {
    /// A writer with the options that all formats have, `to` and `lines_per_file`.
    pub(crate) fn new(options: &Options<'_>, reach: &Reach, format: F) -> Result<Self> {
        Ok(Self {
            to: options.location("to")?,
            reach: reach.clone(),
            lines_per_file: options.count("lines_per_file")?,
            format,
            output: None,
        })
    }

    fn output(&mut self) -> Result<&mut Output> {
        self.output.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl<F: LineFormat> ItemWriter for LineWriter<F> {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<(), Halt> {
        // First closes an earlier output of this writer: otherwise its lock would remain, and the file would have to be
        // copied.
        self.output = None;
        let Top { text: top, columns } = self.format.begin(&opening, &self.to)?;
        let layout = Layout { lines_max: self.lines_per_file, columns };
        let (mut file, is_new) = OutputFile::open(&self.to, &self.reach, &opening, layout)?;
        // A fragment gets no top: it will be below the top of the whole output.
        if is_new && opening.fragment.is_none() {
            file.buffer().extend_from_slice(&top);
        }
        self.output = Some(Output { lines: Lines { file, top }, context: opening.context.clone() });
        Ok(())
    }

    async fn withdraw(&mut self) {
        if let Some(output) = &mut self.output {
            output.lines.file.withdraw();
        }
    }

    async fn write(&mut self, rows: &Rows) -> std::result::Result<Vec<SkippedRow>, Halt> {
        let output = self.output.as_mut().ok_or(ConnectorError::NotOpen)?;
        Ok(self.format.write(rows, &mut output.lines)?)
    }

    async fn checkpoint(&mut self) -> std::result::Result<Vec<u8>, Halt> {
        Ok(self.output()?.lines.file.checkpoint()?)
    }

    /// False with `lines_per_file`: the file of a line is known only when all lines before it are counted.
    fn can_absorb(&self) -> bool {
        self.lines_per_file.is_none()
    }

    async fn absorb(&mut self, state: &[u8]) -> std::result::Result<More, Halt> {
        Ok(self.output()?.lines.file.absorb(state)?)
    }

    async fn complete(&mut self) -> std::result::Result<(), Halt> {
        let Output { lines, context } = self.output()?;
        Ok(lines.file.complete(context)?)
    }
}
