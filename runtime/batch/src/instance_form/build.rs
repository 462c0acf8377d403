//! The tree of a form, from a schema and a complete layout.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::condition::{Clause, Condition, Test};
use super::layout::{EntryLayout, FieldLayout, FieldOptions, FormLayout, TabLayout, is_required};
use super::rights::ReadOnly;
use super::schema::{self, DISCRIMINATOR};
use super::widget::{ValueKind, Widget};
use super::{Choice, Entry, Field, Group, InstanceForm, Mode, Tab, pointer_of};

pub(super) fn form(schema: &Value, layout: &FormLayout) -> InstanceForm {
    let tabs = layout.tabs.iter().filter(|tab| !tab.hide);
    let mut tabs: Vec<_> = tabs.map(|layout| tab(schema, layout)).collect();
    tabs.retain(|tab| !tab.entries.is_empty() || tab.described_by.is_some());
    InstanceForm { tabs, launch: layout.launch.clone() }
}

fn tab(root: &Value, layout: &TabLayout) -> Tab {
    let TabLayout { code, label, icon, right, when, described_by, hide: _, entries } = layout;
    let entries = entries.iter().filter_map(|entry| match entry {
        EntryLayout::Field(layout) => field(root, layout).map(|field| Entry::Field(Box::new(field))),
        EntryLayout::Group(group) => {
            let fields: Vec<_> = group.fields.iter().filter_map(|layout| field(root, layout)).collect();
            let group = Group { label: group.label.clone(), folded: group.folded, fields };
            (!group.fields.is_empty()).then_some(Entry::Group(group))
        }
    });
    Tab {
        code: code.clone(),
        label: label.clone(),
        icon: *icon,
        right: right.clone(),
        when: when.clone(),
        described_by: described_by.clone(),
        entries: entries.collect(),
    }
}

/// The field of a parameter; `None` if it is hidden, or if the schema no longer has it.
fn field(root: &Value, layout: &FieldLayout) -> Option<Field> {
    let FieldLayout { name, options } = layout;
    let property = root.get("properties")?.get(name)?;
    (options.hide != Some(true)).then(|| {
        let plain = plain_field(root, name, property, is_required(root, name));
        optioned(plain, options)
    })
}

/// A field as its schema says.
fn plain_field(root: &Value, name: &str, property: &Value, required: bool) -> Field {
    let schema = schema::resolved(root, property);
    let kind = schema::kind_of(root, &schema);
    let constraints = schema::constraints(root, &schema, kind);
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
    let is = |keyword: &str| schema.get(keyword) == Some(&Value::Bool(true));
    let example = schema.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    let options = match kind {
        ValueKind::Choice => schema::choices(&schema),
        ValueKind::List(_) => schema::choices(&schema::object_of_rows(root, &schema)),
        ValueKind::Boolean => [true, false].map(yes_or_no).to_vec(),
        _ => Vec::new(),
    };
    Field {
        name: name.to_owned(),
        pointer: pointer_of(name),
        label: text("title").unwrap_or_else(|| name.to_owned()),
        help: text("description"),
        help_url: None,
        placeholder: example.map(super::texts::text_of),
        default: schema.get("default").cloned(),
        widget: schema::widget(kind, &constraints),
        kind,
        required,
        read_only: if is("readOnly") { ReadOnly::Always } else { ReadOnly::Never },
        when: Condition::default(),
        when_invalid: None,
        options,
        constraints,
        columns: if kind == ValueKind::Table { columns(root, &schema) } else { Vec::new() },
        members: if kind == ValueKind::Storage { members(root, &schema) } else { Vec::new() },
        reorder: false,
        suggest: Vec::new(),
        test: None,
        width: None,
        modes: BTreeSet::from(Mode::ALL),
        described_by: None,
        is_private: is("writeOnly"),
        is_deprecated: is("deprecated"),
    }
}

fn yes_or_no(value: bool) -> Choice {
    Choice { value: Value::Bool(value), label: if value { "Yes" } else { "No" }.to_owned() }
}

/// The field with what a layout says differently.
fn optioned(field: Field, options: &FieldOptions) -> Field {
    let FieldOptions { placeholder, help, help_url, when, when_invalid, .. } = options.clone();
    let FieldOptions {
        widget, read_only, modes, suggest, test, columns, reorder, described_by, width, ..
    } = options.clone();
    let is_own = field.read_only == ReadOnly::Always;
    let labels = columns.unwrap_or_default();
    Field {
        widget: widget.unwrap_or(field.widget),
        placeholder: placeholder.or(field.placeholder),
        help: help.or(field.help),
        help_url: help_url.or(field.help_url),
        when: when.unwrap_or(field.when),
        when_invalid: when_invalid.or(field.when_invalid),
        // What the schema makes read-only stays so.
        read_only: if is_own { ReadOnly::Always } else { read_only.unwrap_or(field.read_only) },
        modes: modes.unwrap_or(field.modes),
        suggest: suggest.unwrap_or(field.suggest),
        test: test.or(field.test),
        columns: labelled(field.columns, &labels),
        reorder: reorder.unwrap_or(field.reorder),
        described_by: described_by.or(field.described_by),
        width: width.or(field.width),
        ..field
    }
}

/// Columns in the order of their labels, then those without a label.
fn labelled(mut columns: Vec<Field>, labels: &[(String, String)]) -> Vec<Field> {
    let place = |field: &Field| labels.iter().position(|(name, _)| *name == field.name);
    columns.sort_by_key(|field| place(field).unwrap_or(labels.len()));
    for column in &mut columns {
        if let Some((_, label)) = labels.iter().find(|(name, _)| *name == column.name) {
            column.label.clone_from(label);
        }
    }
    columns
}

fn columns(root: &Value, schema: &Map<String, Value>) -> Vec<Field> {
    let row = schema::object_of_rows(root, schema);
    let required = Value::Object(row.clone());
    schema::properties(&row)
        .map(|(name, column)| plain_field(root, name, column, is_required(&required, name)))
        .collect()
}

/// The members of a storage: first its type, then the others, each with the types that have it.
fn members(root: &Value, schema: &Map<String, Value>) -> Vec<Field> {
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(variants) => members_of_variants(root, schema, variants),
        None => members_of_types(root, schema),
    }
}

fn members_of_variants(root: &Value, schema: &Map<String, Value>, variants: &[Value]) -> Vec<Field> {
    let (mut types, mut members): (Vec<Choice>, Vec<(Field, Vec<Value>)>) = (Vec::new(), Vec::new());
    for variant in variants.iter().map(|variant| schema::resolved(root, variant)) {
        let whole = Value::Object(variant.clone());
        let of_type = variant.get("properties").and_then(|members| members.get(DISCRIMINATOR));
        let mut own =
            of_type.map(|found| schema::choices(&schema::resolved(root, found))).unwrap_or_default();
        if let ([only], Some(title)) = (&mut own[..], variant.get("title").and_then(Value::as_str)) {
            title.clone_into(&mut only.label);
        }
        let values: Vec<Value> = own.iter().map(|choice| choice.value.clone()).collect();
        types.append(&mut own);
        for (name, member) in schema::properties(&variant).filter(|(name, _)| *name != DISCRIMINATOR) {
            match members.iter_mut().find(|(field, _)| field.name == *name) {
                Some((_, known)) => known.extend(values.iter().cloned()),
                None => {
                    let field = plain_field(root, name, member, is_required(&whole, name));
                    members.push((field, values.clone()));
                }
            }
        }
    }
    let shared = schema::properties(schema).filter(|(name, _)| *name != DISCRIMINATOR);
    let whole = Value::Object(schema.clone());
    let shared = shared.map(|(name, member)| plain_field(root, name, member, is_required(&whole, name)));
    let shared: Vec<_> =
        shared.filter(|field| members.iter().all(|(own, _)| own.name != field.name)).collect();
    let all = types.len();
    let own =
        members.into_iter().map(|(field, of)| if of.len() == all { field } else { only_for(field, of) });
    let own: Vec<_> = own.collect();
    std::iter::once(of_types(types)).chain(shared).chain(own).collect()
}

fn members_of_types(root: &Value, schema: &Map<String, Value>) -> Vec<Field> {
    let whole = Value::Object(schema.clone());
    let of_type = whole["properties"].get(DISCRIMINATOR).map(|found| schema::resolved(root, found));
    let types = of_type.map(|found| schema::choices(&found)).unwrap_or_default();
    // `if` the type is this one, `then` these are required, `else` those.
    let special = whole.pointer(&format!("/if/properties/{DISCRIMINATOR}/const"));
    let others: Vec<Value> =
        types.iter().map(|choice| choice.value.clone()).filter(|value| Some(value) != special).collect();
    let (then, otherwise) = (&whole["then"], &whole["else"]);
    let member = |(name, member): (&String, &Value)| {
        let field = plain_field(root, name, member, is_required(&whole, name));
        match special {
            Some(special) if is_required(then, name) => {
                Field { required: true, ..only_for(field, vec![special.clone()]) }
            }
            Some(_) => {
                let required = field.required || is_required(otherwise, name);
                Field { required, ..only_for(field, others.clone()) }
            }
            None => field,
        }
    };
    let rest = schema::properties(schema).filter(|(name, _)| *name != DISCRIMINATOR).map(member);
    std::iter::once(of_types(types.clone())).chain(rest).collect()
}

/// The field that chooses the type of a storage.
fn of_types(types: Vec<Choice>) -> Field {
    let property = serde_json::json!({ "title": "Type", "enum": [""] });
    Field {
        options: types,
        widget: Widget::Select,
        ..plain_field(&Value::Null, DISCRIMINATOR, &property, true)
    }
}

/// A member that only some types of a storage have.
fn only_for(field: Field, types: Vec<Value>) -> Field {
    let clause = Clause { parameter: DISCRIMINATOR.to_owned(), test: Test::OneOf(types) };
    Field { when: Condition { all: vec![clause] }, ..field }
}
