//! CSV: the reader `csv` agrees with the `csv` crate, in windows and chunks of any size, and continues from any
//! checkpoint.
//!
//! The first three bytes decide how the file is read; the others are the file.

use csv::ByteRecord;
use serde_json::{Value, json};

use super::reading::{Input, Item, Manner, Outcome, What};

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let [one, other, dialect, content @ ..] = bytes else { return };
    let dialect = Dialect::of(*dialect);
    let options = dialect.options();
    let input = Input::new("csv", &options, content);
    let outcome = input.check(Manner::of(*one, *other));
    check(&outcome, dialect, content);
    input.check_state(content);
}

#[derive(Debug, Clone, Copy)]
struct Dialect {
    delimiter: u8,
    enclosure: u8,
    has_header: bool,
}

impl Dialect {
    fn of(byte: u8) -> Self {
        let (delimiter, enclosure) =
            [(b',', b'"'), (b';', b'\''), (b'\t', b'"'), (b'a', b' ')][usize::from(byte) % 4];
        Self { delimiter, enclosure, has_header: byte & 4 == 0 }
    }

    fn options(self) -> Value {
        json!({
            "from": "in", "header": self.has_header,
            "delimiter": char::from(self.delimiter).to_string(),
            "enclosure": char::from(self.enclosure).to_string(),
        })
    }

    /// Removes the bytes before the first row: byte order marks, and Excel's line that names the delimiter.
    fn beginning(self, mut content: &[u8]) -> (Self, &[u8]) {
        while let Some(rest) = content.strip_prefix("\u{feff}".as_bytes()) {
            content = rest;
        }
        let start = content.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(content.len());
        let text = &content[start..];
        match text {
            [s, e, p, b'=', delimiter @ (b' '..=b'~' | b'\t'), b'\r' | b'\n', ..]
                if [s, e, p].iter().map(|byte| byte.to_ascii_lowercase()).eq(*b"sep")
                    && *delimiter != self.enclosure =>
            {
                (Self { delimiter: *delimiter, ..self }, &text[5..])
            }
            _ => (self, content),
        }
    }

    fn oracle(self, content: &[u8]) -> Vec<ByteRecord> {
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(self.delimiter).quote(self.enclosure).has_headers(false).flexible(true);
        let records = builder.from_reader(content).into_byte_records();
        records.collect::<Result<_, _>>().expect("all is CSV, from memory")
    }
}

/// The items are those that the oracle reads, as far as the reader came.
fn check(outcome: &Outcome, dialect: Dialect, content: &[u8]) {
    let (dialect, content) = dialect.beginning(content);
    let records = dialect.oracle(content);
    if outcome.header.is_empty() {
        assert!(outcome.failure.is_some() || records.is_empty(), "a file without columns");
        return;
    }
    let (header, records) = match records.split_first() {
        Some((header, records)) if dialect.has_header => (texts(header), records),
        Some((first, _)) => ((1..=first.len()).map(|i| format!("column_{i}")).collect(), &records[..]),
        None => panic!("columns of an empty file"),
    };
    assert_eq!(outcome.header, header);
    if outcome.failure.is_none() {
        assert_eq!(outcome.items.len(), records.len());
    }
    for (Item { what, .. }, record) in outcome.items.iter().zip(records) {
        let expected = if record.len() == header.len() {
            What::Row(texts(record).into_iter().map(Some).collect())
        } else {
            // The row has the same text as in the file. It is below an empty line, so that a byte order mark is text.
            let What::Unreadable(code, raw) = what else { panic!("{what:?} instead of a ragged row") };
            let alone = dialect.oracle(format!("\n{raw}").as_bytes());
            assert_eq!((code.as_str(), alone), ("ragged-row", vec![record.clone()]));
            continue;
        };
        assert_eq!(*what, expected);
    }
}

/// Bytes that are not UTF-8 end the reading before they are compared.
fn texts(record: &ByteRecord) -> Vec<String> {
    record
        .iter()
        .map(|cell| String::from_utf8(cell.to_vec()).expect("the reader took it for UTF-8"))
        .collect()
}
