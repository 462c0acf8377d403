//! How deeply JSON from outside may nest.
//!
//! Stored JSON is read again by a parser that fails at 128 levels. When a value is stored, it is put inside other
//! values. Without this limit, a value just below 128 levels could be written and never be read again.

use serde_json::Value;

/// How many levels of arrays and objects a value may have.
pub const DEPTH_MAX: usize = 64;

/// Whether a value nests deeper than [`DEPTH_MAX`].
///
/// Deeper levels are not visited.
pub fn is_too_deep(value: &Value) -> bool {
    is_deeper(value, DEPTH_MAX)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(entries) => entries.values().any(|value| is_deeper(value, left)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_arrays_and_objects_alike() {
        let nested = |levels: usize| {
            (0..levels).fold(json!("text"), |value, level| {
                if level % 2 == 0 { json!([1, value]) } else { json!({ "a": value }) }
            })
        };
        assert!(!is_too_deep(&nested(0)) && !is_too_deep(&nested(DEPTH_MAX)));
        assert!(is_too_deep(&nested(DEPTH_MAX + 1)) && is_too_deep(&nested(120)));
    }
}
