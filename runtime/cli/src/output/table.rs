//! Tables of text: columns as wide as their widest cell, numbers to the right.

use stepbox::batch::visible::{Visible, on_one_line};
use stepbox_api::list::DamagedRow;
use unicode_width::UnicodeWidthStr as _;

/// A table with a header. It has no frame, so that `cut` and `awk` can read it, too.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column's name, and the alignment of its cells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Texts.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Left(name) | Self::Right(name) => name,
        }
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells.iter().map(|cell| on_one_line(cell).into_owned()).collect());
    }

    /// A table with a row for each of these.
    pub(crate) fn of<T, const N: usize>(
        columns: [Column; N],
        items: impl IntoIterator<Item = T>,
        cells: impl Fn(T) -> [String; N],
    ) -> Self {
        let mut table = Self::new(columns);
        for item in items {
            table.row(cells(item));
        }
        table
    }

    /// Adds a row that cannot be read: its name or number, and the reason in the last column.
    pub(crate) fn damaged(&mut self, DamagedRow { name, damaged: reason, .. }: &DamagedRow) {
        let mut cells = vec!["-".to_owned(); self.columns.len()];
        cells[1] = "DAMAGED".to_owned();
        cells[0] = on_one_line(name).into_owned();
        if let Some(last) = cells.last_mut() {
            *last = on_one_line(reason).into_owned();
        }
        self.rows.push(cells);
    }

    /// Adds the rows of a table with the same columns.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
    }

    /// The width of each column.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.chain([self.columns[index].name().width()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    /// The rows in columns as wide as their widest cells, after the header.
    pub(crate) fn shown(&self) -> Visible {
        self.shown_in(&self.widths(), true)
    }

    /// The rows in columns of these widths, where their cells fit, after the header if it is wanted.
    pub(crate) fn shown_in(&self, widths: &[usize], has_header: bool) -> Visible {
        let header: Vec<String> = self.columns.iter().map(|column| column.name().to_owned()).collect();
        let rows = has_header.then_some(&header).into_iter().chain(&self.rows);
        rows.map(|row| self.line(row, widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> Visible {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match column {
                Column::Left(_) => line.extend([cell, padding.as_str(), "  "]),
                Column::Right(_) => line.extend([padding.as_str(), cell, "  "]),
            }
        }
        Visible::line(line)
    }
}

/// Names and values, one pair in each line. A value of several lines stays in its column.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Visible {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let name = |name: &str| format!("{name}{}  ", " ".repeat(width - name.width()));
    pairs.iter().map(|(named, value)| Visible::named(&name(named), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_is_in_them() {
        let mut table = Table::new([Column::Left("name"), Column::Right("read"), Column::Left("label")]);
        table.row(["漢字".to_owned(), "1,239".to_owned(), "a\nb\u{1b}".to_owned()]);
        table.row(["export".to_owned(), "7".to_owned(), String::new()]);
        let expected = "\
name     read  label
漢字    1,239  a\\nb\\u{1b}
export      7
";
        assert_eq!(table.shown().as_str(), expected);
        let pairs = pairs([("a", "1\n2".to_owned()), ("long", String::new())]);
        assert_eq!(pairs.as_str(), "a     1\n      2\nlong\n");
    }
}
