//! Answers of components about forms: what is shown is bounded, harmless and about the job.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stepbox::batch::form_answer::{ANSWER_BYTES_MAX, FormAnswer, FormBlock};
use stepbox::batch::visible::steers;

/// The parameters of the job.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let row = json!({ "properties": { "from": {}, "to": {}, "keep": {} } });
    json!({ "properties": { "mapping": { "type": "array", "items": row }, "dateFormat": {}, "a/b~c": {} } })
});

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let answer = match FormAnswer::parse(text, &SCHEMA) {
        Ok(answer) => answer,
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 20_000 && !told.contains(steers), "a mistake that cannot be shown: {told}");
            return;
        }
    };
    assert!(text.len() <= ANSWER_BYTES_MAX && answer.blocks.len() <= 20);
    for block in &answer.blocks {
        match block {
            FormBlock::Note { text, .. } => assert_shown(text),
            FormBlock::Preview { header, rows } => {
                assert!(rows.len() <= 100 && rows.iter().all(|row| row.len() == header.len()));
                header.iter().chain(rows.iter().flatten()).for_each(|text| assert_shown(text));
            }
            FormBlock::Fields(names) => names.iter().for_each(|name| assert_parameter(name)),
            FormBlock::Table(table) => {
                assert_parameter(&table.parameter);
                for column in &table.columns {
                    assert_shown(&column.name);
                    assert!(column.free || !column.options.is_empty(), "a column that cannot be filled in");
                    let texts = column.options.iter().flat_map(|option| [&option.label, &option.hint]);
                    texts.for_each(|text| assert_shown(text));
                }
                let is_known = |name: &String| table.columns.iter().any(|column| column.name == *name);
                assert!(table.defaults.iter().flat_map(|row| row.keys()).all(is_known));
            }
        }
    }
}

fn assert_shown(text: &str) {
    assert!(!text.contains(steers), "{text:?} steers");
}

fn assert_parameter(name: &str) {
    assert!(SCHEMA["properties"].get(name).is_some(), "{name:?} is no parameter of the job");
}

/// One of each block, and texts that are not harmless.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = json!({ "blocks": [
        { "note": "12 of 14\u{1b}[2J\u{202e}\n", "tone": "warning" },
        { "table": {
            "parameter": "/mapping",
            "columns": {
                "from": { "options": [{ "value": "a\u{7}", "label": "\r", "hint": "\u{200e}" }], "free": false },
                "to": { "options": [{ "value": "é" }] },
                "keep": {},
            },
            "defaults": [{ "from": "a", "keep": true }, { "to": null, "from": -1.5 }],
        } },
        { "table": { "parameter": "/a~1b~0c", "columns": { "any": {} } } },
        { "preview": { "header": ["a", "\u{feff}"], "rows": [["1", "\u{2028}"]] } },
        { "fields": ["dateFormat", "a/b~c"] },
    ] });
    vec![whole.to_string().into_bytes(), br#"{"blocks":[{"html":"<b>"}],"blocks":1e999}"#.to_vec()]
}
