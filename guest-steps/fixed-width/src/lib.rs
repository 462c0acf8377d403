//! Reads items from a text file whose columns have fixed widths.
//!
//! - `file` is its path, which starts with the name of a granted folder: `inbox/stock.txt`.
//! - `layout` names the columns in order, with their widths in characters.
//! - A cell is what stands in its column without the spaces around it.
//! - Lines end with `\n` or `\r\n`. One that is not exactly as wide as the layout is unreadable as
//!   `wrong-width`, and one that is not UTF-8 as `not-utf8`; reading goes on after it.
//!
//! The checkpoint is the place behind the last line read, so a resumed step starts with the next.

use std::io::{BufRead, BufReader};

use serde::{Deserialize, Serialize};
use stepbox_step::contract::Unreadable;
use stepbox_step::files::{self, FileReader};
use stepbox_step::{Checkpoint, Description, NewItem, Next, Opening, Reader, StepError, json};

/// The reader.
pub struct FixedWidth {
    widths: Vec<usize>,
    source: BufReader<FileReader>,
    place: Place,
    /// The line being read; kept for its memory.
    line: Vec<u8>,
}

/// What it is configured with.
#[derive(Debug, Deserialize)]
pub struct Parameters {
    file: String,
    layout: Vec<LayoutColumn>,
}

#[derive(Debug, Deserialize)]
struct LayoutColumn {
    name: String,
    width: usize,
}

/// How far reading has come.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Place {
    /// In bytes from the start of the file.
    offset: u64,
    /// How many lines there are before it.
    lines: u64,
}

impl Reader for FixedWidth {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        let column = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 1 },
                "width": { "type": "integer", "minimum": 1 },
            },
            "required": ["name", "width"],
        });
        about.needs("files: read the folder that `file` starts with").parameters(json!({
            "type": "object",
            "properties": {
                "file": { "type": "string" },
                "layout": { "type": "array", "items": column, "minItems": 1 },
            },
            "required": ["file", "layout"],
        }))
    }

    fn open(parameters: Parameters, opening: &mut Opening) -> Result<Self, StepError> {
        for column in &parameters.layout {
            opening.columns.add(&column.name)?;
        }
        let place: Place = opening.checkpoint()?.unwrap_or_default();
        let mut file = files::open(&parameters.file).map_err(|error| error.at(&parameters.file))?;
        file.seek_to(place.offset).map_err(|error| error.at(&parameters.file))?;
        let widths = parameters.layout.iter().map(|column| column.width).collect();
        Ok(FixedWidth { widths, source: BufReader::with_capacity(1 << 16, file), place, line: Vec::new() })
    }

    fn read(&mut self, item: &mut NewItem<'_>) -> Result<Next, StepError> {
        if !self.next_line()? {
            return Ok(Next::End);
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = str::from_utf8(line) else {
            return Ok(self.unreadable("not-utf8", "the line is not UTF-8".to_owned()));
        };
        let (width, expected) = (line.chars().count(), self.widths.iter().sum::<usize>());
        if width != expected {
            let reason = format!("the line is {width} characters wide instead of the layout's {expected}");
            return Ok(self.unreadable("wrong-width", reason));
        }
        push_cells(line, &self.widths, item);
        Ok(Next::Item)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StepError> {
        Checkpoint::of(&self.place)
    }
}

stepbox_step::export_reader!(FixedWidth);

impl FixedWidth {
    /// Reads the next line, its end included; false when there is none.
    fn next_line(&mut self) -> Result<bool, StepError> {
        self.line.clear();
        let bytes = self.source.read_until(b'\n', &mut self.line)?;
        self.place.offset += bytes as u64;
        self.place.lines += u64::from(bytes > 0);
        Ok(bytes > 0)
    }

    fn unreadable(&self, code: &str, reason: String) -> Next {
        Next::Unreadable(Unreadable {
            code: code.to_owned(),
            reason,
            place: format!("line {}", self.place.lines),
            item: String::from_utf8_lossy(&self.line).trim_end().to_owned(),
        })
    }
}

/// Cuts the line, which is as wide as all columns together.
fn push_cells(line: &str, widths: &[usize], item: &mut NewItem<'_>) {
    let mut rest = line;
    for width in widths {
        let end = rest.char_indices().nth(*width).map_or(rest.len(), |(end, _)| end);
        let (cell, after) = rest.split_at(end);
        item.push(cell.trim_matches(' '));
        rest = after;
    }
}

#[cfg(test)]
mod tests;
