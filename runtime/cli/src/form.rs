//! The form of a job as text: a table for each tab.

use stepbox::batch::visible::Visible;
use stepbox_api::form::{ConnectorPreview, Form, FormCondition, FormEntry, FormField, FormTab};

use crate::grants;
use crate::output::table::{Column, Table, pairs};

/// A connector before it is installed: its forms, and what its steps ask for.
pub(crate) fn preview(preview: &ConnectorPreview) -> Visible {
    let connector = &preview.connector;
    let mut text = pairs([("connector", connector.code.clone()), ("label", connector.label.clone())]);
    for job in &connector.jobs {
        let heading = format_args!("job `{}`, type {}: {}", job.name, job.r#type, job.label);
        text.extend([Visible::line(""), Visible::line(heading)]);
        let form = preview.forms.iter().find(|form| form.job == job.name);
        text.extend(form.map(|form| show(&form.form).indented(2)));
    }
    text.and(grants::table(&connector.grants))
}

/// A form, tab by tab.
fn show(form: &Form) -> Visible {
    if form.tabs.is_empty() {
        return Visible::line("its instances have no parameters");
    }
    form.tabs.iter().map(tab).collect()
}

fn tab(tab: &FormTab) -> Visible {
    let mut notes = vec![format!("tab `{}`: {}", tab.code, tab.label)];
    let right = |what: &str, right: &Option<_>| right.as_ref().map(|right| needs(what, right));
    notes.extend(right("seen with", &tab.see));
    notes.extend(right("changed with", &tab.edit));
    notes.extend(when(&tab.when));
    notes.extend(tab.described_by.as_ref().map(|name| format!("described by `{name}`")));
    let columns = ["group", "field", "label", "widget", "notes"].map(Column::Left);
    let rows = tab.entries.iter().flat_map(|entry| match entry {
        FormEntry::Field(field) => vec![("", &**field)],
        FormEntry::Group(group) => group.fields.iter().map(|field| (group.label.as_str(), field)).collect(),
    });
    let table = Table::of(columns, rows, |(group, field)| {
        let part = &field.part;
        [group.to_owned(), part.name.clone(), part.label.clone(), part.widget.clone(), notes_of(field)]
    });
    [Visible::line(notes.join("; ")), table.shown().indented(2)].into_iter().collect()
}

fn needs(what: &str, right: &stepbox_api::form::FormRight) -> String {
    match right.name == right.from {
        true => format!("{what} the role {}", right.name),
        false => format!("{what} the right `{}` (from {})", right.name, right.from),
    }
}

/// What is to be known about a field beside its widget.
fn notes_of(field: &FormField) -> String {
    let part = &field.part;
    let mut notes = Vec::new();
    notes.extend(part.required.then(|| "required".to_owned()));
    notes.extend(part.default.as_ref().map(|value| format!("default {value}")));
    notes.extend(when(&part.when));
    notes.extend(match (field.read_only.as_str(), &field.unless) {
        ("always", _) => Some("read-only".to_owned()),
        ("after-create", _) => Some("read-only after its creation".to_owned()),
        ("unless", Some(right)) => Some(needs("changed with", right)),
        _ => None,
    });
    if field.modes.len() < 4 {
        notes.push(format!("in {}", field.modes.join(", ")));
    }
    let names = |parts: &[stepbox_api::form::FormPart]| {
        parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(", ")
    };
    notes.extend((!field.columns.is_empty()).then(|| format!("columns {}", names(&field.columns))));
    notes.extend(field.test.as_ref().map(|step| format!("tried with the step `{step}`")));
    notes.extend(field.described_by.as_ref().map(|name| format!("described by `{name}`")));
    notes.extend(field.is_private.then(|| "never shown".to_owned()));
    notes.extend(field.is_deprecated.then(|| "deprecated".to_owned()));
    notes.join("; ")
}

/// A condition in words; nothing if it asks nothing.
fn when(conditions: &[FormCondition]) -> Option<String> {
    let clause = |condition: &FormCondition| {
        let FormCondition { parameter, one_of, set } = condition;
        match (one_of, set) {
            (Some(values), _) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                format!("`{parameter}` is {}", values.join(" or "))
            }
            (None, Some(false)) => format!("`{parameter}` is not set"),
            (None, _) => format!("`{parameter}` is set"),
        }
    };
    let clauses: Vec<_> = conditions.iter().map(clause).collect();
    (!clauses.is_empty()).then(|| format!("if {}", clauses.join(" and ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox::batch::access::Role;
    use stepbox::batch::instance_form::{
        Clause, Condition, EntryChange, FieldChange, FieldOptions, FormChanges, FormLayout, InstanceForm,
        NeededRight, TabChange, TabRight, Test,
    };

    use super::*;

    #[test]
    fn tells_what_an_author_wants_to_see() {
        let schema = json!({ "properties": {
            "url": { "type": "string", "format": "uri", "title": "URL" },
            "strict": { "type": "boolean", "default": true },
        }, "required": ["url"] });
        let when = Condition { all: vec![Clause { parameter: "url".to_owned(), test: Test::Set(true) }] };
        let options = FieldOptions { when: Some(when), ..FieldOptions::default() };
        let strict = FieldChange { name: "strict".to_owned(), place: None, options };
        let right = NeededRight { name: "mapping".to_owned(), label: None, from: Role::Author };
        let tab = TabChange {
            code: "more".to_owned(),
            right: Some(TabRight { see: Some(right), edit: None }),
            entries: vec![EntryChange::Field(strict)],
            ..TabChange::default()
        };
        let changes = FormChanges { tabs: vec![tab], launch: None };
        let layout = FormLayout::changed(Some(&FormLayout::automatic(&schema)), &changes, &schema);
        let text = show(&Form::of(&InstanceForm::new(&schema, Some(&layout))));
        let lines: Vec<_> =
            text.as_str().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "tab `settings`: Settings",
                "group field label widget notes",
                "url URL url required",
                "tab `more`: More; seen with the right `mapping` (from author)",
                "group field label widget notes",
                "strict strict checkbox default true; if `url` is set",
            ]
        );
    }
}
