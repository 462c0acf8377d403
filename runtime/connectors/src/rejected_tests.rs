//! The round trip of rejected items: written in the form of their reader, corrected or not, and read again.

use serde_json::{Value, json};
use stepbox_batch::element::Rejected;
use stepbox_batch::rows::Rows;

use crate::rejected_items::RejectedItemsFile;
use crate::testing::{Reading, check_resume, check_split, read_text};

/// The rejected items file of an input: all items that its reader sets aside, and the items of these lines.
fn rejected(name: &str, options: &Value, content: &str, lines: &[u64]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), content).unwrap();
    let mut reading = Reading::open(name, options.clone(), folder.path(), None).unwrap();
    let (header, form) = (reading.header.clone(), reading.form());
    let mut file = RejectedItemsFile::open(folder.path(), "out", &header, form.as_deref(), None).unwrap();
    reading.each(|chunk| {
        for bad in &chunk.unreadable {
            let (code, reason, place) = (&bad.code, &bad.reason, &bad.place);
            let rejected = Rejected { row: None, code, reason, place, phase: "read", item: &bad.item };
            file.append(&rejected).unwrap();
        }
        for row in (0..chunk.rows.len()).filter(|&row| lines.contains(&chunk.lines[row])) {
            append(&mut file, &chunk.rows, row, &format!("line {}", chunk.lines[row]));
        }
    });
    file.checkpoint().unwrap();
    std::fs::read_to_string(folder.path().join("out")).unwrap()
}

fn append(file: &mut RejectedItemsFile, rows: &Rows, row: usize, place: &str) {
    let (code, reason) = ("bad-date", "is no date");
    let row = Some((rows, row));
    file.append(&Rejected { row, code, reason, place, phase: "process", item: "" }).unwrap();
}

const CSV: &str = "a;b\n1;x\n2\n3;y;\"z;\"\n4;\"w\nw\"\n";

#[test]
fn nothing_is_lost_however_often_nothing_is_corrected() {
    let options = json!({"delimiter": ";"});
    let first = rejected("csv", &options, CSV, &[5]);
    let own = "rejected_code;rejected_reason;rejected_place;rejected_phase;rejected_item";
    assert_eq!(
        first,
        format!(
            "a;b;{own}\n2;;ragged-row;it has 1 cells, the header has 2;line 3;read;2\n\
             3;y;ragged-row;it has 3 cells, the header has 2;line 4;read;\"3;y;\"\"z;\"\"\"\n\
             4;\"w\nw\";bad-date;is no date;line 5;process;\n"
        )
    );
    let place = |text: &str| {
        text.replace("line 5", "line 4")
            .replace("line 4;read", "line 3;read")
            .replace("line 3;read;2", "line 2;read;2")
    };
    assert_eq!(rejected("csv", &options, &first, &[4]), place(&first));
    // The reader also finds the delimiter of the file by itself.
    assert_eq!(rejected("csv", &json!({}), &first, &[4]), place(&first));
    check_split("csv", &json!({}), first.as_bytes());
    check_resume("csv", json!({}), first.as_bytes());

    let options = json!({"enclosure": "none"});
    let first = rejected("csv", &options, "a,b\n1\",2\n3,\"4,\"5\"\n", &[2]);
    assert_eq!(
        read_text("csv", options.clone(), first.as_bytes()),
        "a|b\n2! ragged-row: it has 3 cells, the header has 2 3,\"4,\"5\"\n3: 1\"|2\n"
    );
    assert_eq!(
        rejected("csv", &options, &first, &[3]).replace("line 3", "line 2"),
        first.replace("line 3", "line 2")
    );

    let jsonl = "{\"a\":1,\"b\":{\"x\":[2]}}\n{bad\n[3]\n{\"a\":null}\n";
    let first = rejected("jsonl", &json!({}), jsonl, &[1, 4]);
    let expected = "a|b\n1! bad-json: it is not JSON: key must be a string at column 2 {bad\n\
         2! not-an-object: it is JSON, but not an object [3]\n3: 1|{\"x\":[2]}\n4: ∅|∅\n";
    for options in [json!({}), json!({"columns": ["a", "b"]})] {
        assert_eq!(read_text("jsonl", options.clone(), first.as_bytes()), expected);
        check_split("jsonl", &options, first.as_bytes());
    }
}

/// Each row of a file of rejected items, and what a reader makes of it.
#[test]
fn what_somebody_has_corrected_counts() {
    let own = "rejected_code,rejected_reason,rejected_place,rejected_phase,rejected_item";
    let check = |row: &str, expected: &str| {
        let found = read_text("csv", json!({"delimiter": ","}), format!("a,b,{own}\n{row}\n").as_bytes());
        assert_eq!(found.trim_end(), format!("a|b\n2{expected}"), "{row}");
    };
    let ragged = "! ragged-row: it has 3 cells, the header has 2 1,2,3";
    check("1,2,c,r,p,read,\"1,2,3\"", ragged);
    check(",,c,r,p,read,\"1,2,3\"", ragged);
    check("1,23,c,r,p,read,\"1,2,3\"", ": 1|23");
    check("1,2,c,r,p,read,", ": 1|2");
    check("1,2,c,r,p,read,\"1,2 3\"", ": 1|2 3");
    check("1,,c,r,p,read,1", "! ragged-row: it has 1 cells, the header has 2 1");
    check("1,5,c,r,p,read,1", ": 1|5");
    check(",,c,r,p,read,\"1,\"\"\"", "! broken-enclosure: it is not one whole row 1,\"");
    check("1,2", "! ragged-row: it has 2 cells, the header has 7 1,2");

    let check = |line: &str, expected: &str| {
        let own = r#""rejected_code":"c","rejected_reason":"r","rejected_place":"p","rejected_phase":"read""#;
        let found = read_text(
            "jsonl",
            json!({}),
            format!("{{\"a\":\"0\",{own},\"rejected_item\":null}}\n{{{line},{own}}}\n").as_bytes(),
        );
        assert_eq!(found.trim_end(), format!("a\n1: 0\n2{expected}"), "{line}");
    };
    check(
        r#""a":null,"rejected_item":"{\"a\":1""#,
        "! bad-json: it is not JSON: EOF while parsing an object at column 6 {\"a\":1",
    );
    check(r#""a":null,"rejected_item":"{\"a\":1}""#, ": 1");
    check(r#""a":"2","rejected_item":"{\"a\":1""#, ": 2");
    check(r#""a":"2","rejected_item":"""#, ": 2");
}

/// Without the others, these columns may be columns like any other.
#[test]
fn some_of_these_columns_alone_are_the_inputs_own() {
    assert_eq!(read_text("csv", json!({}), b"a,rejected_code\n1,x\n"), "a|rejected_code\n2: 1|x\n");
    let first = rejected("csv", &json!({}), "a,rejected_code\n1,x\n", &[2]);
    assert_eq!(read_text("csv", json!({}), first.as_bytes()), "a|rejected_code\n2: 1|x\n");
}
