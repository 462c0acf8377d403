//! Parameters on the command line: JSON, `@FILE` with JSON, or `-` for JSON on standard input.
//!
//! This file checks only the JSON, more strictly than JSON itself does: a key that appears twice is refused, since
//! one of its two values would be lost. The job checks the parameters.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use stepbox::batch::numbers::first_rounded;

use crate::error::CliError;

/// The most bytes of the text of parameters: more than any parameters that are accepted.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Reads parameters from the place that the argument names.
pub(crate) fn read(argument: &str) -> Result<Value, CliError> {
    if argument == "-" {
        let text = limited(io::stdin(), "standard input", Path::new("-"))?;
        return parse("standard input", &text);
    }
    if let Some(path) = argument.strip_prefix('@') {
        let path = Path::new(path);
        let subject = format!("`{}`", path.display());
        let file = File::open(path).map_err(CliError::unreadable(path))?;
        return parse(&subject, &limited(file, &subject, path)?);
    }
    parse("the parameters", argument.as_bytes()).map_err(|error| point_at_file(error, argument))
}

fn limited(source: impl Read, subject: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    source.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text).map_err(CliError::unreadable(path))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(CliError::TooLong { subject: subject.to_owned(), bytes_max: TEXT_BYTES_MAX });
    }
    Ok(text)
}

/// Parses the text. Editors of Windows put a byte order mark before a text in UTF-8; it is not part of the text.
fn parse(subject: &str, text: &[u8]) -> Result<Value, CliError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match serde_json::from_slice(text) {
        Ok(StrictValue(value)) => refuse_rounded(subject, text).map(|()| value),
        Err(error) => Err(CliError::ParametersMalformed {
            subject: subject.to_owned(),
            line: error.line().max(1),
            column: error.column().max(1),
            message: without_place(&error),
            help: "write a JSON object, such as `{\"delimiter\":\";\"}`, in single quotes for the shell"
                .to_owned(),
        }),
    }
}

/// Refuses a number that does not fit into 64 bits, since its value in memory would be another one.
fn refuse_rounded(subject: &str, text: &[u8]) -> Result<(), CliError> {
    let text = str::from_utf8(text).unwrap_or_default();
    let Some((at, number)) = first_rounded(text) else { return Ok(()) };
    let before = &text[..at];
    let line_begins = before.rfind('\n').map_or(0, |end| end + 1);
    Err(CliError::ParametersMalformed {
        subject: subject.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_begins..].chars().count() + 1,
        message: format!("the number {number} has more digits than 64 bits hold, and would be rounded"),
        help: "write it as a text, in quotes, if the job takes one; or with fewer digits".to_owned(),
    })
}

/// The message without the place, which is printed before it.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    if text.starts_with("EOF while parsing") {
        return text.replacen("EOF while parsing", "the text ends in the middle of", 1);
    }
    text.to_owned()
}

/// Adds a help for a user who wrote the name of a file.
fn point_at_file(mut error: CliError, argument: &str) -> CliError {
    if let CliError::ParametersMalformed { help, .. } = &mut error
        && Path::new(argument).is_file()
    {
        *help = format!("to read the file, write `@{argument}`");
    }
    error
}

/// A JSON value without keys that appear twice. Its depth is limited by the parser.
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
    fn takes_json_and_says_where_it_is_none() {
        let deep = "[".repeat(1000);
        let rows = [
            (
                r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":1}}"#,
                r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":1}}"#,
            ),
            ("[1]", "[1]"),
            ("\u{feff}{\"a\":1}", r#"{"a":1}"#),
            (r#"{"a":1,"a":2}"#, "the parameters, line 1, column 10: the key `a` appears twice"),
            (
                "{\"a\":1,\n \"b\":{\"c\":1,\"c\":2}}",
                "the parameters, line 2, column 15: the key `c` appears twice",
            ),
            (
                "{\"n\":\n 123456789012345678901234567890}",
                "the parameters, line 2, column 2: the number 123456789012345678901234567890 has more digits than 64 bits \
                 hold, and would be rounded",
            ),
            ("{a:1}", "the parameters, line 1, column 2: key must be a string"),
            (r#"{"a":1"#, "the parameters, line 1, column 6: the text ends in the middle of an object"),
            (r#"{"a":1} x"#, "the parameters, line 1, column 9: trailing characters"),
            (r#"{"a":1,}"#, "the parameters, line 1, column 8: trailing comma"),
            ("", "the parameters, line 1, column 1: the text ends in the middle of a value"),
            (&deep, "the parameters, line 1, column 128: recursion limit exceeded"),
        ];
        for (text, expected) in rows {
            let found = read(text).map_or_else(|error| error.to_string(), |value| value.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }
}
