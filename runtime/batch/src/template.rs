//! Templates in a job's definition: `${parameters.storage.file_path}`, `${secrets.crm_token}`,
//! `${steps.export.output}`.
//!
//! Only texts by a connector's author are expanded, and only once. `${…}` inside a parameter's value is not
//! expanded: the text stays as the user wrote it.
//!
//! `${parameters.x:-y}` becomes `y` if the parameter has no value, or an empty one. `${steps.x.output:-y}` becomes
//! `y` if the step has not completed. `$${` becomes the text `${`.

mod holes;

use std::collections::BTreeMap;

use serde_json::Value;

pub use holes::{Hole, Piece as TemplatePiece, Template, judge_name};

/// The values that templates are expanded with.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The parameters of the run.
    pub parameters: &'a Value,
    /// The placeholder for each secret that may be named.
    ///
    /// Never the secret itself.
    pub secrets: &'a BTreeMap<String, String>,
    /// The outputs of the steps before.
    pub outputs: &'a Outputs,
}

impl<'a> Values<'a> {
    /// The parameters of a run, without secrets and outputs.
    pub fn of(parameters: &'a Value) -> Self {
        static NO_SECRETS: BTreeMap<String, String> = BTreeMap::new();
        static NO_OUTPUTS: Outputs = BTreeMap::new();
        Self { parameters, secrets: &NO_SECRETS, outputs: &NO_OUTPUTS }
    }
}

/// The outputs of completed steps, by the name of the step: an object with those [`OUTPUT_PROPERTIES`] that it has.
pub type Outputs = BTreeMap<String, Value>;

/// The properties of a step that a template may name: the file that it has written, as a path or a storage, and the
/// folder of that file, which can be granted.
const OUTPUT_PROPERTIES: [&str; 2] = ["output", "folder"];

/// The names in a value's templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Top-level parameters, in the order of their appearance.
    pub parameters: Vec<String>,
    /// The parameters that have no default in their template.
    pub needed: Vec<String>,
    /// Secrets, in the order of their appearance.
    pub secrets: Vec<String>,
    /// Outputs of steps, in the order of their appearance.
    pub outputs: Vec<OutputName>,
}

/// The output of an earlier step that a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputName {
    /// The step.
    pub step: String,
    /// One of [`OUTPUT_PROPERTIES`].
    pub property: String,
    /// Whether the template has a default for a step that has not completed.
    pub has_default: bool,
}

impl std::fmt::Display for OutputName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${{steps.{}.{}}}", self.step, self.property)
    }
}

/// Why a template cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is not closed.
    #[error("`{text}` opens `${{` without closing it")]
    Unclosed {
        /// The whole text.
        text: String,
    },
    /// The expression is not one of these: `parameters` with names after dots, `secrets` with one name, or a step
    /// with one of its outputs.
    #[error(
        "`${{{expression}}}` is not understood; a template is `${{parameters.name}}`, `${{secrets.name}}` or \
         `${{steps.name.output}}`"
    )]
    NotUnderstood {
        /// The text between the braces.
        expression: String,
    },
    /// The job has no such parameter, or no value was given for it.
    #[error("there is no value for `${{{expression}}}`")]
    NoValue {
        /// The text between the braces.
        expression: String,
    },
    /// A value that would change more than its own place in the text.
    #[error("{value} cannot stand for `${{{expression}}}`: it {problem}")]
    Unfit {
        /// The text between the braces.
        expression: String,
        /// The value, as far as it can be shown.
        value: String,
        /// What is wrong with it: `is empty`.
        problem: &'static str,
    },
    /// An object or array in the middle of a text.
    #[error("`${{{expression}}}` is no text or number, so it must stand alone, not inside `{text}`")]
    NotText {
        /// The text between the braces.
        expression: String,
        /// The whole text.
        text: String,
    },
}

impl TemplateError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["bad-template", "parameter-unfit"];

    /// What to do about it; may be empty.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unfit { .. } => {
                "give the parameter a value that fits; the author of the job can constrain it with `pattern`"
            }
            _ => "",
        }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unfit { .. } => "parameter-unfit",
            Self::Unclosed { .. }
            | Self::NotUnderstood { .. }
            | Self::NoValue { .. }
            | Self::NotText { .. } => "bad-template",
        }
    }
}

/// A text in its parts: literal pieces and expressions.
enum Piece<'a> {
    Literal(&'a str),
    Expression(&'a str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if start > 0 && rest.as_bytes()[start - 1] == b'$' {
            // The first dollar is an escape: the rest is literal text.
            pieces.push(Piece::Literal(&rest[..start - 1]));
            pieces.push(Piece::Literal("${"));
            rest = &rest[start + 2..];
            continue;
        }
        let Some(length) = rest[start..].find('}') else {
            return Err(TemplateError::Unclosed { text: text.to_owned() });
        };
        if start > 0 {
            pieces.push(Piece::Literal(&rest[..start]));
        }
        pieces.push(Piece::Expression(&rest[start + 2..start + length]));
        rest = &rest[start + length + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// The value that an expression names.
enum Asked<'a> {
    /// The names after `parameters`, such as `["storage", "file_path"]`, and the default.
    Parameter(Vec<&'a str>, Option<&'a str>),
    /// The name after `secrets`.
    Secret(&'a str),
    /// The step, its property, and the default for a step that has not completed.
    Output(&'a str, &'a str, Option<&'a str>),
}

fn asked(expression: &str) -> Result<Asked<'_>, TemplateError> {
    let (names, default) = match expression.split_once(":-") {
        Some((names, default)) => (names, Some(default)),
        None => (expression, None),
    };
    let names: Vec<&str> = names.trim().split('.').collect();
    match names[..] {
        ["parameters", ref path @ ..] if !path.is_empty() && path.iter().all(|name| !name.is_empty()) => {
            Ok(Asked::Parameter(path.to_vec(), default))
        }
        ["secrets", name] if !name.is_empty() && default.is_none() => Ok(Asked::Secret(name)),
        ["steps", step, property] if !step.is_empty() && OUTPUT_PROPERTIES.contains(&property) => {
            Ok(Asked::Output(step, property, default))
        }
        _ => Err(TemplateError::NotUnderstood { expression: expression.to_owned() }),
    }
}

fn lookup(expression: &str, values: Values<'_>) -> Result<Value, TemplateError> {
    let found = match asked(expression)? {
        Asked::Parameter(path, default) => {
            let found = path.iter().try_fold(values.parameters, |value, name| value.get(name));
            or_default(found, default)
        }
        Asked::Secret(name) => values.secrets.get(name).map(|text| Value::from(text.as_str())),
        Asked::Output(step, property, default) => {
            or_default(values.outputs.get(step).and_then(|output| output.get(property)), default)
        }
    };
    found.ok_or_else(|| TemplateError::NoValue { expression: expression.to_owned() })
}

/// A value, or its default as the author wrote it. A default that is a number or a truth value becomes one; any
/// other becomes a text.
fn or_default(found: Option<&Value>, default: Option<&str>) -> Option<Value> {
    let Some(default) = default else { return found.cloned() };
    let is_empty = |value: &&Value| value.is_null() || value.as_str() == Some("");
    if let Some(found) = found.filter(|value| !is_empty(value)) {
        return Some(found.clone());
    }
    let plain = serde_json::from_str(default).ok();
    let plain = plain.filter(|value: &Value| value.is_number() || value.is_boolean());
    Some(plain.unwrap_or_else(|| Value::from(default)))
}

/// Expands every text in a JSON value.
///
/// A text that consists of one template becomes the parameter's value, whatever its type.
pub fn expand(value: &Value, values: Values<'_>) -> Result<Value, TemplateError> {
    expand_judged(value, values, |_| Ok(()))
}

/// The same for texts that are paths: a value in the middle of a path must be one plain name, so it cannot lead to
/// another place.
pub fn expand_path(value: &Value, values: Values<'_>) -> Result<Value, TemplateError> {
    expand_judged(value, values, judge_name)
}

/// `judge` returns why a value is not allowed in the middle of a text.
fn expand_judged(value: &Value, values: Values<'_>, judge: Judge) -> Result<Value, TemplateError> {
    match value {
        Value::String(text) => expand_text(text, values, judge),
        Value::Array(items) => items.iter().map(|item| expand_judged(item, values, judge)).collect(),
        Value::Object(entries) => {
            let expanded =
                entries.iter().map(|(key, item)| Ok((key.clone(), expand_judged(item, values, judge)?)));
            expanded.collect()
        }
        other => Ok(other.clone()),
    }
}

type Judge = fn(&str) -> Result<(), &'static str>;

fn expand_text(text: &str, values: Values<'_>, judge: Judge) -> Result<Value, TemplateError> {
    let pieces = pieces(text)?;
    if let [Piece::Expression(expression)] = pieces[..] {
        return lookup(expression, values);
    }
    let mut expanded = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => expanded.push_str(literal),
            Piece::Expression(expression) => {
                let value = match lookup(expression, values)? {
                    Value::String(value) => value,
                    value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                    _ => {
                        let (expression, text) = (expression.to_owned(), text.to_owned());
                        return Err(TemplateError::NotText { expression, text });
                    }
                };
                judge(&value).map_err(|problem| holes::unfit(expression, &holes::shown(&value), problem))?;
                expanded.push_str(&value);
            }
        }
    }
    Ok(Value::String(expanded))
}

/// The names in a JSON value's templates, for a check at installation.
pub fn names(value: &Value) -> Result<Names, TemplateError> {
    let mut found = Names::default();
    collect_names(value, &mut found)?;
    Ok(found)
}

fn collect_names(value: &Value, found: &mut Names) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => {
            for piece in pieces(text)? {
                let Piece::Expression(expression) = piece else { continue };
                match asked(expression)? {
                    Asked::Parameter(path, default) => {
                        found.parameters.push(path[0].to_owned());
                        found.needed.extend(default.is_none().then(|| path[0].to_owned()));
                    }
                    Asked::Secret(name) => found.secrets.push(name.to_owned()),
                    Asked::Output(step, property, default) => {
                        let (step, property) = (step.to_owned(), property.to_owned());
                        found.outputs.push(OutputName { step, property, has_default: default.is_some() });
                    }
                }
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_names(item, found))?,
        Value::Object(entries) => entries.values().try_for_each(|item| collect_names(item, found))?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expands_what_the_definition_says_and_nothing_else() {
        let parameters = json!({
            "storage": { "type": "local", "file_path": "a.csv" },
            "host": "example.com", "port": 8080, "sly": "${parameters.host}", "empty": "", "slyer": "${secrets.token}",
        });
        let secrets = BTreeMap::from([("token".to_owned(), "stands-for-it".to_owned())]);
        let storage = json!({ "type": "s3", "storage": "x", "file_path": "a.csv" });
        let outputs = BTreeMap::from([
            ("export".to_owned(), json!({ "output": "out/${secrets.token}.csv", "folder": "out" })),
            ("up-load_2".to_owned(), json!({ "output": storage })),
        ]);
        let rows = [
            (json!("${steps.export.output}"), Ok(json!("out/${secrets.token}.csv"))),
            (json!({ "file": "<${steps.export.folder}>" }), Ok(json!({ "file": "<out>" }))),
            (json!("${steps.up-load_2.output}"), Ok(storage)),
            (json!("${steps.later.output:-${parameters.host}"), Ok(json!("${parameters.host"))),
            (json!("${steps.later.output:-none.csv}"), Ok(json!("none.csv"))),
            (json!("${steps.later.output}"), Err("there is no value for `${steps.later.output}`")),
            (json!("${steps.up-load_2.folder}"), Err("there is no value for `${steps.up-load_2.folder}`")),
            (
                json!("${steps.export.status}"),
                Err(
                    "`${steps.export.status}` is not understood; a template is `${parameters.name}`, `${secrets.name}` or `${steps.name.output}`",
                ),
            ),
            (json!("${parameters.storage}"), Ok(json!({ "type": "local", "file_path": "a.csv" }))),
            (json!("${parameters.storage.file_path}"), Ok(json!("a.csv"))),
            (json!("${parameters.port}"), Ok(json!(8080))),
            (
                json!("POST http://${parameters.host}:${parameters.port}/x"),
                Ok(json!("POST http://example.com:8080/x")),
            ),
            (json!(["a", { "b": "${parameters.host}" }, 1]), Ok(json!(["a", { "b": "example.com" }, 1]))),
            (json!("${parameters.sly}!"), Ok(json!("${parameters.host}!"))),
            (json!("${parameters.slyer}"), Ok(json!("${secrets.token}"))),
            (json!("Bearer ${parameters.slyer}"), Ok(json!("Bearer ${secrets.token}"))),
            (json!("${secrets.token}"), Ok(json!("stands-for-it"))),
            (json!(["Bearer ${secrets.token}"]), Ok(json!(["Bearer stands-for-it"]))),
            (json!("${parameters.port:-1}"), Ok(json!(8080))),
            (json!("${parameters.none:-1}"), Ok(json!(1))),
            (json!("${parameters.none:-}"), Ok(json!(""))),
            (json!("${parameters.empty:-a b:-c.d}"), Ok(json!("a b:-c.d"))),
            (json!("${parameters.nothing_at_all:-true}"), Ok(json!(true))),
            (json!("<${parameters.none.deep:-x}>"), Ok(json!("<x>"))),
            (json!("$${parameters.host}"), Ok(json!("${parameters.host}"))),
            (json!("a $${b} ${parameters.host} $$c"), Ok(json!("a ${b} example.com $$c"))),
            (json!("$${"), Ok(json!("${"))),
            (json!("${secrets.other}"), Err("there is no value for `${secrets.other}`")),
            (
                json!("${secrets.token:-x}"),
                Err(
                    "`${secrets.token:-x}` is not understood; a template is `${parameters.name}`, `${secrets.name}` or `${steps.name.output}`",
                ),
            ),
            (
                json!("${secrets.token.part}"),
                Err(
                    "`${secrets.token.part}` is not understood; a template is `${parameters.name}`, `${secrets.name}` or `${steps.name.output}`",
                ),
            ),
            (json!("$5 {x}"), Ok(json!("$5 {x}"))),
            (json!("a ${parameters.host"), Err("`a ${parameters.host` opens `${` without closing it")),
            (
                json!("${env.HOME}"),
                Err(
                    "`${env.HOME}` is not understood; a template is `${parameters.name}`, `${secrets.name}` or `${steps.name.output}`",
                ),
            ),
            (
                json!("${parameters}"),
                Err(
                    "`${parameters}` is not understood; a template is `${parameters.name}`, `${secrets.name}` or `${steps.name.output}`",
                ),
            ),
            (json!("${parameters.nothing}"), Err("there is no value for `${parameters.nothing}`")),
            (
                json!("a ${parameters.storage}"),
                Err(
                    "`${parameters.storage}` is no text or number, so it must stand alone, not inside `a ${parameters.storage}`",
                ),
            ),
        ];
        for (template, expected) in rows {
            let values = Values { parameters: &parameters, secrets: &secrets, outputs: &outputs };
            let found = expand(&template, values).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn a_value_in_a_path_is_one_name_unless_it_is_the_whole_path() {
        let parameters = json!({ "name": "acme", "n": 7, "up": "..", "path": "a/../b" });
        let check = |template: Value, expected: Result<Value, &str>| {
            let values = Values::of(&parameters);
            let found = expand_path(&template, values).map_err(|error| error.code());
            assert_eq!(found, expected, "{template}");
        };
        check(json!("in/${parameters.name}-${parameters.n}.csv"), Ok(json!("in/acme-7.csv")));
        check(json!("${parameters.path}"), Ok(json!("a/../b")));
        check(json!({ "file_path": "in/${parameters.up}/a.csv" }), Err("parameter-unfit"));
        check(json!("in/${parameters.path}"), Err("parameter-unfit"));
        check(json!("${parameters.up}/a.csv"), Err("parameter-unfit"));
        check(json!("a ${parameters.none}"), Err("bad-template"));
    }

    #[test]
    fn names_what_it_needs() {
        let value = json!({ "a": "${parameters.x.y} ${parameters.z:-1}", "b": ["${parameters.x}", "a ${secrets.s}"],
                "c": "${steps.a.output} ${steps.b.folder:-c}" });
        let Names { parameters, needed, secrets, outputs } = names(&value).unwrap();
        let told = [parameters, needed, secrets].map(|names| names.join(" "));
        assert_eq!(told, ["x z x", "x x", "s"]);
        let outputs: Vec<_> = outputs.iter().map(|name| format!("{name} {}", name.has_default)).collect();
        assert_eq!(outputs, ["${steps.a.output} false", "${steps.b.folder} true"]);
    }
}
