//! Parameters: a job's schema, how it extends another job's schema, and how values are merged and checked.
//!
//! A schema is JSON Schema 2020-12 for an object. The `default` of a property is its default value; all other
//! keywords are constraints. The same rules apply at creation, edit and launch, and for every front end.

mod expansion;
mod options;
mod words;

use jsonschema::error::ValidationErrorKind;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cut::cut;
use crate::depth::{DEPTH_MAX, is_too_deep};
use crate::findings::TEXT_BYTES_MAX;
use crate::nearest::nearest;
use crate::numbers::settle_integers;

pub use options::{Given, check_options};
pub use words::check_words;

/// How many bytes the parameters of an instance or an execution may take as JSON.
pub const PARAMETERS_BYTES_MAX: usize = 1 << 20;

/// How many violations are reported.
///
/// There is a limit because a person does not correct more at once, and because each violation may quote a long
/// value.
pub(crate) const VIOLATIONS_MAX: usize = 100;

/// A checked schema, ready to validate.
#[derive(Debug)]
pub struct ParameterSchema {
    schema: Value,
    validator: jsonschema::Validator,
}

/// Why a schema is refused at installation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema is not an object, or does not describe an object.
    #[error("the parameters of a job are a JSON Schema for an object, with `properties`; found {found}")]
    NotAnObject {
        /// What was found instead.
        found: String,
    },
    /// The schema itself is wrong.
    #[error("at `{path}`: {message}")]
    Invalid {
        /// A JSON pointer into the schema.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A parameter of the extended job must keep its constraints.
    #[error(
        "at `/properties/{parameter}/{keyword}`: `{base}` defines the parameter `{parameter}`; \
         only its default, title and description may be changed"
    )]
    Redefined {
        /// The parameter.
        parameter: String,
        /// The keyword that is not allowed there.
        keyword: String,
        /// The extended job.
        base: String,
    },
    /// A default value breaks the constraints of its own parameter.
    #[error("at `/properties/{parameter}/default`: {message}")]
    BadDefault {
        /// The parameter.
        parameter: String,
        /// The constraint that it breaks.
        message: String,
    },
}

/// A value that breaks a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {message}", if path.is_empty() { "parameters" } else { path.as_str() })]
pub struct Violation {
    /// The place of the value, as a JSON pointer: `/storage/type`.
    ///
    /// Empty for all parameters together.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Keywords of an extended job's parameter that may be changed, because they are not constraints.
const ANNOTATIONS: [&str; 6] = ["default", "title", "description", "examples", "deprecated", "$comment"];

/// Extends the schema of the job `base_name`: its parameters, defaults and constraints stay, and those of `own` are
/// added.
pub fn extend(base_name: &str, base: &Value, own: &Value) -> Result<Value, SchemaError> {
    let (Some(base), Some(own)) = (base.as_object(), own.as_object()) else {
        return Err(SchemaError::NotAnObject { found: kind_of(own).to_owned() });
    };
    let mut result = base.clone();
    for (keyword, value) in own {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(own)) => {
                let properties = object_at(&mut result, "properties");
                for (name, property) in own {
                    extend_property(base_name, properties, name, property)?;
                }
            }
            ("required", Value::Array(own)) => {
                let required = array_at(&mut result, "required");
                required.extend(own.iter().filter(|name| !base_requires(base, name)).cloned());
            }
            ("type", _) => {}
            (annotation, value) if ANNOTATIONS.contains(&annotation) => {
                result.insert(annotation.to_owned(), value.clone());
            }
            (keyword, value) => array_at(&mut result, "allOf").push(json!({ keyword: value })),
        }
    }
    Ok(Value::Object(result))
}

fn extend_property(
    base_name: &str,
    properties: &mut Map<String, Value>,
    name: &str,
    property: &Value,
) -> Result<(), SchemaError> {
    let Some(Value::Object(known)) = properties.get_mut(name) else {
        properties.insert(name.to_owned(), property.clone());
        return Ok(());
    };
    for (keyword, value) in property.as_object().into_iter().flatten() {
        if !ANNOTATIONS.contains(&keyword.as_str()) {
            let (parameter, keyword, base) = (name.to_owned(), keyword.clone(), base_name.to_owned());
            return Err(SchemaError::Redefined { parameter, keyword, base });
        }
        known.insert(keyword.clone(), value.clone());
    }
    Ok(())
}

fn base_requires(base: &Map<String, Value>, name: &Value) -> bool {
    base.get("required").and_then(Value::as_array).is_some_and(|names| names.contains(name))
}

fn object_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was just made an object")
}

fn array_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = parent.entry(key).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was just made an array")
}

impl ParameterSchema {
    /// Checks a schema, including its defaults, and makes it refuse unknown parameters.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        let Some(object) = schema.as_object() else {
            return Err(SchemaError::NotAnObject { found: kind_of(schema).to_owned() });
        };
        if is_too_deep(schema) {
            let message = format!("a schema nests at most {DEPTH_MAX} levels deep, this one deeper");
            return Err(SchemaError::Invalid { path: String::new(), message });
        }
        let mut object = object.clone();
        if object.get("type").is_some_and(|found| found != "object") {
            return Err(SchemaError::NotAnObject { found: format!("`type: {}`", object["type"]) });
        }
        object.insert("type".to_owned(), json!("object"));
        object.insert("additionalProperties".to_owned(), json!(false));
        let schema = Value::Object(object);
        if let Some((path, reference)) = foreign_reference(&schema, String::new()) {
            let message =
                format!("`{reference}`: a schema refers to its own `$defs`, not to another file or host");
            return Err(SchemaError::Invalid { path, message });
        }
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            return Err(SchemaError::Invalid {
                path: error.instance_path().to_string(),
                message: error.to_string(),
            });
        }
        let validator = build(&schema)?;
        let schema = Self { schema, validator };
        schema.check_defaults()?;
        Ok(schema)
    }

    /// Checks each default by itself. A required value may be missing here: the instance gives it.
    fn check_defaults(&self) -> Result<(), SchemaError> {
        let defaults = Value::Object(self.defaults());
        // Only the properties constrain the defaults; the properties may refer to `$defs`.
        let part = |name: &str| self.schema.get(name).cloned().unwrap_or_else(|| json!({}));
        let alone = build(&json!({ "$defs": part("$defs"), "properties": part("properties") }))?;
        match alone.iter_errors(&defaults).next() {
            None => Ok(()),
            Some(error) => Err(SchemaError::BadDefault {
                parameter: first_name(&error.instance_path().to_string()),
                message: message_of(&error, &[]),
            }),
        }
    }

    fn defaults(&self) -> Map<String, Value> {
        defaults_of(&self.schema)
    }

    /// The parameters by name, with their own schemas.
    pub fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    /// The schema as it is applied to values.
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// Effective parameters: defaults ← `raw` ← `overrides`, by top-level key.
    ///
    /// If the result has violations, they are returned instead, at most [`VIOLATIONS_MAX`], sorted by path.
    pub fn effective(&self, raw: &Value, overrides: &Value) -> Result<Value, Vec<Violation>> {
        let mut effective = self.defaults();
        for given in [raw, overrides] {
            let Some(given) = given.as_object() else {
                let message = format!("parameters are a JSON object, not {}", kind_of(given));
                return Err(vec![Violation { path: String::new(), message }]);
            };
            effective.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let mut effective = Value::Object(effective);
        let violations = self.violations(&effective);
        if !violations.is_empty() {
            return Err(violations);
        }
        settle_integers(&self.schema, &self.schema, &mut effective);
        Ok(effective)
    }

    fn violations(&self, parameters: &Value) -> Vec<Violation> {
        let bytes = parameters.to_string().len();
        if bytes > PARAMETERS_BYTES_MAX {
            let message = format!("{bytes} bytes of JSON are more than the {PARAMETERS_BYTES_MAX} allowed");
            return vec![Violation { path: String::new(), message }];
        }
        if is_too_deep(parameters) {
            let message = format!("parameters nest at most {DEPTH_MAX} levels deep, these deeper");
            return vec![Violation { path: String::new(), message }];
        }
        let names: Vec<&str> = self.properties().map(|(name, _)| name.as_str()).collect();
        let errors = self.validator.iter_errors(parameters);
        let violations = errors.flat_map(|error| violations_of(&error, &names));
        let mut violations: Vec<_> = violations.take(VIOLATIONS_MAX).collect();
        violations.sort_by(|a, b| a.path.cmp(&b.path));
        violations
    }
}

fn defaults_of(schema: &Value) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone()))).collect()
}

/// The defaults of a schema with these parameters over them, by top-level key, as a form shows them while it is filled
/// in. Nothing is checked.
pub fn with_defaults(schema: &Value, given: &Map<String, Value>) -> Value {
    let mut all = defaults_of(schema);
    all.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(all)
}

/// The first reference to another document in a schema, and its place.
fn foreign_reference(schema: &Value, path: String) -> Option<(String, &str)> {
    let part = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    match schema {
        Value::Object(entries) => entries.iter().find_map(|(name, value)| match (name.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(target)) if !target.starts_with('#') => {
                Some((part(name), target.as_str()))
            }
            // The values of these keywords are data, not schemas.
            ("default" | "const" | "enum" | "examples", _) => None,
            (name, value) => foreign_reference(value, part(name)),
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| foreign_reference(item, part(&index.to_string())))
        }
        _ => None,
    }
}

fn build(schema: &Value) -> Result<jsonschema::Validator, SchemaError> {
    expansion::check(schema)?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| SchemaError::Invalid {
            path: error.instance_path().to_string(),
            message: error.to_string(),
        })
}

/// One violation for each culprit, at the culprit's own path.
fn violations_of(error: &jsonschema::ValidationError<'_>, names: &[&str]) -> Vec<Violation> {
    let path = error.instance_path().to_string();
    let known: &[&str] = if path.is_empty() { names } else { &[] };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .take(VIOLATIONS_MAX)
            .map(|name| Violation { path: format!("{path}/{name}"), message: unknown(name, known) })
            .collect(),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation { path: format!("{path}/{name}"), message: "is required".to_owned() }]
        }
        _ => vec![Violation { path, message: message_of(error, known) }],
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("is not a known parameter; did you mean `{nearest}`?"),
        None if known.is_empty() => "is not a known parameter".to_owned(),
        None => format!("is not a known parameter; known are {}", known.join(", ")),
    }
}

fn message_of(error: &jsonschema::ValidationError<'_>, known: &[&str]) -> String {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unexpected = unexpected.iter().take(VIOLATIONS_MAX);
            unexpected.map(|name| unknown(name, known)).collect::<Vec<_>>().join("; ")
        }
        _ => cut(&error.to_string(), TEXT_BYTES_MAX).to_owned(),
    }
}

/// The first part of a JSON pointer.
fn first_name(pointer: &str) -> String {
    let first = pointer.split('/').nth(1).unwrap_or_default();
    first.replace("~1", "/").replace("~0", "~")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> Value {
        json!({
            "properties": {
                "storage": {
                    "type": "object",
                    "properties": { "type": { "enum": ["local"] }, "file_path": { "type": "string" } },
                    "required": ["type", "file_path"],
                    "additionalProperties": false,
                },
                "delimiter": { "enum": [",", ";", "|"], "default": ";" },
                "withHeader": { "type": "boolean", "default": true },
            },
            "required": ["storage"],
        })
    }

    fn notify() -> Value {
        let own = json!({
            "properties": { "urlToNotify": { "type": "string", "format": "uri" } },
            "required": ["urlToNotify"],
        });
        extend("csv_export", &export(), &own).unwrap()
    }

    fn check(schema: &Value, raw: Value, overrides: Value, expected: &str) {
        let schema = ParameterSchema::new(schema).unwrap();
        let found = match schema.effective(&raw, &overrides) {
            Ok(parameters) => parameters.to_string(),
            Err(violations) => violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn later_values_replace_earlier_ones_by_top_level_key() {
        let storage = json!({ "type": "local", "file_path": "a.csv" });
        check(
            &export(),
            json!({ "storage": storage, "withHeader": false }),
            json!({ "delimiter": "|" }),
            r#"{"delimiter":"|","withHeader":false,"storage":{"type":"local","file_path":"a.csv"}}"#,
        );
        check(
            &export(),
            json!({ "storage": storage }),
            json!({ "storage": { "type": "local" } }),
            r#"/storage/file_path: is required"#,
        );
    }

    #[test]
    fn reports_every_violation_with_its_path() {
        check(&export(), json!({}), json!({}), "/storage: is required");
        check(
            &notify(),
            json!({ "storage": { "type": "ftp", "file": 1 }, "delimiter": "x", "urlToNotify": "nowhere", "delimeter": ";" }),
            json!({}),
            "/delimeter: is not a known parameter; did you mean `delimiter`? \
             | /delimiter: \"x\" is not one of \",\", \";\" or \"|\" \
             | /storage/file: is not a known parameter \
             | /storage/file_path: is required \
             | /storage/type: \"ftp\" is not one of \"local\" \
             | /urlToNotify: \"nowhere\" is not a \"uri\"",
        );
        check(&export(), json!([]), json!({}), "parameters: parameters are a JSON object, not an array");
    }

    /// Regression: each violation quoted a megabyte, and there was one violation for each of very many keys.
    #[test]
    fn tells_as_many_violations_as_anybody_mends() {
        let schema = ParameterSchema::new(&json!({ "properties": { "a": { "maxLength": 3 } } })).unwrap();
        let unknown: Map<String, Value> = (0..1000).map(|i| (format!("unknown_{i}"), json!(i))).collect();
        assert_eq!(schema.effective(&Value::Object(unknown), &json!({})).unwrap_err().len(), VIOLATIONS_MAX);
        let long = json!({ "a": "x".repeat(100_000) });
        let violations = schema.effective(&long, &json!({})).unwrap_err();
        assert!(violations[0].message.len() <= TEXT_BYTES_MAX, "{}", violations[0].message.len());
    }

    /// Values that a form or a script may send, but that a person would not type.
    #[test]
    fn poison_is_refused_before_it_is_stored() {
        let schema = json!({ "properties": { "any": {}, "delimiter": { "default": ";" } } });
        let nested = |levels| (0..levels).fold(json!(1), |value, _| json!([value]));
        check(
            &schema,
            json!({ "any": nested(100) }),
            json!({}),
            "parameters: parameters nest at most 64 levels deep, these deeper",
        );
        check(
            &schema,
            json!({}),
            json!({ "any": nested(64) }),
            "parameters: parameters nest at most 64 levels deep, these deeper",
        );
        let kept =
            ParameterSchema::new(&schema).unwrap().effective(&json!({ "any": nested(63) }), &json!({}));
        let read_again: Value = serde_json::from_str(&kept.unwrap().to_string()).unwrap();
        assert_eq!(read_again["any"], nested(63));
        check(
            &schema,
            json!({ "any": "x".repeat(10_000_000) }),
            json!({}),
            "parameters: 10000026 bytes of JSON are more than the 1048576 allowed",
        );
        check(
            &schema,
            json!({ "__proto__": { "delimiter": "," }, "constructor": 1 }),
            json!({}),
            "/__proto__: is not a known parameter; known are any, delimiter \
             | /constructor: is not a known parameter; known are any, delimiter",
        );
        // These texts are data: they are kept as they are, and nothing executes them.
        for text in ["'; DROP TABLE job_instances; --", "=1+1|cmd", "${parameters.any}", "<script>", "\u{0}"]
        {
            let parameters = json!({ "any": text });
            let expected = json!({ "delimiter": ";", "any": text }).to_string();
            check(&schema, parameters, json!({}), &expected);
        }
        let refused = ParameterSchema::new(&json!({ "properties": { "a": { "default": nested(100) } } }));
        assert!(refused.unwrap_err().to_string().contains("a schema nests at most 64 levels deep"));
    }

    #[test]
    fn an_extension_keeps_constraints_and_may_change_defaults() {
        let own = json!({ "properties": { "delimiter": { "default": "|", "title": "Delimiter" } } });
        let extended = extend("csv_export", &export(), &own).unwrap();
        assert_eq!(extended["properties"]["delimiter"]["default"], "|");
        assert_eq!(extended["properties"]["delimiter"]["enum"], json!([",", ";", "|"]));
        let own = json!({ "properties": { "delimiter": { "enum": ["x"] } } });
        let refused = extend("csv_export", &export(), &own).unwrap_err().to_string();
        assert!(refused.contains("at `/properties/delimiter/enum`: `csv_export` defines"), "{refused}");
        assert_eq!(notify()["required"], json!(["storage", "urlToNotify"]));
    }

    #[test]
    fn refuses_a_schema_that_could_not_be_applied() {
        let rows = [
            (json!([]), "found an array"),
            (json!({ "type": "string" }), "found `type: \"string\"`"),
            (json!({ "properties": { "a": { "type": "strin" } } }), "at `/properties/a/type`"),
            (
                json!({ "properties": { "a": { "type": "string", "default": 1 } } }),
                "at `/properties/a/default`: 1 is not of type \"string\"",
            ),
        ];
        for (schema, expected) in rows {
            let found = ParameterSchema::new(&schema).unwrap_err().to_string();
            assert!(found.contains(expected), "{found}");
        }
    }
}
