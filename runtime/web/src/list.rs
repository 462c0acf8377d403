//! What every list has: a filter, the number of rows, and the way to older and newer ones.

use maud::{Markup, html};

use crate::icons::icon;
use crate::reader::Reader;

/// How many rows a list has, counted up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number, at most the bound.
    pub rows: u64,
    /// Whether there are more than were counted.
    pub is_more: bool,
}

impl Count {
    /// The number as text: `12,431`, or `10,000+`.
    pub fn shown(self, reader: &Reader) -> String {
        format!("{}{}", reader.number(self.rows), if self.is_more { "+" } else { "" })
    }
}

/// One field that filters a list, with examples of what it understands.
pub fn filter(action: &str, value: &str, hints: &[(&str, &str)]) -> Markup {
    html! {
        search {
            form action=(action) {
                div.bar {
                    div.filter.grow {
                        (icon("i-search"))
                        input name="filter" value=(value) aria-label="Filter" aria-describedby="filter-hints" autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
                    }
                    button.button { "Filter" }
                }
                p.hints #filter-hints {
                    @for (example, meaning) in hints {
                        span { code { (example) } " " (meaning) }
                    }
                }
            }
        }
    }
}

/// The way to newer and older rows. `shown` says which rows these are.
pub fn pager(shown: &str, newer: Option<&str>, older: Option<&str>) -> Markup {
    let link = |label: &str, address: Option<&str>| match address {
        Some(address) => html! { a.button.small href=(address) { (label) } },
        None => html! { a.button.small aria-disabled="true" { (label) } },
    };
    html! {
        nav.pager aria-label="Pages of the list" {
            span { (shown) }
            @if newer.is_some() || older.is_some() {
                span.actions { (link("Newer", newer)) (link("Older", older)) }
            }
        }
    }
}

/// What stands in the place of rows if there are none.
pub fn none(text: &str) -> Markup {
    html! { p.muted { (text) } }
}
