use std::fs;
use std::path::Path;

use stepbox_step::testing::{Host, Value, rows, setup, write};
use stepbox_step::{WriterDriver, contract};

use super::*;

const ITEMS: [&[&str]; 3] = [&["A1", "Chair"], &["B|2", "two\r\nlines"], &["C\\3", ""]];
const TABLE: &str =
    "| sku | name |\n| --- | --- |\n| A1 | Chair |\n| B\\|2 | two<br>lines |\n| C\\\\3 |  |\n";

fn parameters() -> Value {
    json!({ "file": "outbox/products.md" })
}

/// A folder `outbox`, deleted when the value is dropped.
fn outbox() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Host::new().folder("outbox", folder.path()).install();
    folder
}

fn open(checkpoint: Option<Vec<u8>>) -> WriterDriver<MarkdownTable> {
    let setup = contract::Setup { checkpoint, ..setup(parameters(), &["sku", "name"]) };
    WriterDriver::open(setup).unwrap()
}

fn assert_whole(folder: &Path) {
    assert_eq!(fs::read_to_string(folder.join("products.md")).unwrap(), TABLE);
    assert!(!folder.join("products.md.part").exists());
}

#[test]
fn writes_a_table() {
    let outbox = outbox();
    assert_eq!(write::<MarkdownTable>(parameters(), &["sku", "name"], &ITEMS).unwrap(), []);
    assert_whole(outbox.path());
}

#[test]
fn the_name_appears_when_all_is_written() {
    let outbox = outbox();
    let mut writer = open(None);
    writer.write(&rows(&ITEMS)).unwrap();
    writer.checkpoint().unwrap();
    assert!(!outbox.path().join("products.md").exists());

    writer.complete().unwrap();
    assert_whole(outbox.path());
}

#[test]
fn resumes_from_any_checkpoint_as_if_nothing_had_happened() {
    for written in 0..=ITEMS.len() {
        for lost in written..=ITEMS.len() {
            let outbox = outbox();
            let mut first = open(None);
            first.write(&rows(&ITEMS[..written])).unwrap();
            let checkpoint = Some(first.checkpoint().unwrap());
            first.write(&rows(&ITEMS[written..lost])).unwrap();
            drop(first); // this flushes, so bytes after the checkpoint are on the disk

            let mut second = open(checkpoint);
            second.write(&rows(&ITEMS[written..])).unwrap();
            second.complete().unwrap();
            assert_whole(outbox.path());
        }
    }
}

#[test]
fn resumes_after_completing_without_the_runtime_knowing() {
    let outbox = outbox();
    let mut first = open(None);
    first.write(&rows(&ITEMS[..1])).unwrap();
    let checkpoint = Some(first.checkpoint().unwrap());
    first.write(&rows(&ITEMS[1..])).unwrap();
    first.complete().unwrap();

    let mut second = open(checkpoint);
    second.write(&rows(&ITEMS[1..])).unwrap();
    second.complete().unwrap();
    assert_whole(outbox.path());
}

#[test]
fn refuses_to_go_on_with_a_file_that_somebody_changed() {
    let outbox = outbox();
    let mut first = open(None);
    let checkpoint = Some(first.checkpoint().unwrap());
    fs::write(outbox.path().join("products.md.part"), "| sku |\n").unwrap();

    let setup = contract::Setup { checkpoint, ..setup(parameters(), &["sku", "name"]) };
    let refusal = WriterDriver::<MarkdownTable>::open(setup).map(drop).unwrap_err();
    assert_eq!(refusal.code, "output-changed");
}
