//! Lists: a table for people, an array for programs. A damaged row keeps its place in both.
//!
//! Lists that grow with time are written page by page, so that they take no more memory than a page, and the first
//! row comes at once.

use serde::Serialize;
use stepbox::batch::visible::Visible;
use stepbox_api::list::Row;

use super::format::Format;
use super::table::Table;
use super::words::counted;
use super::{Answer, print, talk};
use crate::error::CliError;
use crate::site::Numbered;

/// How many rows are read at a time.
const PAGE: u32 = 200;

/// A whole list. Its table has no rows if the list is empty.
pub(crate) fn answer<T: Serialize>(
    format: Format,
    rows: &[Row<T>],
    table: impl FnOnce(&[&T]) -> Table,
) -> Answer {
    let damaged = rows.iter().filter_map(|row| match row {
        Row::Damaged(damaged) => Some(damaged),
        Row::Whole(_) => None,
    });
    tell(damaged.clone().count());
    let text = || {
        let whole: Vec<_> = rows.iter().filter_map(Row::whole).collect();
        let mut table = table(&whole);
        damaged.for_each(|damaged| table.damaged(damaged));
        if rows.is_empty() { Visible::default() } else { table.shown() }
    };
    Answer::new(format, text, || rows)
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
/// next rows, at most as many as its argument says.
pub(crate) async fn write<T: Serialize + Numbered>(
    format: Format,
    limit: u32,
    mut page: impl AsyncFnMut(u32) -> Result<Vec<Row<T>>, CliError>,
    table: impl Fn(&[&T]) -> Table,
) -> Result<Written, CliError> {
    let mut pages = Pages { format, widths: Vec::new(), rows: 0, held_back: None };
    let (mut written, mut damaged) = (Written { rows: 0, last: None }, 0);
    loop {
        let wanted = if limit == 0 { PAGE } else { PAGE.min(limit - written.rows) };
        let rows = page(wanted).await?;
        damaged += rows.iter().filter(|row| row.whole().is_none()).count();
        written.rows += rows.len() as u32;
        written.last = rows.last().map(Numbered::number).or(written.last);
        let goes_on = match format {
            Format::Text => pages.lines(&rows, &table)?,
            Format::Json => pages.objects(&rows)?,
        };
        if !goes_on || (rows.len() as u32) < wanted || written.rows == limit {
            break;
        }
    }
    pages.end()?;
    tell(damaged);
    Ok(written)
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
    fn lines<T>(&mut self, rows: &[Row<T>], table: impl Fn(&[&T]) -> Table) -> Result<bool, CliError> {
        let mut lines = table(&[]);
        for row in rows {
            match row {
                Row::Whole(row) => lines.append(table(&[row])),
                Row::Damaged(damaged) => lines.damaged(damaged),
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

    fn objects<T: Serialize>(&mut self, rows: &[Row<T>]) -> Result<bool, CliError> {
        let mut text = Visible::default();
        for row in rows {
            let begun = match self.held_back.replace(Visible::json(row).indented(2)) {
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
