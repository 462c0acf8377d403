//! The columns of items. A step finds them by name once, when it opens, and uses their positions from then
//! on.

use std::collections::HashSet;
use std::ops::Range;

use crate::StepError;

/// A column's position. Look it up once, in `open`, with [`Columns::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column(usize);

impl Column {
    /// The position, counted from 0. Columns that a processor adds come after the incoming ones.
    #[inline]
    pub fn position(self) -> usize {
        self.0
    }
}

impl From<usize> for Column {
    #[inline]
    fn from(position: usize) -> Column {
        Column(position)
    }
}

/// The incoming columns, followed by those that the step adds.
#[derive(Clone, Debug)]
pub struct Columns {
    names: Vec<String>,
    incoming: usize,
    removed: Vec<Column>,
}

impl Columns {
    pub(crate) fn of(header: Vec<String>) -> Columns {
        Columns { incoming: header.len(), names: header, removed: Vec::new() }
    }

    /// The number of incoming columns.
    #[inline]
    pub fn incoming(&self) -> usize {
        self.incoming
    }

    /// All columns with their names, incoming columns first.
    pub fn iter(&self) -> impl Iterator<Item = (Column, &str)> {
        self.names.iter().enumerate().map(|(position, name)| (Column(position), name.as_str()))
    }

    /// The name of a column.
    pub fn name(&self, column: impl Into<Column>) -> &str {
        &self.names[column.into().0]
    }

    /// The column of this name; `None` if there is none.
    pub fn get(&self, name: &str) -> Option<Column> {
        self.names.iter().position(|known| known == name).map(Column)
    }

    /// The column of this name. The error `missing-column` lists the columns that exist.
    pub fn find(&self, name: &str) -> Result<Column, StepError> {
        self.get(name).ok_or_else(|| {
            let there_are = self.names.join("`, `");
            StepError::new("missing-column", format_args!("there is no column `{name}`, only `{there_are}`"))
        })
    }

    /// Adds a column at the end of the row. Its cells are null until they are set.
    pub fn add(&mut self, name: &str) -> Result<Column, StepError> {
        if self.get(name).is_some() {
            return Err(StepError::new(
                "duplicate-column",
                format_args!("there is a column `{name}` already"),
            ));
        }
        self.names.push(name.to_owned());
        Ok(Column(self.names.len() - 1))
    }

    /// Gives a column another name in the rows that the step returns. No two of these may have the same name in the end.
    pub fn rename(&mut self, column: Column, name: &str) {
        name.clone_into(&mut self.names[column.0]);
    }

    /// Omits a column from the rows that the step returns. Its cells can still be read.
    ///
    /// In a processor that [names the columns it reads](crate::Description::reads), such a column stays with
    /// the item unchanged. It is only not sent back to the runtime.
    pub fn remove(&mut self, column: Column) {
        self.removed.push(column);
    }

    /// The names of the columns that the step returns. An element that returns no columns is refused.
    pub(crate) fn outgoing_names(&self) -> Result<Vec<String>, StepError> {
        let kept = self.iter().filter(|(column, _)| !self.removed.contains(column));
        let names: Vec<String> = kept.map(|(_, name)| name.to_owned()).collect();
        if names.is_empty() {
            return Err(StepError::new("no-columns", "this step returns rows without any column"));
        }
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            let problem = format_args!("this step returns two columns `{twice}`");
            return Err(StepError::new("duplicate-column", problem));
        }
        Ok(names)
    }

    pub(crate) fn layout(&self) -> Layout {
        let is_kept = |position: &usize| !self.removed.contains(&Column(*position));
        let mut kept: Vec<Range<usize>> = Vec::new();
        for position in (0..self.incoming).filter(is_kept) {
            match kept.last_mut() {
                Some(range) if range.end == position => range.end += 1,
                _ => kept.push(position..position + 1),
            }
        }
        let added: Vec<usize> = (self.incoming..self.names.len()).filter(is_kept).collect();
        let kept_count: usize = kept.iter().map(ExactSizeIterator::len).sum();
        Layout {
            incoming: self.incoming,
            outgoing: kept_count + added.len(),
            is_unchanged: added.is_empty() && kept_count == self.incoming,
            kept,
            added,
        }
    }
}

/// How an outgoing row is made of an incoming row.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) incoming: usize,
    pub(crate) outgoing: usize,
    /// The columns that stay, as the smallest number of ranges.
    pub(crate) kept: Vec<Range<usize>>,
    pub(crate) added: Vec<usize>,
    /// Whether a row goes out unchanged if no cell is set.
    pub(crate) is_unchanged: bool,
}
