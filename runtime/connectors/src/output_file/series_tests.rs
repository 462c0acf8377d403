//! How an output becomes a series of files, and what can go wrong.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::run_context::Attempt;

use super::*;
use crate::testing::{Writing, files, rows, say};

fn open(folder: &Path, lines: u64, state: Option<&[u8]>) -> std::result::Result<Writing, String> {
    Writing::open("csv", json!({"lines_per_file": lines}), "out.csv", folder, &["n"], state).map_err(say)
}

fn write(writing: &mut Writing, items: &str) {
    let cells: Vec<[&str; 1]> = items.split(' ').map(|cell| [cell]).collect();
    writing.write(&rows(&cells.iter().map(|cell| &cell[..]).collect::<Vec<_>>())).unwrap();
}

/// `name: content` for each file, in one line.
fn show(folder: &Path) -> String {
    let show =
        |(name, content): (String, String)| format!("{name}: {}", content.trim_end().replace('\n', " "));
    files(folder).into_iter().map(show).collect::<Vec<_>>().join("; ")
}

/// The files that a writer makes of some items, which are written one by one and all at once.
fn check(name: &str, options: Value, to: &str, items: &[&str], expected: &str) {
    for at_once in [1, items.len().max(1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut writing = Writing::open(name, options.clone(), to, folder.path(), &["n"], None).unwrap();
        for items in items.chunks(at_once) {
            write(&mut writing, &items.join(" "));
        }
        writing.complete().unwrap();
        assert_eq!(show(folder.path()), expected, "{at_once} at once");
    }
}

#[test]
fn a_file_takes_so_many_lines_below_its_header() {
    let lines = |lines: u64| json!({"lines_per_file": lines});
    check("csv", lines(2), "out.csv", &[], "out.csv: n");
    check("csv", lines(2), "out.csv", &["1"], "out.csv: n 1");
    check("csv", lines(2), "out.csv", &["1", "2"], "out.csv: n 1 2");
    check("csv", lines(2), "out.csv", &["1", "2", "3"], "out_1.csv: n 1 2; out_2.csv: n 3");
    check("csv", lines(2), "out.csv", &["1", "2", "3", "4"], "out_1.csv: n 1 2; out_2.csv: n 3 4");
    check("csv", lines(1), "a.b.csv", &["1", "2", "3"], "a.b_1.csv: n 1; a.b_2.csv: n 2; a.b_3.csv: n 3");
    check("csv", lines(1), "out", &["1", "2"], "out_1: n 1; out_2: n 2");
    check("csv", lines(u64::MAX), "out.csv", &["1", "2"], "out.csv: n 1 2");
    let plain = json!({"lines_per_file": 2, "with_header": false});
    check("csv", plain.clone(), "out.csv", &["1", "2", "3"], "out_1.csv: 1 2; out_2.csv: 3");
    check("csv", plain, "out.csv", &[], "out.csv: ");
}

#[test]
fn an_item_that_is_set_aside_begins_no_file() {
    let options = json!({"lines_per_file": 1, "json": ["n"]});
    check("jsonl", options.clone(), "o.jsonl", &["1", "bad"], r#"o.jsonl: {"n":1}"#);
    let two = r#"o_1.jsonl: {"n":1}; o_2.jsonl: {"n":2}"#;
    check("jsonl", options, "o.jsonl", &["bad", "1", "bad", "2", "bad"], two);
}

#[test]
fn none_has_its_final_name_before_all_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("out_1.csv"), "yesterday").unwrap();
    let mut writing = open(folder.path(), 2, None).unwrap();
    write(&mut writing, "1 2 3");
    writing.checkpoint();
    let parts = ".out.csv.118.118-0.1.part: n 1 2; .out.csv.118.118-0.2.part: n 3; out_1.csv: yesterday";
    assert_eq!(show(folder.path()), parts);
    writing.complete().unwrap();
    assert_eq!(show(folder.path()), "out_1.csv: n 1 2; out_2.csv: n 3");
}

#[test]
fn later_steps_find_the_first_one_and_how_many_there_are() {
    let check = |items: &str, file: &str, count: Option<u64>| {
        let folder = tempfile::tempdir().unwrap();
        let to = "./new/out.csv";
        let options = json!({"lines_per_file": 2});
        let mut writing = Writing::open("csv", options, to, folder.path(), &["n"], None).unwrap();
        write(&mut writing, items);
        for _ in 0..2 {
            writing.complete().unwrap();
            let path = folder.path().join("new").join(file);
            assert_eq!(writing.context.get("export.file_path"), Some(Value::from(path.to_str().unwrap())));
            assert_eq!(writing.context.get("export.file_count"), count.map(Value::from));
            let summary = writing.context.findings().summary;
            assert_eq!(summary["file"], SummaryValue::Text(format!("./new/{file}")));
            assert_eq!(summary.get("files"), count.map(SummaryValue::Count).as_ref());
        }
    };
    check("1 2", "out.csv", None);
    check("1 2 3 4 5", "out_1.csv", Some(3));
}

#[test]
fn completing_may_break_off_anywhere() {
    for renamed in 0..=3 {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=3 {
            fs::write(folder.path().join(format!("out_{number}.csv")), "yesterday").unwrap();
        }
        let mut writing = open(folder.path(), 2, None).unwrap();
        write(&mut writing, "1 2 3 4 5");
        let state = writing.checkpoint();
        drop(writing);
        for number in 1..=renamed {
            let part = folder.path().join(format!(".out.csv.118.118-0.{number}.part"));
            fs::rename(part, folder.path().join(format!("out_{number}.csv"))).unwrap();
        }
        let mut writing = open(folder.path(), 2, Some(&state)).unwrap();
        assert_eq!(writing.checkpoint(), state);
        writing.complete().unwrap();
        assert_eq!(show(folder.path()), "out_1.csv: n 1 2; out_2.csv: n 3 4; out_3.csv: n 5");
        let mut writing = open(folder.path(), 2, Some(&state)).unwrap();
        writing.complete().unwrap();
        assert_eq!(writing.context.get("export.file_count"), Some(Value::from(3)));
        let more = |writing: &mut Writing, item| writing.write(&rows(&[&[item]])).map_err(say);
        more(&mut writing, "6").unwrap();
        let found = more(&mut writing, "7").unwrap_err();
        assert!(found.ends_with("it was complete, and there are further items"), "{found}");
    }
}

/// An attempt went further than its last checkpoint, and the next attempt has fewer items to write.
#[test]
fn files_begun_after_the_checkpoint_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = open(folder.path(), 1, None).unwrap();
    write(&mut writing, "1");
    let state = writing.checkpoint();
    write(&mut writing, "2 3 4");
    writing.checkpoint();
    drop(writing);
    open(folder.path(), 1, Some(&state)).unwrap().complete().unwrap();
    assert_eq!(show(folder.path()), "out.csv: n 1");
    // An attempt without a checkpoint does the same.
    let mut writing = open(folder.path(), 1, None).unwrap();
    write(&mut writing, "1 2 3");
    drop(writing);
    let mut writing = open(folder.path(), 1, None).unwrap();
    write(&mut writing, "1 2");
    writing.complete().unwrap();
    assert_eq!(show(folder.path()), "out.csv: n 1; out_1.csv: n 1; out_2.csv: n 2");
}

fn open_by(token: u64, folder: &Path, state: Option<&[u8]>) -> Writing {
    let attempt = Attempt { execution: JobExecutionId(118), token };
    Writing::open_by(attempt, "csv", json!({"lines_per_file": 1}), "out.csv", folder, &["n"], state).unwrap()
}

/// A worker that was suspended longer than its lease has a later file open than the file of the checkpoint.
#[test]
fn a_worker_that_lost_its_lease_leaves_the_files_of_the_next_one_alone() {
    for later in ["2", "2 3"] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open_by(1, folder.path(), None);
        write(&mut first, "1");
        let state = first.checkpoint();
        write(&mut first, later);
        let mut second = open_by(2, folder.path(), Some(&state));
        write(&mut second, "2 3");
        second.checkpoint();
        let before = show(folder.path());
        let taken_over =
            "output-taken-over: another worker has taken the unfinished output of `out.csv` over";
        let more = first.write(&rows(&[&["x"], &["y"]])).map_err(say);
        assert_eq!(more.unwrap_err(), taken_over, "it begins no file");
        assert_eq!(say(first.complete().unwrap_err()), taken_over);
        assert_eq!(show(folder.path()), before);
        second.complete().unwrap();
        assert_eq!(show(folder.path()), "out_1.csv: n 1; out_2.csv: n 2; out_3.csv: n 3");
    }
}

/// Each attempt makes its files under names of its own, and the state records which attempt made which file.
#[test]
fn a_series_goes_on_over_many_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut state, mut held) = (None, Vec::new());
    for (token, item) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let mut writing = open_by(token as u64 + 1, folder.path(), state.as_deref());
        write(&mut writing, item);
        state = Some(writing.checkpoint());
        write(&mut writing, "lost");
        // Every second attempt still has its file open when the next attempt begins.
        if token % 2 == 0 {
            held.push(writing);
        }
    }
    let mut last = open_by(9, folder.path(), state.as_deref());
    last.complete().unwrap();
    drop(held);
    assert_eq!(show(folder.path()), "out_1.csv: n 1; out_2.csv: n 2; out_3.csv: n 3; out_4.csv: n 4");
}

#[test]
fn the_state_stays_small_and_an_earlier_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let state = |writing: &mut Writing| String::from_utf8(writing.checkpoint()).unwrap();
    let mut writing = open(folder.path(), 1, None).unwrap();
    write(&mut writing, "1 2 3");
    let series = r#""series":{"number":3,"lines":1,"bytes_before":8}"#;
    let found = state(&mut writing);
    let columns = r#""columns":12638194897137039473"#;
    let part = r#""path":"out.csv","part":".out.csv.118.part","length":4"#;
    let begun = r#""begun":[{"from":1,"execution":118,"token":0}]"#;
    assert_eq!(found, format!("{{{part},{series},{columns},{begun}}}"));
    let mut writing = Writing::open("csv", json!({}), "out.csv", folder.path(), &["n"], None).unwrap();
    write(&mut writing, "1");
    let found = state(&mut writing);
    assert_eq!(found, format!("{{{part},{columns},{begun}}}"));
    drop(writing);
    fs::rename(folder.path().join(".out.csv.118.118-0.part"), folder.path().join(".out.csv.118.part"))
        .unwrap();
    // A state from before there were series, and before columns were checked.
    let mut writing = open(folder.path(), 1, Some(format!("{{{part}}}").as_bytes())).unwrap();
    write(&mut writing, "2 3");
    assert!(!state(&mut writing).contains("series"), "it began as a single file");
    writing.complete().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), "n\n1\n2\n3\n");
}

#[test]
fn a_series_that_changed_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let part = |number: u64| folder.path().join(format!(".out.csv.118.118-0.{number}.part"));
    let mut writing = open(folder.path(), 2, None).unwrap();
    write(&mut writing, "1 2 3 4 5");
    let state = writing.checkpoint();
    let changed = "output-changed: the unfinished output of `out.csv` is not as this run left it: ";
    fs::write(part(1), "n\n1\n").unwrap();
    let differs = format!("{changed}its first 2 files have 10 bytes, not 12");
    assert_eq!(say(writing.complete().unwrap_err()), differs);
    drop(writing);
    let found = || open(folder.path(), 2, Some(&state)).map(|_| ()).unwrap_err();
    assert_eq!(found(), differs);
    fs::remove_file(part(1)).unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.118-0.1.part` is gone"));
    fs::remove_file(part(3)).unwrap();
    assert_eq!(found(), format!("{changed}`.out.csv.118.118-0.3.part` is gone"));
}

#[test]
fn a_folder_in_the_way_of_a_later_file_is_found_when_that_begins() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out_2.csv")).unwrap();
    let mut writing = open(folder.path(), 1, None).unwrap();
    let found = say(writing.write(&rows(&[&["1"], &["2"]])).unwrap_err());
    assert_eq!(found, "file-is-directory: cannot replace `out.csv`: it is a folder");
}
