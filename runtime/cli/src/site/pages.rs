//! Lists whose rows have falling numbers, page by page.

use stepbox::batch::ports::Listing;
use stepbox_api::audit::AuditEvent;
use stepbox_api::execution::Execution;
use stepbox_api::list::Row;

/// A row with a number.
pub(crate) trait Numbered {
    /// The number. Newer rows have higher ones.
    fn number(&self) -> u64;
}

impl Numbered for Execution {
    fn number(&self) -> u64 {
        self.id
    }
}

impl Numbered for AuditEvent {
    fn number(&self) -> u64 {
        self.id
    }
}

impl<T: Numbered> Numbered for Row<T> {
    fn number(&self) -> u64 {
        match self {
            Self::Whole(row) => row.number(),
            Self::Damaged(row) => row.id.unwrap_or(0),
        }
    }
}

/// The rows of a page, the greatest number first: a damaged row stays at its place.
pub(super) fn in_order<D, T: Numbered>(listing: &Listing<D>, view: impl Fn(&D) -> T) -> Vec<Row<T>> {
    let mut rows = Row::of(listing, view);
    rows.sort_by_key(|row| std::cmp::Reverse(row.number()));
    rows
}
