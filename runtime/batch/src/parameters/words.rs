//! The keywords of a schema: whether each of them does what its author expects.
//!
//! JSON Schema ignores keywords that it does not know, so a misspelled keyword would check nothing. The check runs
//! only when a job is installed: a stored schema stays as it is.

use serde_json::{Map, Value};

use super::SchemaError;
use crate::nearest::nearest;

/// Keywords whose value is data.
const PLAIN: &[&str] = &[
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];
/// Keywords whose value is a schema.
const WITH_SCHEMA: &[&str] = &[
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const WITH_LIST: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas, by name.
const WITH_NAMES: &[&str] = &["$defs", "dependentSchemas", "patternProperties", "properties"];

/// Refuses keywords and formats that check nothing, and required properties that cannot be given.
///
/// Keywords that begin with `x-` belong to the author and are allowed.
pub fn check_words(schema: &Value) -> Result<(), SchemaError> {
    walk(schema, "", true)?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(schema)
        .map(drop)
        .map_err(|error| SchemaError::Invalid {
            path: error.instance_path().to_string(),
            message: error.to_string(),
        })
}

fn walk(schema: &Value, path: &str, is_closed: bool) -> Result<(), SchemaError> {
    let Some(schema) = schema.as_object() else { return Ok(()) };
    let below = |keyword: &str, name: &str| format!("{path}/{keyword}/{}", escaped(name));
    for (keyword, value) in schema {
        match keyword.as_str() {
            word if WITH_SCHEMA.contains(&word) => walk(value, &format!("{path}/{word}"), false)?,
            word if WITH_LIST.contains(&word) => {
                for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                    walk(schema, &below(word, &index.to_string()), false)?;
                }
            }
            word if WITH_NAMES.contains(&word) => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    walk(schema, &below(word, name), false)?;
                }
            }
            word if PLAIN.contains(&word) || word.starts_with("x-") => {}
            unknown => return Err(not_known(unknown, path)),
        }
    }
    check_required(schema, path, is_closed)
}

fn not_known(keyword: &str, path: &str) -> SchemaError {
    let known = [PLAIN, WITH_SCHEMA, WITH_LIST, WITH_NAMES].into_iter().flatten().copied();
    let message = match nearest(keyword, known) {
        Some(nearest) => {
            format!(
                "`{keyword}` is no keyword of JSON Schema, so it would check nothing; did you mean `{nearest}`?"
            )
        }
        None => format!(
            "`{keyword}` is no keyword of JSON Schema, so it would check nothing; keywords of your own begin with `x-`"
        ),
    };
    SchemaError::Invalid { path: format!("{path}/{}", escaped(keyword)), message }
}

/// Refuses a property that is required but not allowed: no value would be valid.
fn check_required(schema: &Map<String, Value>, path: &str, is_closed: bool) -> Result<(), SchemaError> {
    let is_closed = is_closed || schema.get("additionalProperties") == Some(&Value::Bool(false));
    if !is_closed || ["patternProperties", "$ref", "allOf"].iter().any(|word| schema.contains_key(*word)) {
        return Ok(());
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_described = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for (index, name) in required.enumerate() {
        let Some(name) = name.as_str().filter(|name| !is_described(name)) else { continue };
        let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
        let meant =
            nearest(name, known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        let message = format!(
            "`{name}` is required, but `properties` does not describe it, so nobody could give a value for it{meant}"
        );
        return Err(SchemaError::Invalid { path: format!("{path}/required/{index}"), message });
    }
    Ok(())
}

/// A name, escaped as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, expected: &str) {
        let found = check_words(&schema).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        assert_eq!(found, expected, "{schema}");
    }

    #[test]
    fn a_word_that_checks_nothing_is_refused() {
        let no_word = |at: &str, word: &str, rest: &str| {
            format!("at `{at}`: `{word}` is no keyword of JSON Schema, so it would check nothing; {rest}")
        };
        let patern = no_word("/properties/a/patern", "patern", "did you mean `pattern`?");
        check(json!({"properties": {"a": {"patern": "^a"}}}), &patern);
        let own = "keywords of your own begin with `x-`";
        check(json!({"properties": {}, "layout": 1}), &no_word("/layout", "layout", own));
        let deep = json!({"properties": {"a/b": {"items": {"anyOf": [{}, {"minimun": 1}]}}}});
        let at = "/properties/a~1b/items/anyOf/1/minimun";
        check(deep, &no_word(at, "minimun", "did you mean `minimum`?"));
        // Names of properties, and data, are not keywords.
        check(json!({"properties": {"patern": {"default": {"patern": 1}, "x-form": {"patern": 1}}}}), "ok");
        let format = json!({"properties": {"a": {"format": "urll"}}});
        assert!(check_words(&format).unwrap_err().to_string().contains("urll"));
    }

    #[test]
    fn a_property_that_is_required_can_be_given() {
        let nobody = |at: &str, rest: &str| {
            format!(
                "at `{at}`: `nn` is required, but `properties` does not describe it, so nobody could give a value \
                 for it{rest}"
            )
        };
        check(json!({"properties": {"a": {}}, "required": ["a", "nn"]}), &nobody("/required/1", ""));
        let meant = nobody("/required/0", "; did you mean `n`?");
        check(json!({"properties": {"n": {}}, "required": ["nn"]}), &meant);
        let inner = |closed: bool| {
            let inner = json!({"required": ["nn"], "additionalProperties": !closed});
            json!({"properties": {"a": inner}})
        };
        check(inner(true), &nobody("/properties/a/required/0", ""));
        check(inner(false), "ok");
    }
}
