//! Lists: a table for people, an array for programs. A damaged row keeps its place in both.
//!
//! Lists that grow with time are written page by page, so that they take no more memory than a page, and the first
//! row comes at once.

use serde::Serialize;
use stepbox::Error;
use stepbox::batch::ports::{Damaged, Listing};
use stepbox::batch::visible::Visible;
use stepbox_api::list::{DamagedRow, Row};

use super::format::Format;
use super::table::Table;
use super::words::counted;
use super::{Answer, print, talk};
use crate::error::CliError;

/// How many rows are read at a time.
const PAGE: u32 = 200;

/// A whole list. Its table has no rows if the list is empty.
pub(crate) fn answer<T, V: Serialize>(
    format: Format,
    listing: &Listing<T>,
    table: impl FnOnce(&[T]) -> Table,
    view: impl Fn(&T) -> V,
) -> Answer {
    tell(listing.damaged.len());
    let text = || {
        let mut table = table(&listing.items);
        listing.damaged.iter().for_each(|damaged| table.damaged(damaged));
        if listing.rows() == 0 { Visible::default() } else { table.shown() }
    };
    Answer::new(format, text, || {
        let whole = listing.iter().map(|item| Row::Whole(view(item)));
        let damaged = listing.damaged.iter().map(|row| Row::Damaged(DamagedRow::of(row)));
        whole.chain(damaged).collect::<Vec<_>>()
    })
}

/// Reports how many rows could not be read.
fn tell(damaged: usize) {
    if damaged > 0 {
        let rows = counted(damaged as u64, "row");
        talk(format!("{rows} cannot be read; `stepbox store check` shows the damage"));
    }
}

/// The result of a list that was written page by page.
pub(crate) struct Written {
    /// How many rows were written, readable or not.
    pub(crate) rows: u32,
    /// The number of the last row; `None` without rows.
    pub(crate) last: Option<u64>,
}

/// Writes a list whose rows have falling numbers: at most `limit` rows, or all if `limit` is 0. `page` returns the
/// rows before a number, at most as many as its argument says.
pub(crate) async fn write<T, V: Serialize>(
    format: Format,
    limit: u32,
    first: Option<u64>,
    page: impl AsyncFn(Option<u64>, u32) -> Result<Listing<T>, Error>,
    number: impl Fn(&T) -> u64,
    table: impl Fn(&[&T]) -> Table,
    view: impl Fn(&T) -> V,
) -> Result<Written, CliError> {
    let mut pages = Pages { format, widths: Vec::new(), rows: 0, held_back: None };
    let (mut written, mut before, mut damaged) = (Written { rows: 0, last: None }, first, 0);
    loop {
        let wanted = if limit == 0 { PAGE } else { PAGE.min(limit - written.rows) };
        let listing = page(before, wanted).await?;
        damaged += listing.damaged.len();
        written.rows += listing.rows() as u32;
        let rows = in_order(&listing, &number);
        written.last = rows.last().map(|(number, _)| *number).or(written.last);
        before = written.last.or(before);
        let goes_on = match format {
            Format::Text => pages.lines(&rows, &table)?,
            Format::Json => pages.objects(&rows, &view)?,
        };
        if !goes_on || (listing.rows() as u32) < wanted || written.rows == limit {
            break;
        }
    }
    pages.end()?;
    tell(damaged);
    Ok(written)
}

type NumberedRow<'a, T> = (u64, Result<&'a T, &'a Damaged>);

/// The rows of a page, the greatest number first.
fn in_order<'a, T>(listing: &'a Listing<T>, number: impl Fn(&T) -> u64) -> Vec<NumberedRow<'a, T>> {
    let whole = listing.items.iter().map(|item| (number(item), Ok(item)));
    let damaged = listing.damaged.iter().map(|row| (row.number.unwrap_or(0), Err(row)));
    let mut rows: Vec<_> = whole.chain(damaged).collect();
    rows.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    rows
}

/// The state of the output.
struct Pages {
    format: Format,
    /// Widths from the first page; later pages use them where their cells fit.
    widths: Vec<usize>,
    rows: u64,
    /// The last object, until it is known whether another one follows.
    held_back: Option<Visible>,
}

impl Pages {
    fn lines<T>(
        &mut self,
        rows: &[NumberedRow<'_, T>],
        table: impl Fn(&[&T]) -> Table,
    ) -> Result<bool, CliError> {
        let mut lines = table(&[]);
        for (_, row) in rows {
            match row {
                Ok(item) => lines.append(table(&[item])),
                Err(damaged) => lines.damaged(damaged),
            }
        }
        let is_first = self.rows == 0;
        self.rows += rows.len() as u64;
        if rows.is_empty() {
            return Ok(true);
        }
        if is_first {
            self.widths = lines.widths();
        }
        print(&lines.shown_in(&self.widths, is_first))
    }

    fn objects<T, V: Serialize>(
        &mut self,
        rows: &[NumberedRow<'_, T>],
        view: impl Fn(&T) -> V,
    ) -> Result<bool, CliError> {
        let mut text = Visible::default();
        for (_, row) in rows {
            let row = match row {
                Ok(item) => Row::Whole(view(item)),
                Err(damaged) => Row::Damaged(DamagedRow::of(damaged)),
            };
            let begun = match self.held_back.replace(Visible::json(&row).indented(2)) {
                Some(row) => row.followed(),
                None => Visible::line("["),
            };
            text.extend([begun]);
        }
        print(&text)
    }

    fn end(self) -> Result<(), CliError> {
        let end = match (self.format, self.held_back) {
            (Format::Text, _) => Visible::default(),
            (Format::Json, None) => Visible::line("[]"),
            (Format::Json, Some(last)) => last.and(Visible::line("]")),
        };
        print(&end).map(drop)
    }
}
