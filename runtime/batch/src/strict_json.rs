//! JSON from people and programs, parsed with more rules than JSON has.
//!
//! Two things that JSON allows are refused, because the stored value would differ from the written one: a key that
//! appears twice in an object, and a number with more digits than 64 bits hold. A byte order mark at the beginning
//! is skipped, because some editors write one. The parser limits the depth to 128 levels.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::numbers::first_rounded;

/// Why a text is not strict JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, as the parser counts it.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// Whether the cause is a number with too many digits.
    ///
    /// Such a number can be written as a text.
    pub is_rounded_number: bool,
}

/// Parses a text that holds one JSON value.
///
/// # Errors
/// A text that is not JSON, a key that appears twice in one object, and a number that 64 bits would round.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match serde_json::from_slice(text) {
        Ok(StrictValue(value)) => refuse_rounded(text).map(|()| value),
        Err(error) => Err(JsonError {
            line: error.line().max(1),
            column: error.column().max(1),
            message: without_place(&error),
            is_rounded_number: false,
        }),
    }
}

fn refuse_rounded(text: &[u8]) -> Result<(), JsonError> {
    let text = str::from_utf8(text).unwrap_or_default();
    let Some((at, number)) = first_rounded(text) else { return Ok(()) };
    let before = &text[..at];
    let line_begins = before.rfind('\n').map_or(0, |end| end + 1);
    Err(JsonError {
        line: before.matches('\n').count() + 1,
        column: before[line_begins..].chars().count() + 1,
        message: format!("the number {number} has more digits than 64 bits hold, and would be rounded"),
        is_rounded_number: true,
    })
}

/// The parser's message without the place, which [`JsonError`] holds in fields of its own.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    if text.starts_with("EOF while parsing") {
        return text.replacen("EOF while parsing", "the text ends in the middle of", 1);
    }
    text.to_owned()
}

/// A JSON value without keys that appear twice.
struct StrictValue(Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(StrictValue(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if entries.contains_key(&key) {
                return Err(de::Error::custom(format!("the key `{key}` appears twice")));
            }
            let StrictValue(item) = access.next_value()?;
            entries.insert(key, item);
        }
        Ok(entries.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_json_and_says_where_a_text_is_not_json() {
        let deep = "[".repeat(1000);
        let rows = [
            (
                r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":1}}"#,
                r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":1}}"#,
            ),
            ("[1]", "[1]"),
            ("\u{feff}{\"a\":1}", r#"{"a":1}"#),
            (r#"{"a":1,"a":2}"#, "line 1, column 10: the key `a` appears twice"),
            ("{\"a\":1,\n \"b\":{\"c\":1,\"c\":2}}", "line 2, column 15: the key `c` appears twice"),
            (
                "{\"n\":\n 123456789012345678901234567890}",
                "line 2, column 2: the number 123456789012345678901234567890 has more digits than 64 bits hold, and would \
                 be rounded",
            ),
            ("{a:1}", "line 1, column 2: key must be a string"),
            (r#"{"a":1"#, "line 1, column 6: the text ends in the middle of an object"),
            (r#"{"a":1} x"#, "line 1, column 9: trailing characters"),
            (r#"{"a":1,}"#, "line 1, column 8: trailing comma"),
            ("", "line 1, column 1: the text ends in the middle of a value"),
            (&deep, "line 1, column 128: recursion limit exceeded"),
        ];
        for (text, expected) in rows {
            let found =
                parse(text.as_bytes()).map_or_else(|error| error.to_string(), |value| value.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }
}
