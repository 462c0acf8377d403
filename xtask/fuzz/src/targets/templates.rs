//! Templates of paths and options, and placeholders in paths.
//!
//! An input is a JSON object with `template`, `parameters`, and a `label` for `%job_label%`.

use std::path::{Component, Path};

use serde_json::{Value, json};
use stepbox::batch::template::{self, Template, TemplatePiece, Values, judge_name};
use stepbox_connectors::fuzzing::fill_placeholders;

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    let nothing = json!({});
    let parameters = input.get("parameters").unwrap_or(&nothing);
    let template = input.get("template").unwrap_or(&Value::Null);
    let values = Values::of(parameters);
    let (free, path) = (template::expand(template, values), template::expand_path(template, values));
    match path {
        // A path is refused more often, and never has another value.
        Ok(path) => assert_eq!(free.as_ref(), Ok(&path)),
        Err(error) => assert!(!error.code().is_empty()),
    }
    if let Some(text) = template.as_str() {
        one_text(text, values);
        placeholders(text, input["label"].as_str().unwrap_or_default());
    }
}

/// It reads as it is written, and a value in the middle adds no part to a path.
fn one_text(text: &str, values: Values<'_>) {
    let Ok(read) = Template::parse(text) else { return };
    let written = |piece: &TemplatePiece| match piece {
        // Escaped, so that it begins no expression.
        TemplatePiece::Literal(literal) => literal.replace("${", "$${"),
        TemplatePiece::Hole(hole) => format!("${{{}}}", hole.expression()),
    };
    assert_eq!(read.pieces().iter().map(written).collect::<String>(), text);
    let literals = read.pieces().iter().filter_map(|piece| match piece {
        TemplatePiece::Literal(literal) => Some(literal.matches('/').count()),
        TemplatePiece::Hole(_) => None,
    });
    let separators: usize = literals.sum();
    if let (true, Ok(Value::String(path))) =
        (read.pieces().len() > 1, template::expand_path(&Value::from(text), values))
    {
        assert_eq!(path.matches('/').count(), separators, "a value has added a part");
    }
    for piece in read.pieces() {
        let TemplatePiece::Hole(hole) = piece else { continue };
        if let Ok(name) = hole.text(values, judge_name) {
            let path = Path::new("a").join(&name);
            assert_eq!(path.components().collect::<Vec<_>>().len(), 2, "{name:?} is no name");
            assert!(!path.components().any(|part| part == Component::ParentDir));
        }
    }
}

/// The folder stays the one that the path names.
fn placeholders(path: &str, label: &str) {
    let filled = fill_placeholders(path, label);
    assert_eq!(filled.matches('/').count(), path.matches('/').count(), "{filled:?}");
    for (before, after) in path.split('/').zip(filled.split('/')) {
        assert!(before == after || !matches!(after, "" | "." | ".."), "{before:?} became {after:?}");
    }
}
