//! How an output gets its final name, and what can go wrong.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stepbox_batch::execution::SummaryValue;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::run_context::Attempt;

use super::*;
use crate::file_problem::FileProblem;
use crate::folders::Folders;
use crate::storage::local::on_a_full_disk;
use crate::testing::{Writing, rows, say, step, wait};

fn open(folder: &Path, to: &str, state: Option<&[u8]>) -> std::result::Result<Writing, String> {
    Writing::open("csv", json!({}), to, folder, &["a"], state).map_err(say)
}

/// Opens the output in the attempt that has the lease with this token.
fn open_by(token: u64, folder: &Path, state: Option<&[u8]>) -> Writing {
    let attempt = Attempt { execution: JobExecutionId(118), token };
    Writing::open_by(attempt, "csv", json!({}), "out.csv", folder, &["a"], state).unwrap()
}

fn part_of(token: u64) -> String {
    format!(".out.csv.118.118-{token}.part")
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
    assert_eq!(names(folder.path()), [".out.csv.118.118-0.part", "out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "yesterday");
    writing.complete().unwrap();
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n");
}

/// Regression: an export took the right to read a file from others, or gave it to them.
#[cfg(unix)]
#[test]
fn has_the_rights_of_the_file_that_it_replaces() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    for mode in [0o600, 0o640, 0o664, 0o4755] {
        fs::write(&path, "yesterday").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        // Only the superuser can give a file away.
        let _ = chown(&path, Some(1234), Some(2345));
        let before = fs::metadata(&path).unwrap();
        let mut writing = open(folder.path(), "out.csv", None).unwrap();
        writing.complete().unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(after.mode() & 0o7777, mode & 0o777);
    }
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
    // The run ended before it stored that the output was complete.
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
    let (part, out) = (folder.path().join(".out.csv.118.118-0.part"), folder.path().join("out.csv"));
    let mut writing = open(folder.path(), "out.csv", None).unwrap();
    writing.write(&rows(&[&["1"]])).unwrap();
    let state = writing.checkpoint();
    drop(writing);
    let found = || open(folder.path(), "out.csv", Some(&state)).map(|_| ()).unwrap_err();
    let changed = "output-changed: the unfinished output of `out.csv` is not as this run left it: ";
    fs::write(&part, "a\n").unwrap();
    assert_eq!(found(), format!("{changed}it has 2 bytes, 4 of them were written"));
    fs::remove_file(&part).unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.118-0.part` is gone"));
    fs::write(&out, "a\n12\n").unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.118-0.part` is gone"));
    fs::create_dir(&part).unwrap();
    assert_eq!(found(), "file-is-directory: cannot open the unfinished `out.csv`: it is a folder");
}

/// Regression: rows of a newer component were written below the header of the older one.
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

/// The first attempt represents a worker that was suspended longer than its lease: it has the file open and locked.
#[test]
fn goes_on_although_a_worker_that_lost_its_lease_has_the_file_open() {
    for is_from_checkpoint in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open_by(1, folder.path(), None);
        first.write(&rows(&[&["1"]])).unwrap();
        let state = is_from_checkpoint.then(|| first.checkpoint());
        let lost = "x".repeat(BUFFER_BYTES);
        first.write(&rows(&[&[&lost]])).unwrap();
        let mut second = open_by(2, folder.path(), state.as_deref());
        let part = folder.path().join(part_of(2));
        let begun = if is_from_checkpoint { "a\n1\n" } else { "" };
        assert_eq!(fs::read_to_string(&part).unwrap(), begun);
        if !is_from_checkpoint {
            second.write(&rows(&[&["1"]])).unwrap();
        }
        second.write(&rows(&[&["2"]])).unwrap();
        let later = second.checkpoint();
        // The first worker wakes up again. Until the output is complete it may write its own file, but the store
        // refuses its saves.
        first.write(&rows(&[&[&lost]])).unwrap();
        assert_eq!(wait(first.writer.checkpoint()).is_ok(), is_from_checkpoint);
        drop(second);
        let mut third = open_by(3, folder.path(), Some(&later));
        third.write(&rows(&[&["3"]])).unwrap();
        third.checkpoint();
        third.complete().unwrap();
        assert_eq!(say(first.complete().unwrap_err()), TAKEN_OVER);
        assert_eq!(first.context.get("export.file_path"), None, "nobody hears of it");
        assert_eq!(names(folder.path()), ["out.csv"]);
        assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n3\n");
    }
}

/// The new worker is done before the old worker wakes up.
#[test]
fn a_worker_that_lost_its_lease_never_replaces_what_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open_by(1, folder.path(), None);
    first.write(&rows(&[&["1"]])).unwrap();
    let state = first.checkpoint();
    first.write(&rows(&[&["2"]])).unwrap();
    let mut second = open_by(2, folder.path(), Some(&state));
    second.complete().unwrap();
    assert_eq!(say(first.complete().unwrap_err()), TAKEN_OVER);
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n");
}

/// Until a checkpoint names the copy, a further attempt needs the first file.
#[test]
fn a_file_that_is_taken_over_stays_until_the_output_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open_by(1, folder.path(), None);
    first.write(&rows(&[&["1"]])).unwrap();
    let state = first.checkpoint();
    let second = open_by(2, folder.path(), Some(&state));
    assert_eq!(names(folder.path()), [part_of(1), part_of(2)]);
    let mut third = open_by(3, folder.path(), Some(&state));
    assert_eq!(names(folder.path()), [part_of(1), part_of(3)], "nobody needs the second one");
    third.write(&rows(&[&["2"]])).unwrap();
    third.complete().unwrap();
    drop((first, second));
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n");
}

/// A worker that does not know yet that it lost its lease never disturbs the worker that has the lease.
#[test]
fn a_late_worker_replaces_nothing_and_leaves_nothing() {
    // The late worker opens the output anew while the other worker writes it.
    let folder = tempfile::tempdir().unwrap();
    let mut second = open_by(2, folder.path(), None);
    second.write(&rows(&[&["1"]])).unwrap();
    let state = second.checkpoint();
    let mut late = open_by(1, folder.path(), None);
    late.withdraw();
    assert_eq!(names(folder.path()), [part_of(2)]);
    second.checkpoint();
    // The late worker resumes from the same checkpoint, even after the other worker has gone further.
    second.write(&rows(&[&["2"]])).unwrap();
    second.checkpoint();
    let mut late = open_by(1, folder.path(), Some(&state));
    late.withdraw();
    assert_eq!(names(folder.path()), [part_of(2)]);
    second.complete().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n");
    // The late worker opens the output after it is complete.
    let mut late = open_by(1, folder.path(), None);
    assert_eq!(names(folder.path()), [part_of(1), "out.csv".to_owned()]);
    late.withdraw();
    assert_eq!(names(folder.path()), ["out.csv"]);
}

/// The file with which another attempt continues is no longer locked when the late worker opens it.
#[test]
fn a_late_worker_cuts_nothing_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open_by(1, folder.path(), None);
    first.write(&rows(&[&["1"]])).unwrap();
    let state = first.checkpoint();
    drop(first);
    let mut third = open_by(3, folder.path(), Some(&state));
    third.write(&rows(&[&["2"]])).unwrap();
    let later = third.checkpoint();
    drop(third);
    open_by(2, folder.path(), Some(&state)).withdraw();
    let mut fourth = open_by(4, folder.path(), Some(&later));
    fourth.complete().unwrap();
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n");
}

#[test]
fn what_earlier_attempts_left_is_removed_and_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = [".out.csv.119.118-1.part", ".out.csv.118.118.118-1.part", ".out.csv.118.118-9.part"];
    for name in foreign.iter().copied().chain([".out.csv.118.117-5.part", ".out.csv.118.118-1.2.part"]) {
        fs::write(folder.path().join(name), "half a row").unwrap();
    }
    let mut foreign: Vec<String> = foreign.map(str::to_owned).to_vec();
    foreign.push(part_of(2));
    foreign.sort();
    let mut second = open_by(2, folder.path(), None);
    assert_eq!(names(folder.path()), foreign);
    fs::write(folder.path().join(part_of(1)), "of a late worker").unwrap();
    second.complete().unwrap();
    foreign.retain(|name| *name != part_of(2));
    foreign.push("out.csv".to_owned());
    assert_eq!(names(folder.path()), foreign);
}

#[test]
fn leftovers_of_a_try_of_the_same_attempt_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(part_of(0)), "half a row of a try without a checkpoint").unwrap();
    open(folder.path(), "out.csv", None).unwrap().complete().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n");
}

/// A state from before names contained the attempt.
#[test]
fn goes_on_with_a_file_whose_name_does_not_tell_who_made_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".out.csv.118.part"), "a\n1\nhalf").unwrap();
    let state = br#"{"path":"out.csv","part":".out.csv.118.part","length":4}"#;
    let mut writing = open_by(2, folder.path(), Some(state));
    writing.write(&rows(&[&["2"]])).unwrap();
    writing.complete().unwrap();
    assert_eq!(names(folder.path()), ["out.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "a\n1\n2\n");
}

#[cfg(unix)]
#[test]
fn a_link_in_the_way_is_never_written_through() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (victim, part) = (folder.path().join("victim"), folder.path().join(".out.csv.118.118-0.part"));
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
    assert_eq!(names(folder.path()), [format!(".{}.118.118-0.part", "é".repeat(75))]);
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
    assert_eq!(names(folder.path()), [".out.csv.118.118-0.part"]);
}

/// Every write to this device fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let to = Location::Local { file_path: "out.csv".to_owned() };
    let folders = Folders::anywhere(folder.path());
    let reach = Reach::from(folders.clone());
    let mut output = OutputFile::create(&to, &reach, &step(), None, Layout::default()).unwrap();
    output.place = on_a_full_disk(folders.place_output("out.csv").unwrap(), &step());
    output.buffer().extend_from_slice(b"1\n");
    output.flush_if_full().unwrap();
    let error = output.checkpoint().unwrap_err();
    assert_eq!(error.to_string(), "cannot write `out.csv`: there is no room left");
    assert!(matches!(error, ConnectorError::File { problem: FileProblem::DiskFull, .. }));
    output.buffer().resize(BUFFER_BYTES, b'x');
    assert_eq!(output.flush_if_full().unwrap_err().code(), "disk-full");
}
