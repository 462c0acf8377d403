//! An output that is joined from fragments equals that of one writer.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::testing::{Writing, files, rows, say, wait};

const HEADER: [&str; 2] = ["a", "b"];

fn open(folder: &Path, name: &str, state: Option<&[u8]>, fragment: Option<u32>) -> Writing {
    Writing::open_part(name, json!({}), "new/out.txt", folder, &HEADER, state, fragment).unwrap()
}

fn item(number: u32) -> [String; 2] {
    [number.to_string(), format!("x\n{number}")]
}

fn write(writing: &mut Writing, items: std::ops::Range<u32>) {
    for number in items {
        let [a, b] = item(number);
        writing.write(&rows(&[&[&a, &b]])).unwrap();
    }
}

/// Fragments with the items between these borders, each written to its end.
fn fragments(folder: &Path, name: &str, borders: &[u32]) -> Vec<Vec<u8>> {
    let written = borders.windows(2).enumerate().map(|(number, border)| {
        let number = Some(number as u32);
        let mut writing = open(folder, name, None, number);
        write(&mut writing, border[0]..border[1]);
        let state = writing.checkpoint();
        // Items that no checkpoint counts are not part of the fragment.
        write(&mut writing, 90..91);
        writing.checkpoint();
        drop(writing);
        let mut writing = open(folder, name, Some(&state), number);
        writing.complete().unwrap();
        assert_eq!(writing.checkpoint(), state);
        assert!(writing.context.findings().summary.is_empty(), "nobody hears of a fragment");
        assert_eq!(writing.context.get("export.file_path"), None);
        state
    });
    written.collect()
}

#[test]
fn is_what_one_writer_would_have_written_wherever_it_breaks_off() {
    for name in ["csv", "jsonl"] {
        for borders in [&[0, 9][..], &[0, 3, 9], &[0, 0, 4, 4, 9], &[0, 1, 2, 3, 9], &[0, 0]] {
            let whole = tempfile::tempdir().unwrap();
            let mut writing = open(whole.path(), name, None, None);
            write(&mut writing, 0..borders[borders.len() - 1]);
            writing.complete().unwrap();
            let expected = files(&whole.path().join("new"));
            let count = borders.len() - 1;
            for (kept, lost) in (0..=count).flat_map(|kept| (kept..=count).map(move |lost| (kept, lost))) {
                let folder = tempfile::tempdir().unwrap();
                let states = fragments(folder.path(), name, borders);
                let mut first = open(folder.path(), name, None, None);
                assert!(first.writer.can_absorb());
                states[..kept].iter().for_each(|state| first.absorb(state).unwrap());
                let state = first.checkpoint();
                states[kept..lost].iter().for_each(|state| first.absorb(state).unwrap());
                first.checkpoint();
                drop(first);
                let mut second = open(folder.path(), name, Some(&state), None);
                states.iter().for_each(|state| second.absorb(state).unwrap());
                second.checkpoint();
                second.complete().unwrap();
                let found = files(&folder.path().join("new"));
                assert_eq!(found, expected, "{name} {borders:?}, kept {kept}, lost {lost}");
                assert!(second.context.get("export.file_path").is_some());
            }
        }
    }
}

/// The run ended after it renamed the output: before it removed the fragments, or before it stored that it was
/// complete.
#[test]
fn fragments_that_were_left_are_removed_by_completing_again() {
    let folder = tempfile::tempdir().unwrap();
    let states = fragments(folder.path(), "csv", &[0, 1, 2]);
    let mut first = open(folder.path(), "csv", None, None);
    states.iter().for_each(|state| first.absorb(state).unwrap());
    let state = first.checkpoint();
    let left = folder.path().join("new/.out.txt.118.p1.118-0.part");
    let content = fs::read(&left).unwrap();
    first.complete().unwrap();
    drop(first);
    fs::write(&left, content).unwrap();
    let mut second = open(folder.path(), "csv", Some(&state), None);
    states.iter().for_each(|state| second.absorb(state).unwrap());
    second.complete().unwrap();
    let found = files(&folder.path().join("new"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["out.txt"]);
}

#[test]
fn a_large_fragment_is_copied_in_steps_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut fragment = open(folder.path(), "csv", None, Some(0));
    let large = "x".repeat(1 << 20);
    for _ in 0..65 {
        fragment.write(&rows(&[&[&large, "y"]])).unwrap();
    }
    let state = fragment.checkpoint();
    let written = 65 * ((1 << 20) + 3);
    assert_eq!(fragment.context.metering().usage().file_bytes_written, written);
    drop(fragment);
    let absorb = |writing: &mut Writing| wait(writing.writer.absorb(&state)).unwrap();
    let mut first = open(folder.path(), "csv", None, None);
    assert_eq!(absorb(&mut first), stepbox_batch::element::More::Yes);
    let middle = first.checkpoint();
    drop(first);
    let mut second = open(folder.path(), "csv", Some(&middle), None);
    assert_eq!(absorb(&mut second), stepbox_batch::element::More::No);
    second.complete().unwrap();
    let usage = second.context.metering().usage();
    assert_eq!(
        (usage.file_bytes_read, usage.file_bytes_written),
        (written - (64 << 20), written - (64 << 20))
    );
    let found = fs::read(folder.path().join("new/out.txt")).unwrap();
    assert!(found == format!("a,b\n{}", format!("{large},y\n").repeat(65)).as_bytes());
}

#[test]
fn what_is_no_fragment_of_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let states = fragments(folder.path(), "csv", &[0, 2]);
    let absorb = |state: &[u8]| say(open(folder.path(), "csv", None, None).absorb(state).unwrap_err());
    let forge = |key: &str, value: Value| {
        let mut state: Value = serde_json::from_slice(&states[0]).unwrap();
        state[key] = value;
        state.to_string().into_bytes()
    };
    let changed = "output-changed: the unfinished output of `new/out.txt` is not as this run left it: ";
    let other = "`.out.txt.118.p0.part` is a fragment of `other.txt`";
    assert_eq!(absorb(&forge("path", json!("other.txt"))), format!("{changed}{other}"));
    let short = "`.out.txt.118.p0.118-0.part` has 16 bytes, 99 of them were written";
    assert_eq!(absorb(&forge("length", json!(99))), format!("{changed}{short}"));
    assert_eq!(
        absorb(&forge("columns", json!(1))),
        "columns-changed: the unfinished output of `new/out.txt` was begun with other columns than the items \
         have now"
    );
    assert!(absorb(b"{}").starts_with("state-unreadable: "));
    fs::remove_file(folder.path().join("new/.out.txt.118.p0.118-0.part")).unwrap();
    let gone = "file-not-found: cannot open the unfinished `new/out.txt`: there is no such file or folder";
    assert_eq!(absorb(&states[0]), gone);
    let series = Writing::open("csv", json!({"lines_per_file": 1}), "s.csv", folder.path(), &HEADER, None);
    assert!(!series.unwrap().writer.can_absorb());
}
