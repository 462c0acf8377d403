//! The form of a job's instances: what a page draws.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use stepbox_batch::instance_form::{
    self, Choice, Condition, Constraints, Entry, Field, InstanceForm, ItemKind, NeededRight, ReadOnly, Tab,
    TabRight, Test, ValueKind,
};

use crate::connector::Connector;

/// The occasion for which a form is drawn.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormMode {
    /// A new instance.
    Create,
    /// A change of an instance.
    #[default]
    Edit,
    /// An instance as it is.
    Show,
    /// A run with other parameters.
    Launch,
}

impl FormMode {
    /// The mode of the domain.
    pub fn mode(self) -> instance_form::Mode {
        match self {
            Self::Create => instance_form::Mode::Create,
            Self::Edit => instance_form::Mode::Edit,
            Self::Show => instance_form::Mode::Show,
            Self::Launch => instance_form::Mode::Launch,
        }
    }
}

/// The form of a job's instances.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// The tabs, in order.
    pub tabs: Vec<FormTab>,
}

/// A tab.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormTab {
    /// Unique in the form.
    pub code: String,
    /// For people.
    pub label: String,
    /// A picture beside the label, by its name.
    pub icon: Option<String>,
    /// Needed to see its fields and their values.
    pub see: Option<FormRight>,
    /// Needed to change them.
    pub edit: Option<FormRight>,
    /// When the tab is there: all of these must hold.
    pub when: Vec<FormCondition>,
    /// The component that says what stands in it, by its name.
    pub described_by: Option<String>,
    /// Its fields and groups, in order.
    pub entries: Vec<FormEntry>,
}

/// A right that a part of a form needs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormRight {
    /// A role, or a right that the connector declares.
    pub name: String,
    /// What it lets one do, for people; `null` for a role.
    pub label: Option<String>,
    /// The weakest role that has it.
    pub from: String,
}

/// A field, or a group of fields.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FormEntry {
    /// A field.
    Field(Box<FormField>),
    /// Several fields under one label.
    Group(FormGroup),
}

/// Several fields under one label.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormGroup {
    /// For people.
    pub label: String,
    /// Whether it is closed at first, unless a value in it is set.
    pub folded: bool,
    /// Its fields, in order.
    pub fields: Vec<FormField>,
}

/// One parameter in a form.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormField {
    /// What it has in common with a column of a table.
    #[serde(flatten)]
    pub part: FormPart,
    /// A page that says more.
    pub help_url: Option<String>,
    /// `never`, `always`, `after-create`, or `unless`. A form for a mode has `never` and `always` only.
    pub read_only: String,
    /// The right without which it is read-only; `null` if no right matters.
    pub unless: Option<FormRight>,
    /// What a good value is, in words.
    pub when_invalid: Option<String>,
    /// The columns of a table.
    pub columns: Vec<FormPart>,
    /// The members of a storage; the first one is its type.
    pub members: Vec<FormPart>,
    /// Whether the rows of a table can be put into another order.
    pub reorder: bool,
    /// Values that are offered beside free text.
    pub suggest: Vec<String>,
    /// The step that can be tried with the value.
    pub test: Option<String>,
    /// `short`, `full`, or `null`.
    pub width: Option<String>,
    /// The modes in which it is drawn.
    pub modes: Vec<String>,
    /// The component that knows what may stand in it, by its name.
    pub described_by: Option<String>,
    /// Whether the value can be written and is never shown.
    pub is_private: bool,
    /// Whether new instances should not use it.
    pub is_deprecated: bool,
}

/// A field, a column of a table, or a member of a storage.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormPart {
    /// The name of the parameter, column or member.
    pub name: String,
    /// The JSON pointer of its value: in the parameters, or in the row or storage that it belongs to.
    pub pointer: String,
    /// For people.
    pub label: String,
    /// What it is for.
    pub help: Option<String>,
    /// An example.
    pub placeholder: Option<String>,
    /// The value that counts where nothing is written; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// How it is drawn: `text`, `table` and so on.
    pub widget: String,
    /// `text`, `integer`, `number`, `boolean`, `choice`, `list`, `table`, `storage`, or `json`.
    pub value: String,
    /// Whether a value must be there.
    pub required: bool,
    /// When it is there: all of these must hold. Those of a member are about the other members.
    pub when: Vec<FormCondition>,
    /// The values to choose from.
    pub options: Vec<FormChoice>,
    /// What is required of its value.
    pub constraints: FormConstraints,
}

/// What must be true of one parameter.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormCondition {
    /// Its name.
    pub parameter: String,
    /// Its value is one of these; `null` if `set` is asked.
    pub one_of: Option<Vec<Value>>,
    /// It has a value, or none; `null` if `one_of` is asked.
    pub set: Option<bool>,
}

/// A value to choose.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormChoice {
    /// The value.
    pub value: Value,
    /// For people.
    pub label: String,
}

/// What is required of a value. Absent is what is not required.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormConstraints {
    /// The smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Value>,
    /// The largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Value>,
    /// The number above which a value must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_minimum: Option<Value>,
    /// The number below which a value must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_maximum: Option<Value>,
    /// The number that a value must be a multiple of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_of: Option<Value>,
    /// The smallest number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_min: Option<u64>,
    /// The largest number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u64>,
    /// The smallest number of entries or rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_min: Option<u64>,
    /// The largest number of entries or rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_max: Option<u64>,
    /// A regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The name of a format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// A connector as it would be installed, and the forms of its jobs. Nothing of it was kept.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorPreview {
    /// The connector.
    #[serde(flatten)]
    pub connector: Connector,
    /// The form of each job, for somebody who may see everything.
    pub forms: Vec<JobForm>,
}

/// The form of one of several jobs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobForm {
    /// The name of the job.
    pub job: String,
    /// Its form.
    pub form: Form,
}

impl ConnectorPreview {
    /// Built from a connector that was checked, and from its view.
    pub fn of(of: &stepbox_batch::inventory::Connector, connector: Connector) -> Self {
        let forms = of
            .jobs
            .iter()
            .map(|job| JobForm { job: job.name.to_string(), form: Form::of(&job.instance_form()) });
        Self { connector, forms: forms.collect() }
    }
}

impl Form {
    /// Built from a form of the domain.
    pub fn of(form: &InstanceForm) -> Self {
        Self { tabs: form.tabs.iter().map(FormTab::of).collect() }
    }
}

impl FormTab {
    fn of(tab: &Tab) -> Self {
        let TabRight { see, edit } = &tab.right;
        let entry = |entry: &Entry| match entry {
            Entry::Field(field) => FormEntry::Field(Box::new(FormField::of(field))),
            Entry::Group(group) => FormEntry::Group(FormGroup {
                label: group.label.clone(),
                folded: group.folded,
                fields: group.fields.iter().map(FormField::of).collect(),
            }),
        };
        Self {
            code: tab.code.clone(),
            label: tab.label.clone(),
            icon: tab.icon.map(|icon| icon.as_str().to_owned()),
            see: see.as_ref().map(FormRight::of),
            edit: edit.as_ref().map(FormRight::of),
            when: conditions(&tab.when),
            described_by: tab.described_by.as_ref().map(|describer| describer.component.clone()),
            entries: tab.entries.iter().map(entry).collect(),
        }
    }
}

impl FormRight {
    fn of(right: &NeededRight) -> Self {
        Self { name: right.name.clone(), label: right.label.clone(), from: right.from.to_string() }
    }
}

fn conditions(condition: &Condition) -> Vec<FormCondition> {
    let clauses = condition.all.iter().map(|clause| {
        let (one_of, set) = match &clause.test {
            Test::OneOf(values) => (Some(values.clone()), None),
            Test::Set(expected) => (None, Some(*expected)),
        };
        FormCondition { parameter: clause.parameter.clone(), one_of, set }
    });
    clauses.collect()
}

impl FormField {
    fn of(field: &Field) -> Self {
        let (read_only, unless) = match &field.read_only {
            ReadOnly::Never => ("never", None),
            ReadOnly::Always => ("always", None),
            ReadOnly::AfterCreate => ("after-create", None),
            ReadOnly::Unless(right) => ("unless", Some(FormRight::of(right))),
        };
        Self {
            part: FormPart::of(field),
            help_url: field.help_url.clone(),
            read_only: read_only.to_owned(),
            unless,
            when_invalid: field.when_invalid.clone(),
            columns: field.columns.iter().map(FormPart::of).collect(),
            members: field.members.iter().map(FormPart::of).collect(),
            reorder: field.reorder,
            suggest: field.suggest.clone(),
            test: field.test.clone(),
            width: field.width.map(|width| width.as_str().to_owned()),
            modes: field.modes.iter().map(|mode| mode.as_str().to_owned()).collect(),
            described_by: field.described_by.as_ref().map(|describer| describer.component.clone()),
            is_private: field.is_private,
            is_deprecated: field.is_deprecated,
        }
    }
}

impl FormPart {
    fn of(field: &Field) -> Self {
        let choice =
            |choice: &Choice| FormChoice { value: choice.value.clone(), label: choice.label.clone() };
        Self {
            name: field.name.clone(),
            pointer: field.pointer.clone(),
            label: field.label.clone(),
            help: field.help.clone(),
            placeholder: field.placeholder.clone(),
            default: field.default.clone(),
            widget: field.widget.as_str().to_owned(),
            value: kind(field.kind).to_owned(),
            required: field.required,
            when: conditions(&field.when),
            options: field.options.iter().map(choice).collect(),
            constraints: FormConstraints::of(&field.constraints),
        }
    }
}

fn kind(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Integer => "integer",
        ValueKind::Number => "number",
        ValueKind::Boolean => "boolean",
        ValueKind::Choice => "choice",
        ValueKind::List(ItemKind::Text | ItemKind::Integer | ItemKind::Number | ItemKind::Choice) => "list",
        ValueKind::Table => "table",
        ValueKind::Storage => "storage",
        ValueKind::Json => "json",
    }
}

impl FormConstraints {
    fn of(constraints: &Constraints) -> Self {
        let number = |number: &Option<Number>| number.clone().map(Value::Number);
        Self {
            minimum: number(&constraints.minimum),
            maximum: number(&constraints.maximum),
            exclusive_minimum: number(&constraints.exclusive_minimum),
            exclusive_maximum: number(&constraints.exclusive_maximum),
            multiple_of: number(&constraints.multiple_of),
            length_min: constraints.length_min,
            length_max: constraints.length_max,
            items_min: constraints.items_min,
            items_max: constraints.items_max,
            pattern: constraints.pattern.clone(),
            format: constraints.format.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::instance_form::{FormRights, Mode};

    use super::*;
    use crate::testing::{self, survives};

    #[test]
    fn a_form_survives_a_wire() {
        let schema = json!({
            "properties": {
                "url": { "type": "string", "format": "uri", "title": "URL" },
                "lines": { "type": "integer", "minimum": 1, "default": 10 },
                "mapping": { "type": "array", "items": {
                    "type": "object", "properties": { "from": { "type": "string" }, "keep": { "type": "boolean" } } } },
            },
            "required": ["url"],
        });
        let form = InstanceForm::new(&schema, None).seen_by(Mode::Edit, FormRights::Every);
        let shown = survives(&Form::of(&form));
        let entries = &shown["tabs"][0]["entries"];
        assert_eq!((&entries[0]["kind"], &entries[0]["name"]), (&json!("field"), &json!("url")));
        assert_eq!((&entries[0]["widget"], &entries[0]["read_only"]), (&json!("url"), &json!("never")));
        let group = &entries[1];
        assert_eq!((&group["kind"], &group["folded"]), (&json!("group"), &json!(true)));
        assert_eq!(group["fields"][0]["constraints"], json!({ "minimum": 1 }));
        assert_eq!(group["fields"][1]["columns"][1]["value"], "boolean");

        let connector = testing::connector();
        survives(&ConnectorPreview::of(&connector, Connector::of(&connector, Vec::new())));
    }
}
