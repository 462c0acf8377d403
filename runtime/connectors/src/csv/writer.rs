//! The writer `csv`: one item is one row of the file.

use async_trait::async_trait;
use memchr::{memchr, memchr_iter, memchr3};
use serde_json::Value;
use stepbox_batch::element::{ItemWriter, Opening, SkippedRow};
use stepbox_batch::error::ElementError;
use stepbox_batch::rows::Rows;
use stepbox_batch::step_context::StepContext;

use super::dialect::Dialect;
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
            self.dialect.append_rows(&header_row(opening.header), output.buffer());
        }
        self.output = Some((output, opening.context.clone()));
        Ok(())
    }

    async fn write(&mut self, rows: &Rows) -> std::result::Result<Vec<SkippedRow>, ElementError> {
        let dialect = self.dialect;
        let (output, _) = self.output()?;
        dialect.append_rows(rows, output.buffer());
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

impl Dialect {
    /// Appends all rows. Special characters are rare, so one search over the whole batch, from each
    /// to the next, is faster than one in every cell.
    fn append_rows(self, rows: &Rows, output: &mut Vec<u8>) {
        let (data, columns) = (rows.data(), rows.columns());
        let mut special = Special::first(data, self);
        let (mut start, mut column) = (0, 0);
        for &end in rows.ends() {
            let end = end as usize;
            let cell = &data[start..end];
            // A row of one empty cell would be an empty line, which is no row at all.
            if special.is_before(end) || (cell.is_empty() && columns == 1) {
                self.append_enclosed(cell, output);
                special.advance(data, end, self);
            } else {
                output.extend_from_slice(cell);
            }
            column += 1;
            if column == columns {
                output.push(b'\n');
                column = 0;
            } else {
                output.push(self.delimiter);
            }
            start = end;
        }
    }

    fn append_enclosed(self, cell: &[u8], output: &mut Vec<u8>) {
        let mut start = 0;
        output.push(self.enclosure);
        for inner in memchr_iter(self.enclosure, cell) {
            output.extend_from_slice(&cell[start..=inner]);
            output.push(self.enclosure);
            start = inner + 1;
        }
        output.extend_from_slice(&cell[start..]);
        output.push(self.enclosure);
    }
}

/// Where the next characters stand that make a cell need an enclosure.
struct Special {
    /// A delimiter, an enclosure or a line feed.
    common: usize,
    /// A carriage return: apart, since the search takes three characters at once.
    carriage_return: usize,
}

impl Special {
    fn first(data: &[u8], dialect: Dialect) -> Self {
        let mut special = Self { common: 0, carriage_return: 0 };
        special.advance(data, 0, dialect);
        special
    }

    fn is_before(&self, end: usize) -> bool {
        self.common < end || self.carriage_return < end
    }

    /// Searches on at `from` for those that stand before it.
    fn advance(&mut self, data: &[u8], from: usize, dialect: Dialect) {
        let (rest, none) = (&data[from..], data.len());
        if self.common <= from {
            let found = memchr3(dialect.delimiter, dialect.enclosure, b'\n', rest);
            self.common = found.map_or(none, |at| from + at);
        }
        if self.carriage_return <= from {
            self.carriage_return = memchr(b'\r', rest).map_or(none, |at| from + at);
        }
    }
}
