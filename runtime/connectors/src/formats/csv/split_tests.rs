//! The parts of a CSV file have together the items of the whole file.

use serde_json::json;

use crate::testing::{Reading, check_split, say, split};

fn check(content: impl AsRef<[u8]>) {
    for options in [json!({}), json!({"header": false})] {
        check_split("csv", &options, content.as_ref());
    }
}

#[test]
fn whatever_a_file_looks_like() {
    check("a,b\n1,2\n3,4\n5,6\n7,8\n");
    check("a,b\n1,2\n3,4");
    check("a,b\r\n1,2\r\n\r\n\r\n3,4\r\n5,6\r\n");
    check("a,b\r1,2\r\r3,4\r");
    check("\u{feff}a,b\n\n\n1,2\n\n3,4\n\n");
    check("a,b\n");
    check("a,b");
    check("a,b\n\n\r\n\n");
    check("");
    check("a,b\n1,2\n");
    check("a,b\n1\n1,2,3\n4,5\n6\n7,8\n");
    check("a,b\n\"x\ny\",2\n\"say \"\"hi\"\"\n\",\"\n\n\"\n\"a\"b,c\"d\n5\" pipe,\"\"\n");
    check(format!("a,b\n1,2\n{},3\n4,5\n", "x".repeat(300_000)));
    check(format!("a,b\n1,2\n\"{}\",3\n4,5\n", "x\n,".repeat(100_000)));
    check((0..40_000).map(|row| format!("{row},\"{}\"\n", "\"\"\n".repeat(row % 7))).collect::<String>());
    // An error that the split finds without reading the cells, and one that it does not find.
    check("a,b\n1,2\n3,\"4\n5,6\n");
    check(b"a,b\n1,2\n3,\xff\n5,6\n");
    check("a,a\n1,2\n");
    check_split("csv", &json!({"delimiter": "\t", "enclosure": "'"}), b"a\tb\n'1\n'\t\"\n'\t\n'\t2\n");
}

/// Every text of six special characters, below a header.
#[test]
fn every_text_of_six_characters() {
    let alphabet = b"a,\"\n\r";
    for number in 0..5u32.pow(6) {
        let text = (0..6).map(|i| alphabet[(number / 5u32.pow(i) % 5) as usize]);
        let text: Vec<u8> = b"a,b\n".iter().copied().chain(text).collect();
        // A check makes a folder and a file, which takes time. Every 41st text still has each character in each place.
        if number % 41 == 0 {
            check_split("csv", &json!({}), &text);
        }
    }
}

#[test]
fn parts_are_of_about_the_same_size() {
    let folder = tempfile::tempdir().unwrap();
    let content: String = (0..30_000).map(|row| format!("{row:05},\"x\ny\"\n")).collect();
    std::fs::write(folder.path().join("in"), format!("n,t\n{content}")).unwrap();
    let states = split("csv", json!({}), folder.path(), None, 3).unwrap().unwrap();
    let mut lines = Vec::new();
    for state in &states {
        let mut part = Reading::open("csv", json!({}), folder.path(), Some(state)).unwrap();
        while part.read(10_000).unwrap() {}
        lines.push(part.items.lines().count());
    }
    assert_eq!(lines, [10_000; 3]);
}

#[test]
fn goes_on_from_where_a_run_in_one_piece_stood() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n1\n2\n3\n4\n5\n").unwrap();
    let open = |state: Option<&[u8]>| Reading::open("csv", json!({}), folder.path(), state).unwrap();
    let mut whole = open(None);
    whole.read(1).unwrap();
    let states = split("csv", json!({}), folder.path(), Some(&whole.state()), 2).unwrap().unwrap();
    let mut found = Vec::new();
    for state in &states {
        let mut part = open(Some(state));
        part.read_all().unwrap();
        found.push(part.items);
    }
    assert_eq!(found, ["3: 2\n4: 3\n", "5: 4\n6: 5\n"]);
}

#[test]
fn a_file_that_changed_is_found_at_both_ends_of_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    std::fs::write(&path, "a\n11\n22\n33\n44\n").unwrap();
    let states = split("csv", json!({}), folder.path(), None, 2).unwrap().unwrap();
    let read = |number: usize| {
        let mut part = Reading::open("csv", json!({}), folder.path(), Some(&states[number])).map_err(say)?;
        part.read_all().map_err(say).map(|()| part.items.clone())
    };
    assert_eq!((read(0).unwrap().as_str(), read(1).unwrap().as_str()), ("2: 11\n3: 22\n", "4: 33\n5: 44\n"));
    std::fs::write(&path, "a\n11\n2222\n3\n44\n").unwrap();
    let changed = "file-changed: `in` is not the file this run began with: ";
    assert_eq!(read(0).unwrap_err(), format!("{changed}no item ends before byte 8"));
    assert_eq!(read(1).unwrap_err(), format!("{changed}its content before byte 8 differs"));
    std::fs::write(&path, "a\n11\n2").unwrap();
    assert_eq!(read(0).unwrap_err(), format!("{changed}no item ends before byte 8"));
    // Only the last part has the rows that are appended.
    std::fs::write(&path, "a\n11\n22\n33\n44\n55\n").unwrap();
    assert_eq!(read(0).unwrap(), "2: 11\n3: 22\n");
    assert_eq!(read(1).unwrap(), "4: 33\n5: 44\n6: 55\n");
}

#[test]
fn numbers_that_no_reader_wrote_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n1\n2\n3\n4\n").unwrap();
    let states = split("csv", json!({}), folder.path(), None, 2).unwrap().unwrap();
    let state: serde_json::Value = serde_json::from_slice(&states[0]).unwrap();
    for (key, value, expected) in [
        (
            "items_before",
            json!(u64::MAX),
            "0 items before byte 2 of a part that begins at item 18446744073709551615",
        ),
        ("end", json!(1), "0 items before byte 2 of a part that begins at item 0"),
    ] {
        let mut forged = state.clone();
        forged["part"][key] = value;
        let opened = Reading::open("csv", json!({}), folder.path(), Some(forged.to_string().as_bytes()));
        let found = opened.err().map(say).unwrap();
        assert_eq!(found, format!("state-unreadable: the checkpoint cannot be read: {expected}"));
    }
}
