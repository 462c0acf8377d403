//! The place of a file, as job parameters name it.

use serde_json::{Map, Value};

use crate::error::{ConnectorError, Result};
use crate::storage::STORAGE_TYPES;
use crate::storage::types::UNNAMED_TYPE;
use crate::storage::uploads::UPLOAD_TYPE;

/// The options of native elements that name a file: a path, or a storage with a path.
pub const PATH_OPTIONS: &[&str] = &[INPUT_OPTION, "to"];

/// The option of a reader that names its file.
const INPUT_OPTION: &str = "from";

/// The place of one file: `{"type": "local", "file_path": "out/products.csv"}`, or only the path, or
/// `{"type": "s3", "storage": "exchange", "file_path": "out/products.csv"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file of this machine, within the folders that the runtime grants.
    Local {
        /// An absolute path, or one relative to the base folder. The path of an output may contain placeholders.
        file_path: String,
    },
    /// A file in a storage that the operator has named.
    Named {
        /// The option that names the storage, for errors.
        option: &'static str,
        /// The type of the storage according to the job.
        storage_type: &'static str,
        /// The storage's name.
        storage: String,
        /// The path in the storage. The path of an output may contain placeholders.
        file_path: String,
    },
    /// A file that a user has uploaded: `{"type": "upload", "id": "…"}`. It can only be read.
    Upload {
        /// The id of the file.
        id: String,
    },
}

impl Location {
    /// Reads the value of the option `option`.
    pub(crate) fn from_value(option: &'static str, value: &Value) -> Result<Self> {
        let bad = |problem: String| ConnectorError::BadOption { option, problem };
        let value = match value {
            Value::String(file_path) => return Ok(Self::Local { file_path: file_path.clone() }),
            Value::Object(value) => value,
            _ => return Err(bad("is neither a path nor a storage".to_owned())),
        };
        if value.get("type").is_some_and(|given| given == UPLOAD_TYPE) {
            return upload(option, value);
        }
        let storage_type = storage_type(option, value)?;
        let storage = match value.get("storage") {
            Some(Value::String(storage)) => Some(storage.clone()),
            // The operator's keys are never in a job, so the job must name a storage.
            None if storage_type != UNNAMED_TYPE => {
                return Err(bad("has no `storage`: the name of one that the operator has set up".to_owned()));
            }
            None => None,
            Some(other) => return Err(bad(format!("has the `storage` {other}, which is no name"))),
        };
        if let Some(key) = value.keys().find(|key| !["type", "storage", "file_path"].contains(&key.as_str()))
        {
            return Err(bad(format!(
                "has the key `{key}`, which a storage of type `{storage_type}` does not"
            )));
        }
        let Some(Value::String(file_path)) = value.get("file_path") else {
            return Err(bad("has no `file_path`".to_owned()));
        };
        let file_path = file_path.clone();
        Ok(match storage {
            None => Self::Local { file_path },
            Some(storage) => Self::Named { option, storage_type, storage, file_path },
        })
    }

    /// The path as it was given, for people.
    pub(crate) fn path(&self) -> &str {
        let (Self::Local { file_path } | Self::Named { file_path, .. } | Self::Upload { id: file_path }) =
            self;
        file_path
    }

    /// The same storage with another path.
    pub(crate) fn with_path(&self, file_path: String) -> Self {
        match self {
            Self::Local { .. } => Self::Local { file_path },
            Self::Named { option, storage_type, storage, .. } => {
                Self::Named { option, storage_type, storage: storage.clone(), file_path }
            }
            // Only a reader's file is an upload, and its name is never another one.
            Self::Upload { id } => Self::Upload { id: id.clone() },
        }
    }

    /// The name of the storage; `None` for the folders of this machine.
    pub(crate) fn storage(&self) -> Option<&str> {
        match self {
            Self::Local { .. } | Self::Upload { .. } => None,
            Self::Named { storage, .. } => Some(storage),
        }
    }
}

/// An uploaded file, in an option of a reader.
fn upload(option: &'static str, value: &Map<String, Value>) -> Result<Location> {
    let bad = |problem: String| Err(ConnectorError::BadOption { option, problem });
    if option != INPUT_OPTION {
        return bad("names an upload, which can only be read".to_owned());
    }
    if let Some(key) = value.keys().find(|key| !["type", "id"].contains(&key.as_str())) {
        return bad(format!("has the key `{key}`, which an upload does not"));
    }
    match value.get("id") {
        Some(Value::String(id)) => Ok(Location::Upload { id: id.clone() }),
        _ => bad("has no `id`: that of an uploaded file".to_owned()),
    }
}

fn storage_type(option: &'static str, value: &Map<String, Value>) -> Result<&'static str> {
    let Some(Value::String(given)) = value.get("type") else {
        let problem = format!("has no `type`; available: {}", STORAGE_TYPES.join(", "));
        return Err(ConnectorError::BadOption { option, problem });
    };
    STORAGE_TYPES.iter().find(|known| *known == given).copied().ok_or_else(|| {
        let (given, available) = (given.clone(), STORAGE_TYPES);
        ConnectorError::UnknownStorage { option, given, available }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let found = Location::from_value("to", &serde_json::from_str(value).unwrap());
        let found = found.map_or_else(
            |error| error.to_string(),
            |location| match location.storage() {
                None => location.path().to_owned(),
                Some(name) => format!("{name}: {}", location.path()),
            },
        );
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn a_storage_is_a_path_or_names_its_type() {
        check(r#"{"type": "local", "file_path": "out/a.csv"}"#, "out/a.csv");
        check(r#"{"type": "local", "storage": "archive", "file_path": "out/a.csv"}"#, "archive: out/a.csv");
        check(r#"{"type": "s3", "storage": "exchange", "file_path": "out/a.csv"}"#, "exchange: out/a.csv");
        check(r#""out/a.csv""#, "out/a.csv");
        check(
            r#"{"type": "ftp", "file_path": "a"}"#,
            "the option `to` names the storage type `ftp`; available: local, s3",
        );
        check(r#"{"file_path": "a"}"#, "the option `to` has no `type`; available: local, s3");
        check(r#"{"type": 1}"#, "the option `to` has no `type`; available: local, s3");
        check(r#"{"type": "local"}"#, "the option `to` has no `file_path`");
        check(r#"{"type": "upload", "id": "a"}"#, "the option `to` names an upload, which can only be read");
        check(
            r#"{"type": "local", "file_path": "a", "host": "h"}"#,
            "the option `to` has the key `host`, which a storage of type `local` does not",
        );
        check(
            r#"{"type": "s3", "storage": "x", "file_path": "a", "secret_access_key": "s3cr3t"}"#,
            "the option `to` has the key `secret_access_key`, which a storage of type `s3` does not",
        );
        check(
            r#"{"type": "s3", "file_path": "a"}"#,
            "the option `to` has no `storage`: the name of one that the operator has set up",
        );
        check(
            r#"{"type": "s3", "storage": 7, "file_path": "a"}"#,
            "the option `to` has the `storage` 7, which is no name",
        );
        check("7", "the option `to` is neither a path nor a storage");
    }

    #[test]
    fn a_reader_may_name_an_upload_by_its_id_alone() {
        let check = |value: &str, expected: &str| {
            let found = Location::from_value("from", &serde_json::from_str(value).unwrap());
            let found = found.map_or_else(|error| error.to_string(), |location| format!("{location:?}"));
            assert_eq!(found, expected, "{value}");
        };
        check(r#"{"type": "upload", "id": "../a"}"#, r#"Upload { id: "../a" }"#);
        check(r#"{"type": "upload"}"#, "the option `from` has no `id`: that of an uploaded file");
        check(r#"{"type": "upload", "id": 7}"#, "the option `from` has no `id`: that of an uploaded file");
        check(
            r#"{"type": "upload", "id": "a", "file_path": "/etc/passwd"}"#,
            "the option `from` has the key `file_path`, which an upload does not",
        );
    }
}
