//! The views of executions that the reader keeps.

use maud::{Markup, html};
use stepbox_api::problem::Problem;
use stepbox_batch::saved_view::VIEW_CHARACTERS_MAX;

use super::{View, address};
use crate::frame::Frame;
use crate::list::none;
use crate::problem::note;

/// A view that is about to be kept.
#[derive(Debug, Default)]
pub struct Keeping<'a> {
    /// Its name, as it was typed.
    pub name: &'a str,
    /// The text of its filter; without one, the page only lists views.
    pub filter: &'a str,
    /// Why it is refused.
    pub problem: Option<&'a Problem>,
}

/// The views, and the form of one more.
pub fn page(frame: &Frame, views: &[View], keeping: &Keeping<'_>) -> Markup {
    let Keeping { name, filter, problem } = keeping;
    html! {
        header.page-head {
            div {
                h1 { "Your views" }
                p.lead { span { "Filters of the process tracker, kept for you in this tenant" } }
            }
            div.actions { a.button href=(address(frame, filter)) { "Back to the list" } }
        }
        @if let Some(problem) = problem { (note(problem, &frame.top("errors"))) }
        @if !filter.is_empty() {
            form.form method="post" action=(frame.at("views")) {
                div.field {
                    label.label for="name" { "Name" }
                    div {
                        input #name name="name" value=(name) required maxlength=(VIEW_CHARACTERS_MAX) autocomplete="off"
                            aria-describedby="name-help" aria-invalid=[problem.map(|_| "true")];
                        p.help #name-help { "A view of that name gets the new filter." }
                    }
                }
                div.field {
                    label.label for="filter" { "Filter" }
                    div { input.code #filter name="filter" value=(filter) required maxlength="2000" autocomplete="off" spellcheck="false"; }
                }
                div.actions { button.button.primary { "Keep this view" } }
            }
        }
        @if views.is_empty() {
            (none("You keep no views yet. Filter the list, then choose “Keep as a view…”."))
        } @else {
            div.table {
                table.stack {
                    caption.sr { "Views that you keep" }
                    thead { tr { th scope="col" { "View" } th scope="col" { "Filter" } td {} } }
                    tbody.middle {
                        @for view in views {
                            tr {
                                th.title scope="row" { a href=(address(frame, &view.filter)) { bdi { (view.name) } } }
                                td.wide data-label="Filter" { code { bdi { (view.filter) } } }
                                td.end {
                                    form method="post" action=(frame.at("views/remove")) {
                                        input type="hidden" name="name" value=(view.name);
                                        button.button.small { "Remove" span.sr { " the view " (view.name) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
