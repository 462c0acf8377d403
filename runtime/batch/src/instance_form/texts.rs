//! Values as the texts of inputs, and texts as values.

use serde_json::{Map, Number, Value};

use super::widget::{ItemKind, ValueKind, Widget};
use super::{Choice, Field};
use crate::numbers::{as_integer, keeps_digits};
use crate::strict_json;

/// A scalar as text, and anything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether the widget of a field shows the whole value.
pub(super) fn is_expressible(field: &Field, value: &Value) -> bool {
    if field.widget == Widget::Json {
        return true;
    }
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_null();
    let has_members = |value: &Value, members: &[Field]| {
        value.as_object().is_some_and(|entries| {
            entries.iter().all(|(name, entry)| {
                let member = members.iter().find(|member| member.name == *name);
                member.is_some_and(|member| is_expressible(member, entry))
            })
        })
    };
    match field.kind {
        ValueKind::Json => true,
        // An empty text is posted like no text.
        ValueKind::Text => value.as_str().is_some_and(|text| !text.is_empty()),
        ValueKind::Integer | ValueKind::Number => value.is_number(),
        ValueKind::Boolean => value.is_boolean(),
        ValueKind::Choice => is_scalar(value),
        ValueKind::List(_) => value.as_array().is_some_and(|items| {
            let is_line = |item: &Value| is_scalar(item) && is_one_line(&text_of(item));
            items.iter().all(is_line)
        }),
        ValueKind::Table => value.as_array().is_some_and(|rows| {
            rows.iter().all(|row| has_members(row, &field.columns) && !is_blank(field, row))
        }),
        ValueKind::Storage => has_members(value, &field.members) && value.as_object() != Some(&Map::new()),
    }
}

/// Whether a text stays one entry when it is split into lines.
fn is_one_line(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(['\n', '\r'])
}

/// Whether a row of a table looks as if nothing was written in it: such a row is not kept.
pub(super) fn is_blank(table: &Field, row: &Value) -> bool {
    let says_nothing = |(name, value): (&String, &Value)| {
        let column = table.columns.iter().find(|column| column.name == *name);
        let default = column.and_then(|column| column.default.as_ref());
        Some(value) == default || *value == Value::Bool(false)
    };
    row.as_object().is_none_or(|row| row.iter().all(says_nothing))
}

/// What a browser would post for a value.
pub(super) fn pairs_of(field: &Field, value: &Value) -> Vec<(String, String)> {
    pairs_at(&field.name, field, value)
}

fn pairs_at(name: &str, field: &Field, value: &Value) -> Vec<(String, String)> {
    let pair = |text: String| (name.to_owned(), text);
    if field.widget == Widget::Json || !is_expressible(field, value) {
        return match (field.kind, value) {
            // A value of the wrong kind stands in the input as it is.
            (ValueKind::Json | ValueKind::Table | ValueKind::Storage | ValueKind::List(_), value) => {
                vec![pair(value.to_string())]
            }
            (_, value) => vec![pair(text_of(value))],
        };
    }
    match (field.kind, value) {
        (ValueKind::Boolean, value) => vec![pair("false".to_owned())]
            .into_iter()
            .chain((*value == Value::Bool(true)).then(|| pair("true".to_owned())))
            .collect(),
        (ValueKind::List(_), Value::Array(items)) => {
            std::iter::once(pair(String::new())).chain(items.iter().map(|item| pair(text_of(item)))).collect()
        }
        (ValueKind::Table, Value::Array(rows)) => {
            let rows = rows
                .iter()
                .enumerate()
                .flat_map(|(index, row)| parts_at(&format!("{name}.{index}"), &field.columns, row));
            std::iter::once(pair(String::new())).chain(rows).collect()
        }
        (ValueKind::Storage, value) => parts_at(name, &field.members, value),
        (ValueKind::Text, Value::String(text)) if field.widget == Widget::Character && text == "\t" => {
            vec![pair(TAB_SIGN.to_owned())]
        }
        (_, value) => vec![pair(text_of(value))],
    }
}

fn parts_at(name: &str, parts: &[Field], value: &Value) -> Vec<(String, String)> {
    let of_part = |part: &Field| match value.get(&part.name) {
        Some(value) => pairs_at(&format!("{name}.{}", part.name), part, value),
        None => Vec::new(),
    };
    parts.iter().flat_map(of_part).collect()
}

/// How a tab is shown and may be written where one character is expected.
pub(super) const TAB_SIGN: &str = "⇥";

/// A text that cannot be the value that a field asks for. The text itself is kept as the value.
pub(super) struct Unfit(pub(super) String);

/// The value of a text that is not empty.
pub(super) fn value_of(field: &Field, text: &str, before: Option<&Value>) -> Result<Value, Unfit> {
    // What is posted as it was shown is what it was, whether or not it fits.
    if let Some(before) = before.filter(|before| !before.is_string() && text_of(before) == text) {
        return Ok(before.clone());
    }
    match field.kind {
        _ if field.widget == Widget::Json => json_of(text),
        ValueKind::Text if field.widget == Widget::Character && [TAB_SIGN, "\\t"].contains(&text) => {
            Ok(Value::from("\t"))
        }
        // A browser sends line ends of its own.
        ValueKind::Text => Ok(Value::from(text.replace("\r\n", "\n"))),
        ValueKind::Integer => integer_of(text),
        ValueKind::Number => number_of(text),
        ValueKind::Boolean => Ok(match text {
            "true" | "on" | "1" => Value::Bool(true),
            "false" | "off" | "0" => Value::Bool(false),
            other => return Err(Unfit(format!("`{other}` is neither `true` nor `false`"))),
        }),
        ValueKind::Choice => Ok(chosen(&field.options, text)),
        ValueKind::List(_) | ValueKind::Table | ValueKind::Storage | ValueKind::Json => json_of(text),
    }
}

/// The value of an entry of a list.
pub(super) fn item_of(field: &Field, kind: ItemKind, text: &str) -> Result<Value, Unfit> {
    match kind {
        ItemKind::Text => Ok(Value::from(text)),
        ItemKind::Integer => integer_of(text),
        ItemKind::Number => number_of(text),
        ItemKind::Choice => Ok(chosen(&field.options, text)),
    }
}

/// The choice that a text stands for; another text is kept, and the schema says that it is none of the choices.
fn chosen(options: &[Choice], text: &str) -> Value {
    let found = options.iter().find(|choice| choice.text() == text);
    found.map_or_else(|| Value::from(text), |choice| choice.value.clone())
}

fn integer_of(text: &str) -> Result<Value, Unfit> {
    let unfit = || Unfit(format!("`{}` is not a whole number", text.trim()));
    if !keeps_digits(text.trim()) {
        return number_of(text);
    }
    let number = number_of(text).map_err(|_| unfit())?;
    number.as_number().and_then(as_integer).map(Value::Number).ok_or_else(unfit)
}

fn number_of(text: &str) -> Result<Value, Unfit> {
    let text = text.trim();
    if !keeps_digits(text) {
        return Err(Unfit(format!("`{text}` has more digits than 64 bits hold, and would be rounded")));
    }
    let number = serde_json::from_str::<Number>(text.strip_prefix('+').unwrap_or(text));
    number.map(Value::Number).map_err(|_| Unfit(format!("`{text}` is not a number")))
}

fn json_of(text: &str) -> Result<Value, Unfit> {
    strict_json::parse(text.as_bytes()).map_err(|error| Unfit(format!("is not JSON: {error}")))
}
