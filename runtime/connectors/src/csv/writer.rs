//! The writer `csv`: one item is one row of the file.

use async_trait::async_trait;
use serde_json::Value;
use stepbox_batch::element::{ItemWriter, Opening, SkippedRow};
use stepbox_batch::error::ElementError;
use stepbox_batch::rows::Rows;
use stepbox_batch::step_context::StepContext;

use super::dialect::Dialect;
use super::render::append_rows;
use crate::error::{ConnectorError, Result};
use crate::folders::Folders;
use crate::options::Options;
use crate::output_file::OutputFile;
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
    output: Option<(OutputFile, StepContext)>,
}

impl CsvWriter {
    pub(crate) fn new(options: &Value, folders: &Folders) -> Result<Self> {
        let options = Options::new(options, super::WRITER_OPTIONS)?;
        Ok(Self {
            to: options.storage("to")?,
            folders: folders.clone(),
            dialect: Dialect::from_options(&options)?,
            with_header: options.flag("with_header", true)?,
            output: None,
        })
    }

    fn output(&mut self) -> Result<&mut (OutputFile, StepContext)> {
        self.output.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl ItemWriter for CsvWriter {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<(), ElementError> {
        // An output of this very writer would keep its lock.
        self.output = None;
        let (mut output, is_new) = OutputFile::open(&self.to, &self.folders, &opening)?;
        if is_new && self.with_header {
            append_rows(self.dialect, &header_row(opening.header), output.buffer());
        }
        self.output = Some((output, opening.context.clone()));
        Ok(())
    }

    async fn write(&mut self, rows: &Rows) -> std::result::Result<Vec<SkippedRow>, ElementError> {
        let dialect = self.dialect;
        let (output, _) = self.output()?;
        append_rows(dialect, rows, output.buffer());
        output.flush_if_full()?;
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> std::result::Result<Vec<u8>, ElementError> {
        Ok(self.output()?.0.checkpoint()?)
    }

    async fn complete(&mut self) -> std::result::Result<(), ElementError> {
        let (output, context) = self.output()?;
        Ok(output.complete(context)?)
    }
}

fn header_row(header: &[String]) -> Rows {
    let mut rows = Rows::new(header.len());
    header.iter().for_each(|name| rows.push(name));
    rows
}
