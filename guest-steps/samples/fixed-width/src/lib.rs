//! Reads items from a text file whose columns have fixed widths.
//!
//! - `file` is the path of the file, which starts with the name of a granted folder: `inbox/stock.txt`.
//! - `layout` names the columns in order, with their widths in characters.
//! - A cell is the text of its column without the spaces around it.
//! - Lines end with `\n` or `\r\n`. A line that is not exactly as wide as the layout is unreadable as
//!   `wrong-width`, and a line that is not UTF-8 as `not-utf8`. Reading continues after it.
//!
//! The checkpoint is the place after the last line that was read, so a resumed step starts with the next
//! line. A step with `partitions` reads parts with about the same number of bytes. To find where they begin,
//! the step reads the file once.

use std::io::{BufRead, BufReader};

use serde::{Deserialize, Serialize};
use stepbox_step::contract::Unreadable;
use stepbox_step::files::{self, FileReader};
use stepbox_step::{
    Checkpoint, Description, NewItem, Next, Opening, PartitionedReader, Reader, StepError, json,
};

/// The reader.
pub struct FixedWidth {
    widths: Vec<usize>,
    source: BufReader<FileReader>,
    place: Place,
    /// The current line; the buffer is reused.
    line: Vec<u8>,
}

/// The parameters.
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

/// How far the reader has read.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize)]
struct Place {
    /// The offset in bytes from the start of the file.
    offset: u64,
    /// The number of lines before it.
    lines: u64,
    /// The offset where reading ends, in bytes from the start of the file; `None` for the end of the file.
    end: Option<u64>,
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

impl PartitionedReader for FixedWidth {
    fn split(parameters: Parameters, parts: u32) -> Result<Option<Vec<Checkpoint>>, StepError> {
        let size = files::stat(&parameters.file).map_err(|error| error.at(&parameters.file))?.size;
        let file = files::open(&parameters.file).map_err(|error| error.at(&parameters.file))?;
        let mut source = BufReader::with_capacity(1 << 16, file);
        let (mut place, mut places) = (Place::default(), Vec::new());
        for part in 1..=u64::from(parts) {
            let begin = Place { end: None, ..place };
            place.go_to_line_at(&mut source, part * size / u64::from(parts))?;
            if place.offset > begin.offset {
                places.push(Place { end: Some(place.offset), ..begin });
            }
        }
        // Lines that are appended later belong to the last part, as they would without parts.
        match places.last_mut() {
            Some(last) => last.end = None,
            None => places.push(Place::default()),
        }
        places.iter().map(Checkpoint::of).collect::<Result<_, _>>().map(Some)
    }
}

stepbox_step::export_partitioned_reader!(FixedWidth);

impl Place {
    /// Goes to the first line that begins at or after `offset`, or to the end of the file.
    fn go_to_line_at(&mut self, source: &mut impl BufRead, offset: u64) -> Result<(), StepError> {
        while self.offset < offset {
            let bytes = source.skip_until(b'\n')?;
            if bytes == 0 {
                break;
            }
            self.offset += bytes as u64;
            self.lines += 1;
        }
        Ok(())
    }
}

impl FixedWidth {
    /// Reads the next line with its line end; false if there is none.
    fn next_line(&mut self) -> Result<bool, StepError> {
        self.line.clear();
        if self.place.end.is_some_and(|end| self.place.offset >= end) {
            return Ok(false);
        }
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

/// Cuts the line into cells. The line is as wide as all columns together.
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
