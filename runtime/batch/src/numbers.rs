//! Numbers keep their digits. JSON and YAML write numbers of any length, but a value in memory has 64 bits. A
//! number that does not fit would be rounded silently, so it is found in the text and refused.

use serde_json::{Number, Value};

/// The first number of a JSON text that would be rounded, and where it begins, in bytes.
///
/// `json` must be valid JSON.
pub fn first_rounded(json: &str) -> Option<(usize, &str)> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|&&byte| is_of_number(byte)).count();
                let number = &json[at..at + length];
                if !keeps_digits(number) {
                    return Some((at, number));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

/// Whether 64 bits hold a decimal number exactly as it is written.
///
/// Also true for a text that is not a number: other checks refuse it.
pub fn keeps_digits(text: &str) -> bool {
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
        return true;
    }
    let Some(written) = Decimal::of(text) else { return true };
    match text.parse::<f64>() {
        Ok(held) if held.is_finite() => Decimal::of(&format!("{held:e}")) == Some(written),
        _ => false,
    }
}

/// A decimal number: its digits without zeros at either end, and the power of ten of the last digit.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let all = format!("{whole}{fraction}");
        if !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits: String::new(), exponent: 0 });
        }
        let dropped = all.len() - all.trim_end_matches('0').len();
        let exponent = exponent.checked_sub(fraction.len() as i64)?.checked_add(dropped as i64)?;
        Some(Self { is_negative, digits: digits.to_owned(), exponent })
    }
}

/// The number as an integer, if it is an integer: `2.0` becomes 2.
pub fn as_integer(number: &Number) -> Option<Number> {
    if number.is_i64() || number.is_u64() {
        return Some(number.clone());
    }
    // Above this value, a 64-bit float cannot represent every integer.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let value = number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() <= EXACT_MAX)?;
    Some(Number::from(value as i64))
}

/// Turns the values that a schema calls integers into integers, also `2.0`, so that all later code sees one form.
/// References begin in `root`; the value is already valid for the schema.
pub(crate) fn settle_integers(root: &Value, schema: &Value, value: &mut Value) {
    settle(root, schema, value, &mut { BRANCHES_MAX });
}

/// How many references and parts of a schema are followed for one value. The limit is needed because they may form
/// a circle.
const BRANCHES_MAX: u32 = 100;

fn settle(root: &Value, schema: &Value, value: &mut Value, branches_left: &mut u32) {
    if *branches_left == 0 {
        return;
    }
    *branches_left -= 1;
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'))
        && let Some(target) = root.pointer(target)
    {
        settle(root, target, value, branches_left);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            settle(root, part, value, branches_left);
        }
    }
    match value {
        Value::Number(number) if asks_for_integer(schema) => {
            if let Some(integer) = as_integer(number) {
                *number = integer;
            }
        }
        Value::Array(items) => {
            let first = schema.get("prefixItems").and_then(Value::as_array);
            for (index, item) in items.iter_mut().enumerate() {
                let of_item = first.and_then(|first| first.get(index)).or_else(|| schema.get("items"));
                if let Some(of_item) = of_item {
                    settle(root, of_item, item, &mut { BRANCHES_MAX });
                }
            }
        }
        Value::Object(entries) => {
            let properties = schema.get("properties");
            for (name, entry) in entries {
                let of_entry = properties.and_then(|properties| properties.get(name));
                if let Some(of_entry) = of_entry.or_else(|| schema.get("additionalProperties")) {
                    settle(root, of_entry, entry, &mut { BRANCHES_MAX });
                }
            }
        }
        _ => {}
    }
}

fn asks_for_integer(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => {
            names.iter().any(|name| name == "integer") && names.iter().all(|name| name != "number")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_would_be_rounded_is_found() {
        let kept = [
            "0",
            "-0",
            "1",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1.10",
            "2.0",
            "1e3",
            "-1.5E-7",
            "100000000000000000000",
            "1e22",
            "0.30000000000000004",
            "123456.789",
            "1.7976931348623157e308",
            "NO",
            "",
        ];
        for text in kept {
            assert!(keeps_digits(text), "{text}");
        }
        let rounded = [
            "18446744073709551616",
            "123456789012345678901234567890",
            "-9223372036854775809",
            "0.1234567890123456789",
            "9007199254740993.0",
            "1e400",
            "1e-400",
        ];
        for text in rounded {
            assert!(!keeps_digits(text), "{text}");
            let json = format!(r#"{{"a": "1\"{text}", "b": [1, {text}]}}"#);
            let expected = json.rfind(text).map(|at| (at, text));
            assert_eq!(first_rounded(&json), expected, "{json}");
        }
        assert_eq!(first_rounded(r#"{"n": [1, 2.5, -3e2], "t": "18446744073709551616"}"#), None);
    }

    #[test]
    fn an_integer_is_one_thing_however_it_is_written() {
        let schema = json!({
            "$defs": { "count": { "type": "integer" } },
            "properties": {
                "n": { "type": "integer" },
                "price": { "type": "number" },
                "either": { "type": ["integer", "null"] },
                "ref": { "$ref": "#/$defs/count" },
                "list": { "items": { "type": "integer" } },
                "all": { "allOf": [{ "type": "integer" }] },
            },
        });
        let mut value = json!({
            "n": 2.0, "price": 2.0, "either": 3.0, "ref": 4.0, "list": [5.0, 6], "all": 7.0, "unknown": 8.0,
        });
        settle_integers(&schema, &schema, &mut value);
        let expected = json!({
            "n": 2, "price": 2.0, "either": 3, "ref": 4, "list": [5, 6], "all": 7, "unknown": 8.0,
        });
        assert_eq!(value, expected);
    }
}
