//! Unfinished outputs of a run that will not be continued. They are found by their names, and removed.

use serde_json::Value;
use stepbox_batch::error::ElementError;
use stepbox_batch::run_context::RunInfo;

use super::State;
use crate::location::Location;
use crate::placeholders;
use crate::reach::Reach;
use crate::storage::names::{stem_of, temporary_name};

/// The unfinished output of a run: its final path, and the temporary name from which the names of its files are made.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOver {
    to: Location,
    temporary: String,
}

impl LeftOver {
    /// The output of a native writer's state, or of the state of a writer of one of its fragments; `None` if no state
    /// is one of a native writer.
    pub fn of_states<'a>(states: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        states.into_iter().find_map(|state| {
            let state: State = serde_json::from_slice(state).ok()?;
            let to = Location::from_value("to", &state.file()?).ok()?;
            Some(Self { to, temporary: without_fragment(&state.part) })
        })
    }

    /// The output in the options of a writer that has stored no state; `None` if the options name no output.
    pub fn of_options(options: &Value, run: &RunInfo) -> Option<Self> {
        let to = Location::from_value("to", options.get("to")?).ok()?;
        let path = placeholders::fill(to.path(), run);
        let name = path.rsplit('/').next().unwrap_or(&path);
        let temporary = temporary_name(name, run.id, None);
        Some(Self { to: to.with_path(path), temporary })
    }

    /// The final path of the output, for people.
    pub fn path(&self) -> &str {
        self.to.path()
    }

    /// The name of the storage that contains the output; `None` for the folders of this machine.
    pub fn storage(&self) -> Option<&str> {
        self.to.storage()
    }

    /// Removes the unfinished files of the output and of its fragments.
    ///
    /// The call waits for the disk or the bucket.
    pub fn remove(&self, reach: &Reach) -> Result<(), ElementError> {
        Ok(reach.files(&self.to)?.remove_left_over(self.path(), &self.temporary)?)
    }
}

/// The temporary name of an output, from that of the output itself or of one of its fragments.
fn without_fragment(temporary: &str) -> String {
    let stem = stem_of(temporary);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match stem.rsplit_once(".p") {
        Some((of_output, number)) if is_number(number) => format!("{of_output}.part"),
        _ => temporary.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::name::JobExecutionId;

    use super::*;
    use crate::folders::Folders;
    use crate::storage::Files;
    use crate::storage::bucket::Bucket;

    fn run() -> RunInfo {
        RunInfo { id: JobExecutionId(118), job_label: "Job".to_owned(), started_at: Timestamp(0) }
    }

    const STATE: &[u8] = br#"{"path":"out/a.csv","part":".a.csv.118.p3.part","length":7}"#;

    #[test]
    fn is_told_by_a_state_as_by_the_options() {
        let of_options = LeftOver::of_options(&json!({ "to": "out/a.csv" }), &run()).unwrap();
        assert_eq!(LeftOver::of_states([b"other".as_slice(), STATE]), Some(of_options));
        let filled = LeftOver::of_options(&json!({ "to": "%job_label%/%execution%.csv" }), &run()).unwrap();
        assert_eq!((filled.path(), &*filled.temporary), ("Job/118.csv", ".118.csv.118.part"));
        assert_eq!(LeftOver::of_options(&json!({ "to": 7 }), &run()), None);
    }

    #[test]
    fn only_files_of_the_run_go() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let left_over = LeftOver::of_states([STATE]).unwrap();
        let reach = Reach::from(Folders::anywhere(folder.path()));
        left_over.remove(&reach).unwrap();
        assert!(!out.exists(), "nothing is made to look for something");

        fs::create_dir(&out).unwrap();
        let ours = [
            ".a.csv.118.part",
            ".a.csv.118.118-1.part",
            ".a.csv.118.120-3.part",
            ".a.csv.118.120-3.2.part",
            ".a.csv.118.p3.124-1.part",
        ];
        let others =
            [".a.csv.118.120-3.csv", ".a.csv.1180.120-3.part", ".a.csv.119.119-1.part", "a.csv", "a.csv.118"];
        ours.iter().chain(&others).for_each(|name| fs::write(out.join(name), "x").unwrap());
        left_over.remove(&reach).unwrap();
        let left = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, others);
    }

    #[test]
    fn in_a_bucket_only_objects_of_the_run_go() {
        let bucket = Bucket::in_memory();
        let ours = [
            "out/.a.csv.118.part/000001.118-1-5f0c2a97",
            "out/.a.csv.118.part/000002.120-3-00000001",
            "out/.a.csv.118.p3.part/000001.124-1-5f0c2a97",
        ];
        let others = [
            "out/.a.csv.118.p3.csv/000001.124-1-5f0c2a97",
            "out/.a.csv.118.part/readme",
            "out/.a.csv.1180.part/000001.118-1-5f0c2a97",
            "out/a.csv",
        ];
        for path in ours.iter().chain(&others) {
            bucket.begin_write(path, vec![1]).wait().unwrap();
        }
        bucket.remove_left_over("out/a.csv", ".a.csv.118.part").unwrap();
        let left: Vec<_> = bucket.list("out/").unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(left, others);
    }
}
