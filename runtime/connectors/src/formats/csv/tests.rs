//! Behaviours of the reader and the writer `csv`, as rows.

use serde_json::{Value, json};
use stepbox_batch::element::Total;
use stepbox_batch::job::ChunkLimit;

use crate::fingerprint::fingerprint_of_names;
use crate::folders::Folders;
use crate::input_file::InputFile;
use crate::location::Location;
use crate::reach::Reach;
use crate::testing::{
    Reading, Writing, check_resume, check_split, check_writer_resume, in_one_line, read_text, rows, say,
};

fn check(options: Value, content: impl AsRef<[u8]>, expected: &str) {
    let content = content.as_ref();
    let found = read_text("csv", options, content);
    assert_eq!(found.trim_end(), expected, "{}", String::from_utf8_lossy(content));
}

#[test]
fn a_row_is_an_item() {
    let plain = || json!({});
    check(plain(), "sku,name\nA1,Shoe\nB2,Hat\n", "sku|name\n2: A1|Shoe\n3: B2|Hat");
    check(plain(), "sku,name\r\nA1,Shoe\r\nB2,Hat", "sku|name\n2: A1|Shoe\n3: B2|Hat");
    check(plain(), "\u{feff}sku,name\nA1,\n", "sku|name\n2: A1|");
    check(plain(), "sku\n\n\r\nA1\n\n", "sku\n4: A1");
    check(plain(), "a,b\n\"x\n\ny\",1\nz,2\n", "a|b\n2: x\\n\\ny|1\n5: z|2");
    check(plain(), "a,b\n", "a|b");
    check(plain(), "\n\na,b", "a|b");
    check(plain(), " a ,b\n 1 ,2", " a |b\n2:  1 |2");
    check(plain(), "a\nx\0y\n", "a\n2: x\0y");
}

#[test]
fn the_dialect_is_free() {
    check(json!({"delimiter": ";"}), "a;b\n1,5;\"x;y\"", "a|b\n2: 1,5|x;y");
    check(json!({"delimiter": "\t", "enclosure": "'"}), "a\tb\n'1\t'\t\"", "a|b\n2: 1\t|\"");
    check(json!({"header": false}), "1,2\n3,4\n", "column_1|column_2\n1: 1|2\n2: 3|4");
}

#[test]
fn a_ragged_row_is_set_aside() {
    check(
        json!({}),
        "a,b\n1,2\n3\n4,\"5\n\",6\n7,8\n",
        "a|b\n2: 1|2\n3! ragged-row: it has 1 cells, the header has 2 3\n\
         4! ragged-row: it has 3 cells, the header has 2 4,\"5\\n\",6\n6: 7|8",
    );
    check(
        json!({"header": false}),
        "1,2\n3\n",
        "column_1|column_2\n1: 1|2\n2! ragged-row: it has 1 cells, the header has 2 3",
    );
}

#[test]
fn a_file_that_is_no_csv_fails_the_step() {
    let plain = || json!({});
    let empty = "file-empty: `in` has no row that names its columns";
    check(plain(), "", empty);
    check(plain(), "\u{feff}", empty);
    // A line with an end but without names has no columns. Without a header nothing is missing.
    check(plain(), "\r\n\n", "");
    check(json!({"header": false}), "", "");
    check(plain(), "a,,b\n", "header-empty-name: the header of `in` has no name for column 2");
    check(plain(), "a,b,\n", "header-empty-name: the header of `in` has no name for column 3");
    check(plain(), "a,b,a\n", "header-duplicate-name: the header of `in` names columns 1 and 3 both `a`");
    check(plain(), b"a\nb\nx\xe9\n", "file-not-utf8: line 3 of `in` is not UTF-8");
    check(plain(), b"a\n\"b\n\",\xff\n", "file-not-utf8: line 2 of `in` is not UTF-8");
    check(plain(), b"na\xefve\n", "file-not-utf8: line 1 of `in` is not UTF-8");
    check(plain(), b"\x1f\x8b\x08\0", "file-other-format: `in` looks like a file that gzip compressed");
    check(plain(), "<html>\n", "file-other-format: `in` looks like an HTML page");
    check(plain(), "[{\"a\":1},{\"a\":2}]\n", "file-other-format: `in` looks like JSON, not CSV");
    check(
        plain(),
        b"\xff\xfe\0\0a\0\0\0",
        "file-not-utf8: line 1 of `in` is not UTF-8, it looks like UTF-32",
    );
    check(plain(), b"\xff\xfea\0\n\0", "file-not-utf8: line 1 of `in` is not UTF-8, it looks like UTF-16");
    check(
        plain(),
        "a\nb\n\"c\nd\n",
        "unclosed-enclosure: the row on line 3 of `in` opens a \" that is never closed",
    );
    check(plain(), ",".repeat(16_384), "too-many-columns: `in` has more than 16384 columns");
    let long = format!("a\nb\n{}\nc\n", "x".repeat((16 << 20) + 1));
    check(plain(), long, "row-too-long: the row on line 3 of `in` is longer than 16 MiB");
    let swallowed = format!("a\n\"{}\nc\n", "x\n".repeat(9 << 20));
    check(plain(), swallowed, "row-too-long: the row on line 2 of `in` is longer than 16 MiB");
}

/// The rows of a chunk are checked together, at its end.
#[test]
fn the_first_bad_line_of_a_chunk_is_named() {
    let check = |content: &[u8], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in"), content).unwrap();
        let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
        let found = reading.read(1000).map_err(say).unwrap_err();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(content));
    };
    check(b"a,b\n1,2\nx,\xe9\n3,4\n5,\xe9\n", "file-not-utf8: line 3 of `in` is not UTF-8");
    check(b"a,b\n1,\"\n\"\n2,\xe9\n", "file-not-utf8: line 4 of `in` is not UTF-8");
    check(b"a,b\n1,2\n3\n\n\xe9\n4,\xe9\n", "file-not-utf8: line 5 of `in` is not UTF-8");
    // Two bad cells that would make a good character.
    check(b"a,b\n1,2\n3,\xc3\n\xa9,4\n", "file-not-utf8: line 3 of `in` is not UTF-8");
    // An error after a bad line is not reached.
    check(b"a,b\n1,\xe9\n2,\"3\n", "file-not-utf8: line 2 of `in` is not UTF-8");
    check(b"a,b\n1,\xe9\n\xe9\n", "file-not-utf8: line 2 of `in` is not UTF-8");
}

/// A file with another delimiter would pass as one column, and look right until its items are used.
#[test]
fn a_delimiter_that_is_probably_wrong_is_refused() {
    let semicolon = || json!({"delimiter": ";"});
    let one = |header: &str, other: &str| {
        format!("delimiter-unclear: the header of `in` is one column, `{header}`, with `{other}` in it")
    };
    check(semicolon(), "a,b\n1,2\n", &one("a,b", ","));
    check(json!({"delimiter": ","}), "a\tb\n", &one("a\\tb", "\\t"));
    check(json!({"delimiter": "|", "enclosure": "none"}), "\"a;b\"\n", &one("\\\"a;b\\\"", ";"));
    check(semicolon(), "a\n1\n", "a\n2: 1");
    check(semicolon(), "\"a,b\"\n1\n", "a,b\n2: 1");
    check(semicolon(), "Name, first\n1\n", "Name, first\n2: 1");
    check(semicolon(), "a;b,c\n1;2\n", "a|b,c\n2: 1|2");
    let told = "1? delimiter-unclear: its first item is one cell with , in it; the delimiter is ; a,b";
    check(json!({"delimiter": ";", "header": false}), "a,b\nc\n", &format!("column_1\n1: a,b\n2: c\n{told}"));
}

#[test]
fn the_delimiter_is_that_of_the_header_if_nobody_names_it() {
    let plain = || json!({});
    check(plain(), "a;b\n1;2,5\n", "a|b\n2: 1|2,5");
    check(plain(), "a\tb\n1\t2\n", "a|b\n2: 1|2");
    check(plain(), "a|b\n1|2\n", "a|b\n2: 1|2");
    check(plain(), "\"a;b;c\",d\n1,2\n", "a;b;c|d\n2: 1|2");
    check(plain(), "a;b;\"c,d\ne\"\n1;2;3\n", "a|b|c,d\ne\n3: 1|2|3");
    check(plain(), "a\n1\n", "a\n2: 1");
    check(
        json!({"header": false}),
        "1;2\n",
        "column_1\n1: 1;2\n1? delimiter-unclear: its first item is one cell with ; in it; the delimiter is , 1;2",
    );
    let unclear = "the delimiter of `in` is not clear: its header, `a,b;c`, has `,` and `;` equally often";
    check(plain(), "a,b;c\n1,2\n", &format!("delimiter-unclear: {unclear}"));
}

#[test]
fn excel_may_name_the_delimiter_in_a_line_of_its_own() {
    check(json!({}), "sep=;\r\nsku;name\r\n1;a,b\r\n", "sku|name\n3: 1|a,b");
    check(json!({"delimiter": ","}), "\u{feff}SEP=|\nsku|name\n1|a\n", "sku|name\n3: 1|a");
    check(json!({"header": false}), "sep=\t\n1\t2\n", "column_1|column_2\n2: 1|2");
    check(json!({}), "sep=x,b\n1,2\n", "sep=x|b\n2: 1|2");
    check_split("csv", &json!({}), b"sep=;\na;b\n1;2\n3;4\n5;6\n");
    check_resume("csv", json!({}), b"sep=;\na;b\n1;2\n3;4\n5;6\n");
}

/// Regression: two rows became one, without a warning.
#[test]
fn a_row_with_broken_enclosures_is_told_or_set_aside() {
    let content = "id,name,age\n1,\"Anna,25\n3,\"Carla\",35\n4,Dirk,45\n5,\"Eve, 5\"\"\",55\n6,Fred 6\",65\n";
    let (rows, broken) = ("id|name|age\n", "broken-enclosure");
    let (first, last) = (
        "text follows the closing \" of its cell 2 1,\"Anna,25\\n3,\"Carla\",35",
        "a \" stands inside of its cell 2, which does not begin with one",
    );
    check(
        json!({}),
        content,
        &format!(
            "{rows}2: 1|Anna,25\\n3,Carla\"|35\n4: 4|Dirk|45\n5: 5|Eve, 5\"|55\n6: 6|Fred 6\"|65\n\
             2? {broken}: {first}\n6? {broken}: {last} {{\"id\":\"6\",\"name\":\"Fred 6\\\"\",\"age\":\"65\"}}"
        ),
    );
    check(
        json!({"strict": true}),
        content,
        &format!(
            "{rows}2! {broken}: {first}\n4: 4|Dirk|45\n5: 5|Eve, 5\"|55\n6! {broken}: {last} 6,Fred 6\",65"
        ),
    );
    check(
        json!({"enclosure": "none"}),
        content,
        &format!(
            "{rows}2: 1|\"Anna|25\n3: 3|\"Carla\"|35\n4: 4|Dirk|45\n\
             5! ragged-row: it has 4 cells, the header has 3 5,\"Eve, 5\"\"\",55\n6: 6|Fred 6\"|65"
        ),
    );
    let swallowed = "id,name,age\n1,\"Anna,25\n3,Carla\",35\n";
    let lines = "an enclosed cell goes over 2 lines, and each of them looks like a row";
    check(
        json!({}),
        swallowed,
        &format!("{rows}2: 1|Anna,25\\n3,Carla|35\n2? {broken}: {lines} 1,\"Anna,25\\n3,Carla\",35"),
    );
    check(
        json!({"strict": true}),
        swallowed,
        &format!("{rows}2! {broken}: {lines} 1,\"Anna,25\\n3,Carla\",35"),
    );
    check(
        json!({}),
        "id,\"na\"me\n1,2\n",
        "id|name\n2: 1|2\n1? broken-enclosure: text follows the closing \" of its cell 2 id,\"na\"me",
    );
    check(
        json!({}),
        "a,b\n1,\"2\"3,4\n",
        "a|b\n2! ragged-row: it has 3 cells, the header has 2; text follows the closing \" of its cell 2 1,\"2\"3,4",
    );
    for options in [json!({}), json!({"strict": true}), json!({"enclosure": "none"})] {
        check_split("csv", &options, content.as_bytes());
        check_split("csv", &options, ("a \"b\",c,d\n".to_owned() + content).as_bytes());
        check_resume("csv", options, content.as_bytes());
    }
}

/// All stray enclosures are in one chunk, between cells with a doubled enclosure.
#[test]
fn stray_enclosures_of_a_chunk_are_told_by_their_lines() {
    let rows: String = (0..500)
        .map(|i| match i % 5 {
            0 => format!("{i},\"\"\"{i}\"\"\"\n"),
            1 => format!("{i},5\" pipe \"x\"\n"),
            2 => format!("\"{i}\",\"a\n\"\"b\"\n"),
            _ => format!("{i},\n"),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), format!("n,t\n{rows}")).unwrap();
    let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
    reading.read(1000).unwrap();
    let told: Vec<_> = reading.warnings.lines().collect();
    assert_eq!(told.len(), 100);
    // Five rows take six lines.
    let lines = told.iter().map(|line| line.split('?').next().unwrap().parse::<u32>().unwrap());
    assert!(lines.eq((0..100).map(|i| 3 + 6 * i)), "{}", reading.warnings);
}

#[test]
fn a_column_without_a_name_of_its_own_is_named_or_dropped() {
    let unnamed = |how: &str| json!({"unnamed_columns": how});
    let content = ",recipe,rating\n0,Soup,4.5\n1,Pie,3\n";
    check(unnamed("name"), content, "column_1|recipe|rating\n2: 0|Soup|4.5\n3: 1|Pie|3");
    check(unnamed("drop"), content, "recipe|rating\n2: Soup|4.5\n3: Pie|3");
    check(unnamed("refuse"), content, "header-empty-name: the header of `in` has no name for column 1");
    let trailing = "a,b,\n1,2,\n3,4\n5,6,x\n7\n";
    let ragged = |cells| format!("5! ragged-row: it has 1 cells, the header has {cells} 7");
    check(unnamed("drop"), trailing, &format!("a|b\n2: 1|2\n3: 3|4\n4: 5|6\n{}", ragged(3)));
    check(unnamed("drop"), ",\n1,2\n", "header-empty-name: the header of `in` has no name for column 1");
    let repeated = |how: &str| json!({"repeated_columns": how});
    check(repeated("name"), "a,b,a\n1,2,3\n", "a|b|a_2\n2: 1|2|3");
    check(
        repeated("drop"),
        "a,b,a\n1,\"2\"\"\",3\"\n",
        "a|b\n2: 1|2\"\n2? broken-enclosure: a \" stands inside of its cell 3, which does not begin with one 1,\"2\"\"\",3\"",
    );
    for options in [unnamed("name"), unnamed("drop")] {
        check_split("csv", &options, trailing.as_bytes());
        check_resume("csv", options, trailing.as_bytes());
    }
}

/// Rows of all lengths, over several windows, with line ends of two bytes at the windows' edges.
#[test]
fn the_edges_of_windows_do_not_show() {
    let items: Vec<String> = (0..3000).map(|i| "é".repeat(i % 211)).collect();
    let rows = items.iter().enumerate().map(|(i, text)| format!("{i},\"{text}\"\"\r\n\"\r\n"));
    let found = read_text("csv", json!({}), ("n,text\r\n".to_owned() + &rows.collect::<String>()).as_bytes());
    let expected = items.iter().enumerate().map(|(i, text)| format!("{}: {i}|{text}\"\\r\\n\n", 2 * i + 2));
    assert!(found == "n|text\n".to_owned() + &expected.collect::<String>());
}

#[test]
fn resumes_from_the_checkpoint() {
    for end in ["\n", "\r\n", "\r"] {
        let content = ["a,b", "1,2", "\"x\ny\",\"\"\"\"", "", "3", "4,5", "é,6"].join(end);
        check_resume("csv", json!({}), content.as_bytes());
        check_resume("csv", json!({"header": false}), format!("\u{feff}{content}{end}").as_bytes());
    }
    check_resume("csv", json!({}), b"a\n");
}

#[test]
fn refuses_to_resume_in_another_file() {
    let check = |before: &str, after: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in"), before).unwrap();
        let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
        reading.read(1).unwrap();
        let state = reading.state();
        std::fs::write(folder.path().join("in"), after).unwrap();
        let found = match Reading::open("csv", json!({}), folder.path(), Some(&state)) {
            Ok(mut reading) => reading.read_all().map_or_else(say, |()| reading.items.trim_end().to_owned()),
            Err(error) => say(error),
        };
        assert_eq!(found, expected);
    };
    let other = "file-changed: `in` is not the file this run began with: ";
    check("a,b\n1,2\n3,4\n", "a,b\n1,2\n3,4\n5,6\n", "3: 3|4\n4: 5|6");
    check("a,b\n1,2\n3,4\n", "a,c\n1,2\n3,4\n", &format!("{other}its header differs"));
    check("a,b\n1,2\n3,4\n", "a,b\n", &format!("{other}it has 4 bytes, 8 of them were read"));
    check("a,b\n1,2\n3,4\n", "a,b\n9,9\n3,4\n", &format!("{other}its content before byte 8 differs"));
    // The last line had no end.
    check("a,b\n1,2", "a,b\n1,2\r\n3,4\n", "3: 3|4");
    check(
        "a,b\n1,2",
        "a,b\n1,23\n3,4\n",
        &format!("{other}its last line has been continued since it was read"),
    );
}

#[test]
fn an_unknown_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n1\n").unwrap();
    let open = |state: &[u8]| Reading::open("csv", json!({}), folder.path(), Some(state)).map(|_| ());
    assert!(say(open(b"{}").unwrap_err()).starts_with("state-unreadable: the checkpoint cannot be read: "));
    assert!(open(b"").is_ok(), "an empty one is none");
}

/// Offsets have 64 bits. The middle of this file is a hole.
#[test]
fn resumes_beyond_four_gibibytes() {
    use std::io::{Seek, SeekFrom, Write};
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("in")).unwrap();
    file.write_all(b"a,b\n").unwrap();
    file.seek(SeekFrom::Start(5 << 30)).unwrap();
    file.write_all(b"\n1,2\n3,4\n").unwrap();
    let from = Location::Local { file_path: "in".to_owned() };
    let reach = Reach::from(Folders::anywhere(folder.path()));
    let offset = (5u64 << 30) + 1;
    let tail = InputFile::open(&from, &reach, &crate::testing::step()).unwrap().tail_before(offset).unwrap();
    let header = fingerprint_of_names(&["a".to_owned(), "b".to_owned()]);
    let state = json!({"offset": offset, "line": 50, "items": 48, "header": header, "tail": tail});
    let mut reading =
        Reading::open("csv", json!({}), folder.path(), Some(state.to_string().as_bytes())).unwrap();
    reading.read_all().unwrap();
    assert_eq!(reading.items, "50: 1|2\n51: 3|4\n");
    assert_eq!(reading.total(), Total::Exact(50));
}

#[test]
fn a_chunk_is_full_at_rows_or_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n1234\n5678\n9\n").unwrap();
    let check = |rows, bytes, expected| {
        let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
        let mut items = Vec::new();
        while !reading.is_done() {
            let before = reading.items.lines().count();
            reading.read_limited(ChunkLimit { rows, bytes }).unwrap();
            items.push(reading.items.lines().count() - before);
        }
        assert_eq!(items, expected, "{rows} rows, {bytes} bytes");
    };
    check(1000, 1000, vec![3]);
    check(2, 1000, vec![2, 1]);
    check(3, 1000, vec![3]);
    check(1000, 1, vec![1, 1, 1]);
    check(1000, 5, vec![2, 1]);
}

#[test]
fn rows_that_do_not_fit_together_go_to_different_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let large = "x".repeat(10 << 20);
    std::fs::write(folder.path().join("in"), format!("a\n{large}\n{large}\n1\n")).unwrap();
    let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
    let mut chunks = 0;
    while reading.read_limited(ChunkLimit { rows: 9, bytes: u32::MAX }).unwrap() {
        chunks += 1;
    }
    assert_eq!((chunks, reading.items.lines().count()), (1, 3));
}

#[test]
fn the_total_is_an_estimate_until_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n1\n2\n3\n4\n").unwrap();
    let mut reading = Reading::open("csv", json!({}), folder.path(), None).unwrap();
    assert_eq!(reading.total(), Total::Unknown);
    reading.read(2).unwrap();
    assert_eq!(reading.total(), Total::Estimate(3));
    reading.read(2).unwrap();
    assert_eq!(reading.total(), Total::Exact(4));
}

fn check_written(options: Value, header: &[&str], items: &[&[&str]], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = Writing::open("csv", options, "out", folder.path(), header, None).unwrap();
    assert!(writing.write(&rows(items)).unwrap().is_empty());
    writing.complete().unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), expected);
}

#[test]
fn encloses_only_what_must_be() {
    let plain = || json!({});
    check_written(plain(), &["a", "b"], &[&["1", "x y"], &["", "é"]], "a,b\n1,x y\n,é\n");
    check_written(plain(), &["a,b", "c\"d"], &[], "\"a,b\",\"c\"\"d\"\n");
    check_written(
        plain(),
        &["a", "b"],
        &[&["1,5", "\""], &["x\ny", "x\ry"]],
        "a,b\n\"1,5\",\"\"\"\"\n\"x\ny\",\"x\ry\"\n",
    );
    check_written(plain(), &["a", "b"], &[&["∅", "x"], &["x", "∅"]], "a,b\n,x\nx,\n");
    check_written(plain(), &["a"], &[&[""], &["∅"], &["x"]], "a\n\"\"\n\"\"\nx\n");
    check_written(json!({"delimiter": ";"}), &["a", "b"], &[&["1,5", "x;y"]], "a;b\n1,5;\"x;y\"\n");
    check_written(json!({"enclosure": "'"}), &["a", "b"], &[&["\"", "it's"]], "a,b\n\",'it''s'\n");
    check_written(json!({"with_header": false}), &["a", "b"], &[&["1", "2"]], "1,2\n");
    check_written(json!({"with_header": false}), &["a", "b"], &[], "");
    let none = || json!({"enclosure": "none"});
    check_written(none(), &["a", "b;"], &[&["5\" pipe", "\"x\""]], "a,b;\n5\" pipe,\"x\"\n");
}

#[test]
fn an_output_resumed_anywhere_is_that_of_an_undisturbed_run() {
    let items: &[&[&str]] = &[&["1", "x\ny"], &["", "∅"], &["é", "\""], &["4", "5"]];
    check_writer_resume("csv", json!({}), &["a", "b"], items);
    check_writer_resume("csv", json!({"with_header": false}), &["a", "b"], items);
    for lines in 1..6 {
        check_writer_resume("csv", json!({"lines_per_file": lines}), &["a", "b"], items);
    }
}

/// Batches of every length and with all special characters are read again unchanged, by this crate and by the `csv`
/// crate.
#[test]
fn what_is_written_reads_the_same() {
    let parts = ["", "a", "é", ",", "\"", "\n", "\r", ";", "'", " ", "\r\n", "\"\"", "long text, here"];
    let mut seed = 1u64;
    let mut next = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    for round in 0..200 {
        let (columns, count) = (1 + next(4), next(20));
        let dialect = [json!({}), json!({"delimiter": ";", "enclosure": "'"})][round % 2].clone();
        let items: Vec<Vec<String>> = (0..count)
            .map(|_| (0..columns).map(|_| parts[next(13)].to_owned() + parts[next(13)]).collect())
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let header: Vec<String> = (0..columns).map(|i| format!("c{i}")).collect();
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut writing = Writing::open("csv", dialect.clone(), "in", folder.path(), &names, None).unwrap();
        for batch in items.chunks(7) {
            let cells: Vec<Vec<&str>> =
                batch.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
            writing.write(&rows(&cells.iter().map(Vec::as_slice).collect::<Vec<_>>())).unwrap();
        }
        writing.complete().unwrap();

        let mut reading = Reading::open("csv", dialect.clone(), folder.path(), None).unwrap();
        reading.read_all().unwrap();
        let mut builder = csv::ReaderBuilder::new();
        if dialect["delimiter"] == ";" {
            builder.delimiter(b';').quote(b'\'');
        }
        let mut oracle = builder.from_path(folder.path().join("in")).unwrap();
        let records: Vec<csv::StringRecord> = oracle.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), items.len());
        let mut expected = String::new();
        for (record, item) in records.iter().zip(&items) {
            assert_eq!(record.iter().collect::<Vec<_>>(), *item);
            let line = reading.items[expected.len()..].split(':').next().unwrap();
            expected += &format!("{line}: {}\n", in_one_line(&item.join("|")));
        }
        assert_eq!(reading.items, expected);
    }
}

/// The reader can read what the writer writes, with the same options or with none.
#[test]
fn a_header_is_written_so_that_it_can_be_read() {
    let check = |header: &[&str], items: &[&[&str]], expected: &str| {
        check_written(json!({}), header, items, expected);
        let read: String =
            items.iter().enumerate().map(|(i, row)| format!("{}: {}\n", i + 2, row.join("|"))).collect();
        let found = read_text("csv", json!({}), expected.as_bytes());
        assert_eq!(found, format!("{}\n{read}", header.join("|")));
    };
    check(&["a;b", "c"], &[&["1", "2"]], "\"a;b\",c\n1,2\n");
    check(&["a;b"], &[&["1"]], "\"a;b\"\n1\n");
    check(&["sep=;"], &[&["1"]], "\"sep=;\"\n1\n");
    check(&["\u{feff}a", "b"], &[&["1", "2"]], "\"\u{feff}a\",b\n1,2\n");
    check(&["<html>", "b"], &[&["1", "2"]], "\"<html>\",b\n1,2\n");
    check(&[], &[], "\n");
    let refused = |options: Value, header: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        Writing::open("csv", options, "out", folder.path(), header, None).err().map(say).unwrap()
    };
    let unnamed = "header-empty-name: column 2 of the items has no name, and the header of `out` needs one";
    assert_eq!(refused(json!({}), &["a", ""]), unnamed);
    let enclosed =
        "needs-enclosure: the column `a,b` cannot stand in the header of `out` without an enclosure";
    assert_eq!(refused(json!({"enclosure": "none"}), &["a,b"]), enclosed);
}

#[test]
fn an_item_that_could_not_be_read_again_is_set_aside() {
    let write = |options: Value, header: &[&str], items: &[&[&str]]| {
        let folder = tempfile::tempdir().unwrap();
        let mut writing = Writing::open("csv", options, "out", folder.path(), header, None).unwrap();
        let skipped = writing.write(&rows(items)).unwrap();
        writing.complete().unwrap();
        (skipped, std::fs::read_to_string(folder.path().join("out")).unwrap())
    };
    let needs = "needs-enclosure: a cell holds a delimiter or a line end, and there is no enclosure";
    let none = || json!({"enclosure": "none"});
    let (skipped, written) = write(none(), &["a", "b"], &[&["1", "x,y"], &["2", "x;y"], &["3", "x\ny"]]);
    assert_eq!(
        (skipped, written.as_str()),
        (vec![format!("0 {needs}"), format!("2 {needs}")], "a,b\n2,x;y\n")
    );
    assert_eq!(write(none(), &["a"], &[&[""], &["1"]]).0, [format!("0 {needs}")]);
    // The item fits into a chunk, but not as CSV, since each of its enclosures is doubled.
    let quotes = "\"".repeat(9 << 20);
    let (skipped, written) = write(json!({"lines_per_file": 1}), &["a"], &[&["1"], &[&quotes]]);
    assert_eq!(
        (skipped.as_slice(), written.as_str()),
        (&["1 row-too-long: as CSV it is longer than 16 MiB".to_owned()][..], "a\n1\n")
    );
}
