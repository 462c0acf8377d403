//! Behaviours of the reader and the writer `jsonl`, as rows.

use serde_json::{Value, json};
use stepbox_batch::element::Total;

use crate::testing::{Reading, Writing, check_resume, check_writer_resume, read_text, rows, say};

fn check(options: Value, content: impl AsRef<[u8]>, expected: &str) {
    let content = content.as_ref();
    let found = read_text("jsonl", options, content);
    assert_eq!(found.trim_end(), expected, "{}", String::from_utf8_lossy(content));
}

#[test]
fn a_line_is_an_item() {
    let found = || json!({});
    check(found(), "{\"a\":\"x\"}\n{\"b\":2,\"a\":null}\n", "a|b\n1: x|∅\n2: ∅|2");
    check(found(), "{\"a\":1}\r\n\r\n  \n{\"a\":2}", "a\n1: 1\n4: 2");
    check(found(), "\u{feff}{\"a\":{\"k\":[1, 2]}}", "a\n1: {\"k\":[1, 2]}");
    check(found(), "{\"a\":1}\n{}\n", "a\n1: 1\n2: ∅");
    check(json!({"columns": ["b", "c"]}), "{\"a\":1,\"b\":2}\n", "b|c\n1: 2|∅");
    check(json!({"columns": ["a"]}), "", "a");
    check(json!({"columns": ["a"]}), "\n\n", "a");
}

#[test]
fn a_bad_line_is_set_aside() {
    check(
        json!({}),
        "{\"a\":1}\n[2]\n{\"a\":\n{\"a\":\"\\ud800\"}\n{\"a\":5}\n",
        "a\n1: 1\n2! not-an-object: it is JSON, but not an object [2]\n\
         3! bad-json: it is not JSON: EOF while parsing a value at column 5 {\"a\":\n\
         4! bad-json: the text of its key `a` is broken: unexpected end of hex escape {\"a\":\"\\ud800\"}\n5: 5",
    );
    // In JSON, a form feed is not a blank.
    let trailing = "2! bad-json: it is not JSON: trailing characters at column 8 {\"a\":2}";
    check(json!({}), "{\"a\":1}\n{\"a\":2}\u{c}\n", &format!("a\n1: 1\n{trailing}"));
    let content = |bytes: usize| format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":3}}\n", "x".repeat(bytes));
    let found = read_text("jsonl", json!({}), content((16 << 20) - 8).as_bytes());
    assert_eq!(found.lines().count(), 4);
    assert!(
        found.lines().nth(2).unwrap().starts_with("2! line-too-long: it is longer than 16 MiB {\"a\":\"xxx")
    );
    assert!(found.len() < 20_000, "only the beginning is kept");
    assert!(found.ends_with("3: 3\n"));
    let found = read_text("jsonl", json!({}), content((16 << 20) - 9).as_bytes());
    assert!(found.len() > 16_000_000 && !found.contains('!'), "16 MiB are not too long");
    let found = read_text("jsonl", json!({}), format!("{{\"a\":1}}\n{}", "x".repeat(40 << 20)).as_bytes());
    assert_eq!(found.lines().count(), 3, "a last line without end is one item, too");
}

/// No parser here is recursive, so deep nesting needs no stack.
#[test]
fn nesting_has_no_limit_but_the_length_of_a_line() {
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let found = read_text("jsonl", json!({}), format!("{{\"a\":{deep}}}").as_bytes());
    assert!(found == format!("a\n1: {deep}\n"));
    let folder = tempfile::tempdir().unwrap();
    let mut writing =
        Writing::open("jsonl", json!({"json": ["a"]}), "out", folder.path(), &["a"], None).unwrap();
    assert!(writing.write(&rows(&[&[&deep]])).unwrap().is_empty());
}

#[test]
fn a_file_that_is_no_json_lines_fails_the_step() {
    // An empty file has no items. A file whose lines name no columns is an error.
    check(json!({}), "", "");
    check(json!({}), "\n \r\n", "");
    check(json!({}), "{}\n[]\n", "file-empty: `in` has no row that names its columns");
    for options in [json!({}), json!({"columns": ["a"]})] {
        let array = "file-other-format: `in` looks like a JSON array, not JSON Lines";
        check(options.clone(), "[{\"a\":1},{\"a\":2}]\n", array);
        check(options.clone(), "[\n{\"a\":1},\n{\"a\":2}\n]\n", array);
        let document =
            "file-other-format: `in` looks like a JSON document over several lines, not JSON Lines";
        check(options, "{\n \"a\": 1\n}\n", document);
    }
    check(json!({}), b"{\"a\":1}\n{\"a\":\"\xff\"}\n", "file-not-utf8: line 2 of `in` is not UTF-8");
    let columns = json!({"columns": ["a"]});
    check(columns, b"{\"a\":1}\n{\"a\":\"\xff\"}\n", "file-not-utf8: line 2 of `in` is not UTF-8");
    check(json!({}), b"{\0\"\0", "file-not-utf8: line 1 of `in` is not UTF-8, it looks like UTF-16");
    let keys: Vec<_> = (0..16_385).map(|i| format!("\"k{i}\":0")).collect();
    check(json!({}), format!("{{{}}}", keys.join(",")), "too-many-columns: `in` has more than 16384 columns");
}

#[test]
fn resumes_from_the_checkpoint() {
    let content = "{\"a\":1}\n\n[]\n{\"b\":\"x\"}\r\n{\"a\":\"é\",\"c\":[1]}\n{bad\n{\"a\":6}";
    check_resume("jsonl", json!({}), content.as_bytes());
    check_resume("jsonl", json!({"columns": ["c", "a"]}), format!("\u{feff}{content}\n").as_bytes());
}

#[test]
fn a_new_key_in_the_middle_of_a_run_is_a_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    std::fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
    let mut reading = Reading::open("jsonl", json!({}), folder.path(), None).unwrap();
    reading.read(1).unwrap();
    let state = reading.state();
    std::fs::write(&path, "{\"a\":1}\n{\"b\":2}\n").unwrap();
    let mut reading = Reading::open("jsonl", json!({}), folder.path(), Some(&state)).unwrap();
    let expected = "file-changed: `in` is not the file this run began with: the key `b` on line 2 is new";
    assert_eq!(say(reading.read_all().unwrap_err()), expected);
    std::fs::write(&path, "{\"a\":9}\n{\"a\":2}\n").unwrap();
    let found = Reading::open("jsonl", json!({}), folder.path(), Some(&state)).err().map(say).unwrap();
    assert!(found.ends_with("its content before byte 8 differs"), "{found}");
}

/// Regression: the option `columns` was added or removed between two attempts. Then items came without a column, or
/// every key that was not chosen counted as new.
#[test]
fn a_checkpoint_of_other_columns_is_refused_or_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "{\"a\":1}\n{\"b\":2}\n").unwrap();
    let open =
        |options: &Value, state: Option<&[u8]>| Reading::open("jsonl", options.clone(), folder.path(), state);
    let state_of = |options: &Value| {
        let mut reading = open(options, None).unwrap();
        reading.read(1).unwrap();
        reading.state()
    };
    let (chosen, all) = (json!({"columns": ["a"]}), json!({}));
    let found = open(&all, Some(&state_of(&chosen))).err().map(say).unwrap();
    let reason = "it holds no columns, and the option `columns` names none";
    assert_eq!(found, format!("state-unreadable: the checkpoint cannot be read: {reason}"));
    let mut reading = open(&chosen, Some(&state_of(&all))).unwrap();
    reading.read_all().unwrap();
    assert_eq!(reading.items, "2: ∅\n");
}

#[test]
fn the_first_pass_counts_and_the_option_estimates() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "{\"a\":1}\n{\"a\":2}\n[]\n{\"a\":4}\n").unwrap();
    let mut counted = Reading::open("jsonl", json!({}), folder.path(), None).unwrap();
    assert_eq!(counted.total(), Total::Exact(4));
    counted.read(1).unwrap();
    assert_eq!(counted.total(), Total::Exact(4));
    let mut given = Reading::open("jsonl", json!({"columns": ["a"]}), folder.path(), None).unwrap();
    assert_eq!(given.total(), Total::Unknown);
    given.read(1).unwrap();
    assert_eq!(given.total(), Total::Estimate(3));
    given.read_all().unwrap();
    assert_eq!(given.total(), Total::Exact(4));
}

fn check_written(options: Value, header: &[&str], items: &[&[&str]], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let found = match Writing::open("jsonl", options, "out", folder.path(), header, None) {
        Err(error) => say(error),
        Ok(mut writing) => {
            let skipped = writing.write(&rows(items)).unwrap();
            writing.complete().unwrap();
            std::fs::read_to_string(folder.path().join("out")).unwrap() + &skipped.join("\n")
        }
    };
    assert_eq!(found.trim_end(), expected);
}

#[test]
fn a_cell_is_text_unless_its_column_holds_json() {
    check_written(json!({}), &["a"], &[&["1"], &["∅"], &[""]], "{\"a\":\"1\"}\n{\"a\":null}\n{\"a\":\"\"}");
    check_written(json!({}), &["a\"", "é"], &[&["x\n\"", "\u{1}😀"]], r#"{"a\"":"x\n\"","é":"\u0001😀"}"#);
    check_written(json!({}), &["a"], &[&["[1]"]], r#"{"a":"[1]"}"#);
    let json = || json!({"json": ["b"]});
    check_written(json(), &["a", "b"], &[&["1", "1.10"]], r#"{"a":"1","b":1.10}"#);
    check_written(json(), &["a", "b"], &[&["1", "{\"k\":\r\n [1]}"]], r#"{"a":"1","b":{"k":   [1]}}"#);
    check_written(
        json(),
        &["a", "b"],
        &[&["1", ""], &["2", "∅"]],
        "{\"a\":\"1\",\"b\":null}\n{\"a\":\"2\",\"b\":null}",
    );
    check_written(
        json(),
        &["a", "b"],
        &[&["1", "2"], &["3", "1,5"], &["5", "6"]],
        "{\"a\":\"1\",\"b\":2}\n{\"a\":\"5\",\"b\":6}\n\
         1 not-json: its column `b` is not JSON: trailing characters at line 1 column 2",
    );
    // No item has the column `c` today.
    let json = || json!({"json": ["b", "c"]});
    check_written(json(), &["a", "b"], &[&["1", "2"]], r#"{"a":"1","b":2,"c":null}"#);
    check_written(json(), &["a", "b"], &[], "");
    check_written(json(), &[], &[], "");
    check_written(json!({}), &["a"], &[], "");
}

#[test]
fn an_output_resumed_anywhere_is_that_of_an_undisturbed_run() {
    let items: &[&[&str]] = &[&["1", "x\ny"], &["", "∅"], &["bad", "x"], &["4", "5"]];
    check_writer_resume("jsonl", json!({"json": ["a"]}), &["a", "b"], items);
    for lines in 1..5 {
        check_writer_resume("jsonl", json!({"json": ["a"], "lines_per_file": lines}), &["a", "b"], items);
    }
}

/// Everything but a missing key, which becomes null, is preserved if the job says which columns contain JSON.
#[test]
fn what_is_read_is_written_the_same() {
    let content = [
        r#"{"sku":"A\"1","price":1.10,"stock":12345678901234567890,"tags":["x",{"y":null}],"on":true}"#,
        r#"{"sku":"5","price":-0e-7,"stock":null,"tags":{},"on":false}"#,
        r#"{"sku":"","price":0,"stock":1,"tags":"plain","on":null}"#,
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), content.join("\n") + "\n").unwrap();
    let mut reading = Reading::open("jsonl", json!({}), folder.path(), None).unwrap();
    reading.read_all().unwrap();
    let header: Vec<&str> = reading.header.iter().map(String::as_str).collect();
    let options = json!({"json": ["price", "stock", "tags", "on"]});
    let mut writing = Writing::open("jsonl", options, "out", folder.path(), &header, None).unwrap();
    let items: Vec<Vec<&str>> =
        reading.items.lines().map(|item| item.split_once(": ").unwrap().1.split('|').collect()).collect();
    let skipped = writing.write(&rows(&items.iter().map(Vec::as_slice).collect::<Vec<_>>())).unwrap();
    assert_eq!(skipped, ["2 not-json: its column `tags` is not JSON: expected value at line 1 column 1"]);
    writing.complete().unwrap();
    let found = std::fs::read_to_string(folder.path().join("out")).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), content[..2]);
}

#[test]
fn an_item_that_could_not_be_read_again_is_set_aside() {
    // With its escapes the text is six times as long.
    let text = "\u{1}".repeat(3 << 20);
    let expected = "0 line-too-long: as JSON it is longer than 16 MiB";
    check_written(json!({}), &["a"], &[&[&text]], expected);
    check_written(json!({"lines_per_file": 1}), &["a"], &[&[&text]], expected);
}

#[test]
fn the_line_that_was_last_may_end_later_and_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    std::fs::write(&path, "{\"a\":1}").unwrap();
    let mut reading = Reading::open("jsonl", json!({}), folder.path(), None).unwrap();
    reading.read_all().unwrap();
    let state = reading.state();
    let resumed = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let mut reading = Reading::open("jsonl", json!({}), folder.path(), Some(&state)).map_err(say)?;
        reading.read_all().map(|()| reading.items.clone()).map_err(say)
    };
    assert_eq!(resumed("{\"a\":1}\n{\"a\":2}\n").unwrap(), "2: 2\n");
    let continued = "file-changed: `in` is not the file this run began with: its last line has been continued since it was read";
    assert_eq!(resumed("{\"a\":1} {\"a\":2}\n").unwrap_err(), continued);
}
