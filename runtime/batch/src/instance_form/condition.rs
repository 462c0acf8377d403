//! When a field or a tab is there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What must be true of the parameters; the empty condition always holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Condition {
    /// All of these must hold.
    pub all: Vec<Clause>,
}

/// What must be true of one parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// The name of the parameter.
    pub parameter: String,
    /// What is asked of its value.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// It is one of these.
    OneOf(Vec<Value>),
    /// It is there (`true`), or it is not (`false`). Empty texts, lists and objects count as not there.
    Set(bool),
}

impl Condition {
    /// Whether it asks nothing.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether it holds for parameters, a JSON object with its defaults filled in.
    pub fn holds(&self, parameters: &Value) -> bool {
        self.all.iter().all(|clause| clause.test.passes(parameters.get(&clause.parameter)))
    }

    /// The names of the parameters that it asks about.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|clause| clause.parameter.as_str())
    }
}

impl Test {
    fn passes(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Set(expected) => value.is_some_and(is_set) == *expected,
            Self::OneOf(values) => {
                value.is_some_and(|value| values.iter().any(|other| is_same(value, other)))
            }
        }
    }
}

/// Whether a value says something.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether two values are the same for a person: `2` is `2.0`.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_parameters_must_have_one_of_their_values() {
        let one_of = |parameter: &str, values: Value| Clause {
            parameter: parameter.to_owned(),
            test: Test::OneOf(values.as_array().unwrap().clone()),
        };
        let set =
            |parameter: &str, expected| Clause { parameter: parameter.to_owned(), test: Test::Set(expected) };
        let rows = [
            (vec![], json!({}), true),
            (vec![one_of("a", json!(["x", "y"]))], json!({ "a": "y" }), true),
            (vec![one_of("a", json!(["x", "y"]))], json!({ "a": "z" }), false),
            (vec![one_of("a", json!(["x"]))], json!({}), false),
            (vec![one_of("a", json!([true]))], json!({ "a": "true" }), false),
            (vec![one_of("a", json!([2]))], json!({ "a": 2.0 }), true),
            (vec![one_of("a", json!([1])), one_of("b", json!([2]))], json!({ "a": 1, "b": 2 }), true),
            (vec![one_of("a", json!([1])), one_of("b", json!([2]))], json!({ "a": 1, "b": 3 }), false),
            (vec![set("a", true)], json!({ "a": false }), true),
            (vec![set("a", true)], json!({ "a": "" }), false),
            (vec![set("a", true)], json!({ "a": null }), false),
            (vec![set("a", true)], json!({}), false),
            (vec![set("a", false)], json!({ "a": [] }), true),
            (vec![set("a", false)], json!({ "a": {"b": 1} }), false),
        ];
        for (all, parameters, expected) in rows {
            let condition = Condition { all };
            assert_eq!(condition.holds(&parameters), expected, "{condition:?} {parameters}");
        }
    }
}
