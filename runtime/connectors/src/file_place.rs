//! The place of the file that an option names, as one text. Two options or two runs use the same file if their places
//! are equal.

use serde_json::Value;
use stepbox_batch::run_context::RunInfo;

use crate::location::Location;
use crate::placeholders;
use crate::reach::Reach;

/// The place of a file.
///
/// The same file has the same place for every path to it. Links are followed as they are now.
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

    /// The address of the place.
    ///
    /// Equal places have equal addresses.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the place contains placeholders, because it was found without a run.
    ///
    /// Two such places that are equal are equal in each run.
    pub fn has_placeholders(&self) -> bool {
        self.has_placeholders
    }
}

/// The place that an input's option names; `None` if the option names no existing file.
///
/// Opening the input reports the error.
pub fn input_place(options: &Value, reach: &Reach) -> Option<FilePlace> {
    place("from", options, reach, str::to_owned)
}

/// The place that an output's option names.
///
/// If a run is given, its values fill the placeholders.
pub fn output_place(options: &Value, reach: &Reach, run: Option<&RunInfo>) -> Option<FilePlace> {
    let fill = |path: &str| run.map_or_else(|| path.to_owned(), |run| placeholders::fill(path, run));
    let found = place("to", options, reach, fill)?;
    Some(FilePlace { has_placeholders: run.is_none() && placeholders::are_in(&found.given), ..found })
}

fn place(
    option: &'static str,
    options: &Value,
    reach: &Reach,
    fill: impl Fn(&str) -> String,
) -> Option<FilePlace> {
    let location = Location::from_value(option, options.get(option)?).ok()?;
    let given = fill(location.path());
    let address = reach.place_of(&location, &given)?;
    Some(FilePlace { given, address, has_placeholders: false })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use stepbox_batch::clock::Timestamp;
    use stepbox_batch::name::JobExecutionId;

    use super::*;
    use crate::folders::Folders;

    fn folder() -> (tempfile::TempDir, Reach) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/a.csv"), "a\n").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("in", folder.path().join("link")).unwrap();
        let reach = Reach::from(Folders::anywhere(folder.path()));
        (folder, reach)
    }

    #[test]
    fn whatever_leads_to_a_file_has_its_place() {
        let (folder, reach) = folder();
        let check = |one: &str, other: &str, expected: bool| {
            let [one_place, other_place] = [one, other].map(|path| {
                let absolute = path.replace("ROOT", folder.path().to_str().unwrap());
                input_place(&json!({ "from": absolute }), &reach).unwrap()
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
        let (_folder, reach) = folder();
        let options = json!({ "to": { "type": "local", "file_path": "%job_label%_%execution%.csv" } });
        let of_run = |id| {
            let (job_label, started_at) = ("Job".to_owned(), Timestamp(0));
            let run = RunInfo { id: JobExecutionId(id), job_label, started_at };
            output_place(&options, &reach, Some(&run)).unwrap()
        };
        assert_eq!(of_run(7).given(), "Job_7.csv");
        assert_ne!(of_run(7).address(), of_run(8).address());
        assert!(!of_run(7).has_placeholders());
        assert!(output_place(&options, &reach, None).unwrap().has_placeholders());
        assert_eq!(output_place(&json!({ "to": 7 }), &reach, None), None);
        assert_eq!(output_place(&json!({}), &reach, None), None);
    }
}
