//! The shape of a connector file: its keys and their places. A key that is not listed here is refused.

mod form;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use stepbox_batch::job::Always;
use stepbox_batch::limits::LimitOverrides;
use stepbox_batch::nearest::nearest;

use super::ConnectorFileError;

pub(super) use form::{
    DeclaredRight, Entry as FormEntry, Field as FormField, Form, Group as FormGroup,
    ReadOnly as FormReadOnly, ReadOnlyWhen, Right as FormRight, Tab as FormTab,
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The connector's code.
    pub(super) connector: String,
    /// A name for people. The default is the code.
    pub(super) label: Option<String>,
    /// The components by the name that the steps use. A value is the path of a file, relative to this file's
    /// folder, or the name and the version of an uploaded component.
    #[serde(default)]
    pub(super) components: BTreeMap<String, String>,
    /// Rights beside the roles, which tabs and fields of forms may need.
    pub(super) rights: Option<Ordered<DeclaredRight>>,
    /// At least one job.
    pub(super) jobs: Ordered<Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// `import`, `export` or any other word.
    #[serde(rename = "type")]
    pub(super) job_type: String,
    /// A name for people. The default is the name of the job.
    pub(super) label: Option<String>,
    /// Whether its executions may be stopped.
    #[serde(default = "yes")]
    pub(super) stoppable: bool,
    /// How many executions of one instance may run at a time. Without the key there is no limit.
    pub(super) concurrency: Option<u32>,
    /// A JSON Schema, and `extends` with the name of another job.
    pub(super) parameters: Option<Value>,
    /// Where the parameters stand in the form of its instances. Without the key the form follows the schema.
    pub(super) form: Option<Form>,
    /// The parameters that a launch may change. Without the key all.
    pub(super) launch: Option<Vec<String>>,
    /// The steps, in the order in which they run.
    pub(super) steps: Vec<Step>,
}

/// A step, or a split. A split has a name and branches, and nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: Option<String>,
    pub(super) reader: Option<Value>,
    /// One processor …
    pub(super) processor: Option<Value>,
    /// … or several, in order.
    pub(super) processors: Option<Vec<Value>>,
    pub(super) writer: Option<Value>,
    pub(super) tasklet: Option<Value>,
    pub(super) chunk: Option<Chunk>,
    pub(super) workers: Option<u32>,
    pub(super) partitions: Option<u32>,
    pub(super) ordered: Option<bool>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) skip: Option<Skip>,
    pub(super) retry: Option<Retry>,
    pub(super) rerun: Option<Rerun>,
    pub(super) start_limit: Option<u32>,
    /// What follows an exit status, in the order of the file.
    pub(super) on: Option<Ordered<String>>,
    pub(super) always: Option<Always>,
    pub(super) grants: Option<Grants>,
    pub(super) limits: Option<LimitOverrides>,
    /// The name of a split …
    pub(super) split: Option<String>,
    /// … and its branches, each with its steps.
    pub(super) branches: Option<Vec<Vec<Step>>>,
}

impl Step {
    /// The keys that only an item step has, beside its elements.
    pub(super) fn item_keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("processor", self.processor.is_some()),
            ("processors", self.processors.is_some()),
            ("chunk", self.chunk.is_some()),
            ("workers", self.workers.is_some()),
            ("partitions", self.partitions.is_some()),
            ("ordered", self.ordered.is_some()),
            ("checkpoint", self.checkpoint.is_some()),
            ("skip", self.skip.is_some()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key)
    }

    /// The keys that a split may not have.
    pub(super) fn step_keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("name", self.name.is_some()),
            ("reader", self.reader.is_some()),
            ("writer", self.writer.is_some()),
            ("tasklet", self.tasklet.is_some()),
            ("retry", self.retry.is_some()),
            ("rerun", self.rerun.is_some()),
            ("start_limit", self.start_limit.is_some()),
            ("on", self.on.is_some()),
            ("always", self.always.is_some()),
            ("grants", self.grants.is_some()),
            ("limits", self.limits.is_some()),
        ];
        let keys = keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
        keys.chain(self.item_keys())
    }
}

/// A number of rows, or rows, bytes and seconds.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number of rows, or `rows`, `bytes` and `seconds`")]
pub(super) enum Chunk {
    Rows(u32),
    All(ChunkLimits),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChunkLimits {
    pub(super) rows: Option<u32>,
    pub(super) bytes: Option<u32>,
    pub(super) seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    pub(super) items: Option<u64>,
    pub(super) seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    pub(super) limit: Option<u64>,
    pub(super) share: Option<String>,
    pub(super) on: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    pub(super) limit: Option<u32>,
    pub(super) on: Option<Vec<String>>,
    pub(super) backoff: Option<Backoff>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backoff {
    pub(super) seconds: Option<f64>,
    pub(super) seconds_max: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rerun {
    UnlessCompleted,
    Always,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Grants {
    pub(super) http: Vec<String>,
    pub(super) files: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// A mapping that keeps the order of the file.
#[derive(Debug)]
pub(super) struct Ordered<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping from names")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// A mistake in the YAML, with its place.
pub(super) struct FormMistake {
    line: Option<u64>,
    column: Option<u64>,
    message: String,
    help: String,
}

impl FormMistake {
    pub(super) fn at(self, file: &Path) -> ConnectorFileError {
        ConnectorFileError {
            code: "connector-file-malformed",
            file: file.to_owned(),
            line: self.line,
            column: self.column,
            message: self.message,
            help: self.help,
            remedies: Vec::new(),
            others: Vec::new(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<File, FormMistake> {
    // `NO`, `on` and `y` are words, and `0123` is a name that starts with a zero. Only `true` and `false` are
    // booleans.
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        let (message, help) = describe(error.without_snippet());
        let (line, column) = (location.map(|at| at.line()), location.map(|at| at.column()));
        FormMistake { line, column, message, help }
    })
}

fn describe(error: &serde_saphyr::Error) -> (String, String) {
    match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            let message = format!("the key `{field}` is not known here");
            let help = match nearest(field, expected.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known are {}", list(expected)),
            };
            (message, help)
        }
        serde_saphyr::Error::MultipleDocuments { .. } => {
            let message = "a second YAML document begins here; a connector file has one".to_owned();
            (message, "remove the line `---`, and what follows if it belongs to another file".to_owned())
        }
        serde_saphyr::Error::NonFiniteFloat { .. } => {
            let message = "a number is finite: `.inf` and `.nan` are none".to_owned();
            (message, "write a number, or quote it if it is a text".to_owned())
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            // The place is that of another key in the same mapping.
            (format!("the key `{field}` is missing beside this one"), String::new())
        }
        other => {
            // The library's text ends with the place, and the message already begins with the place.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or(text);
            // This is advice for programmers who call the library.
            let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
            (text.trim_start_matches("error: ").to_owned(), String::new())
        }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
