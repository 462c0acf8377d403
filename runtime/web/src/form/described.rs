//! What components say about a form: notes, previews, and what may stand in the columns of a table.

use maud::{Markup, html};
use stepbox_batch::form_answer::{FormAnswer, FormBlock, FormColumn, FormFailure, FormTable, Tone};

/// What a component says about a tab or a field.
#[derive(Debug)]
pub struct Described {
    /// The code of the tab, or the name of the field.
    pub what: String,
    /// The name of the component in the connector file.
    pub component: String,
    /// Its answer, or why there is none.
    pub answer: Result<FormAnswer, FormFailure>,
}

impl Described {
    fn blocks(&self) -> &[FormBlock] {
        self.answer.as_ref().map(|answer| answer.blocks.as_slice()).unwrap_or_default()
    }
}

/// The notes about a tab or a field. Where there is no answer, a line says so, and the form stays as it is.
pub(super) fn notes(described: &[Described], what: &str) -> Markup {
    let class = |tone: Tone| match tone {
        Tone::Problem => "note fail",
        Tone::Warning => "note warn",
        Tone::Info | Tone::Success => "note",
    };
    html! {
        @for one in described.iter().filter(|one| one.what == what) {
            @for block in one.blocks() {
                @if let FormBlock::Note { text, tone } = block {
                    div class=(class(*tone)) {
                        p { bdi { (text) } " " span.muted { "Said by the component " code { (one.component) } "." } }
                    }
                }
            }
            @if let Err(failure) = &one.answer {
                div.note {
                    p { "The component " code { (one.component) } " suggests nothing: " bdi { (failure) } ". " (failure.help()) "." }
                }
            }
        }
    }
}

/// How items would look.
pub(super) fn previews(described: &[Described], what: &str) -> Markup {
    html! {
        @for block in described.iter().filter(|one| one.what == what).flat_map(Described::blocks) {
            @if let FormBlock::Preview { header, rows } = block {
                div.table {
                    table {
                        caption { "How items would look" }
                        thead { tr { @for name in header { th scope="col" { bdi { (name) } } } } }
                        tbody { @for row in rows { tr { @for cell in row { td { bdi { (cell) } } } } } }
                    }
                }
            }
        }
    }
}

/// What may stand in the rows of a table.
pub(super) fn table<'a>(described: &'a [Described], parameter: &str) -> Option<&'a FormTable> {
    described.iter().flat_map(Described::blocks).find_map(|block| match block {
        FormBlock::Table(table) if table.parameter == parameter => Some(table),
        _ => None,
    })
}

/// What may stand in a column of a table; `None` if nothing is said about it.
pub(super) fn column<'a>(table: Option<&'a FormTable>, name: &str) -> Option<&'a FormColumn> {
    table?.columns.iter().find(|column| column.name == name && !column.options.is_empty())
}
