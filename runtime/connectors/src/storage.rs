//! Where a file lives, as job parameters say it.

use std::fs::File;

use serde_json::Value;
use stepbox_batch::step_context::RunInfo;

use crate::error::{ConnectorError, Result};
use crate::folders::{Folders, OutputPlace};
use crate::placeholders;

/// The types of storage there are.
pub const STORAGE_TYPES: &[&str] = &["local"];

/// A place for one file: `{"type": "local", "file_path": "out/products.csv"}`, or just the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// A file of this machine, within the [`Folders`] that the runtime grants.
    Local {
        /// Absolute, or relative to the base folder. An output's may hold placeholders.
        file_path: String,
    },
}

impl Storage {
    /// Reads the value of the option `option`.
    pub(crate) fn from_value(option: &'static str, value: &Value) -> Result<Self> {
        let bad = |problem: String| ConnectorError::BadOption { option, problem };
        let storage = match value {
            Value::String(file_path) => return Ok(Self::Local { file_path: file_path.clone() }),
            Value::Object(storage) => storage,
            _ => return Err(bad("is neither a path nor a storage".to_owned())),
        };
        match storage.get("type") {
            Some(Value::String(name)) if name == "local" => {}
            Some(Value::String(name)) => {
                let (given, available) = (name.clone(), STORAGE_TYPES);
                return Err(ConnectorError::UnknownStorage { option, given, available });
            }
            _ => return Err(bad(format!("has no `type`; available: {}", STORAGE_TYPES.join(", ")))),
        }
        if let Some(key) = storage.keys().find(|key| !["type", "file_path"].contains(&key.as_str())) {
            return Err(bad(format!("has the key `{key}`, which a local storage does not")));
        }
        match storage.get("file_path") {
            Some(Value::String(file_path)) => Ok(Self::Local { file_path: file_path.clone() }),
            _ => Err(bad("has no `file_path`".to_owned())),
        }
    }

    /// The path as it was given, for people.
    pub(crate) fn path(&self) -> &str {
        let Self::Local { file_path } = self;
        file_path
    }

    /// Opens the file for reading.
    pub(crate) fn open_input(&self, folders: &Folders) -> Result<File> {
        folders.open_input(self.path())
    }

    /// Finds the place of the output, with its placeholders filled.
    pub(crate) fn place_output(&self, folders: &Folders, run: &RunInfo) -> Result<OutputPlace> {
        folders.place_output(&placeholders::fill(self.path(), run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let found = Storage::from_value("to", &serde_json::from_str(value).unwrap());
        let found = found.map_or_else(|error| error.to_string(), |storage| storage.path().to_owned());
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn a_storage_is_a_path_or_names_its_type() {
        check(r#"{"type": "local", "file_path": "out/a.csv"}"#, "out/a.csv");
        check(r#""out/a.csv""#, "out/a.csv");
        check(
            r#"{"type": "ftp", "file_path": "a"}"#,
            "the option `to` names the storage type `ftp`; available: local",
        );
        check(r#"{"file_path": "a"}"#, "the option `to` has no `type`; available: local");
        check(r#"{"type": 1}"#, "the option `to` has no `type`; available: local");
        check(r#"{"type": "local"}"#, "the option `to` has no `file_path`");
        check(
            r#"{"type": "local", "file_path": "a", "host": "h"}"#,
            "the option `to` has the key `host`, which a local storage does not",
        );
        check("7", "the option `to` is neither a path nor a storage");
    }
}
