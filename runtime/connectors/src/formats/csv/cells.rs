//! The cells of rows, in one text.

use memchr::memchr;

use super::dialect::Dialect;

/// Rows without their delimiters and enclosures: all cells in one text, and the end of each cell.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) text: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    /// Cells in which an enclosure is not a stray one: it was doubled, or the row was checked. In the order of the
    /// cells.
    pub(super) settled: Vec<u32>,
}

impl Cells {
    /// The number of bytes and cells so far, to which the cells can be cut back later.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.text.len(), self.ends.len())
    }

    /// Removes what came after a mark.
    pub(crate) fn cut_off(&mut self, (bytes, cells): (usize, usize)) {
        self.text.truncate(bytes);
        self.ends.truncate(cells);
        while self.settled.last().is_some_and(|&cell| cell as usize >= cells) {
            self.settled.pop();
        }
    }

    /// Removes what came after a mark, and returns it.
    pub(super) fn take_off(&mut self, before @ (bytes, cells): (usize, usize)) -> Self {
        let (text, mut ends) = (self.text[bytes..].to_vec(), self.ends[cells..].to_vec());
        ends.iter_mut().for_each(|end| *end -= bytes as u32);
        self.cut_off(before);
        Self { text, ends, settled: Vec::new() }
    }

    /// Appends the cells of another row.
    pub(super) fn push_row(&mut self, row: &Self) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(&row.text);
        self.ends.extend(row.ends.iter().map(|end| start + end));
    }

    /// Whether all cells equal those at the beginning of another row. A cell beyond the end of that row must be empty.
    pub(super) fn is_beginning_of(&self, other: &Self) -> bool {
        let range = |cells: &Self, cell: usize| cells.start_of(cell)..cells.ends[cell] as usize;
        (0..self.ends.len()).all(|cell| {
            let theirs = if cell < other.ends.len() { range(other, cell) } else { 0..0 };
            self.text[range(self, cell)] == other.text[theirs]
        })
    }

    /// Records that the enclosures of the cells from this one on were checked.
    pub(super) fn settle(&mut self, dialect: Dialect, from: usize) {
        let Some(enclosure) = dialect.enclosure else { return };
        while self.settled.last().is_some_and(|&cell| cell as usize >= from) {
            self.settled.pop();
        }
        let mut start = from.checked_sub(1).map_or(0, |cell| self.ends[cell] as usize);
        for cell in from..self.ends.len() {
            let end = self.ends[cell] as usize;
            if memchr(enclosure, &self.text[start..end]).is_some() {
                self.settled.push(cell as u32);
            }
            start = end;
        }
    }

    /// The cells with a stray enclosure: one inside of a plain cell, which does not begin with an enclosure.
    pub(super) fn strays(&self, enclosure: u8) -> Vec<usize> {
        let (mut strays, mut at) = (Vec::new(), 0);
        let mut settled = self.settled.iter().map(|&cell| cell as usize).peekable();
        while at < self.text.len() {
            // Before the next settled cell there is mostly no enclosure.
            let limit = settled.peek().map_or(self.text.len(), |&cell| self.start_of(cell));
            if let Some(found) = memchr(enclosure, &self.text[at..limit.max(at)]) {
                let cell = self.ends.partition_point(|&end| end as usize <= at + found);
                strays.push(cell);
                at = self.ends[cell] as usize;
            } else if let Some(cell) = settled.next() {
                at = self.ends[cell] as usize;
            } else {
                break;
            }
        }
        strays
    }

    fn start_of(&self, cell: usize) -> usize {
        cell.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    /// The cells as text; `None` if a cell is not UTF-8.
    pub(crate) fn as_text(&self) -> Option<impl Iterator<Item = &str>> {
        let text = simdutf8::basic::from_utf8(&self.text).ok()?;
        // Two bad cells can form a valid character where they meet.
        self.ends.iter().all(|&end| text.is_char_boundary(end as usize)).then_some(())?;
        let mut start = 0;
        let to = move |&end: &u32| &text[std::mem::replace(&mut start, end as usize)..end as usize];
        Some(self.ends.iter().map(to))
    }
}
