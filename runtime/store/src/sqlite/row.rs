//! A row of SQLite, from which records are read.

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Row, Rows};

use super::trouble::{Outcome, Trouble, legible};
use crate::record::columns::Columns;

fn cell<T: FromSql>(row: &Row<'_>, column: &str) -> Outcome<T> {
    row.get(column).map_err(Into::into)
}

impl Columns for Row<'_> {
    type Error = Trouble;

    fn text(&self, column: &str) -> Outcome<String> {
        cell(self, column)
    }

    fn maybe_text(&self, column: &str) -> Outcome<Option<String>> {
        cell(self, column)
    }

    fn number(&self, column: &str) -> Outcome<i64> {
        cell(self, column)
    }

    fn maybe_number(&self, column: &str) -> Outcome<Option<i64>> {
        cell(self, column)
    }

    fn flag(&self, column: &str) -> Outcome<bool> {
        cell(self, column)
    }

    fn maybe_bytes(&self, column: &str) -> Outcome<Option<Vec<u8>>> {
        cell(self, column)
    }
}

/// The first row as a value; `None` if there is no row.
pub(super) fn first<T>(mut rows: Rows<'_>, read: impl FnOnce(&Row<'_>) -> Outcome<T>) -> Outcome<Option<T>> {
    rows.next()?.map(read).transpose()
}

/// The columns of a row that have a value, each with `of` before its name.
pub(super) fn fields(row: &Row<'_>, of: &str) -> Outcome<Vec<(String, String)>> {
    let mut fields = Vec::new();
    for (index, name) in row.as_ref().column_names().enumerate() {
        let text = match row.get_ref(index)? {
            ValueRef::Null => continue,
            ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
            _ => legible(row, name)?,
        };
        fields.push((format!("{of}{name}"), text));
    }
    Ok(fields)
}
