//! JSON Lines: the reader `jsonl` agrees with serde_json, in windows and chunks of any size, and continues from any
//! checkpoint.
//!
//! The first two bytes decide how the file is read; the others are the file.

use std::collections::{BTreeSet, HashMap};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::reading::{Input, Item, Manner, Outcome, What};

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let [one, other, content @ ..] = bytes else { return };
    let options = match other % 4 {
        0 => json!({ "from": "in", "columns": ["a", "b"] }),
        _ => json!({ "from": "in" }),
    };
    let input = Input::new("jsonl", &options, content);
    let outcome = input.check(Manner::of(*one, *other));
    check(&outcome, content, other % 4 == 0);
    input.check_state(content);
}

fn check(outcome: &Outcome, content: &[u8], is_chosen: bool) {
    if let Some(code) = &outcome.failure {
        assert_ne!(code, "file-changed", "nobody changed it");
    }
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let lines = (1..).zip(content.split(|&byte| byte == b'\n'));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
    if outcome.failure.is_none() {
        assert_eq!(outcome.items.len(), lines.len());
    }
    let mut keys = BTreeSet::new();
    for (Item { line, what }, (number, text)) in outcome.items.iter().zip(&lines) {
        assert_eq!(line, number);
        let text = str::from_utf8(text).expect("the reader took it for UTF-8");
        let object = serde_json::from_str::<HashMap<String, Box<RawValue>>>(text);
        keys.extend(object.iter().flat_map(HashMap::keys).cloned());
        match (what, row(object, &outcome.header)) {
            (What::Row(found), Some(expected)) => assert_eq!(*found, expected),
            (What::Unreadable(..), None) => {}
            // If a key has two values, the last one counts, and the other must still be a valid value.
            (What::Unreadable(..), Some(_)) if serde_json::from_str::<Value>(text).is_err() => {}
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
    if outcome.failure.is_none() && !is_chosen {
        assert_eq!(outcome.header.iter().cloned().collect::<BTreeSet<_>>(), keys);
    }
}

/// The cells of a line; `None` if the line is not an object, or one of its texts is not valid.
fn row(
    object: serde_json::Result<HashMap<String, Box<RawValue>>>,
    header: &[String],
) -> Option<Vec<Option<String>>> {
    let object = object.ok()?;
    let cell = |name: &String| match object.get(name).map(|value| value.get()) {
        None | Some("null") => Some(None),
        Some(text) if text.starts_with('"') => serde_json::from_str(text).ok().map(Some),
        Some(other) => Some(Some(other.to_owned())),
    };
    header.iter().map(cell).collect()
}
