//! The writer `csv`: one item is one row of the file.

use stepbox_batch::element::{Opening, SkippedRow};
use stepbox_batch::rows::{ROWS_BYTES_MAX, Rows};

use super::dialect::Dialect;
use super::render::{append_header, append_rows, is_plain, looks_odd, needs_enclosure};
use crate::ITEM_MIB_MAX;
use crate::element_setup::ElementSetup;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint_of_names;
use crate::line_writer::{LineFormat, LineWriter, Lines, Top};
use crate::location::Location;
use crate::options::Options;

/// The code of an item that cannot be written without an enclosure.
const NEEDS_ENCLOSURE_CODE: &str = "needs-enclosure";
/// The code of an item that a reader would find too long.
const TOO_LONG_CODE: &str = "row-too-long";

/// Writes items to a CSV file, with a line feed after each row.
///
/// A cell is enclosed only if it must be. Null becomes an empty cell, because CSV knows no difference. An export
/// without items still has its header. Cells are written as they are. A spreadsheet reads a cell that begins with `=`
/// as a formula; a protection against that would change the data for all other programs.
pub(crate) type CsvWriter = LineWriter<CsvLines>;

/// Items as rows of CSV.
#[derive(Debug)]
pub(crate) struct CsvLines {
    dialect: Dialect,
    with_header: bool,
}

impl CsvWriter {
    pub(crate) fn from_setup(setup: &ElementSetup) -> Result<Self> {
        let options = Options::new(&setup.options, super::WRITER_OPTIONS)?;
        let format = CsvLines {
            dialect: Dialect::from_options(&options)?,
            with_header: options.flag("with_header", true)?,
        };
        Self::new(&options, &setup.reach, format)
    }
}

impl CsvLines {
    /// The header at the top of each file. Fails for a header that the reader would refuse.
    fn header(&self, names: &[String], to: &Location) -> Result<Vec<u8>> {
        let (mut header, path) = (Vec::new(), || to.path().to_owned());
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
}

impl LineFormat for CsvLines {
    fn begin(&mut self, opening: &Opening<'_>, to: &Location) -> Result<Top> {
        let columns = Some(fingerprint_of_names(opening.header));
        Ok(Top { text: self.header(opening.header, to)?, columns })
    }

    fn write(&mut self, rows: &Rows, lines: &mut Lines) -> Result<Vec<SkippedRow>> {
        let dialect = self.dialect;
        if dialect.enclosure.is_none() || may_be_too_long(rows) {
            return write_each(dialect, lines, rows);
        }
        let mut start = 0;
        while start < rows.len() {
            lines.begin_next_file_if_full()?;
            let file = lines.file();
            let count = (rows.len() - start).min(usize::try_from(file.lines_left()).unwrap_or(usize::MAX));
            append_rows(dialect, rows, start..start + count, file.buffer());
            file.add_lines(count as u64);
            file.flush_if_full()?;
            start += count;
        }
        Ok(Vec::new())
    }
}

/// Whether a row of the batch may be longer than a reader accepts, if all its enclosures are doubled.
fn may_be_too_long(rows: &Rows) -> bool {
    2 * rows.data().len() + 3 * rows.ends().len() > ROWS_BYTES_MAX
}

/// Writes row by row, and sets aside the rows that a reader would refuse or split.
fn write_each(dialect: Dialect, lines: &mut Lines, rows: &Rows) -> Result<Vec<SkippedRow>> {
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
        lines.begin_next_file_if_full()?;
        let file = lines.file();
        file.buffer().extend_from_slice(&line);
        file.add_lines(1);
        file.flush_if_full()?;
    }
    Ok(skipped)
}
