//! The form of a job's instances: tabs, groups and fields, as data.
//!
//! The schema of the parameters says what a value is, and the [`FormLayout`] of a connector file says where its field
//! stands. [`InstanceForm::new`] makes the tree of both; without a layout the schema alone is a complete form. One tree
//! serves creation, edit, show and launch: [`InstanceForm::seen_by`] leaves what a viewer sees in a mode, and
//! [`InstanceForm::parameters_of`] turns what a browser posts into parameters. Which values a viewer may see and change
//! at all is decided by the [`Guard`], also where nothing is drawn.
//!
//! ```
//! use serde_json::json;
//! use stepbox_batch::instance_form::{FormRights, InstanceForm, Mode};
//!
//! let schema = json!({
//!     "properties": {
//!         "url": { "type": "string", "format": "uri", "title": "URL to notify" },
//!         "lines": { "type": "integer", "minimum": 1 },
//!     },
//!     "required": ["url"],
//! });
//! let form = InstanceForm::new(&schema, None).seen_by(Mode::Create, FormRights::Every);
//! let labels: Vec<_> = form.fields().map(|field| field.label.as_str()).collect();
//! assert_eq!(labels, ["URL to notify", "lines"]);
//!
//! let posted = [("url", "https://a.example"), ("lines", "20")];
//! let posted = posted.map(|(name, text)| (name.to_owned(), text.to_owned()));
//! let posted = form.parameters_of(&posted, &json!({}));
//! assert_eq!(posted.parameters, json!({ "url": "https://a.example", "lines": 20 }));
//! ```

mod build;
mod condition;
mod extend;
mod guard;
mod layout;
mod posted;
mod rights;
mod schema;
mod texts;
mod view;
mod widget;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

pub use condition::{Clause, Condition, Test};
pub use extend::{EntryChange, FieldChange, FormChanges, GroupChange, Place, TabChange};
pub use guard::{Guard, Veiled};
pub use layout::{Describer, EntryLayout, FieldLayout, FieldOptions, FormLayout, GroupLayout, TabLayout};
pub use posted::Posted;
pub use rights::{FormRights, NeededRight, ReadOnly, TabRight};
pub use widget::{Icon, ItemKind, ValueKind, Widget, Width};

/// How many tabs a form may have.
pub const TABS_MAX: usize = 20;
/// How many fields a form may have.
pub const FIELDS_MAX: usize = 200;
/// How deep a form may be: a tab, a group in it, and a field in that.
pub const FORM_DEPTH_MAX: usize = 3;
/// How many rows a posted table, and how many entries a posted list may have.
pub const ROWS_MAX: usize = 10_000;

/// The occasion for which a form is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A new instance.
    Create,
    /// A change of an instance.
    Edit,
    /// An instance as it is, with texts in place of inputs.
    Show,
    /// A run with other parameters.
    Launch,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Create, Self::Edit, Self::Show, Self::Launch];

    /// The name of the mode.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Show => "show",
            Self::Launch => "launch",
        }
    }
}

/// The form of a job's instances.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceForm {
    /// The tabs, in order.
    pub tabs: Vec<Tab>,
    /// The parameters that a launch may change; `None` if all.
    pub launch: Option<BTreeSet<String>>,
}

/// A tab of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct Tab {
    /// Unique in the form.
    pub code: String,
    /// For people.
    pub label: String,
    /// A picture beside the label.
    pub icon: Option<Icon>,
    /// Who sees its fields and their values, and who changes them.
    pub right: TabRight,
    /// When the tab is there; a tab that is not there has no values either.
    pub when: Condition,
    /// The component that says what stands in the tab; `None` for nearly all.
    pub described_by: Option<Describer>,
    /// Its fields and groups, in order.
    pub entries: Vec<Entry>,
}

/// A field of a tab, or a group of fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A field.
    Field(Box<Field>),
    /// Several fields under one label.
    Group(Group),
}

/// Several fields under one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// For people.
    pub label: String,
    /// Whether it is closed at first, unless a value in it is set.
    pub folded: bool,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// One parameter in a form, or one column of a table, or one member of a storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name of the parameter, column or member.
    pub name: String,
    /// The JSON pointer of its value: in the parameters, or in the row or storage that it belongs to.
    pub pointer: String,
    /// For people.
    pub label: String,
    /// What it is for; plain text.
    pub help: Option<String>,
    /// A page that says more; begins with `https://`.
    pub help_url: Option<String>,
    /// An example, which is shown where nothing is written.
    pub placeholder: Option<String>,
    /// The value that counts where nothing is written.
    ///
    /// A form shows it and does not post it, so that instances follow a new default of their connector.
    pub default: Option<Value>,
    /// How it is drawn.
    pub widget: Widget,
    /// What its value is.
    pub kind: ValueKind,
    /// Whether a value must be there.
    pub required: bool,
    /// When its value cannot be changed.
    pub read_only: ReadOnly,
    /// When it is there.
    ///
    /// The condition of a member of a storage is about the other members.
    pub when: Condition,
    /// What a good value is, in words; it is said in place of the pattern.
    pub when_invalid: Option<String>,
    /// The values to choose from, for choices and lists of choices.
    pub options: Vec<Choice>,
    /// What is required of its value.
    pub constraints: Constraints,
    /// The columns of a table.
    pub columns: Vec<Self>,
    /// The members of a storage. The first one is its type.
    pub members: Vec<Self>,
    /// Whether the rows of a table can be put into another order.
    pub reorder: bool,
    /// Values that are offered beside free text.
    pub suggest: Vec<String>,
    /// The step that can be tried with the value.
    pub test: Option<String>,
    /// How wide it is drawn; `None` leaves it to the widget.
    pub width: Option<Width>,
    /// The modes in which it is drawn.
    pub modes: BTreeSet<Mode>,
    /// The component that knows what may stand in it.
    pub described_by: Option<Describer>,
    /// Whether the value can be written and is never shown (`writeOnly`).
    pub is_private: bool,
    /// Whether new instances should not use it.
    pub is_deprecated: bool,
}

/// A value to choose, and its name for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The value as the schema has it.
    pub value: Value,
    /// For people.
    pub label: String,
}

impl Choice {
    /// The text that stands for the value in what a browser posts.
    pub fn text(&self) -> String {
        texts::text_of(&self.value)
    }
}

/// What a schema requires of a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    /// The smallest number.
    pub minimum: Option<Number>,
    /// The largest number.
    pub maximum: Option<Number>,
    /// The number above which a value must be.
    pub exclusive_minimum: Option<Number>,
    /// The number below which a value must be.
    pub exclusive_maximum: Option<Number>,
    /// The number that a value must be a multiple of.
    pub multiple_of: Option<Number>,
    /// The smallest number of characters.
    pub length_min: Option<u64>,
    /// The largest number of characters.
    pub length_max: Option<u64>,
    /// The smallest number of entries or rows.
    pub items_min: Option<u64>,
    /// The largest number of entries or rows.
    pub items_max: Option<u64>,
    /// A regular expression.
    pub pattern: Option<String>,
    /// The name of a format: `uri`, `date`.
    pub format: Option<String>,
}

impl InstanceForm {
    /// The form of all parameters of a schema, placed by a layout.
    ///
    /// Parameters that the layout does not place stand at the end of the first tab. Without a layout there is one tab:
    /// first what is required, then the rest as a group.
    pub fn new(schema: &Value, layout: Option<&FormLayout>) -> Self {
        match layout {
            Some(layout) => build::form(schema, &layout.completed(schema)),
            None => build::form(schema, &FormLayout::automatic(schema)),
        }
    }

    /// All fields, tab by tab.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.tabs.iter().flat_map(Tab::fields)
    }

    /// The field of a parameter.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The code of the tab in which the value of a JSON pointer stands, such as the path of a violation.
    pub fn tab_of(&self, pointer: &str) -> Option<&Tab> {
        let name = first_name(pointer);
        self.tabs.iter().find(|tab| tab.fields().any(|field| field.name == name))
    }
}

impl Tab {
    /// Its fields, also those in groups, in order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::Field(field) => std::slice::from_ref(&**field),
            Entry::Group(group) => &group.fields[..],
        })
    }
}

impl Field {
    /// Whether a person can write a value into it in the mode that [`InstanceForm::seen_by`] was asked for.
    pub fn is_editable(&self) -> bool {
        self.read_only == ReadOnly::Never
    }

    /// Whether its widget can show a value without losing a part of it.
    ///
    /// A value that does not fit is shown as JSON, and is posted as JSON under the name of the field.
    pub fn can_hold(&self, value: &Value) -> bool {
        texts::is_expressible(self, value)
    }

    /// The names and texts with which a browser would post a value, the inverse of
    /// [`InstanceForm::parameters_of`]. Inputs are filled with these texts.
    pub fn texts_of(&self, value: &Value) -> Vec<(String, String)> {
        texts::pairs_of(self, value)
    }
}

/// The first part of a JSON pointer.
fn first_name(pointer: &str) -> String {
    let first = pointer.split('/').nth(1).unwrap_or_default();
    first.replace("~1", "/").replace("~0", "~")
}

/// The pointer of a name.
fn pointer_of(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
