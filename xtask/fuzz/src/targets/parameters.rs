//! Parameters and their schemas: JSON of a connector's author and of the user who runs its job.
//!
//! An input is a JSON object with `schema`, and perhaps `extends`, `raw` and `overrides`.

use serde_json::{Value, json};
use stepbox::batch::parameters::{PARAMETERS_BYTES_MAX, ParameterSchema, SchemaError, Violation, extend};
use stepbox::batch::template;

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    let schema = match input.get("extends") {
        None => input.get("schema").unwrap_or(&input).clone(),
        Some(base) => match extend("base", base, input.get("schema").unwrap_or(&Value::Null)) {
            Ok(schema) => schema,
            Err(error) => return assert_places(&error),
        },
    };
    let schema = match ParameterSchema::new(&schema) {
        Ok(schema) => schema,
        Err(error) => return assert_places(&error),
    };
    let nothing = json!({});
    let [raw, overrides] = ["raw", "overrides"].map(|key| input.get(key).unwrap_or(&nothing));
    match schema.effective(raw, overrides) {
        Ok(effective) => check_effective(&schema, &effective),
        Err(violations) => check_violations(&violations),
    }
    if let Some(value) = input.get("template") {
        let names = template::names(value);
        // Every name in a template can be looked up, and a parameter is never expanded itself.
        let values = template::Values::of(raw);
        if let (Ok(names), Ok(_)) = (names, template::expand(value, values)) {
            assert!(names.needed.iter().all(|name| raw.get(name).is_some()), "a template of nothing");
            assert!(names.secrets.is_empty(), "a secret that nobody has");
        }
    }
}

/// A valid value is valid again, and may be stored.
fn check_effective(schema: &ParameterSchema, effective: &Value) {
    assert!(effective.to_string().len() <= PARAMETERS_BYTES_MAX);
    let known: Vec<_> = schema.properties().map(|(name, _)| name).collect();
    let unknown = effective.as_object().and_then(|given| given.keys().find(|name| !known.contains(name)));
    assert_eq!(unknown, None, "a parameter that is none");
    assert_eq!(schema.effective(effective, &json!({})).as_ref(), Ok(effective));
}

fn check_violations(violations: &[Violation]) {
    assert!(!violations.is_empty(), "it is refused for no reason");
    assert!(violations.iter().all(|violation| !violation.message.is_empty()));
    assert!(violations.is_sorted_by_key(|violation| &violation.path));
}

fn assert_places(error: &SchemaError) {
    if let SchemaError::Invalid { path, message } = error {
        assert!(path.is_empty() || path.starts_with('/'), "`{path}` is no place in a schema");
        assert!(!message.is_empty());
    }
}

/// The parameters of the native jobs, and one for each kind of constraint.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = json!({
        "extends": { "properties": { "a": { "type": "string" } }, "required": ["a"] },
        "schema": {
            "$defs": { "delimiter": { "type": "string", "pattern": "^[\\t -~]$" } },
            "properties": {
                "a": { "default": "x" }, "b": { "$ref": "#/$defs/delimiter", "default": "," },
                "c": { "type": "array", "items": { "type": "integer", "minimum": 1 }, "uniqueItems": true },
                "d": { "oneOf": [{ "format": "uri" }, { "format": "date" }, { "enum": ["é", null, 1.5] }] },
            },
            "dependentRequired": { "c": ["d"] }, "minProperties": 1,
            "if": { "required": ["c"] }, "then": { "properties": { "b": { "const": ";" } } },
        },
        "raw": { "c": [1, 2], "d": "2024-01-01" }, "overrides": { "b": ";" },
        "template": ["${parameters.c}", { "x": "a ${parameters.d} b" }],
    });
    vec![whole.to_string().into_bytes()]
}
