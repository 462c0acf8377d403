//! Limits the work that a schema makes. The parts of a schema may refer to each other. If a part refers to two
//! parts, and each of these refers to two more, the work doubles with each level.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SchemaError;

/// How many parts a schema may have after each reference is replaced by its target. Checking a value takes about as
/// much work. A hundred properties with ten keywords each are a hundredth of this limit.
const PARTS_MAX: u64 = 100_000;

/// Refuses a schema that is short but would take very much memory and time.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    let parts = Counted { schema, known: BTreeMap::new() }.parts(schema);
    if parts <= PARTS_MAX {
        return Ok(());
    }
    let message = format!(
        "its references make more than {PARTS_MAX} parts of it; let parts refer to others fewer times over"
    );
    Err(SchemaError::Invalid { path: String::new(), message })
}

struct Counted<'a> {
    schema: &'a Value,
    /// How many parts each target of a reference has; `None` while it is being counted.
    known: BTreeMap<&'a str, Option<u64>>,
}

impl<'a> Counted<'a> {
    fn parts(&mut self, value: &'a Value) -> u64 {
        match value {
            Value::Object(entries) => {
                let below =
                    entries.iter().fold(1, |sum: u64, (_, value)| sum.saturating_add(self.parts(value)));
                let reference = entries.get("$ref").and_then(Value::as_str);
                below.saturating_add(reference.map_or(0, |reference| self.referred(reference)))
            }
            Value::Array(entries) => {
                entries.iter().fold(1, |sum: u64, value| sum.saturating_add(self.parts(value)))
            }
            _ => 1,
        }
    }

    /// The number of parts behind a reference. A reference that leads back to itself goes only as deep as the
    /// value, so it counts once.
    fn referred(&mut self, reference: &'a str) -> u64 {
        if let Some(known) = self.known.get(reference) {
            return known.unwrap_or(1);
        }
        let target = match reference.strip_prefix('#') {
            Some("") => Some(self.schema),
            Some(pointer) => self.schema.pointer(pointer),
            None => None,
        };
        let Some(target) = target else { return 1 };
        self.known.insert(reference, None);
        let parts = self.parts(target);
        self.known.insert(reference, Some(parts));
        parts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn doubling(times: u32) -> Value {
        let mut defs = Map::new();
        defs.insert("d0".to_owned(), json!({ "type": "string" }));
        for number in 1..=times {
            let below = format!("#/$defs/d{}", number - 1);
            defs.insert(format!("d{number}"), json!({ "allOf": [{ "$ref": below }, { "$ref": below }] }));
        }
        let top = format!("#/$defs/d{times}");
        json!({ "properties": { "a": { "$ref": top } }, "$defs": defs })
    }

    #[test]
    fn references_that_double_are_refused_and_others_are_not() {
        assert_eq!(check(&doubling(8)), Ok(()));
        for times in [14, 40, 64] {
            let error = check(&doubling(times)).unwrap_err().to_string();
            assert!(error.contains("more than 100000 parts"), "{error}");
        }
        // A list of lists refers to itself.
        let tree = json!({ "$ref": "#/$defs/tree", "$defs": { "tree": {
            "properties": { "left": { "$ref": "#/$defs/tree" }, "right": { "$ref": "#/$defs/tree" } }
        } } });
        assert_eq!(check(&tree), Ok(()));
        assert_eq!(check(&json!({ "items": { "$ref": "#" } })), Ok(()));
        assert_eq!(check(&json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" })), Ok(()));
    }
}
