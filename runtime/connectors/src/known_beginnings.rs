//! Recognises files of another format by their first bytes. Otherwise a reader would make a thousand bad rows of them.

use crate::error::{ConnectorError, Result};
use crate::other_format::{Encoding, OtherFormat};

/// The first bytes of other formats. A text file does not begin with them.
const BEGINNINGS: [(&[u8], OtherFormat); 8] = [
    (b"\x1f\x8b", OtherFormat::Gzip),
    (b"BZh91AY&SY", OtherFormat::Bzip2),
    (b"\xfd7zXZ\0", OtherFormat::Xz),
    (b"\x28\xb5\x2f\xfd", OtherFormat::Zstd),
    (b"PK\x03\x04", OtherFormat::Zip),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OtherFormat::OldExcel),
    (b"%PDF-", OtherFormat::Pdf),
    (b"PAR1\x15", OtherFormat::Parquet),
];

/// Fails if a file begins like one of another format or another encoding.
pub(crate) fn check(head: &[u8], path: &str) -> Result<()> {
    if let Some(&(_, found)) = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning)) {
        return Err(other(path, found));
    }
    if let Some(encoding) = wide_characters(head) {
        return Err(ConnectorError::NotUtf8 { path: path.to_owned(), line: 1, encoding });
    }
    let text = without_mark(head);
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|text| text.eq_ignore_ascii_case(with.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return Err(other(path, OtherFormat::Html));
    }
    if begins("<?xml") { Err(other(path, OtherFormat::Xml)) } else { Ok(()) }
}

/// The encoding if the characters are wider than a byte. Other text has no NUL in its first two characters.
fn wide_characters(head: &[u8]) -> Option<Encoding> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(Encoding::Utf32),
        [first, 0, 0, 0, ..] | [0, 0, 0, first, ..] if *first != 0 => Some(Encoding::Utf32),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Some(Encoding::Utf16),
        _ => None,
    }
}

fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

/// Fails if the beginning of a file that should be CSV is JSON.
pub(crate) fn check_csv(head: &[u8], path: &str) -> Result<()> {
    let text = head.trim_ascii_start();
    let is_json = match text {
        [b'{', rest @ ..] => rest.trim_ascii_start().first() == Some(&b'"'),
        [b'[', rest @ ..] => {
            matches!(rest.trim_ascii_start(), [b'{', rest @ ..] if rest.trim_ascii_start().first() == Some(&b'"'))
        }
        _ => false,
    };
    if is_json { Err(other(path, OtherFormat::Json)) } else { Ok(()) }
}

/// Fails if the first line that is not empty belongs to JSON that does not have one object on each line.
pub(crate) fn check_jsonl(line: &[u8], path: &str) -> Result<()> {
    match line.trim_ascii() {
        [b'{'] => Err(other(path, OtherFormat::JsonDocument)),
        [b'['] => Err(other(path, OtherFormat::JsonArray)),
        [b'[', rest @ ..] if rest.trim_ascii_start().first() == Some(&b'{') => {
            Err(other(path, OtherFormat::JsonArray))
        }
        _ => Ok(()),
    }
}

fn other(path: &str, found: OtherFormat) -> ConnectorError {
    ConnectorError::OtherFormat { path: path.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(outcome: Result<()>) -> String {
        outcome.map_or_else(|error| error.to_string(), |()| "text".to_owned())
    }

    #[test]
    fn tells_a_format_by_its_beginning() {
        let check = |head: &[u8], expected: &str| assert_eq!(say(check(head, "in.csv")), expected);
        check(b"\x1f\x8b\x08\0", "`in.csv` looks like a file that gzip compressed");
        check(b"PK\x03\x04\x14\0", "`in.csv` looks like an Excel workbook or another zip archive");
        check(b"%PDF-1.7", "`in.csv` looks like a PDF document");
        check(b"\n <!DOCTYPE html>\n<html>", "`in.csv` looks like an HTML page");
        check(b"\xef\xbb\xbf<?xml version", "`in.csv` looks like an XML document");
        check(b"PK,name\n", "text");
        check(b"<name>,b\n", "text");
        check(b"", "text");
    }

    #[test]
    fn tells_wide_characters_from_wider_ones() {
        let check = |head: &[u8], expected| assert_eq!(wide_characters(head), expected);
        check(b"\xff\xfea\0", Some(Encoding::Utf16));
        check(b"\xfe\xff\0a", Some(Encoding::Utf16));
        check(b"a\0b\0", Some(Encoding::Utf16));
        check(b"\0a\0b", Some(Encoding::Utf16));
        check(b"\xff\xfe\0\0a\0\0\0", Some(Encoding::Utf32));
        check(b"\0\0\xfe\xff\0\0\0a", Some(Encoding::Utf32));
        check(b"a\0\0\0b\0\0\0", Some(Encoding::Utf32));
        check(b"\0\0\0a", Some(Encoding::Utf32));
        check(b"ab", None);
        check(b"a", None);
    }

    #[test]
    fn tells_json_from_lines_of_it_and_from_csv() {
        let array = "`in` looks like a JSON array, not JSON Lines";
        for line in ["[\n", "[{\"a\":1}]", " [ {\"a\":1},\r\n"] {
            assert_eq!(say(check_jsonl(line.as_bytes(), "in")), array);
        }
        let document = "`in` looks like a JSON document over several lines, not JSON Lines";
        assert_eq!(say(check_jsonl(b"{\r\n", "in")), document);
        for line in ["{\"a\":1}\n", "[1]\n", "[]", "x"] {
            assert_eq!(say(check_jsonl(line.as_bytes(), "in")), "text");
        }
        for head in ["{\"a\":1}\n", "[{\"a\":1}]", " [\n { \"a\": 1 }"] {
            assert_eq!(say(check_csv(head.as_bytes(), "in")), "`in` looks like JSON, not CSV");
        }
        for head in ["[Name],[Price]\n", "{a},b\n", "a,b"] {
            assert_eq!(say(check_csv(head.as_bytes(), "in")), "text");
        }
    }
}
