//! A chunk on its way, with everything that is known about it.

use std::ops::Range;

use crate::element::{Chunk, More, SkippedRow, Total};
use crate::findings::Reports;
use crate::rows::Rows;

/// The results of the reader and the processors for a chunk. Buffers are reused for the next chunk.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its place among the parcels of this attempt, from 0.
    pub(super) number: u64,
    /// How many items the step had read before it.
    pub(super) items_before: u64,
    /// The chunk as it was read.
    pub(super) chunk: Chunk,
    /// What the last processor returned.
    pub(super) processed: Rows,
    /// A buffer for the next processor's rows.
    pub(super) spare: Rows,
    /// For each processor that it went through, the rows that were not passed on, ascending.
    pub(super) removed: Vec<Vec<u32>>,
    /// Rows of the chunk that processors skipped.
    pub(super) skipped: Vec<Skipped>,
    /// How many rows processors left out on purpose.
    pub(super) filtered: u64,
    /// The reports of its elements.
    pub(super) reports: Vec<Reports>,
    /// The states of the reader and the processors after it.
    pub(super) reader: Vec<u8>,
    pub(super) processors: Vec<Vec<u8>>,
    /// How many items there are in all, as far as the reader knows after it.
    pub(super) total: Total,
    /// Whether another parcel may follow it.
    pub(super) more: More,
    /// How long the elements worked on it, in microseconds.
    pub(super) us: u64,
}

/// A row of the chunk that an element skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Its index in the chunk as it was read.
    pub(super) row: usize,
    pub(super) culprit: String,
    pub(super) code: String,
    pub(super) reason: String,
    pub(super) phase: &'static str,
}

impl Default for Parcel {
    fn default() -> Self {
        Self {
            number: 0,
            items_before: 0,
            chunk: Chunk::default(),
            processed: Rows::default(),
            spare: Rows::default(),
            removed: Vec::new(),
            skipped: Vec::new(),
            filtered: 0,
            reports: Vec::new(),
            reader: Vec::new(),
            processors: Vec::new(),
            total: Total::Unknown,
            more: More::Yes,
            us: 0,
        }
    }
}

impl Parcel {
    /// Empties the parcel for a chunk of rows with `columns` cells, and keeps its memory.
    pub(super) fn reset(&mut self, number: u64, items_before: u64, columns: usize) {
        (self.number, self.items_before, self.us) = (number, items_before, 0);
        self.chunk.reset(columns);
        self.removed.clear();
        self.skipped.clear();
        self.filtered = 0;
        self.reports.clear();
        self.processors.clear();
    }

    /// The rows for the writer.
    pub(super) fn rows(&self) -> &Rows {
        if self.removed.is_empty() { &self.chunk.rows } else { &self.processed }
    }

    /// Whether no other parcel follows it.
    pub(super) fn is_last(&self) -> bool {
        self.more == More::No
    }

    /// The items in it, counted from the first one of the step.
    pub(super) fn items(&self) -> Range<u64> {
        self.items_before..self.items_before + self.chunk.items() as u64
    }

    /// Notes the rows that a processor did not pass on. The processor got the rows that are left after
    /// `removed.len()` processors.
    pub(super) fn set_aside(&mut self, culprit: &str, skipped: Vec<SkippedRow>, filtered: &[u32]) {
        let mut removed: Vec<u32> = skipped.iter().map(|skipped| skipped.row).collect();
        removed.extend(filtered);
        removed.sort_unstable();
        self.filtered += filtered.len() as u64;
        self.skip(culprit, skipped, "process");
        self.removed.push(removed);
    }

    /// Notes the rows that an element skipped, out of the rows that it got.
    pub(super) fn skip(&mut self, culprit: &str, skipped: Vec<SkippedRow>, phase: &'static str) {
        for SkippedRow { row, code, reason } in skipped {
            let row = self.row_in_chunk(row);
            self.skipped.push(Skipped { row, culprit: culprit.to_owned(), code, reason, phase });
        }
    }

    /// The row of the chunk from which a row after all processors so far comes.
    fn row_in_chunk(&self, row: u32) -> usize {
        let before = |row: u32, removed: &Vec<u32>| {
            removed.iter().fold(row, |row, removed| if *removed <= row { row + 1 } else { row })
        };
        self.removed.iter().rev().fold(row, before) as usize
    }

    /// The items in it, for people: `items 1001 to 2000 (lines 1002 to 2001)`.
    pub(super) fn place(&self) -> String {
        let (first, last) = (self.items().start + 1, self.items().end);
        let lines = match (self.chunk.lines.first(), self.chunk.lines.last()) {
            (Some(from), Some(to)) if from < to => format!(" (lines {from} to {to})"),
            (Some(line), _) => format!(" (line {line})"),
            _ => String::new(),
        };
        if first < last { format!("items {first} to {last}{lines}") } else { format!("item {first}{lines}") }
    }

    /// A row of the chunk, for people: `line 41`.
    pub(super) fn place_of_row(&self, row: usize) -> String {
        match self.chunk.lines.get(row) {
            Some(line) => format!("line {line}"),
            None if self.chunk.unreadable.is_empty() => {
                format!("item {}", self.items_before + row as u64 + 1)
            }
            None => self.place(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_row_that_was_read() {
        let mut parcel = Parcel::default();
        let skipped = |row| vec![SkippedRow { row, code: String::new(), reason: String::new() }];
        // Ten rows. The first processor removes 0, 4 and 5; the next one removes the original rows 1 and 9.
        parcel.set_aside("first", skipped(4), &[5, 0]);
        parcel.set_aside("second", skipped(0), &[6]);
        for (left, read) in [2, 3, 6, 7, 8].into_iter().enumerate() {
            assert_eq!(parcel.row_in_chunk(left as u32), read, "{left}");
        }
        parcel.skip("writer", skipped(2), "write");
        let rows: Vec<_> = parcel.skipped.iter().map(|skipped| skipped.row).collect();
        assert_eq!((rows, parcel.filtered), (vec![4, 1, 6], 3));
    }
}
