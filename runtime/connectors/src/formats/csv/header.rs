//! The columns of a file, by its header and the options.

use super::cells::Cells;
use crate::error::{ConnectorError, Result};
use crate::options::Options;
use crate::rejected_form::COLUMNS as OF_REJECTED;

/// The treatment of a column whose name is missing or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// The step fails.
    Refuse,
    /// The column gets a name of its own.
    Name,
    /// The cells of the column are left out.
    Drop,
}

/// The options for such columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    /// Columns without a name.
    unnamed: Doubtful,
    /// Columns with the name of an earlier one.
    repeated: Doubtful,
}

impl Naming {
    pub(super) fn from_options(options: &Options<'_>) -> Result<Self> {
        const CHOICES: [(&str, Doubtful); 3] =
            [("refuse", Doubtful::Refuse), ("name", Doubtful::Name), ("drop", Doubtful::Drop)];
        Ok(Self {
            unnamed: options.choice("unnamed_columns", &CHOICES)?,
            repeated: options.choice("repeated_columns", &CHOICES)?,
        })
    }
}

/// The columns of a file.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// The names of the columns that are delivered.
    pub(super) names: Vec<String>,
    /// How many cells a row has.
    pub(super) cells: usize,
    /// The smallest number of cells of a row. Columns without a name at the end of the header, which are dropped, may
    /// be missing.
    cells_min: usize,
    /// Whether the cells of each column are delivered; `None` if all cells are.
    kept: Option<Vec<bool>>,
    /// In a file of rejected items: the column with the text of an item that could not be read.
    pub(super) rejected_item: Option<usize>,
}

impl Header {
    /// The columns of a file without a header: `column_1`, `column_2` and so on.
    pub(super) fn numbered(cells: usize) -> Self {
        let names = (1..=cells).map(|number| format!("column_{number}")).collect();
        Self { names, cells, cells_min: cells, ..Self::default() }
    }

    /// The columns of a header.
    pub(super) fn of(row: Vec<String>, naming: Naming, path: &str) -> Result<Self> {
        let cells = row.len();
        let of_rejected = columns_of_rejected(&row);
        let mut kept = vec![true; cells];
        of_rejected.iter().for_each(|&cell| kept[cell] = false);
        let (names, missing) = name(&row, &mut kept, naming, path)?;
        let rejected_item = of_rejected.last().copied();
        let kept = kept.contains(&false).then_some(kept);
        Ok(Self { names, cells, cells_min: cells - missing, kept, rejected_item })
    }

    /// Whether a header is that of a file of rejected items.
    pub(super) fn is_of_rejected(row: &[String]) -> bool {
        !columns_of_rejected(row).is_empty()
    }

    /// Whether a row may have this many cells.
    pub(super) fn fits(&self, cells: usize) -> bool {
        cells == self.cells || (self.cells_min..self.cells).contains(&cells)
    }

    /// How many cells an item has in its own file. The columns that a file of rejected items adds do not count.
    pub(super) fn names_or_cells(&self) -> usize {
        if self.rejected_item.is_some() { self.names.len() } else { self.cells }
    }

    /// Whether the cells of all columns in the file are delivered.
    pub(super) fn keeps_all(&self) -> bool {
        self.kept.is_none()
    }

    /// Removes the cells of dropped columns from the row that came after a mark.
    pub(super) fn drop_cells(&self, cells: &mut Cells, before @ (bytes, count): (usize, usize)) {
        let Some(kept) = &self.kept else { return };
        let row = cells.take_off(before);
        let mut start = 0;
        for (&end, &is_kept) in row.ends.iter().zip(kept) {
            if is_kept {
                cells.text.extend_from_slice(&row.text[start..end as usize]);
                cells.ends.push(cells.text.len() as u32);
            }
            start = end as usize;
        }
        debug_assert!(cells.text.len() >= bytes && cells.ends.len() == count + self.names.len());
    }
}

/// The places of the columns that a file of rejected items adds; empty for any other file. Columns of the input may
/// have the same names; they are before the added ones.
fn columns_of_rejected(row: &[String]) -> Vec<usize> {
    let places = OF_REJECTED.iter().map(|name| row.iter().rposition(|found| found == name));
    places.collect::<Option<_>>().unwrap_or_default()
}

/// The names of the columns that are kept, and how many columns without a name are dropped at the end.
fn name(row: &[String], kept: &mut [bool], naming: Naming, path: &str) -> Result<(Vec<String>, usize)> {
    let mut places = std::collections::HashMap::<String, usize>::new();
    let (mut names, mut missing) = (Vec::new(), 0);
    for (cell, name) in row.iter().enumerate() {
        let number = cell + 1;
        if !kept[cell] {
            missing = 0;
            continue;
        }
        let doubt = match (name.is_empty(), places.get(name)) {
            (true, _) => Some((naming.unnamed, None)),
            (_, Some(&first)) => Some((naming.repeated, Some(first))),
            _ => None,
        };
        let name = match doubt {
            None => name.clone(),
            Some((Doubtful::Refuse, None)) => {
                return Err(ConnectorError::EmptyColumnName { path: path.to_owned(), column: number });
            }
            Some((Doubtful::Refuse, Some(first))) => {
                let (path, name) = (path.to_owned(), name.clone());
                return Err(ConnectorError::DuplicateColumnName { path, name, first, second: number });
            }
            Some((Doubtful::Name, None)) => free_name(row, &places, "column", number),
            Some((Doubtful::Name, Some(_))) => free_name(row, &places, name, 2),
            Some((Doubtful::Drop, place)) => {
                kept[cell] = false;
                missing = if place.is_none() { missing + 1 } else { 0 };
                continue;
            }
        };
        missing = 0;
        places.insert(name.clone(), number);
        names.push(name);
    }
    Ok((names, missing))
}

/// A name that no other column has: `price_2`, `price_3` and so on.
fn free_name(
    row: &[String],
    taken: &std::collections::HashMap<String, usize>,
    name: &str,
    from: usize,
) -> String {
    let mut number = from;
    loop {
        let free = format!("{name}_{number}");
        if !taken.contains_key(&free) && !row.contains(&free) {
            return free;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, (unnamed, repeated): (Doubtful, Doubtful), expected: &str) {
        let row = header.split(',').map(str::to_owned).collect();
        let found = match Header::of(row, Naming { unnamed, repeated }, "in.csv") {
            Ok(header) => format!("{} of {} to {}", header.names.join(","), header.cells_min, header.cells),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn a_name_that_is_missing_or_repeated_is_refused_made_or_dropped() {
        use Doubtful::{Drop, Name, Refuse};
        check("a,b", (Refuse, Refuse), "a,b of 2 to 2");
        check(",a", (Refuse, Refuse), "the header of `in.csv` has no name for column 1");
        check("a,b,a", (Refuse, Refuse), "the header of `in.csv` names columns 1 and 3 both `a`");
        check(",a,,b,", (Name, Refuse), "column_1,a,column_3,b,column_5 of 5 to 5");
        check("column_2,,a", (Name, Refuse), "column_2,column_3,a of 3 to 3");
        check("column_3,a,", (Name, Refuse), "column_3,a,column_4 of 3 to 3");
        check(",a,,b,,", (Drop, Refuse), "a,b of 4 to 6");
        check("a,b,a,a_2,a", (Refuse, Name), "a,b,a_3,a_2,a_4 of 5 to 5");
        check("a,b,a", (Refuse, Drop), "a,b of 3 to 3");
        check("a,,a,", (Drop, Drop), "a of 3 to 4");
        check("a,,a", (Name, Name), "a,column_2,a_2 of 3 to 3");
    }

    #[test]
    fn the_columns_of_a_file_of_rejected_items_are_its_own() {
        let refuse = (Doubtful::Refuse, Doubtful::Refuse);
        let own = OF_REJECTED.join(",");
        check(&format!("a,b,{own}"), refuse, "a,b of 7 to 7");
        check(&format!("a,rejected_code,{own}"), refuse, "a,rejected_code of 7 to 7");
        check("a,rejected_code", refuse, "a,rejected_code of 2 to 2");
    }
}
