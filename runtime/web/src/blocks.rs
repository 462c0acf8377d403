//! Parts that many pages have: heads, sections, tables, fields of forms, and the page that asks before something is gone.

use maud::{Markup, html};
use stepbox_api::problem::Problem;
use stepbox_batch::visible::on_one_line;

use crate::icons::icon;

/// A text from outside, on one line: it changes neither the order of what is around it nor the page.
pub fn own(text: &str) -> Markup {
    html! { bdi { (on_one_line(text)) } }
}

/// The head of a page. `lead` says what it is, and may be empty; `actions` stand at the right.
pub fn head(title: &Markup, lead: &Markup, actions: &Markup) -> Markup {
    html! {
        header.page-head {
            div {
                h1 { (title) }
                @if !lead.0.is_empty() { p.lead { (lead) } }
            }
            @if !actions.0.is_empty() { div.actions { (actions) } }
        }
    }
}

/// A section with a heading. `id` is one of ours; `beside` stands at the right.
pub fn section(id: &str, title: &Markup, beside: &Markup, content: &Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            div.section-head { h2 id=(id) { (title) } (beside) }
            (content)
        }
    }
}

/// A box beside the story.
pub fn panel(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section.panel aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}

/// A table that becomes cards where there is little room. `caption` is for screen readers.
pub fn table(caption: &str, columns: &Markup, rows: &Markup) -> Markup {
    html! {
        div.table {
            table.stack {
                caption.sr { (caption) }
                thead { tr { (columns) } }
                tbody.middle { (rows) }
            }
        }
    }
}

/// The head of a column.
pub fn column(name: &str) -> Markup {
    html! { th scope="col" { (name) } }
}

/// The head of a column of numbers.
pub fn number_column(name: &str) -> Markup {
    html! { th.num scope="col" { (name) } }
}

/// The head of the column with what can be done.
pub fn actions_column() -> Markup {
    html! { th scope="col" { span.sr { "Actions" } } }
}

/// A status that is not one of an execution: its drawing and colour come from `drawn_as`.
pub fn state(drawn_as: &'static str, drawing: &'static str, word: &str) -> Markup {
    html! { span.status data-status=(drawn_as) { (icon(drawing)) (word) } }
}

/// A warning in words.
pub fn warning(words: &Markup) -> Markup {
    html! { span.status data-status="WARNING" { (icon("s-warning")) (words) } }
}

/// A note that a form or a page begins with, if something was refused.
pub fn refused(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            div.note.fail role="alert" {
                p { (own(&problem.detail)) }
                @for invalid in &problem.errors { p { code { (invalid.pointer) } " " (own(&invalid.detail)) } }
                @if let Some(help) = &problem.help { p { (own(help)) } }
            }
        }
    }
}

/// A field of a form. `name` is one of ours, and the id of the control is `field-NAME`: the frame has ids of its own. `help` may be empty; then `control` must not name it.
pub fn field(name: &str, label: &str, control: &Markup, help: &str) -> Markup {
    html! {
        div.field {
            div.label { label for={ "field-" (name) } { (label) } }
            div {
                (control)
                @if !help.is_empty() { p.help id={ (name) "-help" } { (help) } }
            }
        }
    }
}

/// A line of text in a form.
pub fn text_input(name: &str, value: &str, has_help: bool) -> Markup {
    let help = has_help.then(|| format!("{name}-help"));
    html! { input id={ "field-" (name) } name=(name) value=(value) autocomplete="off" spellcheck="false" autocapitalize="none" aria-describedby=[help]; }
}

/// A choice of words, of which each is shown as it is sent.
pub fn select(name: &str, words: &[&str], chosen: &str) -> Markup {
    html! {
        select id={ "field-" (name) } name=(name) {
            @for word in words { option value=(word) selected[*word == chosen] { (word) } }
        }
    }
}

/// What a page asks before something is gone.
#[derive(Debug)]
pub struct Confirm<'a> {
    /// The question: `Remove the connector acme?`.
    pub question: &'a str,
    /// What will happen.
    pub consequences: &'a [String],
    /// The word on the button: `Remove`.
    pub action: &'a str,
    /// Where the answer goes.
    pub to: &'a str,
    /// Where "no" leads.
    pub back: &'a str,
    /// Why it was refused, if it was.
    pub problem: Option<&'a Problem>,
}

/// The page that asks before something is gone.
pub fn confirm(asked: &Confirm<'_>) -> Markup {
    html! {
        (head(&html! { (own(asked.question)) }, &html! {}, &html! {}))
        (refused(asked.problem))
        div.note.warn {
            @for line in asked.consequences { p { (own(line)) } }
        }
        form method="post" action=(asked.to) {
            div.actions {
                a.button href=(asked.back) { "Cancel" }
                button.button.danger { (asked.action) }
            }
        }
    }
}

/// A value that is shown once, with a button that copies it.
pub fn shown_once(title: &str, value: &str, about: &str) -> Markup {
    html! {
        section.note.warn aria-labelledby="once" role="status" {
            h2 #once { (title) }
            pre.shell tabindex="0" aria-label=(title) { (value) }
            p { (about) }
            div.actions { button.button.needs-script type="button" data-copy=(value) { "Copy" } }
        }
    }
}

/// A list of names that can be long: the first few, and how many more.
pub fn some_of(names: &[String], at_most: usize) -> Markup {
    html! {
        @for (place, name) in names.iter().take(at_most).enumerate() {
            @if place > 0 { ", " }
            code { (own(name)) }
        }
        @if names.len() > at_most { " and " (names.len() - at_most) " more" }
    }
}
