//! Where the fields of a form stand. A layout is stored with its job.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Mode;
use super::condition::Condition;
use super::rights::{NeededRight, ReadOnly, TabRight};
use super::widget::{Icon, Widget, Width};
use crate::name::Digest;

/// The code of the tab that a form without a layout has.
const FIRST_TAB: &str = "settings";

/// The tabs of a form and what stands in them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormLayout {
    /// The tabs, in order.
    pub tabs: Vec<TabLayout>,
    /// The parameters that a launch may change; `None` if all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<BTreeSet<String>>,
}

/// A tab.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabLayout {
    /// Unique in the form.
    pub code: String,
    /// For people.
    pub label: String,
    /// A picture beside the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<Icon>,
    /// Who sees and changes its fields.
    #[serde(default)]
    pub right: TabRight,
    /// When it is there.
    #[serde(default)]
    pub when: Condition,
    /// The component that says what stands in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_by: Option<Describer>,
    /// Whether it is not drawn. Its right guards its values nevertheless.
    #[serde(default)]
    pub hide: bool,
    /// Its fields and groups, in order.
    pub entries: Vec<EntryLayout>,
}

/// A field or a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryLayout {
    /// A field.
    Field(FieldLayout),
    /// Several fields under one label.
    Group(GroupLayout),
}

/// Several fields under one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupLayout {
    /// For people; unique in its tab.
    pub label: String,
    /// Whether it is closed at first.
    pub folded: bool,
    /// Whether optional parameters that nobody has placed come here.
    #[serde(default)]
    pub collects_rest: bool,
    /// Its fields, in order.
    pub fields: Vec<FieldLayout>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldLayout {
    /// The name of the parameter.
    pub name: String,
    /// How it differs from what the schema says.
    pub options: FieldOptions,
}

/// How a field differs from what the schema says. `None` leaves it to the schema.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldOptions {
    /// How it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widget: Option<Widget>,
    /// An example, which is shown where nothing is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A page that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help_url: Option<String>,
    /// When it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What a good value is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_invalid: Option<String>,
    /// When its value cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<ReadOnly>,
    /// The modes in which it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<BTreeSet<Mode>>,
    /// Values that are offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggest: Option<Vec<String>>,
    /// The step that can be tried with the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// The labels of a table's columns, in the order in which they are drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<(String, String)>>,
    /// Whether the rows of a table can be put into another order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<bool>,
    /// The component that knows what may stand in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub described_by: Option<Describer>,
    /// How wide it is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// Whether it is not drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hide: Option<bool>,
}

/// A component that describes a field or a tab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Describer {
    /// Its name in the connector file.
    pub component: String,
    /// The SHA-256 of its bytes; `None` until the connector is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl FieldOptions {
    /// These options, with those of `over` in place of their own.
    #[must_use]
    pub(super) fn overlaid(self, over: Self) -> Self {
        Self {
            widget: over.widget.or(self.widget),
            placeholder: over.placeholder.or(self.placeholder),
            help: over.help.or(self.help),
            help_url: over.help_url.or(self.help_url),
            when: over.when.or(self.when),
            when_invalid: over.when_invalid.or(self.when_invalid),
            read_only: over.read_only.or(self.read_only),
            modes: over.modes.or(self.modes),
            suggest: over.suggest.or(self.suggest),
            test: over.test.or(self.test),
            columns: over.columns.or(self.columns),
            reorder: over.reorder.or(self.reorder),
            described_by: over.described_by.or(self.described_by),
            width: over.width.or(self.width),
            hide: over.hide.or(self.hide),
        }
    }
}

impl FieldLayout {
    /// A field as the schema says.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), options: FieldOptions::default() }
    }
}

impl TabLayout {
    /// Its fields, also those in groups, in order.
    pub fn fields(&self) -> impl Iterator<Item = &FieldLayout> {
        self.entries.iter().flat_map(|entry| match entry {
            EntryLayout::Field(field) => std::slice::from_ref(field),
            EntryLayout::Group(group) => &group.fields[..],
        })
    }

    fn fields_mut(&mut self) -> impl Iterator<Item = &mut FieldLayout> {
        self.entries.iter_mut().flat_map(|entry| match entry {
            EntryLayout::Field(field) => std::slice::from_mut(field),
            EntryLayout::Group(group) => &mut group.fields[..],
        })
    }
}

/// The label of the group of optional parameters.
const REST: &str = "More settings";

impl FormLayout {
    /// The layout of a job that says nothing: what is required in the order of the schema, then the rest as a group.
    pub fn automatic(schema: &Value) -> Self {
        let entry = |name: &str| EntryLayout::Field(FieldLayout::plain(name));
        let (first, rest): (Vec<&str>, Vec<&str>) = names(schema).partition(|name| is_required(schema, name));
        let mut entries: Vec<_> = first.iter().map(|name| entry(name)).collect();
        match first.is_empty() {
            true => entries.extend(rest.into_iter().map(entry)),
            false if rest.is_empty() => {}
            false => entries.push(EntryLayout::Group(GroupLayout {
                label: REST.to_owned(),
                folded: true,
                collects_rest: true,
                fields: rest.into_iter().map(FieldLayout::plain).collect(),
            })),
        }
        Self { tabs: vec![TabLayout { entries, ..Self::settings() }], launch: None }
    }

    /// The tab of a layout that has none.
    pub(super) fn settings() -> TabLayout {
        TabLayout { code: FIRST_TAB.to_owned(), label: "Settings".to_owned(), ..TabLayout::default() }
    }

    /// The same layout, with the parameters that it does not place at the end of its first tab.
    #[must_use]
    pub fn completed(&self, schema: &Value) -> Self {
        let placed: BTreeSet<&str> = self.fields().map(|(_, field)| field.name.as_str()).collect();
        let rest: Vec<_> = names(schema).filter(|name| !placed.contains(name)).collect();
        let mut whole = self.clone();
        for name in rest {
            whole.append(FieldLayout::plain(name), is_required(schema, name));
        }
        whole
    }

    /// Puts a field that nobody has placed at the end of the first tab.
    pub(super) fn append(&mut self, field: FieldLayout, is_required: bool) {
        if self.tabs.iter().all(|tab| tab.hide) {
            self.tabs.push(Self::settings());
        }
        let Some(tab) = self.tabs.iter_mut().find(|tab| !tab.hide) else { return };
        let rest = tab
            .entries
            .iter()
            .position(|entry| matches!(entry, EntryLayout::Group(GroupLayout { collects_rest: true, .. })));
        match rest {
            Some(at) if is_required => tab.entries.insert(at, EntryLayout::Field(field)),
            Some(at) => {
                if let EntryLayout::Group(group) = &mut tab.entries[at] {
                    group.fields.push(field);
                }
            }
            None => tab.entries.push(EntryLayout::Field(field)),
        }
    }

    /// All fields with their tabs, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&TabLayout, &FieldLayout)> {
        self.tabs.iter().flat_map(|tab| tab.fields().map(move |field| (tab, field)))
    }

    /// The tab in which a parameter stands; `None` if no tab has it.
    ///
    /// A parameter that the layout does not place stands in the first tab that is drawn.
    pub fn tab_of(&self, parameter: &str) -> Option<&TabLayout> {
        let placed = self.tabs.iter().find(|tab| tab.fields().any(|field| field.name == parameter));
        placed.or_else(|| self.tabs.iter().find(|tab| !tab.hide))
    }

    /// The components that describe tabs and fields.
    pub fn describers(&self) -> impl Iterator<Item = &Describer> {
        let of_fields = self.fields().filter_map(|(_, field)| field.options.described_by.as_ref());
        self.tabs.iter().filter_map(|tab| tab.described_by.as_ref()).chain(of_fields)
    }

    /// The same, to be changed.
    pub fn describers_mut(&mut self) -> impl Iterator<Item = &mut Describer> {
        self.tabs.iter_mut().flat_map(|tab| {
            let mut found: Vec<&mut Describer> = Vec::new();
            let TabLayout { described_by, entries, .. } = tab;
            found.extend(described_by.as_mut());
            for entry in entries {
                let fields = match entry {
                    EntryLayout::Field(field) => std::slice::from_mut(field),
                    EntryLayout::Group(group) => &mut group.fields[..],
                };
                found.extend(fields.iter_mut().filter_map(|field| field.options.described_by.as_mut()));
            }
            found
        })
    }

    /// The rights that its tabs and fields need, each name once.
    pub fn rights(&self) -> Vec<&NeededRight> {
        let of_tabs = self.tabs.iter().flat_map(|tab| [tab.right.see.as_ref(), tab.right.edit.as_ref()]);
        let of_fields = self.fields().map(|(_, field)| match &field.options.read_only {
            Some(ReadOnly::Unless(right)) => Some(right),
            _ => None,
        });
        let mut rights: Vec<&NeededRight> = Vec::new();
        for right in of_tabs.chain(of_fields).flatten() {
            if rights.iter().all(|known| known.name != right.name) {
                rights.push(right);
            }
        }
        rights
    }

    /// Takes a field out of the form.
    pub(super) fn take(&mut self, name: &str) -> Option<FieldLayout> {
        for tab in &mut self.tabs {
            for at in 0..tab.entries.len() {
                match &mut tab.entries[at] {
                    EntryLayout::Field(field) if field.name == name => {
                        let EntryLayout::Field(field) = tab.entries.remove(at) else { return None };
                        return Some(field);
                    }
                    EntryLayout::Group(group) => {
                        if let Some(within) = group.fields.iter().position(|field| field.name == name) {
                            return Some(group.fields.remove(within));
                        }
                    }
                    EntryLayout::Field(_) => {}
                }
            }
        }
        None
    }

    /// Gives a field other options where it stands.
    pub(super) fn overlay(&mut self, name: &str, options: FieldOptions) {
        let mut fields = self.tabs.iter_mut().flat_map(TabLayout::fields_mut);
        if let Some(field) = fields.find(|field| field.name == name) {
            field.options = std::mem::take(&mut field.options).overlaid(options);
        }
    }
}

/// The names of a schema's parameters, in its order.
pub(super) fn names(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str)
}

/// Whether a schema requires a property.
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|required| required == name))
}
