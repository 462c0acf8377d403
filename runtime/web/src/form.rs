//! The form of a job profile: the tree of its fields as inputs, and as text.
//!
//! The same tree serves creating, editing, launching and showing. What a field is called in a browser, and how its text
//! becomes a value again, is decided in `stepbox_batch::instance_form`.

mod described;
mod input;
mod shown;

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value};
use stepbox_api::instance::Violation;
use stepbox_batch::instance_form::{Condition, Entry, Field, Group, InstanceForm, Tab, Test};

use crate::frame::part;
use crate::icons::icon;
use crate::prose::prose;
use crate::status::status_of_violation;

pub use described::Described;
pub use shown::facts;

/// A form with the values that are in it.
#[derive(Debug)]
pub struct Filled<'a> {
    /// The form, as the reader sees it in a mode.
    pub form: &'a InstanceForm,
    /// The parameters as they are written: saved, or just posted. A JSON object.
    pub values: &'a Value,
    /// What is wrong with them.
    pub violations: &'a [Violation],
    /// The code of the tab that was open, if the form comes again.
    pub open: Option<&'a str>,
    /// The names of the secrets that the tenant has, for fields that name one.
    pub secrets: &'a [String],
    /// The address that takes uploaded files, for fields that read one; `None` if the reader may not upload.
    pub uploads: Option<&'a str>,
    /// What components say about its tabs and fields.
    pub described: &'a [Described],
}

impl Filled<'_> {
    fn value(&self, field: &Field) -> Option<&Value> {
        self.values.get(&field.name)
    }

    /// The violations at a value and below it.
    fn at(&self, pointer: &str) -> impl Iterator<Item = &Violation> {
        self.violations.iter().filter(move |violation| is_at(&violation.path, pointer))
    }

    fn count(&self, tab: &Tab) -> usize {
        tab.fields().map(|field| self.at(&field.pointer).count()).sum()
    }

    /// The tab that is open: the first one with a violation, or else the one that was open before.
    fn opened(&self) -> Option<&str> {
        let wrong = self.form.tabs.iter().find(|tab| self.count(tab) > 0);
        let before = self.form.tabs.iter().find(|tab| Some(tab.code.as_str()) == self.open);
        wrong.or(before).or(self.form.tabs.first()).map(|tab| tab.code.as_str())
    }

    /// The tabs with their fields.
    pub fn tabs(&self) -> Markup {
        let inactive = self.form.inactive(self.values);
        html! {
            div.tabs {
                @for (place, tab) in self.form.tabs.iter().enumerate() {
                    (self.tab(place, tab, &inactive))
                }
            }
        }
    }

    fn tab(&self, place: usize, tab: &Tab, inactive: &BTreeSet<String>) -> Markup {
        let (id, count) = (format!("tab-{place}"), self.count(tab));
        let is_open = self.opened() == Some(tab.code.as_str());
        html! {
            input type="radio" name="_tab" id=(id) value=(tab.code) checked[is_open];
            label for=(id) {
                bdi { (tab.label) }
                @if count > 0 {
                    " " span.badge { (count) } span.sr { @if count == 1 { " violation" } @else { " violations" } }
                }
            }
            section aria-labelledby={ (id) "-name" } {
                h2.sr id={ (id) "-name" } { bdi { (tab.label) } }
                (described::notes(self.described, &tab.code))
                @for entry in &tab.entries {
                    @match entry {
                        Entry::Field(field) => (self.field(field, inactive)),
                        Entry::Group(group) => (self.group(group, inactive)),
                    }
                }
                (described::previews(self.described, &tab.code))
            }
        }
    }

    fn group(&self, group: &Group, inactive: &BTreeSet<String>) -> Markup {
        let fields = html! { @for field in &group.fields { (self.field(field, inactive)) } };
        let is_wanted =
            |field: &Field| self.value(field).is_some() || self.at(&field.pointer).next().is_some();
        match group.folded {
            true => html! {
                details.group open[group.fields.iter().any(is_wanted)] {
                    summary { bdi { (group.label) } }
                    (fields)
                }
            },
            false => html! { fieldset.group { legend { bdi { (group.label) } } (fields) } },
        }
    }

    fn field(&self, field: &Field, inactive: &BTreeSet<String>) -> Markup {
        let id = id_of(&field.name);
        let wrong: Vec<_> = self.at(&field.pointer).collect();
        let drawn = input::Drawn {
            name: &field.name,
            id: &id,
            field,
            value: self.value(field),
            filled: self,
            is_wrong: !wrong.is_empty(),
        };
        let is_one = drawn.is_one_input();
        html! {
            div.field data-when=[conditions(&field.when, "")] hidden[inactive.contains(&field.name)] {
                @if is_one {
                    label.label for=(id) { (label(field)) }
                } @else {
                    span.label id={ (id) "-label" } tabindex="-1" { (label(field)) }
                }
                div {
                    @if field.described_by.is_some() { (described::notes(self.described, &field.name)) }
                    (drawn.inputs())
                    @if !wrong.is_empty() {
                        div id={ (id) "-violation" } {
                            @for violation in wrong {
                                p.violation {
                                    (status_of_violation())
                                    @if violation.path != field.pointer { code { (violation.path.strip_prefix(&field.pointer).unwrap_or_default()) } " " }
                                    (prose(&violation.message))
                                }
                            }
                        }
                    }
                    (help(field, &id))
                }
            }
        }
    }

    /// What is wrong, with links to the fields.
    pub fn summary(&self) -> Markup {
        let label = |violation: &Violation| {
            let name = first_name(&violation.path);
            let field = self.form.field(&name);
            (field.map_or(name, |field| field.label.clone()), field)
        };
        html! {
            @if !self.violations.is_empty() {
                div.note.fail role="alert" tabindex="-1" #violations {
                    h2 {
                        "Not saved: " (self.violations.len())
                        @if self.violations.len() == 1 { " value breaks its constraints" } @else { " values break their constraints" }
                    }
                    ul {
                        @for violation in self.violations {
                            @let (name, field) = label(violation);
                            li {
                                @match field {
                                    Some(field) => a href={ "#" (part(&focus_of(field))) } { bdi { (name) } },
                                    None => bdi { (name) },
                                }
                                ": " (prose(&violation.message))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The label of a field, and whether a value must be there.
fn label(field: &Field) -> Markup {
    html! {
        bdi { (field.label) }
        @if field.required && field.is_editable() { small { "required" } }
        @if field.is_deprecated { small { "deprecated" } }
    }
}

fn help(field: &Field, id: &str) -> Markup {
    let default = field.default.as_ref().filter(|_| field.is_editable() && !is_switch(field));
    html! {
        @if field.help.is_some() || field.help_url.is_some() || default.is_some() || !field.is_editable() {
            p.help id={ (id) "-help" } {
                @if let Some(help) = &field.help { (prose(help)) " " }
                @if let Some(default) = default {
                    "Empty: " (shown::written(field, default)) ". "
                }
                @if !field.is_editable() { "It cannot be changed here. " }
                @if let Some(address) = &field.help_url {
                    a href=(address) rel="noreferrer noopener" { "More on " bdi { (field.label) } }
                }
            }
        }
    }
}

/// Whether a field is a box or a switch, which always shows its value.
fn is_switch(field: &Field) -> bool {
    use stepbox_batch::instance_form::Widget::{Checkbox, Radio, Switch};
    matches!(field.widget, Checkbox | Radio | Switch)
}

/// The conditions of a field for the script: a map of inputs to the texts that they must have.
fn conditions(when: &Condition, prefix: &str) -> Option<String> {
    if when.is_empty() {
        return None;
    }
    let clauses = when.all.iter().map(|clause| {
        let wanted = match &clause.test {
            Test::OneOf(values) => Value::Array(values.iter().map(|value| text_of(value).into()).collect()),
            Test::Set(is_set) => serde_json::json!({ "set": is_set }),
        };
        (format!("{prefix}{}", clause.parameter), wanted)
    });
    Some(Value::Object(clauses.collect::<Map<_, _>>()).to_string())
}

/// A value in an input, and in a sentence.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value in a sentence about a change.
pub(crate) fn value_text(value: &Value) -> String {
    text_of(value)
}

/// The id of an input. Names of parameters have ids of their own, so that none is taken for a part of the page.
fn id_of(name: &str) -> String {
    format!("p-{name}")
}

/// The id that a link to a field leads to.
fn focus_of(field: &Field) -> String {
    match input::has_one_input(field) {
        true => id_of(&field.name),
        false => format!("{}-label", id_of(&field.name)),
    }
}

fn is_at(path: &str, pointer: &str) -> bool {
    path.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn first_name(pointer: &str) -> String {
    pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~")
}

/// The bar below a form. `discard` is where the reader goes without saving.
pub fn save_bar(save: &str, discard: &str) -> Markup {
    html! {
        div.save-bar {
            span.needs-script role="status" data-changes {}
            div.actions {
                a.button href=(discard) { "Discard" }
                button.button.primary { (save) }
            }
        }
    }
}

/// The button that Enter presses in a form with several buttons.
pub fn enter(label: &str) -> Markup {
    html! { button.sr tabindex="-1" aria-hidden="true" { (label) } }
}

/// A button of a form that changes a table and shows the form again.
fn again(name: &str, value: &str, drawing: Option<&'static str>, words: &Markup) -> Markup {
    html! {
        button.button.small name=(name) value=(value) formnovalidate {
            @if let Some(drawing) = drawing { (icon(drawing)) }
            (words)
        }
    }
}

#[cfg(test)]
mod tests;
