//! A status: its word, its shape and its colour. The colour follows from the word, in the style sheet.

use maud::{Markup, html};

use crate::icons::icon;

/// The drawing and the word of a status of an execution or a step, as the API writes it.
fn shown(status: &str) -> (&'static str, &'static str) {
    match status {
        "QUEUED" => ("s-waiting", "Queued"),
        "STARTING" => ("s-started", "Starting"),
        "STARTED" => ("s-started", "Started"),
        "STOPPING" => ("s-stopping", "Stopping"),
        "STOPPED" => ("s-stopped", "Stopped"),
        "PAUSING" => ("s-pausing", "Pausing"),
        "PAUSED" => ("s-paused", "Paused"),
        "COMPLETED" => ("s-completed", "Completed"),
        "FAILED" => ("s-failed", "Failed"),
        "ABANDONED" => ("s-abandoned", "Abandoned"),
        _ => ("s-unknown", "Unknown"),
    }
}

/// The word of a status, for sentences and titles.
pub fn word(status: &str) -> &'static str {
    shown(status).1
}

/// Whether an execution in this status still goes on, so that it can be stopped.
pub fn is_running(status: &str) -> bool {
    matches!(status, "QUEUED" | "STARTING" | "STARTED" | "STOPPING" | "PAUSING" | "PAUSED")
}

/// A status as word, shape and colour.
pub fn status(status: &str) -> Markup {
    let (drawing, word) = shown(status);
    html! { span.status data-status=(word.to_uppercase()) { (icon(drawing)) (word) } }
}

/// The same for the head of a page.
pub fn pill(status: &str) -> Markup {
    let (drawing, word) = shown(status);
    html! { span.status.pill data-status=(word.to_uppercase()) { (icon(drawing)) (word) } }
}

/// The drawing before a violation.
pub(crate) fn status_of_violation() -> Markup {
    icon("s-failed")
}

/// A number of warnings, or a muted 0. With an address it leads to them.
pub fn warnings(count: u64, shown: &str, address: Option<&str>) -> Markup {
    if count == 0 {
        return html! { span.muted { "0" } };
    }
    let inner = html! { (icon("i-warning")) (shown) span.sr { " warnings" } };
    match address {
        Some(address) => html! { a.warns href=(address) { (inner) } },
        None => html! { span.warns { (inner) } },
    }
}
