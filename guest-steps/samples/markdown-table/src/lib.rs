//! Writes items as a Markdown table that can be resumed.
//!
//! - `file` is the path of the file, which starts with the name of a writable folder: `outbox/products.md`.
//! - Pipes and backslashes in a cell get a backslash before them, and line breaks become `<br>`. Null is
//!   empty.
//!
//! The table is written to `<file>.part` and gets its name after every item is written, so `<file>` is always
//! complete. The checkpoint is the number of bytes of the part that are on the disk. A resumed step cuts off
//! all bytes after them.

use std::io::{BufWriter, Write};

use serde::{Deserialize, Serialize};
use stepbox_step::files::{self, FileError, FileWriter, Mode};
use stepbox_step::{Checkpoint, Columns, Description, Item, Opening, StepError, Writer, Written, json};

/// The writer.
pub struct MarkdownTable {
    file: String,
    part: String,
    target: BufWriter<FileWriter>,
    bytes: u64,
    /// The current line; the buffer is reused.
    line: String,
}

/// The parameters.
#[derive(Debug, Deserialize)]
pub struct Parameters {
    file: String,
}

/// How much of the part is on the disk.
#[derive(Debug, Deserialize, Serialize)]
struct Durable {
    bytes: u64,
}

impl Writer for MarkdownTable {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        about.needs("files: write the folder that `file` starts with").parameters(json!({
            "type": "object",
            "properties": { "file": { "type": "string" } },
            "required": ["file"],
        }))
    }

    fn open(parameters: Parameters, opening: &mut Opening) -> Result<Self, StepError> {
        let file = parameters.file;
        let part = format!("{file}.part");
        match opening.checkpoint()? {
            None => Self::start(file, part, &opening.columns),
            Some(Durable { bytes }) => Self::resume(file, part, bytes),
        }
    }

    fn write(&mut self, item: &Item<'_>) -> Result<Written, StepError> {
        for cell in 0..item.columns().incoming() {
            push_cell(&mut self.line, item.text(cell));
        }
        self.end_line()?;
        Ok(Written::Done)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StepError> {
        self.target.flush()?;
        self.target.get_mut().sync().map_err(|error| error.at(&self.part))?;
        Checkpoint::of(&Durable { bytes: self.bytes })
    }

    fn complete(&mut self) -> Result<(), StepError> {
        self.checkpoint()?;
        files::rename(&self.part, &self.file).map_err(|error| error.at(&self.file))
    }
}

stepbox_step::export_writer!(MarkdownTable);

impl MarkdownTable {
    /// Replaces a part that an abandoned run has left.
    fn start(file: String, part: String, columns: &Columns) -> Result<MarkdownTable, StepError> {
        let mut table = Self::on(file, part, Mode::Replace, 0)?;
        for (_, name) in columns.iter() {
            push_cell(&mut table.line, name);
        }
        table.end_line()?;
        for _ in columns.iter() {
            table.line.push_str("| --- ");
        }
        table.end_line()?;
        Ok(table)
    }

    fn resume(file: String, part: String, bytes: u64) -> Result<MarkdownTable, StepError> {
        if files::stat(&part) == Err(FileError::NotFound) {
            // The step was interrupted after the file got its name and before the runtime stored that.
            files::rename(&file, &part).map_err(|error| error.at(&part))?;
        }
        let size = files::stat(&part).map_err(|error| error.at(&part))?.size;
        if size < bytes {
            let problem =
                format_args!("file `{part}` has {size} bytes where {bytes} were written; start the job anew");
            return Err(StepError::new("output-changed", problem));
        }
        files::truncate(&part, bytes).map_err(|error| error.at(&part))?;
        Self::on(file, part, Mode::Append, bytes)
    }

    fn on(file: String, part: String, mode: Mode, bytes: u64) -> Result<MarkdownTable, StepError> {
        let target = files::open_writer(&part, mode).map_err(|error| error.at(&part))?;
        let target = BufWriter::with_capacity(1 << 16, target);
        Ok(MarkdownTable { file, part, target, bytes, line: String::new() })
    }

    fn end_line(&mut self) -> Result<(), StepError> {
        self.line.push_str("|\n");
        self.target.write_all(self.line.as_bytes())?;
        self.bytes += self.line.len() as u64;
        self.line.clear();
        Ok(())
    }
}

fn push_cell(line: &mut String, cell: &str) {
    line.push_str("| ");
    for character in cell.chars() {
        match character {
            '|' => line.push_str("\\|"),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("<br>"),
            '\r' => {}
            _ => line.push(character),
        }
    }
    line.push(' ');
}

#[cfg(test)]
mod tests;
