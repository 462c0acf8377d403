//! What a component knows about the form of a job: which values make sense, and what they would do.
//!
//! A person fills in the form, and the runtime asks the component to help. The answer is data: notes, a table with
//! suggestions, a preview, and names of fields. The page draws it. An answer suggests and allows nothing: what is
//! saved is checked by the schema of the job's parameters alone.
//!
//! ```
//! use stepbox_step::form::{Answer, Question, Table, TableColumn, Tone};
//! use stepbox_step::{FormDescriber, StepError, json, testing};
//!
//! /// Suggests a name for each column of the source.
//! struct Names;
//!
//! impl FormDescriber for Names {
//!     fn describe_form(question: &Question) -> Result<Answer, StepError> {
//!         let columns = question.header.iter().map(String::as_str);
//!         let mut table = Table::of("/mapping").column("from", TableColumn::one_of(columns)).column("to", TableColumn::any());
//!         for column in &question.header {
//!             table = table.default(json!({ "from": column, "to": column.to_lowercase() }));
//!         }
//!         Ok(Answer::new().note(Tone::Info, format!("{} columns", question.header.len())).table(table))
//!     }
//! }
//!
//! stepbox_step::export_form!(Names);
//!
//! let answer = testing::describe_form::<Names>(json!({}), &["SKU"])?;
//! assert_eq!(answer["blocks"][1]["table"]["defaults"], json!([{ "from": "SKU", "to": "sku" }]));
//! # Ok::<(), StepError>(())
//! ```

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{StepError, contract};

/// Answers questions about the form of a job.
///
/// Any component may have one, beside its element or tasklet: export it with
/// [`export_form!`](crate::export_form), too.
pub trait FormDescriber {
    /// Answers a question. The call has no grants, 500 ms of computing, 5 seconds on the clock and 64 MiB.
    ///
    /// The answer should depend only on the question: the runtime may keep it and give it again to the same question.
    fn describe_form(question: &Question) -> Result<Answer, StepError>;
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The name of the tab or the field that asks.
    pub what: String,
    /// The parameters as they stand in the form, which may break constraints. Those that the person may not see are left
    /// out.
    pub parameters: Map<String, Value>,
    /// The columns of the source, found in its first 64 KiB. Empty if the runtime could not or may not read it.
    pub header: Vec<String>,
    /// The language of the person, a tag of BCP 47.
    pub language: String,
}

/// An answer, block by block in the order of the page. At most 20 blocks, and 256 KiB in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Block {
    Note { note: String, tone: Tone },
    Table { table: Table },
    Preview { preview: Preview },
    Fields { fields: Vec<String> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Preview {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// How a note is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// A fact.
    #[default]
    Info,
    /// All is well.
    Success,
    /// Something may not be as it was meant.
    Warning,
    /// With these values a run would fail.
    Problem,
}

/// What may stand in the rows of a parameter that is a list of objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    parameter: String,
    #[serde(serialize_with = "in_their_order")]
    columns: Vec<(String, TableColumn)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    defaults: Vec<Value>,
}

/// What may stand in one column of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    #[serde(rename = "options", skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<bool>,
}

/// A value that makes sense in a column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The value itself.
    pub value: String,
    /// Its name for people; the value if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A few words about it: `text, 1,203 values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Answer {
    /// An answer without blocks.
    pub fn new() -> Answer {
        Answer::default()
    }

    /// Adds a sentence of at most 4 KiB.
    #[must_use]
    pub fn note(self, tone: Tone, text: impl Into<String>) -> Answer {
        self.block(Block::Note { note: text.into(), tone })
    }

    /// Adds what may stand in a table.
    #[must_use]
    pub fn table(self, table: Table) -> Answer {
        self.block(Block::Table { table })
    }

    /// Adds how items would look: at most 100 rows of at most 50 cells, as many in each as the header has.
    #[must_use]
    pub fn preview(self, header: Vec<String>, rows: Vec<Vec<String>>) -> Answer {
        self.block(Block::Preview { preview: Preview { header, rows } })
    }

    /// Adds parameters of the job that are shown here.
    #[must_use]
    pub fn fields(self, names: &[&str]) -> Answer {
        self.block(Block::Fields { fields: names.iter().map(|name| (*name).to_owned()).collect() })
    }

    /// The answer as the contract writes it.
    pub fn to_json(&self) -> Result<String, StepError> {
        Ok(serde_json::to_string(self)?)
    }

    fn block(mut self, block: Block) -> Answer {
        self.blocks.push(block);
        self
    }
}

impl Table {
    /// The rows of a parameter, which is named by its JSON pointer: `/mapping`.
    pub fn of(parameter: &str) -> Table {
        Table { parameter: parameter.to_owned(), columns: Vec::new(), defaults: Vec::new() }
    }

    /// Adds a column. At most 50.
    #[must_use]
    pub fn column(mut self, name: &str, column: TableColumn) -> Table {
        self.columns.push((name.to_owned(), column));
        self
    }

    /// Adds a row to begin with: an object of texts, numbers, truth values and nulls. At most 1000.
    #[must_use]
    pub fn default(mut self, row: Value) -> Table {
        self.defaults.push(row);
        self
    }
}

impl TableColumn {
    /// Any value that the parameter's schema allows.
    pub fn any() -> TableColumn {
        TableColumn::default()
    }

    /// These values, and no other makes sense. At most 2000.
    pub fn one_of<C: Into<Choice>>(choices: impl IntoIterator<Item = C>) -> TableColumn {
        TableColumn { choices: choices.into_iter().map(Into::into).collect(), free: Some(false) }
    }

    /// These values are suggested, and others make sense, too. At most 2000.
    pub fn suggesting<C: Into<Choice>>(choices: impl IntoIterator<Item = C>) -> TableColumn {
        TableColumn { free: Some(true), ..TableColumn::one_of(choices) }
    }
}

impl Choice {
    /// A value whose name is the value itself.
    pub fn of(value: &str) -> Choice {
        Choice { value: value.to_owned(), ..Choice::default() }
    }

    /// The same with a name for people.
    #[must_use]
    pub fn label(self, label: &str) -> Choice {
        Choice { label: Some(label.to_owned()), ..self }
    }

    /// The same with a few words about it.
    #[must_use]
    pub fn hint(self, hint: &str) -> Choice {
        Choice { hint: Some(hint.to_owned()), ..self }
    }
}

impl From<&str> for Choice {
    fn from(value: &str) -> Choice {
        Choice::of(value)
    }
}

/// Answers a question of the runtime. A component uses it, and native programs can use it as well.
pub fn describe_form<F: FormDescriber>(question: contract::Question) -> Result<String, StepError> {
    let contract::Question { what, parameters, header, language } = question;
    let parameters = serde_json::from_str(&parameters)?;
    let question = Question { what, parameters, header, language };
    F::describe_form(&question)?.to_json()
}

/// The page has the columns in the order in which they were added.
fn in_their_order<S: Serializer>(
    columns: &[(String, TableColumn)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(columns.iter().map(|(name, column)| (name, column)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_every_kind_of_block() {
        let table = Table::of("/mapping")
            .column("from", TableColumn::one_of([Choice::of("sku").label("SKU").hint("text")]))
            .column("to", TableColumn::suggesting(["identifier"]))
            .column("keep", TableColumn::any())
            .default(json!({ "from": "sku", "keep": true }));
        let answer = Answer::new()
            .note(Tone::Warning, "one column is left")
            .table(table)
            .table(Table::of("/other"))
            .preview(vec!["sku".to_owned()], vec![vec!["A-1".to_owned()]])
            .fields(&["dateFormat"]);
        let expected = concat!(
            r#"{"blocks":[{"note":"one column is left","tone":"warning"},"#,
            r#"{"table":{"parameter":"/mapping","columns":{"#,
            r#""from":{"options":[{"value":"sku","label":"SKU","hint":"text"}],"free":false},"#,
            r#""to":{"options":[{"value":"identifier"}],"free":true},"keep":{}},"#,
            r#""defaults":[{"from":"sku","keep":true}]}},"#,
            r#"{"table":{"parameter":"/other","columns":{}}},"#,
            r#"{"preview":{"header":["sku"],"rows":[["A-1"]]}},"#,
            r#"{"fields":["dateFormat"]}]}"#,
        );
        assert_eq!(answer.to_json().unwrap(), expected);
    }

    #[test]
    fn a_question_is_read_and_an_answer_written() {
        struct Repeats;

        impl FormDescriber for Repeats {
            fn describe_form(question: &Question) -> Result<Answer, StepError> {
                let Question { what, parameters, header, language } = question;
                Ok(Answer::new().note(Tone::Info, format!("{what} {parameters:?} {header:?} {language}")))
            }
        }

        let question = |parameters: &str| contract::Question {
            what: "mapping".to_owned(),
            parameters: parameters.to_owned(),
            header: vec!["sku".to_owned()],
            language: "de-CH".to_owned(),
        };
        let text = describe_form::<Repeats>(question(r#"{"a":1}"#)).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["blocks"][0]["note"], r#"mapping {"a": Number(1)} ["sku"] de-CH"#);
        assert_eq!(describe_form::<Repeats>(question("[]")).unwrap_err().code, "bad-json");
    }
}
