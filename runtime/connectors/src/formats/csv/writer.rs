//! The writer `csv`: one item is one row of the file.

use async_trait::async_trait;
use stepbox_batch::element::{ItemWriter, More, Opening, SkippedRow};
use stepbox_batch::error::Halt;
use stepbox_batch::rows::{ROWS_BYTES_MAX, Rows};
use stepbox_batch::step_context::StepContext;

use super::dialect::Dialect;
use super::render::{append_header, append_rows, is_plain, looks_odd, needs_enclosure};
use crate::ITEM_MIB_MAX;
use crate::element_setup::ElementSetup;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint_of_names;
use crate::location::Location;
use crate::options::Options;
use crate::output_file::{Layout, OutputFile};
use crate::reach::Reach;

/// The code of an item that cannot be written without an enclosure.
const NEEDS_ENCLOSURE_CODE: &str = "needs-enclosure";
/// The code of an item that a reader would find too long.
const TOO_LONG_CODE: &str = "row-too-long";

/// Writes items to a CSV file, with a line feed after each row.
///
/// A cell is enclosed only if it must be. Null becomes an empty cell, because CSV knows no difference. An export
/// without items still has its header. Cells are written as they are. A spreadsheet reads a cell that begins with `=`
/// as a formula; a protection against that would change the data for all other programs.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    to: Location,
    reach: Reach,
    dialect: Dialect,
    with_header: bool,
    /// The largest number of items in a file.
    lines_per_file: Option<u64>,
    output: Option<Output>,
}

#[derive(Debug)]
struct Output {
    file: OutputFile,
    context: StepContext,
    /// The header at the top of each file; empty without a header.
    header: Vec<u8>,
}

impl CsvWriter {
    pub(crate) fn new(setup: &ElementSetup) -> Result<Self> {
        let options = Options::new(&setup.options, super::WRITER_OPTIONS)?;
        Ok(Self {
            to: options.location("to")?,
            reach: setup.reach.clone(),
            dialect: Dialect::from_options(&options)?,
            with_header: options.flag("with_header", true)?,
            lines_per_file: options.count("lines_per_file")?,
            output: None,
        })
    }

    /// The header at the top of each file. Fails for a header that the reader would refuse.
    fn header(&self, names: &[String]) -> Result<Vec<u8>> {
        let (mut header, path) = (Vec::new(), || self.to.path().to_owned());
        if !self.with_header {
            return Ok(header);
        }
        if let Some(unnamed) = names.iter().position(String::is_empty) {
            return Err(ConnectorError::UnnamedOutputColumn { path: path(), column: unnamed + 1 });
        }
        // Without columns the header is a line without names. An empty file would look like one that was cut off.
        append_header(self.dialect, names.iter().map(String::as_str), &mut header);
        let is_enclosed = |name: &&String| needs_enclosure(self.dialect, name);
        let enclosed = names.iter().find(is_enclosed).or(names.first().filter(|name| looks_odd(name)));
        if self.dialect.enclosure.is_none()
            && let Some(name) = enclosed
        {
            return Err(ConnectorError::NeedsEnclosure { path: path(), column: name.clone() });
        }
        Ok(header)
    }

    fn output(&mut self) -> Result<&mut Output> {
        self.output.as_mut().ok_or(ConnectorError::NotOpen)
    }
}

#[async_trait]
impl ItemWriter for CsvWriter {
    async fn open(&mut self, opening: Opening<'_>) -> std::result::Result<(), Halt> {
        // First closes an earlier output of this writer: otherwise its lock would remain, and the file would have to be
        // copied.
        self.output = None;
        let columns = Some(fingerprint_of_names(opening.header));
        let header = self.header(opening.header)?;
        let layout = Layout { lines_max: self.lines_per_file, columns };
        let (mut file, is_new) = OutputFile::open(&self.to, &self.reach, &opening, layout)?;
        // A fragment gets no header: it will be below the header of the whole output.
        if is_new && opening.fragment.is_none() {
            file.buffer().extend_from_slice(&header);
        }
        self.output = Some(Output { file, context: opening.context.clone(), header });
        Ok(())
    }

    async fn withdraw(&mut self) {
        if let Some(Output { file, .. }) = &mut self.output {
            file.withdraw();
        }
    }

    async fn write(&mut self, rows: &Rows) -> std::result::Result<Vec<SkippedRow>, Halt> {
        let dialect = self.dialect;
        let Output { file, header, .. } = self.output()?;
        if dialect.enclosure.is_none() || may_be_too_long(rows) {
            return Ok(write_each(dialect, file, header, rows)?);
        }
        let mut start = 0;
        while start < rows.len() {
            if file.lines_left() == 0 {
                file.begin_next_file()?;
                file.buffer().extend_from_slice(header);
            }
            let count = (rows.len() - start).min(usize::try_from(file.lines_left()).unwrap_or(usize::MAX));
            append_rows(dialect, rows, start..start + count, file.buffer());
            file.add_lines(count as u64);
            file.flush_if_full()?;
            start += count;
        }
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> std::result::Result<Vec<u8>, Halt> {
        Ok(self.output()?.file.checkpoint()?)
    }

    /// False with `lines_per_file`: the file of a line is known only when all lines before it are counted.
    fn can_absorb(&self) -> bool {
        self.lines_per_file.is_none()
    }

    async fn absorb(&mut self, state: &[u8]) -> std::result::Result<More, Halt> {
        Ok(self.output()?.file.absorb(state)?)
    }

    async fn complete(&mut self) -> std::result::Result<(), Halt> {
        let Output { file, context, .. } = self.output()?;
        Ok(file.complete(context)?)
    }
}

/// Whether a row of the batch may be longer than a reader accepts, if all its enclosures are doubled.
fn may_be_too_long(rows: &Rows) -> bool {
    2 * rows.data().len() + 3 * rows.ends().len() > ROWS_BYTES_MAX
}

/// Writes row by row, and sets aside the rows that a reader would refuse or split.
fn write_each(
    dialect: Dialect,
    file: &mut OutputFile,
    header: &[u8],
    rows: &Rows,
) -> Result<Vec<SkippedRow>> {
    let (mut skipped, mut line) = (Vec::new(), Vec::new());
    for row in 0..rows.len() {
        line.clear();
        append_rows(dialect, rows, row..row + 1, &mut line);
        let refused = if dialect.enclosure.is_none() && !is_plain(dialect.delimiter, rows, row) {
            let reason = "a cell holds a delimiter or a line end, and there is no enclosure";
            Some((NEEDS_ENCLOSURE_CODE, reason.to_owned()))
        } else if line.len() > ROWS_BYTES_MAX {
            Some((TOO_LONG_CODE, format!("as CSV it is longer than {ITEM_MIB_MAX} MiB")))
        } else {
            None
        };
        if let Some((code, reason)) = refused {
            skipped.push(SkippedRow { row: row as u32, code: code.to_owned(), reason });
            continue;
        }
        if file.lines_left() == 0 {
            file.begin_next_file()?;
            file.buffer().extend_from_slice(header);
        }
        file.buffer().extend_from_slice(&line);
        file.add_lines(1);
        file.flush_if_full()?;
    }
    Ok(skipped)
}
