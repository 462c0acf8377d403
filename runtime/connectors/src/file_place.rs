//! Where an option's file lies, as one text for each place: so two options, or two runs, are told to mean the same file.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use stepbox_batch::step_context::RunInfo;

use crate::folders::Folders;
use crate::placeholders;
use crate::storage::Storage;
use crate::storages::Place;

/// The place of a file. Equal for one place, whatever path leads there; links are followed as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    given: String,
    address: String,
    has_placeholders: bool,
}

impl FilePlace {
    /// The path as it was given, for people.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Equal for equal places.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether placeholders stand in it, since it is of no run. Two such places are the same in each run.
    pub fn has_placeholders(&self) -> bool {
        self.has_placeholders
    }
}

/// The place that an input's option names; `None` if it names none that there is, which opening it tells.
pub fn input_place(options: &Value, folders: &Folders) -> Option<FilePlace> {
    place("from", options, folders, str::to_owned)
}

/// The place that an output's option names, in a run if one is given.
pub fn output_place(options: &Value, folders: &Folders, run: Option<&RunInfo>) -> Option<FilePlace> {
    let fill = |path: &str| run.map_or_else(|| path.to_owned(), |run| placeholders::fill(path, run));
    let found = place("to", options, folders, fill)?;
    Some(FilePlace { has_placeholders: run.is_none() && placeholders::are_in(&found.given), ..found })
}

fn place(
    option: &'static str,
    options: &Value,
    folders: &Folders,
    fill: impl Fn(&str) -> String,
) -> Option<FilePlace> {
    let storage = Storage::from_value(option, options.get(option)?).ok()?;
    let given = fill(storage.path());
    let address = match &storage {
        Storage::Local { .. } => of_machine(&folders.beginning()?.join(&given)),
        Storage::Named { storage_type, storage, .. } => {
            match folders.storages().find(option, storage, storage_type).ok()?.place() {
                Place::Local(folder) => of_machine(&folder.join(&given)),
                Place::Bucket { address, .. } => address.of(&given),
            }
        }
    };
    Some(FilePlace { given, address, has_placeholders: false })
}

/// The path without links and detours, as far as there is something; the rest as it reads.
fn of_machine(path: &Path) -> String {
    let plain = without_detours(path);
    let mut at = plain.as_path();
    let found = loop {
        match (fs::canonicalize(at), at.parent()) {
            (Ok(found), _) => break found.join(plain.strip_prefix(at).unwrap_or(Path::new(""))),
            (Err(_), Some(parent)) => at = parent,
            (Err(_), None) => break plain.clone(),
        }
    };
    // What is left of the path of something that exists is empty, and must not look like a folder.
    found.components().collect::<PathBuf>().to_string_lossy().into_owned()
}

fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // A link before it leads elsewhere; then the file system has the last word.
            Component::ParentDir if !fs::symlink_metadata(&plain).is_ok_and(|found| found.is_symlink()) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::name::JobExecutionId;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folders) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/a.csv"), "a\n").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("in", folder.path().join("link")).unwrap();
        let folders = Folders::anywhere(folder.path());
        (folder, folders)
    }

    #[test]
    fn whatever_leads_to_a_file_has_its_place() {
        let (folder, folders) = folder();
        let check = |one: &str, other: &str, expected: bool| {
            let [one_place, other_place] = [one, other].map(|path| {
                let absolute = path.replace("ROOT", folder.path().to_str().unwrap());
                input_place(&json!({ "from": absolute }), &folders).unwrap()
            });
            assert_eq!(one_place.address() == other_place.address(), expected, "{one} {other}");
        };
        check("in/a.csv", "./in//a.csv", true);
        check("in/a.csv", "ROOT/in/../in/a.csv", true);
        check("new/b.csv", "ROOT/new/./b.csv", true);
        check("in/a.csv", "nowhere/../in/a.csv", true);
        check("in/a.csv", "in/b.csv", false);
        check("in/a.csv", "a.csv", false);
        if cfg!(unix) {
            check("in/a.csv", "link/a.csv", true);
            check("in/new.csv", "link/new.csv", true);
            check("in/a.csv", "link/../in/a.csv", true);
        }
    }

    #[test]
    fn an_output_has_its_place_in_each_run() {
        let (_folder, folders) = folder();
        let options = json!({ "to": { "type": "local", "file_path": "%job_label%_%execution%.csv" } });
        let of_run = |id| {
            let (job_label, started_at) = ("Job".to_owned(), Timestamp(0));
            let run = RunInfo { id: JobExecutionId(id), job_label, started_at };
            output_place(&options, &folders, Some(&run)).unwrap()
        };
        assert_eq!(of_run(7).given(), "Job_7.csv");
        assert_ne!(of_run(7).address(), of_run(8).address());
        assert!(!of_run(7).has_placeholders());
        assert!(output_place(&options, &folders, None).unwrap().has_placeholders());
        assert_eq!(output_place(&json!({ "to": 7 }), &folders, None), None);
        assert_eq!(output_place(&json!({}), &folders, None), None);
    }
}
