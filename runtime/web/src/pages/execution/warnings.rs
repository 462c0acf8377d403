//! The warnings of an execution: the first ones in its page, all of them on a page of their own.

use maud::{Markup, html};
use stepbox_api::execution::{Execution, Warning};
use stepbox_api::list::Row;
use stepbox_batch::findings::WARNINGS_STORED_MAX;

use super::{Shown, text};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::none;
use crate::prose::prose;

/// How long an item is shown at most, in characters. A download has all of it.
const ITEM_CHARS_MAX: usize = 600;

/// The page of all stored warnings.
#[derive(Debug, Clone)]
pub struct Warnings {
    /// The execution.
    pub execution: Execution,
    /// What is searched for; empty for all.
    pub search: String,
    /// The warnings of this page.
    pub rows: Vec<Row<Warning>>,
    /// Whether these are the first ones.
    pub is_first: bool,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// The first warnings, in the page of the execution.
pub(super) fn section(frame: &Frame, shown: &Shown) -> Markup {
    let (count, reader) = (shown.execution.warning_count, &frame.reader);
    if count == 0 {
        return html! {};
    }
    let all = shown.at(frame, "/warnings");
    let rows = shown.warnings.len() as u64;
    html! {
        section aria-labelledby="warnings" {
            div.section-head {
                h2 #warnings { "Warnings " span.count { (reader.number(count)) } }
                span { "the items that were set aside; the others are written" }
            }
            (bar(&all, "", &all))
            (table(&shown.warnings))
            @if rows < count {
                p.pager {
                    span { (reader.number(rows)) " of " (reader.number(count)) }
                    a.button.small href=(all) { "All warnings" }
                }
            }
        }
    }
}

/// The field of the search, and the downloads.
fn bar(address: &str, search: &str, downloads: &str) -> Markup {
    let download = |kind: &str, label: &str| {
        let query = if search.is_empty() { String::new() } else { format!("?search={}", part(search)) };
        html! {
            a.button href=(format!("{downloads}/{kind}{query}")) { (icon("i-download")) (label) span.sr { " with these warnings" } }
        }
    };
    html! {
        search aria-label="Warnings" {
            form.bar action=(address) {
                div.filter.grow {
                    (icon("i-search"))
                    input type="search" name="search" value=(search) aria-label="Search in code, reason, place and item" placeholder="Search in code, reason, place and item" autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
                }
                button.button { "Search" }
                (download("csv", "CSV"))
                (download("jsonl", "JSON Lines"))
            }
        }
    }
}

fn table(rows: &[Row<Warning>]) -> Markup {
    html! {
        div.table {
            table.stack {
                caption.sr { "Warnings" }
                thead { tr { th scope="col" { "Place" } th scope="col" { "Why" } th scope="col" { "Item" } } }
                tbody {
                    @for row in rows {
                        @match row {
                            Row::Whole(warning) => (whole(warning)),
                            Row::Damaged(row) => tr { td.wide colspan="3" data-label="Damaged" { (text(&row.name)) ": " (text(&row.damaged)) } },
                        }
                    }
                }
            }
        }
    }
}

fn whole(warning: &Warning) -> Markup {
    let item: String = warning.item.chars().take(ITEM_CHARS_MAX).collect();
    html! {
        tr {
            td.nowrap data-label="Place" { (text(&warning.place)) }
            td.wide data-label="Why" {
                (prose(&warning.reason))
                span.sub { code { (text(&warning.code)) } ", step " (text(&warning.step)) }
            }
            td.wide data-label="Item" {
                @if !item.is_empty() { code { (text(&item)) @if item.len() < warning.item.len() { "…" } } }
            }
        }
    }
}

/// The page of all stored warnings.
pub fn page(frame: &Frame, shown: &Warnings) -> Markup {
    let at = frame.at(&format!("executions/{}/warnings", shown.execution.id));
    let (reader, count) = (&frame.reader, shown.execution.warning_count);
    let next =
        shown.next.as_ref().map(|next| format!("{at}?search={}&after={}", part(&shown.search), part(next)));
    html! {
        header.page-head {
            div {
                h1 { "Warnings" }
                p.lead {
                    span { "Execution " (shown.execution.id) " of " (text(&shown.execution.instance)) }
                    span { (reader.number(count)) " warnings in all; of each step the first " (reader.number(WARNINGS_STORED_MAX)) " are stored" }
                }
            }
        }
        (bar(&at, &shown.search, &at))
        @if shown.rows.is_empty() {
            @if shown.search.is_empty() { (none("There are no warnings: no item was set aside.")) }
            @else { (none("No stored warning has this text.")) }
        } @else {
            (table(&shown.rows))
        }
        nav.pager aria-label="Pages of the list" {
            span { (reader.number(shown.rows.len() as u64)) " on this page" }
            span.actions {
                @if !shown.is_first { a.button.small href=(format!("{at}?search={}", part(&shown.search))) { "To the first" } }
                @if let Some(next) = next { a.button.small href=(next) { "More" } }
            }
        }
    }
}
