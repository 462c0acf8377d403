//! The rows that a processor returns. Cells that were set are written one by one. The cells between them are
//! copied unchanged, as many at a time as are next to each other.

use std::mem;
use std::ops::Range;

use crate::columns::Layout;
use crate::contract::{Rows, offset};
use crate::item::Changes;

/// Collects the outgoing rows while the step goes through the incoming rows, in order.
pub(crate) struct Output<'a> {
    incoming: &'a Rows,
    layout: &'a Layout,
    outgoing: Rows,
    /// Unchanged cells that are still to be copied. They may be of many rows: all cells from the last set
    /// cell of one row to the first set cell of a later one.
    unchanged: Range<usize>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(incoming: &'a Rows, layout: &'a Layout) -> Output<'a> {
        Output { incoming, layout, outgoing: Rows::default(), unchanged: 0..0 }
    }

    /// Keeps a row, changed or not.
    #[inline]
    pub(crate) fn keep(&mut self, row: usize, changes: &Changes) {
        let first = row * self.layout.incoming;
        if changes.cells.is_empty() && self.layout.is_unchanged {
            self.keep_unchanged(first..first + self.layout.incoming);
        } else {
            self.keep_changed(first, changes);
        }
    }

    /// All outgoing rows; `None` if they are exactly the incoming rows.
    pub(crate) fn finish(mut self, row_count: usize) -> Option<Rows> {
        if self.unchanged == (0..row_count * self.layout.incoming) && self.layout.is_unchanged {
            return None;
        }
        self.copy_unchanged();
        Some(self.outgoing)
    }

    #[inline]
    fn keep_unchanged(&mut self, cells: Range<usize>) {
        if self.unchanged.end == cells.start {
            self.unchanged.end = cells.end;
        } else if !cells.is_empty() {
            self.copy_unchanged();
            self.unchanged = cells;
        }
    }

    fn keep_changed(&mut self, first: usize, changes: &Changes) {
        let layout = self.layout;
        let mut changed = changes.cells.iter().peekable();
        for kept in &layout.kept {
            let mut next = kept.start;
            while let Some(change) = changed.next_if(|change| change.column < kept.end) {
                if change.column < kept.start {
                    continue; // set, but of a column that is left out
                }
                self.keep_unchanged(first + next..first + change.column);
                self.push(change.cell.clone(), changes);
                next = change.column + 1;
            }
            self.keep_unchanged(first + next..first + kept.end);
        }
        for added in &layout.added {
            while changed.next_if(|change| change.column < *added).is_some() {}
            let change = changed.next_if(|change| change.column == *added);
            self.push(change.and_then(|change| change.cell.clone()), changes);
        }
    }

    fn push(&mut self, cell: Option<Range<usize>>, changes: &Changes) {
        self.copy_unchanged();
        match cell {
            Some(text) => self.outgoing.push(changes.text(text)),
            None => self.outgoing.push_null(),
        }
    }

    /// Copies unchanged cells: all their bytes at once, with their ends and nulls shifted.
    fn copy_unchanged(&mut self) {
        self.reserve();
        let cells = mem::replace(&mut self.unchanged, 0..0);
        if cells.is_empty() {
            return;
        }
        let Rows { data, ends, nulls } = &mut self.outgoing;
        let bytes = self.incoming.start(cells.start)..self.incoming.ends[cells.end - 1] as usize;
        let moved = offset(data.len()).wrapping_sub(offset(bytes.start));
        if !self.incoming.nulls.is_empty() {
            let moved = offset(ends.len()).wrapping_sub(offset(cells.start));
            let from = self.incoming.nulls.partition_point(|null| (*null as usize) < cells.start);
            let copied = self.incoming.nulls[from..].iter().take_while(|null| (**null as usize) < cells.end);
            nulls.extend(copied.map(|null| null.wrapping_add(moved)));
        }
        data.extend_from_slice(&self.incoming.data[bytes]);
        ends.extend(self.incoming.ends[cells].iter().map(|end| end.wrapping_add(moved)));
    }

    /// Reserves memory for almost everything, once. An unchanged batch needs none.
    fn reserve(&mut self) {
        if self.outgoing.ends.capacity() == 0 {
            let row_count = self.incoming.ends.len() / self.layout.incoming;
            self.outgoing.ends.reserve(row_count * self.layout.outgoing);
            self.outgoing.data.reserve(self.incoming.data.len() + self.incoming.data.len() / 8);
        }
    }
}

#[cfg(test)]
mod tests;
