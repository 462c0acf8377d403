//! The parts of a JSON Lines file have together the items of the whole file.

use serde_json::json;

use crate::testing::{Reading, check_split, split};

fn check(content: impl AsRef<[u8]>) {
    for options in [json!({}), json!({"columns": ["b", "a"]})] {
        check_split("jsonl", &options, content.as_ref());
    }
}

#[test]
fn whatever_a_file_looks_like() {
    check("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
    check("{\"a\":1}\r\n\r\n  \n{\"a\":2}\n\n{\"b\":\"x\\ny\"}");
    check("\u{feff}{\"a\":1}\n{\"b\":2}");
    check("{\"a\":1}\n[]\n{bad\n\n7\n{\"b\":2}\n{\"a\":\n");
    check("{\"a\":1}\n");
    check("");
    check("\n\n");
    check("[]\n[]\n");
    check(b"{\"a\":1}\n{\"a\":\"\xff\"}\n{\"a\":3}\n");
    check(format!("{{\"a\":1}}\n{{\"b\":\"{}\"}}\n{{\"a\":3}}\n", "x".repeat(300_000)));
    check(format!("{{\"a\":1}}\n{{\"b\":\"{}\"}}\n{{\"a\":3}}\n", "x".repeat(17 << 20)));
    check((0..20_000).map(|row| format!("{{\"a\":{row},\"b\":[{}]}}\n", row % 7)).collect::<String>());
}

/// Each part alone would find other columns.
#[test]
fn all_parts_have_the_columns_of_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n").unwrap();
    let states = split("jsonl", json!({}), folder.path(), None, 3).unwrap().unwrap();
    assert_eq!(states.len(), 3);
    for state in &states {
        let part = Reading::open("jsonl", json!({}), folder.path(), Some(state)).unwrap();
        assert_eq!(part.header, ["a", "b", "c"]);
    }
}
