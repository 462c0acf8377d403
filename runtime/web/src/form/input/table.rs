//! A table in a form: rows of inputs, with an empty one at the end.

use maud::{Markup, html};
use serde_json::Value;

use super::Drawn;
use crate::form::{again, described};

/// The rows of a table. Without script, its buttons send the form and show it again.
pub(super) fn rows(drawn: &Drawn<'_>) -> Markup {
    let field = drawn.field;
    let rows = drawn.value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_locked = !field.is_editable();
    let count = rows.len() + usize::from(!is_locked);
    let said = described::table(drawn.filled.described, drawn.name);
    html! {
        input type="hidden" name=(drawn.name) value="" disabled[is_locked];
        div.table {
            table.stack {
                caption.sr { bdi { (field.label) } }
                thead {
                    tr {
                        @for column in &field.columns {
                            th scope="col" { bdi { (column.label) } @if column.required { " " small { "required" } } }
                        }
                        @if !is_locked { th scope="col" { span.sr { "Order and removal" } } }
                    }
                }
                tbody.middle {
                    @for place in 0..count {
                        tr {
                            @for column in &field.columns {
                                @let name = format!("{}.{place}.{}", drawn.name, column.name);
                                @let id = format!("p-{name}");
                                @let cell = Drawn {
                                    name: &name, id: &id, field: column, filled: drawn.filled, is_wrong: false,
                                    value: rows.get(place).and_then(|row| row.get(&column.name)),
                                };
                                td data-label=(column.label) {
                                    label.sr for=(id) { bdi { (column.label) } " of row " (place + 1) }
                                    @match described::column(said, &column.name).filter(|_| !is_locked) {
                                        Some(said) => (cell.suggested(said)),
                                        None => (cell.inputs()),
                                    }
                                }
                            }
                            @if !is_locked {
                                td.end {
                                    @if place < rows.len() {
                                        span.actions {
                                            @if field.reorder && place > 0 {
                                                (again("_up", &format!("{}.{place}", drawn.name), None, &html! { "Up" span.sr { ", row " (place + 1) } }))
                                            }
                                            (again("_remove", &format!("{}.{place}", drawn.name), None, &html! { "Remove" span.sr { " row " (place + 1) } }))
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !is_locked {
            p.actions {
                (again("_add", drawn.name, Some("i-plus"), &html! { "Add a row" }))
                @if let Some(said) = said.filter(|said| rows.is_empty() && !said.defaults.is_empty()) {
                    (again("_fill", drawn.name, None, &html! { "Fill in " (said.defaults.len()) " suggested rows" }))
                }
            }
        }
    }
}
