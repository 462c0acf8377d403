//! What the schema of a parameter says: its kind of value, its constraints and its choices.

use serde_json::{Map, Value};

use super::widget::{self, ItemKind, ValueKind, Widget};
use super::{Choice, Constraints};

/// How many references to other schemas are followed for one value. They may form a circle.
const REFERENCES_MAX: usize = 16;

/// Keywords that no field can express; a value with them is shown as JSON.
const BEYOND: &[&str] = &[
    "$dynamicRef",
    "allOf",
    "anyOf",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// A schema with its references replaced by what they refer to. Keywords beside a reference have priority.
pub(super) fn resolved(root: &Value, schema: &Value) -> Map<String, Value> {
    let mut found = schema.as_object().cloned().unwrap_or_default();
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = found.remove("$ref") else { return found };
        let target =
            reference.as_str().and_then(|path| path.strip_prefix('#')).and_then(|path| root.pointer(path));
        let Some(target) = target.and_then(Value::as_object) else { break };
        let beside = std::mem::replace(&mut found, target.clone());
        found.extend(beside);
    }
    // A schema that cannot be followed may be anything.
    found.insert("not".to_owned(), Value::Object(Map::new()));
    found
}

/// What the values of a resolved schema are.
pub(super) fn kind_of(root: &Value, schema: &Map<String, Value>) -> ValueKind {
    if is_storage(root, schema) {
        return ValueKind::Storage;
    }
    match kind_of_scalar(schema) {
        Some(kind) => kind,
        None if is_beyond(schema) => ValueKind::Json,
        None if type_of(schema) == Some("array") => kind_of_list(root, schema),
        None => ValueKind::Json,
    }
}

/// Whether the schema has a keyword that no field can express.
fn is_beyond(schema: &Map<String, Value>) -> bool {
    BEYOND.iter().chain(&["if"]).any(|keyword| schema.contains_key(*keyword))
}

fn type_of(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("type").and_then(Value::as_str)
}

fn kind_of_list(root: &Value, schema: &Map<String, Value>) -> ValueKind {
    let Some(items) = schema.get("items") else { return ValueKind::Json };
    let items = resolved(root, items);
    match kind_of_scalar(&items) {
        Some(ValueKind::Text) => ValueKind::List(ItemKind::Text),
        Some(ValueKind::Integer) => ValueKind::List(ItemKind::Integer),
        Some(ValueKind::Number) => ValueKind::List(ItemKind::Number),
        Some(ValueKind::Choice) => ValueKind::List(ItemKind::Choice),
        Some(_) => ValueKind::Json,
        None if is_flat(root, &items) => ValueKind::Table,
        None => ValueKind::Json,
    }
}

/// The kind of a value without parts; `None` if it has parts. It looks at no other schema: references may form a
/// circle.
fn kind_of_scalar(schema: &Map<String, Value>) -> Option<ValueKind> {
    if is_beyond(schema) {
        return None;
    }
    if ["enum", "const", "oneOf"].iter().any(|keyword| schema.contains_key(*keyword)) {
        return (!choices(schema).is_empty()).then_some(ValueKind::Choice);
    }
    match type_of(schema)? {
        "string" => Some(ValueKind::Text),
        "integer" => Some(ValueKind::Integer),
        "number" => Some(ValueKind::Number),
        "boolean" => Some(ValueKind::Boolean),
        _ => None,
    }
}

/// Whether it is an object whose members have no parts.
fn is_flat(root: &Value, schema: &Map<String, Value>) -> bool {
    let mut members = properties(schema).peekable();
    type_of(schema) == Some("object")
        && !is_beyond(schema)
        && !schema.contains_key("oneOf")
        && members.peek().is_some()
        && members.all(|(_, member)| kind_of_scalar(&resolved(root, member)).is_some())
}

/// The properties of an object's schema.
pub(super) fn properties(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The member that decides about the others of a storage.
pub(super) const DISCRIMINATOR: &str = "type";

/// Whether it is an object with a `type` that decides about its other members: variants in `oneOf`, or a list of types
/// beside a `file_path`.
fn is_storage(root: &Value, schema: &Map<String, Value>) -> bool {
    if !matches!(type_of(schema), None | Some("object")) {
        return false;
    }
    let has_texts = |members: &Map<String, Value>| {
        properties(members).all(|(_, member)| kind_of_scalar(&resolved(root, member)).is_some())
    };
    let discriminates = |members: &Map<String, Value>| {
        let of_type = members.get("properties").and_then(|members| members.get(DISCRIMINATOR));
        of_type.is_some_and(|of_type| !choices(&resolved(root, of_type)).is_empty())
    };
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(variants) => {
            let variants: Vec<_> = variants.iter().map(|variant| resolved(root, variant)).collect();
            let is_variant = |variant: &Map<String, Value>| {
                !is_beyond(variant)
                    && !variant.contains_key("oneOf")
                    && discriminates(variant)
                    && has_texts(variant)
            };
            !is_beyond(schema) && has_texts(schema) && !variants.is_empty() && variants.iter().all(is_variant)
        }
        None => {
            let is_beyond = BEYOND.iter().any(|keyword| schema.contains_key(*keyword));
            !is_beyond
                && discriminates(schema)
                && has_texts(schema)
                && properties(schema).any(|(name, _)| name == "file_path")
        }
    }
}

/// The values that a schema allows, if it lists them and they have no parts.
pub(super) fn choices(schema: &Map<String, Value>) -> Vec<Choice> {
    let listed: Vec<Choice> = if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
        let choice = |variant: &Value| {
            let label = variant.get("title").and_then(Value::as_str);
            let value = variant.get("const")?.clone();
            Some(Choice { label: label.map_or_else(|| label_of(&value), str::to_owned), value })
        };
        variants.iter().map(choice).collect::<Option<_>>().unwrap_or_default()
    } else if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        values.iter().map(|value| Choice { label: label_of(value), value: value.clone() }).collect()
    } else if let Some(value) = schema.get("const") {
        vec![Choice { label: label_of(value), value: value.clone() }]
    } else {
        Vec::new()
    };
    let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match listed.iter().all(|choice| is_plain(&choice.value)) {
        true => listed,
        false => Vec::new(),
    }
}

/// The name of a value that has none. Characters that nobody sees are named.
fn label_of(value: &Value) -> String {
    match value {
        Value::String(text) if text == "\t" => "⇥ tab".to_owned(),
        Value::String(text) if text == " " => "␣ space".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        other => other.to_string(),
    }
}

/// What a resolved schema requires of a value.
pub(super) fn constraints(root: &Value, schema: &Map<String, Value>, kind: ValueKind) -> Constraints {
    // Those of a list are about its entries, but for their count.
    let of_items = schema.get("items").map(|items| resolved(root, items));
    let scalar = match kind {
        ValueKind::List(_) => of_items.as_ref().unwrap_or(schema),
        _ => schema,
    };
    let number = |name: &str| scalar.get(name).and_then(Value::as_number).cloned();
    let count = |schema: &Map<String, Value>, name: &str| schema.get(name).and_then(Value::as_u64);
    let text = |name: &str| scalar.get(name).and_then(Value::as_str).map(str::to_owned);
    Constraints {
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: number("exclusiveMinimum"),
        exclusive_maximum: number("exclusiveMaximum"),
        multiple_of: number("multipleOf"),
        length_min: count(scalar, "minLength"),
        length_max: count(scalar, "maxLength"),
        items_min: count(schema, "minItems"),
        items_max: count(schema, "maxItems"),
        pattern: text("pattern"),
        format: text("format"),
    }
}

/// The widget of a value for which no other is named.
pub(super) fn widget(kind: ValueKind, constraints: &Constraints) -> Widget {
    let of_format = constraints.format.as_deref().and_then(widget::of_format);
    match kind {
        ValueKind::Text if is_one_character(constraints) => Widget::Character,
        ValueKind::Text => of_format.unwrap_or(Widget::Text),
        kind => kind.widgets()[0],
    }
}

/// Whether a text is one character: by its length, or by a pattern of one class such as `^[ -~]$`.
fn is_one_character(constraints: &Constraints) -> bool {
    let class = constraints.pattern.as_deref().and_then(|pattern| pattern.strip_prefix("^["));
    let class = class.and_then(|pattern| pattern.strip_suffix("]$"));
    constraints.length_max == Some(1) || class.is_some_and(|class| !class.contains(['[', ']']))
}

/// The columns of a table, or the members of a storage, as the schema of an object has them.
pub(super) fn object_of_rows(root: &Value, schema: &Map<String, Value>) -> Map<String, Value> {
    schema.get("items").map(|items| resolved(root, items)).unwrap_or_default()
}
