//! Reads the answer of a component. Every key, type, length and count is checked, and the first mistake is told with its
//! place.

use serde_json::{Map, Value};

use super::{ANSWER_BYTES_MAX, NOTE_BYTES_MAX, harmless};
use super::{BadFormAnswer, FormAnswer, FormBlock, FormColumn, FormOption, FormTable, Tone};
use crate::strict_json;
use crate::visible::steers;

const BLOCKS_MAX: usize = 20;
const COLUMNS_MAX: usize = 50;
const OPTIONS_MAX: usize = 2000;
const DEFAULTS_MAX: usize = 1000;
const PREVIEW_ROWS_MAX: usize = 100;
const FIELDS_MAX: usize = 200;
/// The maximum length of all texts but notes, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 10;

type Read<T> = Result<T, BadFormAnswer>;

pub(super) fn answer(text: &str, schema: &Value) -> Read<FormAnswer> {
    let whole = |problem: String| BadFormAnswer { place: String::new(), problem };
    if text.len() > ANSWER_BYTES_MAX {
        return Err(whole(format!("has more than {ANSWER_BYTES_MAX} bytes")));
    }
    let value = strict_json::parse(text.as_bytes())
        .map_err(|error| whole(format!("is not JSON: {}", harmless(&error.to_string(), TEXT_BYTES_MAX))))?;
    let answer = Part { value: &value, place: String::new() };
    let blocks = answer.object(&["blocks"])?.needed("blocks")?.list(BLOCKS_MAX)?;
    let blocks = blocks.iter().map(|part| block(part, schema)).collect::<Read<_>>()?;
    Ok(FormAnswer { blocks })
}

/// A block is known by its kind, which is one of its keys.
fn block(part: &Part<'_>, schema: &Value) -> Read<FormBlock> {
    let block = part.object(&["note", "tone", "table", "preview", "fields"])?;
    let kinds = (block.get("note"), block.get("table"), block.get("preview"), block.get("fields"));
    if block.get("tone").is_some() && kinds.0.is_none() {
        return Err(part.wrong("has a `tone` without a `note`"));
    }
    match kinds {
        (Some(note), None, None, None) => Ok(FormBlock::Note {
            text: note.shown(NOTE_BYTES_MAX)?,
            tone: block.get("tone").map_or(Ok(Tone::Info), |part| tone(&part))?,
        }),
        (None, Some(part), None, None) => table(&part, schema).map(FormBlock::Table),
        (None, None, Some(part), None) => preview(&part),
        (None, None, None, Some(part)) => {
            let names = part.list(FIELDS_MAX)?;
            names
                .iter()
                .map(|name| parameter(name, name.text(TEXT_BYTES_MAX)?, schema))
                .collect::<Read<_>>()
                .map(FormBlock::Fields)
        }
        _ => Err(part.wrong("is not exactly one of `note`, `table`, `preview`, `fields`")),
    }
}

fn tone(part: &Part<'_>) -> Read<Tone> {
    let word = part.text(TEXT_BYTES_MAX)?;
    let known = Tone::ALL.into_iter().find(|tone| tone.as_str() == word);
    known.ok_or_else(|| part.wrong("is none of `info`, `success`, `warning`, `problem`"))
}

fn table(part: &Part<'_>, schema: &Value) -> Read<FormTable> {
    let table = part.object(&["parameter", "columns", "defaults"])?;
    let pointer = table.needed("parameter")?;
    let name = pointer
        .text(TEXT_BYTES_MAX)?
        .strip_prefix('/')
        .map(|name| name.replace("~1", "/").replace("~0", "~"));
    let name = name.ok_or_else(|| pointer.wrong("is no JSON pointer to a parameter, such as `/mapping`"))?;
    let parameter = parameter(&pointer, &name, schema)?;
    let items = &schema["properties"][&parameter]["items"]["properties"];
    let columns = table.needed("columns")?;
    let columns = columns.entries(COLUMNS_MAX)?.into_iter().map(|(name, part)| column(name, &part, items));
    let columns = columns.collect::<Read<Vec<_>>>()?;
    let defaults = match table.get("defaults") {
        Some(rows) => {
            rows.list(DEFAULTS_MAX)?.iter().map(|row| default(row, &columns)).collect::<Read<_>>()?
        }
        None => Vec::new(),
    };
    Ok(FormTable { parameter, columns, defaults })
}

/// A column of the rows of a parameter. `items` are the properties of a row, as far as the schema lists them.
fn column(name: &str, part: &Part<'_>, items: &Value) -> Read<FormColumn> {
    // People see it, and it is a name as well: it cannot be changed.
    if name.is_empty() || name.len() > TEXT_BYTES_MAX || name.contains(steers) {
        return Err(part.wrong("has a name that is empty, too long or not plain"));
    }
    if items.as_object().is_some_and(|items| !items.contains_key(name)) {
        return Err(part.wrong("is no property of the rows of the parameter"));
    }
    let column = part.object(&["options", "free"])?;
    let options = match column.get("options") {
        Some(options) => options.list(OPTIONS_MAX)?.iter().map(option).collect::<Read<_>>()?,
        None => Vec::new(),
    };
    let free = match column.get("free") {
        Some(free) => free.value.as_bool().ok_or_else(|| free.wrong("is neither true nor false"))?,
        None => false,
    };
    // Without a value to choose, a column in which no other makes sense could not be filled in.
    let free = free || options.is_empty();
    Ok(FormColumn { name: name.to_owned(), options, free })
}

fn option(part: &Part<'_>) -> Read<FormOption> {
    let option = part.object(&["value", "label", "hint"])?;
    let value = option.needed("value")?.text(TEXT_BYTES_MAX)?;
    let label = option.get("label").map(|label| label.shown(TEXT_BYTES_MAX)).transpose()?;
    let hint = option.get("hint").map(|hint| hint.shown(TEXT_BYTES_MAX)).transpose()?;
    Ok(FormOption {
        value: value.to_owned(),
        label: label.filter(|label| !label.is_empty()).unwrap_or_else(|| harmless(value, TEXT_BYTES_MAX)),
        hint: hint.unwrap_or_default(),
    })
}

/// A row to begin with, of the columns of its table.
fn default(part: &Part<'_>, columns: &[FormColumn]) -> Read<Map<String, Value>> {
    let mut row = Map::new();
    for (name, cell) in part.entries(COLUMNS_MAX)? {
        if columns.iter().all(|column| column.name != name) {
            return Err(cell.wrong("is in no column of the table"));
        }
        match cell.value {
            Value::Array(_) | Value::Object(_) => {
                return Err(cell.wrong("is no text, number, truth value or null"));
            }
            Value::String(_) => {
                cell.text(TEXT_BYTES_MAX)?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        row.insert(name.to_owned(), cell.value.clone());
    }
    Ok(row)
}

fn preview(part: &Part<'_>) -> Read<FormBlock> {
    let preview = part.object(&["header", "rows"])?;
    let texts = |part: &Part<'_>| -> Read<Vec<String>> {
        part.list(COLUMNS_MAX)?.iter().map(|cell| cell.shown(TEXT_BYTES_MAX)).collect()
    };
    let header = texts(&preview.needed("header")?)?;
    let mut rows = Vec::new();
    for row in preview.needed("rows")?.list(PREVIEW_ROWS_MAX)? {
        let cells = texts(&row)?;
        if cells.len() != header.len() {
            return Err(row.wrong(&format!(
                "has {} cells, and the header has {}",
                cells.len(),
                header.len()
            )));
        }
        rows.push(cells);
    }
    Ok(FormBlock::Preview { header, rows })
}

/// A parameter of the job.
fn parameter(part: &Part<'_>, name: &str, schema: &Value) -> Read<String> {
    match schema["properties"].as_object().is_some_and(|properties| properties.contains_key(name)) {
        true => Ok(name.to_owned()),
        false => Err(part.wrong("is no parameter of the job")),
    }
}

/// A part of the answer, and its place.
struct Part<'a> {
    value: &'a Value,
    place: String,
}

/// An object that has only keys that it may have.
struct Keys<'a> {
    entries: &'a Map<String, Value>,
    place: String,
}

impl<'a> Part<'a> {
    fn wrong(&self, problem: &str) -> BadFormAnswer {
        BadFormAnswer { place: harmless(&self.place, TEXT_BYTES_MAX), problem: problem.to_owned() }
    }

    fn map(&self) -> Read<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wrong("is no object"))
    }

    fn object(&self, known: &[&str]) -> Read<Keys<'a>> {
        let entries = self.map()?;
        match entries.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let key = harmless(key, 100);
                Err(self.wrong(&format!("has the key `{key}`; the keys are `{}`", known.join("`, `"))))
            }
            None => Ok(Keys { entries, place: self.place.clone() }),
        }
    }

    /// The entries of an object whose keys are names.
    fn entries(&self, max: usize) -> Read<Vec<(&'a str, Part<'a>)>> {
        let entries = self.map()?;
        self.check_count(entries.len(), max)?;
        Ok(entries
            .iter()
            .map(|(name, value)| (name.as_str(), Part { value, place: below(&self.place, name) }))
            .collect())
    }

    fn list(&self, max: usize) -> Read<Vec<Part<'a>>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("is no list"))?;
        self.check_count(items.len(), max)?;
        let part = |(index, value)| Part { value, place: format!("{}/{index}", self.place) };
        Ok(items.iter().enumerate().map(part).collect())
    }

    fn check_count(&self, count: usize, max: usize) -> Read<()> {
        match count > max {
            true => Err(self.wrong(&format!("has {count} entries; at most {max} are taken"))),
            false => Ok(()),
        }
    }

    fn text(&self, bytes_max: usize) -> Read<&'a str> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("is no text"))?;
        match text.len() {
            bytes if bytes > bytes_max => {
                Err(self.wrong(&format!("has {bytes} bytes; at most {bytes_max} are taken")))
            }
            _ => Ok(text),
        }
    }

    /// A text that only people read.
    fn shown(&self, bytes_max: usize) -> Read<String> {
        Ok(harmless(self.text(bytes_max)?, bytes_max))
    }
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<Part<'a>> {
        self.entries.get(key).map(|value| Part { value, place: below(&self.place, key) })
    }

    fn needed(&self, key: &str) -> Read<Part<'a>> {
        self.get(key).ok_or_else(|| BadFormAnswer {
            place: harmless(&self.place, TEXT_BYTES_MAX),
            problem: format!("has no `{key}`"),
        })
    }
}

fn below(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        let row = json!({ "type": "object", "properties": {
            "from": { "type": "string" }, "to": { "type": "string" }, "keep": { "type": "boolean" },
        } });
        json!({ "properties": {
            "mapping": { "type": "array", "items": row }, "dateFormat": { "type": "string" }, "any": { "type": "array" },
        } })
    }

    fn read(text: &str) -> String {
        match answer(text, &schema()) {
            Ok(answer) => format!("{} blocks", answer.blocks.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_every_kind_of_block() {
        let text = json!({ "blocks": [
            { "note": "12 of 14 columns are mapped.", "tone": "success" },
            { "note": "one line" },
            { "table": { "parameter": "/mapping", "columns": {
                "from": { "options": [{ "value": "sku", "label": "SKU", "hint": "text" }], "free": false },
                "to": { "options": [{ "value": "identifier" }], "free": true },
                "keep": {},
            }, "defaults": [{ "from": "sku", "keep": true }, {}] } },
            { "preview": { "header": ["identifier"], "rows": [["A-1"]] } },
            { "fields": ["dateFormat"] },
        ] });
        let option = |value: &str, label: &str, hint: &str| FormOption {
            value: value.to_owned(),
            label: label.to_owned(),
            hint: hint.to_owned(),
        };
        let column =
            |name: &str, options: Vec<FormOption>, free| FormColumn { name: name.to_owned(), options, free };
        let row = Map::from_iter([("from".to_owned(), json!("sku")), ("keep".to_owned(), json!(true))]);
        let expected = FormAnswer {
            blocks: vec![
                FormBlock::Note { text: "12 of 14 columns are mapped.".to_owned(), tone: Tone::Success },
                FormBlock::Note { text: "one line".to_owned(), tone: Tone::Info },
                FormBlock::Table(FormTable {
                    parameter: "mapping".to_owned(),
                    columns: vec![
                        column("from", vec![option("sku", "SKU", "text")], false),
                        column("to", vec![option("identifier", "identifier", "")], true),
                        column("keep", Vec::new(), true),
                    ],
                    defaults: vec![row, Map::new()],
                }),
                FormBlock::Preview {
                    header: vec!["identifier".to_owned()],
                    rows: vec![vec!["A-1".to_owned()]],
                },
                FormBlock::Fields(vec!["dateFormat".to_owned()]),
            ],
        };
        assert_eq!(answer(&text.to_string(), &schema()).unwrap(), expected);
    }

    /// HTML stays the text that it is, and what steers a terminal or a page is shown. A value stays what it is.
    #[test]
    fn texts_are_harmless_and_values_are_exact() {
        let hostile = "<script>alert(1)</script>\u{1b}]8;;javascript:x\u{7}\u{202e}\r\nx";
        let shown = r"<script>alert(1)</script>\u{1b}]8;;javascript:x\u{7}\u{202e}\r\nx";
        let text = json!({ "blocks": [
            { "note": hostile },
            { "table": { "parameter": "/any", "columns": { "a": { "options": [
                { "value": hostile }, { "value": "b", "label": hostile, "hint": hostile },
            ] } } } },
            { "preview": { "header": [hostile], "rows": [[hostile]] } },
        ] });
        let FormAnswer { blocks } = answer(&text.to_string(), &schema()).unwrap();
        let [FormBlock::Note { text, .. }, FormBlock::Table(table), FormBlock::Preview { header, rows }] =
            &blocks[..]
        else {
            panic!("{blocks:?}")
        };
        let [first, second] = &table.columns[0].options[..] else { panic!("{table:?}") };
        assert_eq!(first.value, hostile);
        for text in [text, &first.label, &second.label, &second.hint, &header[0], &rows[0][0]] {
            assert_eq!(text, shown);
        }
    }

    #[test]
    fn one_mistake_makes_the_answer_void() {
        let check =
            |value: Value, expected: &str| assert_eq!(read(&value.to_string()), expected, "{value:.200}");
        let block = |block: Value| json!({ "blocks": [block] });
        let table = |table: Value| block(json!({ "table": table }));
        let column = |column: Value| table(json!({ "parameter": "/any", "columns": { "a": column } }));
        check(json!({ "blocks": [] }), "0 blocks");
        check(json!([]), "it is no object");
        check(json!({}), "it has no `blocks`");
        check(json!({ "blocks": {} }), "`/blocks` is no list");
        check(json!({ "blocks": [], "html": "" }), "it has the key `html`; the keys are `blocks`");
        check(
            json!({ "blocks": vec![json!({ "note": "" }); 21] }),
            "`/blocks` has 21 entries; at most 20 are taken",
        );
        let kinds = "`/blocks/0` is not exactly one of `note`, `table`, `preview`, `fields`";
        check(block(json!({})), kinds);
        check(block(json!({ "note": "", "fields": [] })), kinds);
        check(block(json!({ "fields": [], "tone": "info" })), "`/blocks/0` has a `tone` without a `note`");
        check(
            block(json!({ "html": "<b>" })),
            "`/blocks/0` has the key `html`; the keys are `note`, `tone`, `table`, `preview`, `fields`",
        );
        check(block(json!({ "note": 1 })), "`/blocks/0/note` is no text");
        check(
            block(json!({ "note": "x".repeat(4097) })),
            "`/blocks/0/note` has 4097 bytes; at most 4096 are taken",
        );
        check(
            block(json!({ "note": "", "tone": "loud" })),
            "`/blocks/0/tone` is none of `info`, `success`, `warning`, `problem`",
        );
        check(block(json!({ "fields": ["other"] })), "`/blocks/0/fields/0` is no parameter of the job");
        check(table(json!({ "columns": {} })), "`/blocks/0/table` has no `parameter`");
        check(
            table(json!({ "parameter": "mapping", "columns": {} })),
            "`/blocks/0/table/parameter` is no JSON pointer to a parameter, such as `/mapping`",
        );
        check(
            table(json!({ "parameter": "/mapping/0", "columns": {} })),
            "`/blocks/0/table/parameter` is no parameter of the job",
        );
        check(
            table(json!({ "parameter": "/mapping", "columns": { "html": {} } })),
            "`/blocks/0/table/columns/html` is no property of the rows of the parameter",
        );
        check(
            table(json!({ "parameter": "/any", "columns": { "": {} } })),
            "`/blocks/0/table/columns/` has a name that is empty, too long or not plain",
        );
        check(
            table(json!({ "parameter": "/any", "columns": {}, "defaults": [{ "a": 1 }] })),
            "`/blocks/0/table/defaults/0/a` is in no column of the table",
        );
        check(
            table(json!({ "parameter": "/any", "columns": { "a": {} }, "defaults": [{ "a": [1] }] })),
            "`/blocks/0/table/defaults/0/a` is no text, number, truth value or null",
        );
        check(
            column(json!({ "options": [{ "label": "x" }] })),
            "`/blocks/0/table/columns/a/options/0` has no `value`",
        );
        check(
            column(json!({ "options": vec![json!({ "value": "" }); 2001] })),
            "`/blocks/0/table/columns/a/options` has 2001 entries; at most 2000 are taken",
        );
        check(column(json!({ "free": "yes" })), "`/blocks/0/table/columns/a/free` is neither true nor false");
        check(
            block(json!({ "preview": { "header": ["a"], "rows": [["1", "2"]] } })),
            "`/blocks/0/preview/rows/0` has 2 cells, and the header has 1",
        );
        check(
            block(json!({ "preview": { "header": ["a"], "rows": vec![json!(["1"]); 101] } })),
            "`/blocks/0/preview/rows` has 101 entries; at most 100 are taken",
        );
    }

    #[test]
    fn what_is_hardly_json_is_refused() {
        let deep = format!("{{\"blocks\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let long = format!("{{\"blocks\":[{}]}}", " ".repeat(1 << 20));
        let rows = [
            ("<html>", "it is not JSON: line 1, column 1: expected value"),
            (
                "{\"blocks\":[],\"blocks\":[]}",
                "it is not JSON: line 1, column 21: the key `blocks` appears twice",
            ),
            (&deep, "it is not JSON: line 1, column 137: recursion limit exceeded"),
            (&long, "it has more than 262144 bytes"),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected);
        }
    }
}
