//! The form of a connector file: which keys stand where. A key that is not listed here is refused.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use stepbox_batch::nearest::nearest;

use super::ConnectorFileError;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The connector's code.
    pub(super) connector: String,
    /// For people; the code where there is none.
    pub(super) label: Option<String>,
    /// Files with components, by the name that the steps use, relative to this file's folder.
    #[serde(default)]
    pub(super) components: BTreeMap<String, String>,
    /// At least one.
    pub(super) jobs: Ordered<Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// `import`, `export` or any other word.
    #[serde(rename = "type")]
    pub(super) job_type: String,
    /// For people; the name where there is none.
    pub(super) label: Option<String>,
    /// Whether its executions may be stopped.
    #[serde(default = "yes")]
    pub(super) stoppable: bool,
    /// A JSON Schema, and `extends` with the name of another job.
    pub(super) parameters: Option<Value>,
    /// In the order they run.
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) reader: Option<Value>,
    /// One processor …
    pub(super) processor: Option<Value>,
    /// … or several, in order.
    pub(super) processors: Option<Vec<Value>>,
    pub(super) writer: Option<Value>,
    pub(super) tasklet: Option<Value>,
    pub(super) chunk: Option<Chunk>,
    #[serde(default)]
    pub(super) grants: Grants,
    #[serde(default)]
    pub(super) limits: Limits,
}

/// Rows alone, or rows and bytes.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number of rows, or `rows` and `bytes`")]
pub(super) enum Chunk {
    Rows(u32),
    Both(ChunkLimits),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChunkLimits {
    pub(super) rows: Option<u32>,
    pub(super) bytes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Grants {
    pub(super) http: Vec<String>,
    pub(super) files: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) memory_bytes_max: Option<u64>,
    pub(super) time_ms_max: Option<u64>,
    pub(super) disk_bytes_max: Option<u64>,
    pub(super) log_bytes_max: Option<u64>,
    pub(super) http_requests_max: Option<u64>,
}

fn yes() -> bool {
    true
}

/// A mapping in the order of the file.
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

/// What is wrong with the YAML, with its place.
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
        }
    }
}

pub(super) fn parse(text: &str) -> Result<File, FormMistake> {
    let options = serde_saphyr::options! { with_snippet: false };
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
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            // The place is that of a neighbour in the same mapping.
            (format!("the key `{field}` is missing beside this one"), String::new())
        }
        other => {
            // The library's own text ends with the place, which stands in front already.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or(text);
            // Advice to those who call the library.
            let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
            (text.trim_start_matches("error: ").to_owned(), String::new())
        }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
