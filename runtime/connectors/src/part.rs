//! Parts of a file, each for a reader of its own.
//!
//! A part begins and ends where an item begins. One pass over the file finds these places. It also finds what a reader
//! would know there if it had read from the beginning.

use serde::de::Error;
use serde::{Deserialize, Serialize};
use stepbox_batch::element::Total;

use crate::error::{ConnectorError, Result};
use crate::input_file::InputFile;

/// The place where an item begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    /// The line at the offset, from 1.
    pub(crate) line: u64,
    /// How many items are before the offset.
    pub(crate) items: u64,
    /// Fingerprint of the bytes before the offset.
    pub(crate) tail: u64,
}

/// The part that a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// How many items are before the part.
    items_before: u64,
    /// How many items the part has.
    items: u64,
    /// The offset at which the part ends; `None` for the last part, which also has the items that are appended later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
}

impl Mark {
    /// The place that a reader has reached.
    pub(crate) fn reached(file: &mut InputFile, line: u64, items: u64) -> Result<Self> {
        let tail = file.tail()?;
        Ok(Self { offset: file.offset(), line, items, tail })
    }

    /// Continues a file at this place, if the file is still the one that was read.
    ///
    /// The last line may have had no end when it was counted: its end is skipped now. `line_ends` are the other bytes
    /// than a line feed that end a line.
    pub(crate) fn resume(self, file: &mut InputFile, part: Option<Part>, line_ends: &[u8]) -> Result<()> {
        file.check_counts(self.offset, self.line, self.items)?;
        Part::check_counts(part, self.offset, self.items)?;
        let last = file.resume(self.offset, self.tail)?;
        file.end_last_line(last, line_ends)
    }
}

impl Part {
    /// Whether no item of the part begins at this offset.
    pub(crate) fn is_over(part: Option<Self>, offset: u64) -> bool {
        part.and_then(|part| part.end).is_some_and(|end| offset >= end)
    }

    /// Fails if the reader has passed the end of the part without an item that ends there: the file was changed.
    pub(crate) fn check_over(part: Option<Self>, file: &InputFile) -> Result<()> {
        match part.and_then(|part| part.end) {
            Some(end) if file.offset() != end => {
                let difference = format!("no item ends before byte {end}");
                Err(ConnectorError::InputChanged { path: file.path(), difference })
            }
            _ => Ok(()),
        }
    }

    /// Fails for numbers that no reader wrote: counting on from them would overflow.
    fn check_counts(part: Option<Self>, offset: u64, items: u64) -> Result<()> {
        let Some(Self { items_before, end, .. }) = part else { return Ok(()) };
        if items_before <= items && end.is_none_or(|end| offset <= end) {
            return Ok(());
        }
        let message =
            format!("{items} items before byte {offset} of a part that begins at item {items_before}");
        Err(ConnectorError::BadState { source: serde_json::Error::custom(message) })
    }

    /// How many items the part has, if `items` items of the file were read. `is_at_end` says that no more items are
    /// left.
    pub(crate) fn total(self, items: u64, is_at_end: bool) -> Total {
        let read = items.saturating_sub(self.items_before);
        Total::Exact(if is_at_end { read } else { self.items.max(read) })
    }
}

/// Chooses where parts begin, while a reader reads over its file.
#[derive(Debug)]
pub(crate) struct Splitting {
    parts: u64,
    /// The range of bytes to divide.
    begin: u64,
    length: u64,
    marks: Vec<Mark>,
}

impl Splitting {
    /// Divides the rest of a file into at most this many parts of about the same number of bytes.
    pub(crate) fn of(file: &InputFile, parts: u32) -> Self {
        let (begin, parts) = (file.offset(), u64::from(parts.max(1)));
        Self { parts, begin, length: file.length().saturating_sub(begin), marks: Vec::new() }
    }

    /// Whether the item at this offset begins a part.
    pub(crate) fn begins_at(&self, offset: u64) -> bool {
        let begun = self.marks.len() as u64;
        let due = u128::from(self.length) * u128::from(begun) / u128::from(self.parts);
        begun == 0 || begun < self.parts && u128::from(offset - self.begin) >= due
    }

    /// Begins a part.
    pub(crate) fn begin_part(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    /// All parts, after the pass has ended at this mark. One part without items if there were no items.
    pub(crate) fn into_parts(mut self, end: Mark) -> Vec<(Mark, Part)> {
        if self.marks.is_empty() {
            self.marks.push(end);
        }
        let part = |number: usize| {
            let (mark, next) = (self.marks[number], self.marks.get(number + 1));
            let items = next.unwrap_or(&end).items - mark.items;
            (mark, Part { items_before: mark.items, items, end: next.map(|next| next.offset) })
        };
        (0..self.marks.len()).map(part).collect()
    }
}
