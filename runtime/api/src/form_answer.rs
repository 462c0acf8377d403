//! What a component says about the form of a job.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepbox_batch::form_answer::{self, FormAnswer};

/// The answer of a component, or why there is none: exactly one of the two is there.
///
/// An answer only suggests: what is saved is checked by the schema of the job's parameters alone. All texts are plain
/// text, and those that only people read have no character that steers a terminal or a page.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormDescription {
    /// The blocks of the answer, in the order of the page; `null` if there is no answer.
    pub blocks: Option<Vec<FormBlock>>,
    /// Why there is no answer: the form is then shown without it; `null` if there is one.
    pub failure: Option<FormFailure>,
}

/// A part of an answer. `kind` is `note`, `table`, `preview` or `fields`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FormBlock {
    /// A sentence for people.
    Note {
        /// The sentence.
        text: String,
        /// How it is meant.
        tone: Tone,
    },
    /// What may stand in the rows of a parameter that is a list of objects.
    Table {
        /// The name of the parameter.
        parameter: String,
        /// The columns of its rows, in their order.
        columns: Vec<FormColumn>,
        /// Rows to begin with: texts, numbers, truth values and nulls by the name of their column.
        defaults: Vec<Map<String, Value>>,
    },
    /// How items would look.
    Preview {
        /// The names of the columns.
        header: Vec<String>,
        /// The cells, as many in each row as the header has.
        rows: Vec<Vec<String>>,
    },
    /// Parameters of the job that are shown here.
    Fields {
        /// Their names.
        names: Vec<String>,
    },
}

/// How a note is meant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// A fact.
    Info,
    /// All is well.
    Success,
    /// Something may not be as it was meant.
    Warning,
    /// With these values a run would fail.
    Problem,
}

/// What may stand in a column of a table.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormColumn {
    /// The name of the property of the rows.
    pub name: String,
    /// The values that make sense.
    pub options: Vec<FormOption>,
    /// Whether other values make sense, too.
    pub free: bool,
}

/// A value that makes sense in a column.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormOption {
    /// The value, with every character that it has.
    pub value: String,
    /// Its name for people.
    pub label: String,
    /// A few words about it; may be empty.
    pub hint: String,
}

/// Why a component gave no answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormFailure {
    /// The stable code, a heading in docs/errors.md.
    pub code: String,
    /// What happened, after "the component": `its answer has 1048576 bytes; …`.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl FormDescription {
    /// Built from what a component answered.
    pub fn of(described: &Result<FormAnswer, form_answer::FormFailure>) -> Self {
        match described {
            Ok(answer) => {
                Self { blocks: Some(answer.blocks.iter().map(FormBlock::of).collect()), failure: None }
            }
            Err(failure) => Self { blocks: None, failure: Some(FormFailure::of(failure)) },
        }
    }
}

impl FormBlock {
    fn of(block: &form_answer::FormBlock) -> Self {
        match block {
            form_answer::FormBlock::Note { text, tone } => {
                Self::Note { text: text.clone(), tone: (*tone).into() }
            }
            form_answer::FormBlock::Table(table) => Self::Table {
                parameter: table.parameter.clone(),
                columns: table.columns.iter().map(FormColumn::of).collect(),
                defaults: table.defaults.clone(),
            },
            form_answer::FormBlock::Preview { header, rows } => {
                Self::Preview { header: header.clone(), rows: rows.clone() }
            }
            form_answer::FormBlock::Fields(names) => Self::Fields { names: names.clone() },
        }
    }
}

impl FormColumn {
    fn of(column: &form_answer::FormColumn) -> Self {
        let option = |option: &form_answer::FormOption| FormOption {
            value: option.value.clone(),
            label: option.label.clone(),
            hint: option.hint.clone(),
        };
        Self {
            name: column.name.clone(),
            options: column.options.iter().map(option).collect(),
            free: column.free,
        }
    }
}

impl From<form_answer::Tone> for Tone {
    fn from(tone: form_answer::Tone) -> Self {
        match tone {
            form_answer::Tone::Info => Self::Info,
            form_answer::Tone::Success => Self::Success,
            form_answer::Tone::Warning => Self::Warning,
            form_answer::Tone::Problem => Self::Problem,
        }
    }
}

impl FormFailure {
    fn of(failure: &form_answer::FormFailure) -> Self {
        Self {
            code: failure.code().to_owned(),
            message: failure.to_string(),
            help: failure.help().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn an_answer_survives_a_wire() {
        let schema = json!({ "properties": { "mapping": {}, "dateFormat": {} } });
        let text = json!({ "blocks": [
            { "note": "all is mapped", "tone": "success" },
            { "table": {
                "parameter": "/mapping",
                "columns": { "from": { "options": [{ "value": "sku", "hint": "text" }] } },
                "defaults": [{ "from": "sku" }],
            } },
            { "preview": { "header": ["sku"], "rows": [["1"]] } },
            { "fields": ["dateFormat"] },
        ] });
        let answer = FormAnswer::parse(&text.to_string(), &schema).map_err(Into::into);
        let expected = json!({ "failure": null, "blocks": [
            { "kind": "note", "text": "all is mapped", "tone": "success" },
            {
                "kind": "table",
                "parameter": "mapping",
                "columns": [
                    { "name": "from", "options": [{ "value": "sku", "label": "sku", "hint": "text" }], "free": false },
                ],
                "defaults": [{ "from": "sku" }],
            },
            { "kind": "preview", "header": ["sku"], "rows": [["1"]] },
            { "kind": "fields", "names": ["dateFormat"] },
        ] });
        assert_eq!(survives(&FormDescription::of(&answer)), expected);
        for tone in form_answer::Tone::ALL {
            assert_eq!(survives(&Tone::from(tone)), tone.as_str());
        }
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let failed = survives(&FormDescription::of(&Err(form_answer::FormFailure::Busy)));
        assert_eq!(failed["blocks"], Value::Null);
        assert_eq!(failed["failure"]["code"], "form-describers-busy");
        assert_eq!(failed["failure"]["help"], "try again in a second");
    }
}
