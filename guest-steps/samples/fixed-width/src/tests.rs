use std::fs;

use stepbox_step::testing::{Host, Value, lines, read, setup};
use stepbox_step::{ReaderDriver, contract, split};

use super::*;

const STOCK: &str = "A1   12Chair   \nB2    3Tïsch   \r\nC3\nD4 1000Lamp    \n";

fn parameters() -> Value {
    let column = |name: &str, width| json!({ "name": name, "width": width });
    json!({ "file": "inbox/stock.txt", "layout": [column("sku", 3), column("count", 4), column("name", 8)] })
}

/// A folder `inbox` with `stock.txt`, deleted when the value is dropped.
fn inbox(stock: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stock.txt"), stock).unwrap();
    Host::new().folder("inbox", folder.path()).install();
    folder
}

#[test]
fn cuts_lines_by_the_layout() {
    let _inbox = inbox(STOCK.as_bytes());
    let found = read::<FixedWidth>(parameters()).unwrap();

    assert_eq!(found.header, ["sku", "count", "name"]);
    assert_eq!(found.lines(), ["A1|12|Chair", "B2|3|Tïsch", "D4|1000|Lamp"]);
}

#[test]
fn a_line_of_another_width_is_unreadable() {
    check(b"A1   12Chair   ", "1 items");
    check(b"", "0 items");
    check(b"\nA1   12Chair   ", "1 items, line 1 wrong-width ``");
    check(b"A1   12Chair   \nA2  12Chair   \n", "1 items, line 2 wrong-width `A2  12Chair`");
    check(b"A1   12Ch\xffir   \nA1   12Chair   \n", "1 items, line 1 not-utf8 `A1   12Ch\u{fffd}ir`");

    fn check(stock: &[u8], expected: &str) {
        let _inbox = inbox(stock);
        let found = read::<FixedWidth>(parameters()).unwrap();
        let unreadable =
            found.unreadable.iter().map(|it| format!(", {} {} `{}`", it.place, it.code, it.item));
        let summary = format!("{} items{}", found.lines().len(), unreadable.collect::<String>());
        assert_eq!(summary, expected);
    }
}

#[test]
fn resumes_from_any_checkpoint_as_if_nothing_had_happened() {
    let _inbox = inbox(STOCK.as_bytes());
    let undisturbed = read::<FixedWidth>(parameters()).unwrap();
    for rows_before in 0..=4 {
        let (mut first, _) = ReaderDriver::<FixedWidth>::open(setup(parameters(), &[])).unwrap();
        let before = first.read(rows_before, u32::MAX).unwrap();
        let checkpoint = Some(first.checkpoint().unwrap());
        first.read(1, u32::MAX).unwrap(); // lost because of the interruption

        let setup = contract::Setup { checkpoint, ..setup(parameters(), &[]) };
        let (mut second, _) = ReaderDriver::<FixedWidth>::open(setup).unwrap();
        let after = second.read(u32::MAX, u32::MAX).unwrap();

        assert_eq!([lines(&before.rows, 3), lines(&after.rows, 3)].concat(), undisturbed.lines());
        assert_eq!([before.unreadable, after.unreadable].concat(), undisturbed.unreadable);
    }
}

#[test]
fn its_parts_are_what_one_reader_finds() {
    let _inbox = inbox(STOCK.as_bytes());
    let undisturbed = read::<FixedWidth>(parameters()).unwrap();
    // There are at most as many parts as lines. Parts are cut by bytes, so lines of different lengths give
    // fewer parts.
    for (asked, expected) in [(1, 1), (2, 2), (3, 3), (4, 3), (9, 4), (1000, 4)] {
        let states = split::<FixedWidth>(&setup(parameters(), &[]), asked).unwrap().unwrap();
        assert_eq!(states.len(), expected, "{asked} parts");
        let (mut items, mut unreadable) = (Vec::new(), Vec::new());
        for checkpoint in states {
            let setup = contract::Setup { checkpoint: Some(checkpoint), ..setup(parameters(), &[]) };
            let (mut part, _) = ReaderDriver::<FixedWidth>::open(setup).unwrap();
            let found = part.read(u32::MAX, u32::MAX).unwrap();
            items.extend(lines(&found.rows, 3));
            unreadable.extend(found.unreadable);
        }
        assert_eq!(items, undisturbed.lines(), "{asked} parts");
        assert_eq!(unreadable, undisturbed.unreadable, "{asked} parts");
    }

    let _empty = inbox(b"");
    assert_eq!(split::<FixedWidth>(&setup(parameters(), &[]), 4).unwrap().unwrap().len(), 1);
}

#[test]
fn says_which_file_it_could_not_open() {
    Host::new().install();
    let refusal = read::<FixedWidth>(parameters()).unwrap_err();
    assert_eq!(refusal.code, "file-refused");
    assert!(refusal.message.starts_with("file `inbox/stock.txt`: refused"), "{}", refusal.message);
}
