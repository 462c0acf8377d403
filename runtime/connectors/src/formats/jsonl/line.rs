//! One line of JSON Lines: an object whose keys become columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use stepbox_batch::rows::Rows;

/// The columns of a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    pub(super) fn new(names: Vec<String>) -> Self {
        let mut columns = Self::default();
        names.into_iter().for_each(|name| columns.add(name));
        columns
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The columns without these names.
    pub(super) fn without(self, names: &[&str]) -> Self {
        Self::new(self.names.into_iter().filter(|name| !names.contains(&name.as_str())).collect())
    }

    fn add(&mut self, name: String) {
        if !self.places.contains_key(&name) {
            self.places.insert(name.clone(), self.names.len());
            self.names.push(name);
        }
    }

    /// The column of a key. Most lines have their keys in the same order, so `guess` is mostly right.
    fn find(&self, key: &str, guess: usize) -> Option<usize> {
        match self.names.get(guess) {
            Some(name) if name == key => Some(guess),
            _ => self.places.get(key).copied(),
        }
    }
}

/// Why a line is not an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl From<serde_json::Error> for BadLine {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() {
            return Self { code: "not-an-object", reason: "it is JSON, but not an object".to_owned() };
        }
        let (what, column) = (without_position(&error), error.column());
        Self { code: "bad-json", reason: format!("it is not JSON: {what} at column {column}") }
    }
}

/// The text of an error without its position. The parser gets one line at a time, so its `line 1` would confuse.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// The cells of one line. A text has no quotes and escapes any more. A number, a truth value, an array or an object is
/// the JSON that is in the file. Null and a missing key are null.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: String,
    ranges: Vec<Option<Range<usize>>>,
    /// The first key that is not a column.
    unknown: Option<String>,
}

impl Cells {
    pub(super) fn parse(&mut self, line: &str, columns: &Columns) -> Result<(), BadLine> {
        self.text.clear();
        self.ranges.clear();
        self.ranges.resize(columns.names.len(), None);
        self.unknown = None;
        let mut parser = serde_json::Deserializer::from_str(line);
        // The second `?`: a bad text inside of valid JSON is found only when it is unescaped.
        (&mut parser).deserialize_map(CellVisitor { cells: self, columns })??;
        Ok(parser.end()?)
    }

    /// The first key of this line that is not a column, unless `is_expected` accepts it.
    pub(super) fn unknown_key(&self, is_expected: impl Fn(&str) -> bool) -> Option<&str> {
        self.unknown.as_deref().filter(|key| !is_expected(key))
    }

    /// The cell of the first column.
    pub(super) fn first(&self) -> Option<&str> {
        self.ranges.first()?.clone().map(|range| &self.text[range])
    }

    /// Whether all cells are null.
    pub(super) fn are_null(&self) -> bool {
        self.ranges.iter().all(Option::is_none)
    }

    pub(super) fn bytes(&self) -> usize {
        self.ranges.iter().flatten().map(Range::len).sum()
    }

    pub(super) fn push_to(&self, rows: &mut Rows) {
        for range in &self.ranges {
            match range {
                Some(range) => rows.push(&self.text[range.clone()]),
                None => rows.push_null(),
            }
        }
    }

    /// Stores a cell. If a key comes twice, the last value counts, as in most parsers.
    fn put(&mut self, key: &str, column: usize, value: &RawValue) -> Result<(), BadLine> {
        let (value, start) = (value.get(), self.text.len());
        if value == "null" {
            self.ranges[column] = None;
            return Ok(());
        }
        if value.starts_with('"') {
            let Text(text) = serde_json::from_str(value).map_err(|error| bad_text(key, &error))?;
            self.text.push_str(&text);
        } else {
            self.text.push_str(value);
        }
        self.ranges[column] = Some(start..self.text.len());
        Ok(())
    }
}

fn bad_text(key: &str, error: &serde_json::Error) -> BadLine {
    let reason = format!("the text of its key `{key}` is broken: {}", without_position(error));
    BadLine { code: "bad-json", reason }
}

/// Adds the new keys of a line, in their order.
pub(super) fn add_keys(line: &str, columns: &mut Columns) -> Result<(), BadLine> {
    let mut parser = serde_json::Deserializer::from_str(line);
    let keys = KeysOf(columns).deserialize(&mut parser)?;
    parser.end()?;
    keys.into_iter().for_each(|key| columns.add(key));
    Ok(())
}

/// A JSON text, borrowed if it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct CellVisitor<'a> {
    cells: &'a mut Cells,
    columns: &'a Columns,
}

impl<'de> Visitor<'de> for CellVisitor<'_> {
    type Value = Result<(), BadLine>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut guess, mut outcome) = (0, Ok(()));
        while let Some(Text(key)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            match self.columns.find(&key, guess) {
                Some(column) => {
                    guess = column + 1;
                    // The rest of the line is still read, to see whether it is JSON at all.
                    outcome = outcome.and_then(|()| self.cells.put(&key, column, value));
                }
                None => {
                    self.cells.unknown.get_or_insert_with(|| key.into_owned());
                }
            }
        }
        Ok(outcome)
    }
}

/// The keys of an object that are not columns yet.
struct KeysOf<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for KeysOf<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeysOf<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut guess, mut new) = (0, Vec::new());
        while let Some(Text(key)) = map.next_key()? {
            map.next_value::<IgnoredAny>()?;
            match self.0.find(&key, guess) {
                Some(column) => guess = column + 1,
                None => new.push(key.into_owned()),
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let columns = Columns::new(vec!["a".to_owned(), "b".to_owned()]);
        let (mut cells, mut rows) = (Cells::default(), Rows::new(2));
        let found = match cells.parse(line, &columns) {
            Err(bad) => format!("{}: {}", bad.code, bad.reason),
            Ok(()) => {
                cells.push_to(&mut rows);
                let cells: Vec<_> = rows.row(0).map(|cell| cell.unwrap_or("∅")).collect();
                cells.join(" | ")
            }
        };
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_line_becomes_cells() {
        check(r#"{"a": "x", "b": "5"}"#, "x | 5");
        check(r#"{"b": 5, "a": true}"#, "true | 5");
        check(r#"{"a": 1.10, "b": 12345678901234567890123}"#, "1.10 | 12345678901234567890123");
        check(r#"{"a": [1, {"x": "y"}], "b": {"k" : null}}"#, r#"[1, {"x": "y"}] | {"k" : null}"#);
        check(r#"{"a": null}"#, "∅ | ∅");
        check(r#"{"a": ""}"#, " | ∅");
        check(r#"{"a": "é\u00e9\n\"\ud83d\ude00", "c": 1}"#, "éé\n\"😀 | ∅");
        check(r#"{"a": 1, "a": 2}"#, "2 | ∅");
        check(r#"{"a": 1, "a": null}"#, "∅ | ∅");
        check("{}\r", "∅ | ∅");
    }

    #[test]
    fn a_line_that_is_no_item_says_why() {
        check("[1]", "not-an-object: it is JSON, but not an object");
        check("17", "not-an-object: it is JSON, but not an object");
        check(r#"{"a": 1"#, "bad-json: it is not JSON: EOF while parsing an object at column 7");
        check(r#"{"a": 1} x"#, "bad-json: it is not JSON: trailing characters at column 10");
        check(r#"{a: 1}"#, "bad-json: it is not JSON: key must be a string at column 2");
        check(r#"{"a": 01}"#, "bad-json: it is not JSON: invalid number at column 8");
        check(r#"{"a": NaN}"#, "bad-json: it is not JSON: expected value at column 7");
        check(
            r#"{"a": "\ud800"}"#,
            "bad-json: the text of its key `a` is broken: unexpected end of hex escape",
        );
    }

    #[test]
    fn finds_keys_in_order_of_their_first_appearance() {
        let mut columns = Columns::default();
        for line in [r#"{"b": 1, "a": 2}"#, r#"{"a": 1, "c": [{"x": 1}]}"#, r#"{"c": 1, "b": 1}"#, "{}"] {
            add_keys(line, &mut columns).unwrap();
        }
        assert_eq!(columns.names(), ["b", "a", "c"]);
        assert!(add_keys(r#"{"d": 1, "e"}"#, &mut columns).is_err());
        assert_eq!(columns.names(), ["b", "a", "c"], "a bad line adds nothing");
    }
}
