//! How an output comes to its final name, and what can go wrong on the way.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stepbox_batch::execution::SummaryValue;

use super::local::LocalFiles;
use super::*;
use crate::file_problem::FileProblem;
use crate::testing::{Writing, rows, say, step, wait};

fn open(folder: &Path, to: &str, state: Option<&[u8]>) -> std::result::Result<Writing, String> {
    Writing::open("csv", json!({}), to, folder, &["a"], state).map_err(say)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn appears_only_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("out.csv"), "yesterday").unwrap();
    let mut writing = open(folder.path(), "out.csv", None).unwrap();
    writing.write(&rows(&[&["1"]])).unwrap();
    writing.checkpoint();
    assert_eq!(names(folder.path()), [".out.csv.118.part", "out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "yesterday");
    writing.complete().unwrap();
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n");
}

#[test]
fn later_steps_find_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = open(folder.path(), "./new/%job_label%_%datetime%.csv", None).unwrap();
    assert_eq!(writing.context.get("export.file_path"), None);
    writing.complete().unwrap();
    let path = folder.path().join("new/My_job_2024-03-05_14-07-09.csv");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\n", "an export without items has its header");
    assert_eq!(writing.context.get("export.file_path"), Some(Value::from(path.to_str().unwrap())));
    let shown = SummaryValue::Text("./new/My_job_2024-03-05_14-07-09.csv".to_owned());
    assert_eq!(writing.context.findings().summary["file"], shown);
}

#[test]
fn completing_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = open(folder.path(), "out.csv", None).unwrap();
    writing.write(&rows(&[&["1"]])).unwrap();
    let state = writing.checkpoint();
    writing.complete().unwrap();
    writing.complete().unwrap();
    drop(writing);
    // The run ended before anybody wrote down that it was complete.
    let mut writing = open(folder.path(), "out.csv", Some(&state)).unwrap();
    assert_eq!(writing.checkpoint(), state);
    writing.complete().unwrap();
    assert!(writing.context.get("export.file_path").is_some());
    assert_eq!(names(folder.path()), ["out.csv"]);
    let mut writing = open(folder.path(), "out.csv", Some(&state)).unwrap();
    writing.write(&rows(&[&["2"]])).unwrap();
    let found = say(writing.complete().unwrap_err());
    assert!(found.ends_with("it was complete, and there are further items"), "{found}");
}

#[test]
fn a_restart_keeps_the_name_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path(), "%datetime%.csv", None).unwrap().checkpoint();
    let mut writing = open(folder.path(), "another.csv", Some(&state)).unwrap();
    writing.complete().unwrap();
    assert_eq!(names(folder.path()), ["2024-03-05_14-07-09.csv"]);
}

#[test]
fn an_output_that_changed_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (part, out) = (folder.path().join(".out.csv.118.part"), folder.path().join("out.csv"));
    let mut writing = open(folder.path(), "out.csv", None).unwrap();
    writing.write(&rows(&[&["1"]])).unwrap();
    let state = writing.checkpoint();
    drop(writing);
    let found = || open(folder.path(), "out.csv", Some(&state)).map(|_| ()).unwrap_err();
    let changed = "output-changed: the unfinished output of `out.csv` is not as this run left it: ";
    fs::write(&part, "a\n").unwrap();
    assert_eq!(found(), format!("{changed}it has 2 bytes, 4 of them were written"));
    fs::remove_file(&part).unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.part` is gone"));
    fs::write(&out, "a\n12\n").unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.part` is gone"));
    fs::create_dir(&part).unwrap();
    assert_eq!(found(), "file-is-directory: cannot open the unfinished `out.csv`: it is a folder");
}

/// Regression: rows of a newer component were put below the header of the one before.
#[test]
fn rows_with_other_columns_are_not_put_below_those_of_a_csv_file() {
    let found = |name: &str, header: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let open = |header: &[&str], state: Option<&[u8]>| {
            Writing::open(name, json!({}), "out.txt", folder.path(), header, state).map_err(say)
        };
        let state = open(&["a", "b"], None).unwrap().checkpoint();
        open(header, Some(&state)).map_or_else(|error| error, |_| "ok".to_owned())
    };
    let changed = "columns-changed: the unfinished output of `out.txt` was begun with other columns than the \
                   items have now";
    assert_eq!(found("csv", &["a", "b"]), "ok");
    assert_eq!(found("csv", &["b", "a"]), changed);
    assert_eq!(found("csv", &["a", "b", "c"]), changed);
    assert_eq!(found("jsonl", &["a", "b", "c"]), "ok", "each line names its own");
}

const TAKEN_OVER: &str =
    "output-taken-over: another worker has taken the unfinished output of `out.csv` over";

/// The first attempt stands for a worker that was stopped beyond its lease: it has the file open and locked.
#[test]
fn goes_on_although_a_worker_that_lost_its_lease_has_the_file_open() {
    for is_from_checkpoint in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join(".out.csv.118.part");
        let mut first = open(folder.path(), "out.csv", None).unwrap();
        first.write(&rows(&[&["1"]])).unwrap();
        let state = is_from_checkpoint.then(|| first.checkpoint());
        let lost = "x".repeat(BUFFER_BYTES);
        first.write(&rows(&[&[&lost]])).unwrap();
        let mut second = open(folder.path(), "out.csv", state.as_deref()).unwrap();
        let begun = if is_from_checkpoint { "a\n1\n" } else { "" };
        assert_eq!(fs::read_to_string(&part).unwrap(), begun);
        if !is_from_checkpoint {
            second.write(&rows(&[&["1"]])).unwrap();
        }
        second.write(&rows(&[&["2"]])).unwrap();
        let later = second.checkpoint();
        // The first one wakes up in turn, and cannot do any harm.
        first.write(&rows(&[&[&lost]])).unwrap();
        assert_eq!(say(wait(first.writer.checkpoint()).unwrap_err()), TAKEN_OVER);
        assert_eq!(say(first.complete().unwrap_err()), TAKEN_OVER);
        assert_eq!(first.context.get("export.file_path"), None, "nobody hears of it");
        assert_eq!(names(folder.path()), [".out.csv.118.part"]);
        assert_eq!(fs::read_to_string(&part).unwrap(), "a\n1\n2\n");
        drop(first);
        drop(second);
        let mut third = open(folder.path(), "out.csv", Some(&later)).unwrap();
        third.write(&rows(&[&["3"]])).unwrap();
        third.complete().unwrap();
        assert_eq!(names(folder.path()), ["out.csv"]);
        assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n3\n");
    }
}

/// The new worker is done before the old one wakes up.
#[test]
fn a_worker_that_lost_its_lease_never_replaces_what_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path(), "out.csv", None).unwrap();
    first.write(&rows(&[&["1"]])).unwrap();
    let state = first.checkpoint();
    first.write(&rows(&[&["2"]])).unwrap();
    let mut second = open(folder.path(), "out.csv", Some(&state)).unwrap();
    second.complete().unwrap();
    assert_eq!(say(first.complete().unwrap_err()), TAKEN_OVER);
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n");
}

#[test]
fn what_a_takeover_left_half_done_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(".out.csv.118.part.copy");
    let open = |state: Option<&[u8]>| open(folder.path(), "out.csv", state).unwrap();
    fs::write(&copy, "half of it").unwrap();
    let state = open(None).checkpoint();
    assert!(!copy.exists());
    fs::write(&copy, "half of it").unwrap();
    let first = open(Some(&state));
    assert!(!copy.exists());
    fs::write(&copy, "half of it").unwrap();
    open(Some(&state)).complete().unwrap();
    drop(first);
    assert_eq!(names(folder.path()), ["out.csv"]);
}

#[test]
fn leftovers_of_an_earlier_attempt_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join(".out.csv.118.part");
    fs::write(&part, "half a row of an attempt without a checkpoint").unwrap();
    open(folder.path(), "out.csv", None).unwrap().complete().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n");
}

#[cfg(unix)]
#[test]
fn a_link_in_the_way_is_never_written_through() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (victim, part) = (folder.path().join("victim"), folder.path().join(".out.csv.118.part"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &part).unwrap();
    let state = {
        let mut writing = open(folder.path(), "out.csv", None).unwrap();
        writing.checkpoint()
    };
    fs::remove_file(&part).unwrap();
    symlink(&victim, &part).unwrap();
    let found = open(folder.path(), "out.csv", Some(&state)).map(|_| ()).unwrap_err();
    assert_eq!(found, "file-not-regular: cannot open the unfinished `out.csv`: it is not a regular file");
    symlink(&victim, folder.path().join("link.csv")).unwrap();
    let found = open(folder.path(), "link.csv", None).map(|_| ()).unwrap_err();
    assert_eq!(found, "file-not-regular: cannot replace `link.csv`: it is not a regular file");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_long_name_still_has_a_temporary_one() {
    let folder = tempfile::tempdir().unwrap();
    let name = "é".repeat(127);
    let mut writing = open(folder.path(), &name, None).unwrap();
    assert_eq!(names(folder.path()), [format!(".{}.118.part", "é".repeat(100))]);
    writing.complete().unwrap();
    assert_eq!(names(folder.path()), [name]);
}

#[test]
fn is_not_seen_if_nobody_can_hear_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = open(folder.path(), "out.csv", None).unwrap();
    let room = stepbox_batch::execution::CONTEXT_BYTES_MAX - 40;
    writing.context.put("large", Value::from("x".repeat(room))).unwrap();
    let found = say(writing.complete().unwrap_err());
    assert!(
        found.starts_with("context-full: the path of `out.csv` cannot be kept for later steps"),
        "{found}"
    );
    assert_eq!(names(folder.path()), [".out.csv.118.part"]);
}

/// Every write to this device fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let to = Storage::Local { file_path: "out.csv".to_owned() };
    let mut output =
        OutputFile::create(&to, &Folders::anywhere(folder.path()), &step(), None, Layout::default()).unwrap();
    let mut full = LocalFiles::new(Folders::anywhere(folder.path()).place_output("out.csv").unwrap(), "x");
    full.file = Some(fs::File::options().write(true).open("/dev/full").unwrap());
    output.place = Box::new(full);
    output.buffer().extend_from_slice(b"1\n");
    output.flush_if_full().unwrap();
    let error = output.checkpoint().unwrap_err();
    assert_eq!(error.to_string(), "cannot write `out.csv`: there is no room left");
    assert!(matches!(error, ConnectorError::File { problem: FileProblem::DiskFull, .. }));
    output.buffer().resize(BUFFER_BYTES, b'x');
    assert_eq!(output.flush_if_full().unwrap_err().code(), "disk-full");
}
