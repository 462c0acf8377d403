//! Checks the options of a component against the schema in its description.

use serde_json::{Value, json};

use super::{VIOLATIONS_MAX, Violation, build, violations_of};
use crate::template::{self, Names};

/// The values that a component gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Options of its own.
    ///
    /// An option that the schema does not describe is refused.
    Options,
    /// All parameters of the job.
    ///
    /// Some of them may be for other components.
    Parameters,
}

/// Checks options against the schema that a component describes for them.
///
/// Returns the violations, at most [`VIOLATIONS_MAX`], sorted by path.
///
/// `is_unknown` decides by the names in a template, as the author wrote it, whether its value is not known yet;
/// such texts are not checked. A schema that is not valid is not applied: it was stored before schemas were
/// checked.
pub fn check_options(
    schema: &Value,
    options: &Value,
    given: Given,
    (written, is_unknown): (&Value, impl Fn(&Names) -> bool),
) -> Vec<Violation> {
    let mut schema = schema.clone();
    let Some(object) = schema.as_object_mut() else { return Vec::new() };
    let names: Vec<String> = object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|p| p.keys().cloned())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_described = object.contains_key("properties") && !object.contains_key("patternProperties");
    match given {
        Given::Options if is_described => {
            object.entry("additionalProperties").or_insert(json!(false));
        }
        Given::Options => {}
        Given::Parameters => {
            object.remove("additionalProperties");
        }
    }
    let Ok(validator) = build(&schema) else { return Vec::new() };
    let errors = validator.iter_errors(options).flat_map(|error| violations_of(&error, &names));
    let is_known = |violation: &Violation| !is_open(written, &violation.path, &is_unknown);
    let mut violations: Vec<_> = errors.filter(is_known).take(VIOLATIONS_MAX).collect();
    violations.sort_by(|a, b| a.path.cmp(&b.path));
    violations
}

/// Whether a template is at a place, or decides the value of the place.
fn is_open(written: &Value, path: &str, is_unknown: impl Fn(&Names) -> bool) -> bool {
    let has_template = |value: &Value| match value {
        Value::String(_) => template::names(value).map_or(true, |names| is_unknown(&names)),
        _ => false,
    };
    // The place itself may be missing. Then the nearest place around it decides.
    let mut at = written;
    for name in path.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        let below = match at {
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Object(entries) => entries.get(&name),
            _ => None,
        };
        match below {
            Some(below) => at = below,
            None => return has_template(at),
        }
    }
    has_template(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: Value, given: Given, expected: &str) {
        let schema = json!({
            "properties": {
                "name": { "type": "string" },
                "how": { "enum": ["fast", "slow"] },
                "list": { "type": "array", "items": { "type": "integer" } },
            },
            "required": ["name"],
        });
        let found =
            check_options(&schema, &options, given, (&options, |names: &Names| *names != Names::default()));
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "),
            expected,
            "{options}"
        );
    }

    #[test]
    fn options_are_what_the_component_describes() {
        check(json!({"name": "a", "how": "fast"}), Given::Options, "");
        check(
            json!({"nme": "x", "how": "bogus"}),
            Given::Options,
            "/how: \"bogus\" is not one of \"fast\" or \"slow\" | /name: is required | /nme: is not a known parameter; did \
             you mean `name`?",
        );
        check(json!({"name": "a", "other": 1}), Given::Parameters, "");
        check(json!({"name": 7, "other": 1}), Given::Parameters, "/name: 7 is not of type \"string\"");
    }

    #[test]
    fn what_a_template_decides_is_judged_when_it_is_filled() {
        check(json!({"name": "${parameters.x}", "how": "${parameters.y}"}), Given::Options, "");
        check(json!({"name": "a", "list": [1, "${parameters.x}"]}), Given::Options, "");
        let list = "/list/0: \"a\" is not of type \"integer\"";
        check(json!({"name": "a", "list": ["a", "${parameters.x}"]}), Given::Options, list);
        check(json!({"name": "a", "list": "${parameters.x}"}), Given::Options, "");
    }

    #[test]
    fn a_schema_that_is_none_judges_nothing() {
        for schema in [json!({"type": 7}), json!(true), json!({})] {
            let options = json!({"a": 1});
            assert_eq!(check_options(&schema, &options, Given::Options, (&options, |_: &Names| true)), []);
        }
    }
}
