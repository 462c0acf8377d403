//! The writer `csv`: one item is one row of the file.

use async_trait::async_trait;
use serde_json::Value;
use stepbox_batch::element::{ItemWriter, More, Opening, SkippedRow};
use stepbox_batch::error::ElementError;
use stepbox_batch::rows::Rows;
use stepbox_batch::step_context::StepContext;

use super::dialect::Dialect;
use super::render::append_rows;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint_of_names;
use crate::folders::Folders;
use crate::options::Options;
use crate::output_file::{Layout, OutputFile};
use crate::storage::Storage;

/// Writes items to a CSV file, with line feeds between them.
///
/// A cell is enclosed only where it must be. Null becomes an empty cell: CSV knows no difference.
/// An export without items still has its header. Cells are written as they are: one that begins with
/// `=` is a formula to a spreadsheet, and guarding against that would change the data for everyone else.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    to: Storage,
    folders: Folders,
    dialect: Dialect,
    with_header: bool,
    /// How many items a file takes.
    lines_per_file: Option<u64>,
    output: Option<Output>,
}

#[derive(Debug)]
struct Output {
    file: OutputFile,
    context: StepContext,
    /// At the top of each file; no row if there is none.
    header: Rows,
}

impl CsvWriter {
    pub(crate) fn new(options: &Value, folders: &Folders) -> Result<Self> {
        let options = Options::new(options, super::WRITER_OPTIONS)?;
        Ok(Self {
            to: options.storage("to")?,
            folders: folders.clone(),
            dialect: Dialect::from_options(&options)?,
            with_header: options.flag("with_header", true)?,
            lines_per_file: options.count("lines_per_file")?,
            output: None,
        })
    }

    fn output(&mut self) -> Result<&mut Output> {
        self.output.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl ItemWriter for CsvWriter {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<(), ElementError> {
        // An output of this very writer would keep its lock, and have to be copied.
        self.output = None;
        let columns = Some(fingerprint_of_names(opening.header));
        let layout = Layout { lines_max: self.lines_per_file, columns };
        let (mut file, is_new) = OutputFile::open(&self.to, &self.folders, &opening, layout)?;
        let mut header = Rows::new(opening.header.len());
        if self.with_header {
            opening.header.iter().for_each(|name| header.push(name));
        }
        // A fragment will stand below the header of the whole.
        if is_new && opening.fragment.is_none() {
            append_rows(self.dialect, &header, 0..header.len(), file.buffer());
        }
        self.output = Some(Output { file, context: opening.context.clone(), header });
        Ok(())
    }

    async fn withdraw(&mut self) {
        if let Some(Output { file, .. }) = &mut self.output {
            file.withdraw();
        }
    }

    async fn write(&mut self, rows: &Rows) -> std::result::Result<Vec<SkippedRow>, ElementError> {
        let dialect = self.dialect;
        let Output { file, header, .. } = self.output()?;
        let mut start = 0;
        while start < rows.len() {
            if file.lines_left() == 0 {
                file.begin_next_file()?;
                append_rows(dialect, header, 0..header.len(), file.buffer());
            }
            let count = (rows.len() - start).min(usize::try_from(file.lines_left()).unwrap_or(usize::MAX));
            append_rows(dialect, rows, start..start + count, file.buffer());
            file.add_lines(count as u64);
            file.flush_if_full()?;
            start += count;
        }
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> std::result::Result<Vec<u8>, ElementError> {
        Ok(self.output()?.file.checkpoint()?)
    }

    /// Which lines a file of several has shows only when all lines before it are counted.
    fn can_absorb(&self) -> bool {
        self.lines_per_file.is_none()
    }

    async fn absorb(&mut self, state: &[u8]) -> std::result::Result<More, ElementError> {
        Ok(self.output()?.file.absorb(state)?)
    }

    async fn complete(&mut self) -> std::result::Result<(), ElementError> {
        let Output { file, context, .. } = self.output()?;
        Ok(file.complete(context)?)
    }
}
