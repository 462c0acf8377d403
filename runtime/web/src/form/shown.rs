//! The values of a form as text.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_batch::instance_form::{Entry, Field, InstanceForm, Tab, ValueKind};
use stepbox_batch::visible::on_one_line;

use super::text_of;

/// The values of a form, tab by tab. `raw` are the instance's own, `effective` those with the defaults of the job.
pub fn facts(form: &InstanceForm, raw: &Value, effective: Option<&Value>) -> Markup {
    let inactive = form.inactive(raw);
    html! {
        @for (place, tab) in form.tabs.iter().enumerate() {
            section aria-labelledby={ "facts-" (place) } {
                div.section-head { h2 id={ "facts-" (place) } { bdi { (tab.label) } } }
                dl.facts.wide-facts {
                    @for field in fields(tab).filter(|field| !inactive.contains(&field.name)) {
                        dt { bdi { (field.label) } }
                        dd { (value(field, raw.get(&field.name), effective)) }
                    }
                }
            }
        }
    }
}

fn fields(tab: &Tab) -> impl Iterator<Item = &Field> {
    tab.entries.iter().flat_map(|entry| match entry {
        Entry::Field(field) => std::slice::from_ref(&**field),
        Entry::Group(group) => &group.fields,
    })
}

fn value(field: &Field, own: Option<&Value>, effective: Option<&Value>) -> Markup {
    let counted = effective.and_then(|effective| effective.get(&field.name)).or(field.default.as_ref());
    match (own, counted) {
        (Some(own), _) => written(field, own),
        (None, Some(default)) => html! { (written(field, default)) " " span.tag { "default" } },
        (None, None) => html! { span.muted { "nothing" } },
    }
}

/// A value as a person reads it.
pub(super) fn written(field: &Field, value: &Value) -> Markup {
    let chosen = field.options.iter().find(|choice| choice.value == *value);
    match (field.kind, value) {
        (_, Value::Bool(is_on)) => html! { @if *is_on { "yes" } @else { "no" } },
        (ValueKind::Choice, _) if chosen.is_some() => {
            html! { bdi { (chosen.map_or("", |choice| choice.label.as_str())) } }
        }
        (ValueKind::Table, Value::Array(rows)) => table(field, rows),
        (ValueKind::Storage, Value::Object(members)) => html! {
            @for (place, member) in field.members.iter().filter(|member| members.contains_key(&member.name)).enumerate() {
                @if place > 0 { ", " bdi { (member.label.to_lowercase()) } " " }
                code { (on_one_line(&text_of(&members[&member.name]))) }
            }
        },
        (ValueKind::List(_), Value::Array(items)) if !items.is_empty() => html! {
            @for (place, item) in items.iter().enumerate() {
                @if place > 0 { ", " }
                code { (on_one_line(&text_of(item))) }
            }
        },
        _ => html! { code { (on_one_line(&text_of(value))) } },
    }
}

fn table(field: &Field, rows: &[Value]) -> Markup {
    html! {
        @if rows.is_empty() { span.muted { "no rows" } } @else {
            div.table {
                table.stack {
                    caption.sr { bdi { (field.label) } }
                    thead { tr { @for column in &field.columns { th scope="col" { bdi { (column.label) } } } } }
                    tbody {
                        @for row in rows {
                            tr {
                                @for column in &field.columns {
                                    td data-label=(column.label) {
                                        @if let Some(cell) = row.get(&column.name) { (written(column, cell)) }
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
