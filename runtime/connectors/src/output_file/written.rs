//! What an output's last state says about the output, for code that did not write it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::State;
use crate::location::Location;

/// The storage of an output, as a state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StorageName {
    #[serde(rename = "type")]
    storage_type: String,
    storage: String,
}

impl StorageName {
    /// The storage of a file; `None` for a file outside of named storages.
    pub(super) fn of(location: &Location) -> Option<Self> {
        match location {
            Location::Local { .. } => None,
            Location::Named { storage_type, storage, .. } => {
                Some(Self { storage_type: (*storage_type).to_owned(), storage: storage.clone() })
            }
        }
    }
}

/// The output that a writer has written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenOutput {
    /// The first file, as the value of a reader's option: a path, or a storage with a path.
    pub file: Value,
    /// The folder of the files; `None` in a storage.
    pub folder: Option<String>,
    /// How many files there are.
    pub files: u64,
}

/// The output of a native writer, from its last state; `None` if the state is another writer's.
pub fn written_output(state: &[u8]) -> Option<WrittenOutput> {
    let state: State = serde_json::from_slice(state).ok()?;
    let folder = match state.path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let folder = state.storage.is_none().then(|| folder.to_owned());
    Some(WrittenOutput { file: state.file()?, folder, files: state.series.map_or(1, |last| last.number) })
}

impl State {
    /// The value of the option that names the file.
    pub(super) fn file(&self) -> Option<Value> {
        match &self.storage {
            Some(StorageName { storage_type, storage }) => {
                Some(json!({ "type": storage_type, "storage": storage, "file_path": self.path }))
            }
            // Early states of outputs in a bucket did not contain the storage.
            None if self.parts.is_some() => None,
            None => Some(Value::from(self.path.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_tells_what_was_written() {
        let check = |state: Value, expected: &str| {
            let told = match written_output(state.to_string().as_bytes()) {
                Some(WrittenOutput { file, folder, files }) => {
                    format!("{file} {} {files}", folder.unwrap_or_default())
                }
                None => "nothing".to_owned(),
            };
            assert_eq!(told, expected, "{state}");
        };
        let state = |path: &str, more: Value| {
            let mut state = json!({ "path": path, "part": ".a.csv.1.part", "length": 7 });
            state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            state
        };
        check(state("out/today/a.csv", json!({})), r#""out/today/a.csv" out/today 1"#);
        check(state("/a.csv", json!({})), r#""/a.csv" / 1"#);
        check(state("a.csv", json!({})), r#""a.csv" . 1"#);
        let series = json!({ "series": { "number": 3, "lines": 1, "bytes_before": 9 } });
        check(state("out/a.csv", series), r#""out/a.csv" out 3"#);
        let storage = json!({ "storage": { "type": "s3", "storage": "exchange" }, "parts": null });
        let named = r#"{"type":"s3","storage":"exchange","file_path":"out/a.csv"}  1"#;
        check(state("out/a.csv", storage), named);
        check(state("out/a.csv", json!({ "parts": { "runs": [], "files": [0] } })), "nothing");
        check(json!({ "rows": 7 }), "nothing");
    }
}
