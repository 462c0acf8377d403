//! The writer `jsonl`: one item is one line of the file.

use serde::de::IgnoredAny;
use serde_json::Value;
use stepbox_batch::element::{Opening, SkippedRow};
use stepbox_batch::log::LogLevel;
use stepbox_batch::rows::{ROWS_BYTES_MAX, Rows};
use stepbox_batch::step_context::StepContext;

use crate::ITEM_MIB_MAX;
use crate::element_setup::ElementSetup;
use crate::error::Result;
use crate::line_writer::{LineFormat, LineWriter, Lines, Top};
use crate::location::Location;
use crate::options::Options;

/// The code of an item whose cell is not the JSON that it should be.
const NOT_JSON_CODE: &str = "not-json";
/// The code of an item that a reader would find too long.
const TOO_LONG_CODE: &str = "line-too-long";

/// Writes items to a JSON Lines file, with their columns as keys, in order.
///
/// A cell is text, so it becomes a JSON text. Some columns contain JSON themselves, such as numbers or lists. Only the
/// job knows these columns, and names them in the option `json`. Their cells are written as they are; an empty cell is
/// written as null, and so is a column that no item has. An item with a cell there that is not JSON is set aside as
/// `not-json`.
pub(crate) type JsonlWriter = LineWriter<JsonLines>;

/// Items as JSON objects, one on a line.
#[derive(Debug)]
pub(crate) struct JsonLines {
    json: Vec<String>,
    columns: Vec<Column>,
}

/// A column, ready to be written.
#[derive(Debug)]
struct Column {
    name: String,
    /// The text before the value: `{"name":` or `,"name":`.
    prefix: String,
    is_json: bool,
}

impl JsonlWriter {
    pub(crate) fn from_setup(setup: &ElementSetup) -> Result<Self> {
        let options = Options::new(&setup.options, super::WRITER_OPTIONS)?;
        let format = JsonLines { json: options.names("json")?.unwrap_or_default(), columns: Vec::new() };
        Self::new(&options, &setup.reach, format)
    }
}

impl JsonLines {
    fn columns(&self, header: &[String]) -> Vec<Column> {
        let is_missing = |name: &&String| !header.contains(name);
        let column = |(i, name): (usize, &String)| Column {
            name: name.clone(),
            prefix: format!("{}{}:", if i == 0 { '{' } else { ',' }, Value::from(name.as_str())),
            is_json: self.json.contains(name),
        };
        header.iter().chain(self.json.iter().filter(is_missing)).enumerate().map(column).collect()
    }

    /// Logs the columns of the option `json` that no item has. They are written as null. A misspelt name is one of
    /// them.
    fn log_missing(&self, header: &[String], context: &StepContext) {
        for name in self.json.iter().filter(|name| !header.contains(name) && !header.is_empty()) {
            let message = format!("no item has the column `{name}` of the option `json`: it is null");
            context.log(LogLevel::Warning, &message);
        }
    }
}

impl LineFormat for JsonLines {
    fn begin(&mut self, opening: &Opening<'_>, _: &Location) -> Result<Top> {
        self.columns = self.columns(opening.header);
        self.log_missing(opening.header, opening.context);
        Ok(Top::default())
    }

    fn write(&mut self, rows: &Rows, lines: &mut Lines) -> Result<Vec<SkippedRow>> {
        let mut skipped = Vec::new();
        for row in 0..rows.len() {
            let buffer = lines.file().buffer();
            let begin = buffer.len();
            let refused = match append_row(&self.columns, rows, row, buffer) {
                Ok(()) if buffer.len() - begin > ROWS_BYTES_MAX => {
                    (TOO_LONG_CODE, format!("as JSON it is longer than {ITEM_MIB_MAX} MiB"))
                }
                Ok(()) => {
                    place_line(lines, begin)?;
                    continue;
                }
                Err(reason) => (NOT_JSON_CODE, reason),
            };
            buffer.truncate(begin);
            let (code, reason) = (refused.0.to_owned(), refused.1);
            skipped.push(SkippedRow { row: row as u32, code, reason });
        }
        lines.file().flush_if_full()?;
        Ok(skipped)
    }
}

/// Counts the line at the end of the buffer, and moves it to the next file if this file is full. This happens only now,
/// since an item that is set aside must not begin a file.
fn place_line(lines: &mut Lines, begin: usize) -> Result<()> {
    if lines.file().lines_left() == 0 {
        let line = lines.file().buffer().split_off(begin);
        lines.begin_next_file_if_full()?;
        lines.file().buffer().extend_from_slice(&line);
    }
    lines.file().add_lines(1);
    Ok(())
}

/// Appends one object and its line feed. The error is the reason if a cell is not the JSON that it should be.
fn append_row(
    columns: &[Column],
    rows: &Rows,
    row: usize,
    output: &mut Vec<u8>,
) -> std::result::Result<(), String> {
    for (column, cell) in columns.iter().zip(rows.row(row).chain(std::iter::repeat(None))) {
        output.extend_from_slice(column.prefix.as_bytes());
        match cell {
            None => output.extend_from_slice(b"null"),
            Some(json) if column.is_json => append_json(json, output)
                .map_err(|error| format!("its column `{}` is not JSON: {error}", column.name))?,
            Some(text) => serde_json::to_writer(&mut *output, text).map_err(|error| error.to_string())?,
        }
    }
    output.extend_from_slice(b"}\n");
    Ok(())
}

fn append_json(json: &str, output: &mut Vec<u8>) -> serde_json::Result<()> {
    if json.is_empty() {
        output.extend_from_slice(b"null");
        return Ok(());
    }
    serde_json::from_str::<IgnoredAny>(json)?;
    // JSON texts contain no raw line breaks. So these line breaks are between tokens and mean nothing.
    output.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    Ok(())
}
