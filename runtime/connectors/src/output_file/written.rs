//! What an output's last state says about the output, for code that did not write it.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{State, numbered, with_name};
use crate::error::ConnectorError;
use crate::location::Location;
use crate::reach::Reach;
use crate::storage::{InputSource, OpenInput};

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
            Location::Local { .. } | Location::Upload { .. } => None,
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

/// A file that a native writer has written, with its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    at: Location,
    length: Option<u64>,
}

/// How many files of one output are told at most.
const FILES_TOLD_MAX: u64 = 10_000;

/// The files of a native writer's output that is complete, from its last state, in their order: at most 10,000.
///
/// There are none if the state is another writer's.
pub fn written_files(state: &[u8]) -> Vec<WrittenFile> {
    let Some(state) = serde_json::from_slice::<State>(state).ok() else { return Vec::new() };
    let at = state.file().and_then(|file| Location::from_value("to", &file).ok());
    let Some(at) = at else { return Vec::new() };
    let files = state.series.map_or(1, |last| last.number);
    let one = |number| {
        let path = match files {
            1 => state.path.clone(),
            _ => with_name(
                &state.path,
                &numbered(state.path.rsplit('/').next().unwrap_or(&state.path), number),
            ),
        };
        // The state has only the length of the last file.
        WrittenFile { at: at.with_path(path), length: (number == files).then_some(state.length) }
    };
    (1..=files.min(FILES_TOLD_MAX)).map(one).collect()
}

impl WrittenFile {
    /// The path as it was given, with its placeholders filled.
    pub fn path(&self) -> &str {
        self.at.path()
    }

    /// The name of the storage that contains the file; `None` for the folders of this machine.
    pub fn storage(&self) -> Option<&str> {
        self.at.storage()
    }

    /// How many bytes were written, if that is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Opens the file for reading, through the folders and storages that writers and readers use.
    ///
    /// A link is refused, and a file whose length is not that of the output: somebody has replaced it. The call waits
    /// for the disk or the bucket.
    pub fn open(&self, reach: &Reach) -> Result<WrittenInput, ConnectorError> {
        let OpenInput { source, length, .. } = reach.files(&self.at)?.open_written(self.path())?;
        match self.length {
            Some(written) if written != length => Err(ConnectorError::OutputChanged {
                path: self.path().to_owned(),
                difference: format!("it has {length} bytes, and {written} were written"),
            }),
            _ => Ok(WrittenInput { source, length }),
        }
    }
}

/// A written file that is read. Each call waits for the disk or the bucket.
pub struct WrittenInput {
    source: Box<dyn InputSource>,
    length: u64,
}

impl WrittenInput {
    /// The length of the file in bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl io::Read for WrittenInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}

impl fmt::Debug for WrittenInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrittenInput").field("length", &self.length).finish_non_exhaustive()
    }
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
    use std::fs;
    use std::io::Read as _;

    use super::*;
    use crate::folders::Folders;

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

    /// The files have the names that the writer gave them. They are opened like its own, and no other file is.
    #[test]
    fn files_are_told_and_opened_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let (out, outside) = (folder.path().join("out"), tempfile::tempdir().unwrap());
        fs::create_dir(&out).unwrap();
        let state = |more: &str| format!(r#"{{"path":"out/a.csv","part":".a.csv.1.part","length":4{more}}}"#);
        let one = written_files(state("").as_bytes());
        let series = written_files(state(r#","series":{"number":2,"lines":1,"bytes_before":9}"#).as_bytes());
        let told = |files: &[WrittenFile]| {
            let told = files.iter().map(|file| format!("{} {:?}", file.path(), file.length()));
            told.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(&one), "out/a.csv Some(4)");
        assert_eq!(told(&series), "out/a_1.csv None, out/a_2.csv Some(4)");
        assert_eq!(written_files(br#"{"rows":7}"#), []);

        let reach = Reach::from(Folders::beneath([folder.path()]));
        let read = |file: &WrittenFile| match file.open(&reach) {
            Ok(mut input) => {
                let mut text = String::new();
                input.read_to_string(&mut text).unwrap();
                assert_eq!(input.length(), text.len() as u64);
                text
            }
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(read(&one[0]), "file-not-found");
        fs::write(out.join("a.csv"), "abc\n").unwrap();
        fs::write(out.join("a_1.csv"), "any length").unwrap();
        assert_eq!((read(&one[0]), read(&series[0])), ("abc\n".to_owned(), "any length".to_owned()));
        fs::write(out.join("a.csv"), "another run's").unwrap();
        assert_eq!(read(&one[0]), "output-changed");

        fs::write(outside.path().join("secret"), "s3cr").unwrap();
        fs::remove_file(out.join("a.csv")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), out.join("a.csv")).unwrap();
        assert_eq!(read(&one[0]), "file-not-regular");
        fs::remove_dir_all(&out).unwrap();
        fs::write(outside.path().join("a.csv"), "s3cr").unwrap();
        std::os::unix::fs::symlink(outside.path(), &out).unwrap();
        assert_eq!(read(&one[0]), "file-refused");
        let climbing = written_files(state("").replace("out/a.csv", "../../etc/passwd").as_bytes());
        assert_eq!(read(&climbing[0]), "file-refused");
        let elsewhere = written_files(state("").replace("out/a.csv", "/etc/passwd").as_bytes());
        assert_eq!(read(&elsewhere[0]), "file-refused");
    }
}
