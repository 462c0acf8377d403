//! A processor that gets only the columns it reads; all other columns are passed on without it.
//!
//! For a sandboxed processor, each byte that crosses the boundary costs time. A processor that names the columns it
//! reads pays only for those columns, and for the columns it returns.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;

use crate::accounting::{check_header, check_processed};
use crate::element::{ItemProcessor, Opening, SetAside};
use crate::error::{ElementError, Halt, LyingBatch};
use crate::nearest::nearest;
use crate::rows::{BadRows, ROWS_BYTES_MAX, Rows};

/// How many columns an error lists if a name is not a column.
const LISTED_COLUMNS_MAX: usize = 30;

/// A processor behind a choice of columns.
///
/// The processor gets the columns that it reads, in the order in which it names them, and announces the columns
/// that it returns. A returned column replaces the column of the same name; a new column is added at the end. Every
/// other column stays as it is, so such a processor cannot remove a column.
pub struct Projected {
    inner: Box<dyn ItemProcessor>,
    columns_in: Vec<String>,
    plan: Plan,
    /// Buffers that keep their memory: the processor's input, its output, and the rows it set aside.
    given: Rows,
    returned: Rows,
    gone: Vec<u32>,
}

impl Projected {
    /// A processor that reads these columns, at least one.
    pub fn new(inner: Box<dyn ItemProcessor>, columns_in: Vec<String>) -> Self {
        let (given, returned) = (Rows::default(), Rows::default());
        Self { inner, columns_in, plan: Plan::default(), given, returned, gone: Vec::new() }
    }
}

#[async_trait]
impl ItemProcessor for Projected {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        check_header(&self.columns_in)?;
        let read = find_columns(opening.header, &self.columns_in)?;
        let narrow = Opening { header: &self.columns_in, ..opening };
        let announced = self.inner.open(narrow).await?;
        check_header(&announced)?;
        let (plan, header) = Plan::of(opening.header, &read, &announced);
        self.plan = plan;
        Ok(header)
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let Self { inner, plan, given, returned, gone, .. } = self;
        plan.choose(rows, given);
        returned.reset(plan.returned);
        let set_aside = inner.process(given, returned).await?;
        check_processed(rows.len(), returned.len(), &set_aside)?;
        gone.clear();
        gone.extend(set_aside.rows());
        gone.sort_unstable();
        plan.merge(rows, returned, gone, output);
        match output.data().len() {
            bytes if bytes > ROWS_BYTES_MAX => Err(LyingBatch::from(BadRows::TooLarge { bytes }).into()),
            _ => Ok(set_aside),
        }
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        self.inner.state().await
    }

    async fn close(&mut self) -> Result<(), Halt> {
        self.inner.close().await
    }
}

/// The positions of the columns that a processor reads.
fn find_columns(header: &[String], wanted: &[String]) -> Result<Vec<usize>, ElementError> {
    let places: HashMap<&str, usize> = header.iter().map(String::as_str).zip(0..).collect();
    let place = |name: &String| places.get(name.as_str()).copied().ok_or_else(|| missing(name, header));
    wanted.iter().map(place).collect()
}

fn missing(name: &str, header: &[String]) -> ElementError {
    let listed: Vec<_> = header.iter().take(LISTED_COLUMNS_MAX).map(|name| format!("`{name}`")).collect();
    let more = match header.len() - listed.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let meant = nearest(name, header.iter().map(String::as_str));
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    let message =
        format!("reads the column `{name}`, which is not one of {}{more}{meant}", listed.join(", "));
    ElementError::failed("missing-column", message)
        .with_help("the component's description names the columns it reads; give the items one of that name")
}

/// How batches are split and joined again. Made once, when the processor is opened.
#[derive(Debug, Default)]
struct Plan {
    /// The columns that the processor gets, as the smallest number of ranges of the input's columns.
    given: Vec<Range<usize>>,
    given_columns: usize,
    /// How many columns it returns.
    returned: usize,
    /// The parts of an output row, in order.
    parts: Vec<Part>,
    columns: usize,
}

/// Columns that are next to each other, in the input or in the processor's output.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Passed(Range<usize>),
    Returned(Range<usize>),
}

impl Plan {
    /// The plan, and the columns of the output.
    fn of(header: &[String], read: &[usize], announced: &[String]) -> (Self, Vec<String>) {
        let mut plan = Self { given_columns: read.len(), returned: announced.len(), ..Self::default() };
        for &column in read {
            extend(&mut plan.given, column);
        }
        let places: HashMap<&str, usize> = announced.iter().map(String::as_str).zip(0..).collect();
        for (column, name) in header.iter().enumerate() {
            plan.add(match places.get(name.as_str()) {
                Some(&place) => Part::Returned(place..place + 1),
                None => Part::Passed(column..column + 1),
            });
        }
        let known: HashMap<&str, usize> = header.iter().map(String::as_str).zip(0..).collect();
        let mut header = header.to_vec();
        for (place, name) in announced.iter().enumerate() {
            if !known.contains_key(name.as_str()) {
                plan.add(Part::Returned(place..place + 1));
                header.push(name.clone());
            }
        }
        plan.columns = header.len();
        (plan, header)
    }

    fn add(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Passed(last)), Part::Passed(next)) if last.end == next.start => last.end = next.end,
            (Some(Part::Returned(last)), Part::Returned(next)) if last.end == next.start => {
                last.end = next.end
            }
            (_, part) => self.parts.push(part),
        }
    }

    /// Fills `given` with the columns that the processor reads.
    fn choose(&self, rows: &Rows, given: &mut Rows) {
        given.reset(self.given_columns);
        for first in (0..rows.len()).map(|row| row * rows.columns()) {
            for columns in &self.given {
                given.push_cells_of(rows, first + columns.start..first + columns.end);
            }
        }
    }

    /// Appends the output: the rows of the input without those in `gone`, which is ascending, with the returned
    /// cells in their places.
    fn merge(&self, rows: &Rows, returned: &Rows, gone: &[u32], output: &mut Rows) {
        let mut gone = gone.iter().peekable();
        let mut next_returned = 0;
        // Input cells that are kept and not copied yet: often cells at the end of one row and at the beginning of
        // the next row. They are copied together.
        let mut passing = 0..0;
        for row in 0..rows.len() {
            if gone.next_if_eq(&&(row as u32)).is_some() {
                continue;
            }
            let first = row * rows.columns();
            for part in &self.parts {
                match part {
                    Part::Passed(columns) if passing.end == first + columns.start => {
                        passing.end = first + columns.end;
                    }
                    Part::Passed(columns) => {
                        output.push_cells_of(rows, passing);
                        passing = first + columns.start..first + columns.end;
                    }
                    Part::Returned(columns) => {
                        output.push_cells_of(rows, std::mem::replace(&mut passing, 0..0));
                        let first = next_returned * self.returned;
                        output.push_cells_of(returned, first + columns.start..first + columns.end);
                    }
                }
            }
            next_returned += 1;
        }
        output.push_cells_of(rows, passing);
    }
}

/// Adds a column to ranges of columns. If it is next to the last range, it extends that range.
fn extend(ranges: &mut Vec<Range<usize>>, column: usize) {
    match ranges.last_mut() {
        Some(last) if last.end == column => last.end += 1,
        _ => ranges.push(column..column + 1),
    }
}

#[cfg(test)]
mod tests;
