//! The result of a list: the rows that can be read, and the names of those that cannot.
//!
//! One damaged row must not hide the others, so a damaged row never makes a list fail. A call for the damaged row
//! itself reports what is wrong with it.

use std::ops::Deref;

/// A list, or a page of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows that can be read, in the order of the list.
    pub items: Vec<T>,
    /// The rows that cannot be read, in the order of the list.
    pub damaged: Vec<Damaged>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// `execution`, `instance`, `connector`, `job`, `component`, `warning`, `event`, `worker`.
    pub kind: &'static str,
    /// Its name or number.
    pub name: String,
    /// Its number, for rows that are listed by number: executions and events.
    pub number: Option<u64>,
    /// Which column is damaged, and how.
    pub reason: String,
}

impl<T> Listing<T> {
    /// A list of rows that can all be read.
    pub fn of(items: Vec<T>) -> Self {
        Self { items, damaged: Vec::new() }
    }

    /// Adds a row, or the name of a row that cannot be read.
    pub fn push(&mut self, row: Result<T, Damaged>) {
        match row {
            Ok(item) => self.items.push(item),
            Err(damaged) => self.damaged.push(damaged),
        }
    }

    /// How many rows there are, readable or not.
    pub fn rows(&self) -> usize {
        self.items.len() + self.damaged.len()
    }

    /// The same list with other items.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(item).collect(), damaged: self.damaged }
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl<T> Deref for Listing<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Listing<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Listing<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T> FromIterator<Result<T, Damaged>> for Listing<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, Damaged>>>(rows: I) -> Self {
        let mut listing = Self::default();
        rows.into_iter().for_each(|row| listing.push(row));
        listing
    }
}

/// Equal if the list has these items and no damaged row.
impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for Listing<T> {
    fn eq(&self, items: &[T; N]) -> bool {
        self.damaged.is_empty() && self.items == items
    }
}

/// Equal if the list has these items and no damaged row.
impl<T: PartialEq> PartialEq<Vec<T>> for Listing<T> {
    fn eq(&self, items: &Vec<T>) -> bool {
        self.damaged.is_empty() && self.items == *items
    }
}
