//! The native readers and writers, by the names that connector files use.

use serde_json::Value;
use stepbox_batch::element::{ItemReader, ItemWriter};
use stepbox_batch::error::ElementError;

use crate::csv::{self, CsvReader, CsvWriter};
use crate::folders::Folders;
use crate::jsonl::{self, JsonlReader, JsonlWriter};

/// What a native element is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// Where items come from.
    Reader,
    /// Where items go.
    Writer,
}

/// The options of native elements that say where a file lies: a path, or a storage with one.
pub const PATH_OPTIONS: &[&str] = &["from", "to"];

/// The names of all native elements of a kind.
pub fn native_names(kind: ElementKind) -> &'static [&'static str] {
    match kind {
        ElementKind::Reader | ElementKind::Writer => &["csv", "jsonl"],
    }
}

/// The options of a native element; none if there is no such element.
pub fn option_names(kind: ElementKind, name: &str) -> Option<&'static [&'static str]> {
    match (kind, name) {
        (ElementKind::Reader, "csv") => Some(csv::READER_OPTIONS),
        (ElementKind::Writer, "csv") => Some(csv::WRITER_OPTIONS),
        (ElementKind::Reader, "jsonl") => Some(jsonl::READER_OPTIONS),
        (ElementKind::Writer, "jsonl") => Some(jsonl::WRITER_OPTIONS),
        _ => None,
    }
}

/// A native reader with its options, in which no templates are left; none if there is no such reader.
///
/// It touches nothing before it is opened, and then only what `folders` allow.
pub fn native_reader(
    name: &str,
    options: &Value,
    folders: &Folders,
) -> Result<Option<Box<dyn ItemReader>>, ElementError> {
    Ok(match name {
        "csv" => Some(Box::new(CsvReader::new(options, folders)?)),
        "jsonl" => Some(Box::new(JsonlReader::new(options, folders)?)),
        _ => None,
    })
}

/// A native writer with its options, in which no templates are left; none if there is no such writer.
///
/// It touches nothing before it is opened, and then only what `folders` allow.
pub fn native_writer(
    name: &str,
    options: &Value,
    folders: &Folders,
) -> Result<Option<Box<dyn ItemWriter>>, ElementError> {
    Ok(match name {
        "csv" => Some(Box::new(CsvWriter::new(options, folders)?)),
        "jsonl" => Some(Box::new(JsonlWriter::new(options, folders)?)),
        _ => None,
    })
}

/// What is wrong with the options of a native element before any run, each with the option that it is about, which is
/// empty for one that is missing. `is_open` tells which values are known later; they are not judged.
pub fn check_options(
    kind: ElementKind,
    name: &str,
    options: &Value,
    is_open: impl Fn(&Value) -> bool,
) -> Vec<(String, ElementError)> {
    let path = match kind {
        ElementKind::Reader => "from",
        ElementKind::Writer => "to",
    };
    let mut given = options.as_object().cloned().unwrap_or_default();
    if given.get(path).is_some_and(&is_open) {
        given.insert(path.to_owned(), Value::from("later"));
    }
    let Err(whole) = made(kind, name, &Value::Object(given.clone())) else { return Vec::new() };
    let is_given = given.get(path).is_some_and(|value| !value.is_null());
    let mut wrong = Vec::new();
    for (option, value) in given.iter().filter(|(_, value)| !is_open(value)) {
        // By itself, beside a path that will do.
        let alone = [(path, Value::from("later")), (option.as_str(), value.clone())];
        let alone =
            Value::Object(alone.map(|(option, value)| (option.to_owned(), value)).into_iter().collect());
        if !value.is_null()
            && let Err(error) = made(kind, name, &alone)
        {
            wrong.push((option.clone(), error));
        }
    }
    if !is_given {
        let nothing = made(kind, name, &Value::Object(serde_json::Map::new()));
        wrong.extend(nothing.err().map(|error| (String::new(), error)));
    }
    // Two that are right by themselves, and not together.
    if wrong.is_empty() && !given.values().any(is_open) {
        wrong.push((String::new(), whole));
    }
    wrong
}

fn made(kind: ElementKind, name: &str, options: &Value) -> Result<(), ElementError> {
    // Nothing is touched before an element is opened.
    let folders = Folders::anywhere("");
    match kind {
        ElementKind::Reader => native_reader(name, options, &folders).map(drop),
        ElementKind::Writer => native_writer(name, options, &folders).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KINDS: [ElementKind; 2] = [ElementKind::Reader, ElementKind::Writer];

    fn make(kind: ElementKind, name: &str, options: &Value) -> Result<bool, ElementError> {
        let folders = Folders::anywhere(".");
        match kind {
            ElementKind::Reader => Ok(native_reader(name, options, &folders)?.is_some()),
            ElementKind::Writer => Ok(native_writer(name, options, &folders)?.is_some()),
        }
    }

    fn check(kind: ElementKind, name: &str, options: Value, expected: &str) {
        let found = match make(kind, name, &options) {
            Ok(is_there) => is_there.to_string(),
            Err(ElementError { code, message, help, .. }) => format!("{code}: {message}; {help}"),
        };
        assert_eq!(found, expected, "{options}");
    }

    #[test]
    fn every_element_has_options_and_reads_each_of_them() {
        for kind in KINDS {
            for name in native_names(kind) {
                for option in option_names(kind, name).unwrap() {
                    let path = if kind == ElementKind::Reader { "from" } else { "to" };
                    let mut options = json!({ path: "a" });
                    options[option] = json!(1.5);
                    let error = make(kind, name, &options).unwrap_err().to_string();
                    assert!(error.contains(&format!("`{option}`")), "{kind:?} {name} {option}: {error}");
                    options[option] = Value::Null;
                    assert_eq!(make(kind, name, &options).is_ok(), *option != path, "{option}");
                }
            }
        }
    }

    #[test]
    fn options_are_judged_before_a_run_as_far_as_they_are_known() {
        let check = |kind, name: &str, options: Value, expected: &str| {
            let is_open = |value: &Value| value.to_string().contains("${");
            let found = check_options(kind, name, &options, is_open).into_iter();
            let shown = found.map(|(option, error)| format!("{option}: {error}")).collect::<Vec<_>>();
            assert_eq!(shown.join(" | "), expected, "{options}");
        };
        use ElementKind::{Reader, Writer};
        check(Reader, "csv", json!({"from": "a"}), "");
        check(Reader, "csv", json!({}), ": the option `from` is missing");
        check(Reader, "csv", Value::Null, ": the option `from` is missing");
        check(Writer, "csv", json!({"to": null}), ": the option `to` is missing");
        check(Reader, "csv", json!({"from": "${x}", "delimiter": "${y}"}), "");
        check(
            Writer,
            "csv",
            json!({"to": "${x}", "lines_per_file": 0, "with_header": "yes"}),
            "lines_per_file: the option `lines_per_file` is 0, which is not a whole number from 1 on | with_header: \
             the option `with_header` is \"yes\", which is neither true nor false",
        );
        let same = json!({"from": "a", "delimiter": "|", "enclosure": "|"});
        check(Reader, "csv", same, ": the option `enclosure` is the same as `delimiter`");
        let open = json!({"from": "a", "delimiter": "${x}", "enclosure": "|", "header": 1});
        check(Reader, "csv", open, "header: the option `header` is 1, which is neither true nor false");
        let storage = json!({"from": {"type": "s3", "storage": "exchange", "file_path": "${x}.csv"}});
        check(Reader, "jsonl", storage, "");
    }

    #[test]
    fn options_are_strict() {
        use ElementKind::{Reader, Writer};
        check(Reader, "xml", json!({}), "false");
        check(Writer, "csv", json!({"to": {"type": "local", "file_path": "a.csv"}}), "true");
        check(
            Reader,
            "csv",
            json!({"from": "a", "delimitr": ";"}),
            "unknown-option: there is no option `delimitr`; did you mean `delimiter`? the options are \
             `from`, `delimiter`, `enclosure`, `header`, `unnamed_columns`, `repeated_columns`, `strict`",
        );
        check(
            Writer,
            "jsonl",
            json!({}),
            "missing-option: the option `to` is missing; add `to` to the element in the connector file",
        );
        let bad = |option: &str, problem: &str| {
            format!(
                "bad-option: the option `{option}` {problem}; correct the option, or the parameter that it takes"
            )
        };
        let no_character =
            |value: &str| format!("is {value}, which is not one printable ASCII character or tab");
        for value in ["", ";;", "é", "\n", "\0"] {
            let problem = no_character(&json!(value).to_string());
            check(Reader, "csv", json!({"from": "a", "delimiter": value}), &bad("delimiter", &problem));
        }
        check(Reader, "csv", json!({"from": "a", "delimiter": "\t", "enclosure": " "}), "true");
        let same = json!({"from": "a", "delimiter": "|", "enclosure": "|"});
        check(Reader, "csv", same, &bad("enclosure", "is the same as `delimiter`"));
        let named = json!({"from": "a", "unnamed_columns": "keep"});
        let none = r#"is "keep", which is not one of `refuse`, `name`, `drop`"#;
        check(Reader, "csv", named, &bad("unnamed_columns", none));
        check(Reader, "csv", json!({"from": "a", "enclosure": "none"}), "true");
        check(Writer, "csv", json!({"to": "a", "enclosure": "none"}), "true");
        let header = json!({"from": "a", "header": "yes"});
        check(Reader, "csv", header, &bad("header", r#"is "yes", which is neither true nor false"#));
        check(Reader, "jsonl", json!({"from": "a", "columns": []}), &bad("columns", "is an empty list"));
        let twice = json!({"from": "a", "columns": ["x", "y", "x"]});
        check(Reader, "jsonl", twice, &bad("columns", "names `x` twice"));
        check(
            Reader,
            "jsonl",
            json!({"from": "a", "columns": [1]}),
            &bad("columns", "is not a list of names"),
        );
    }
}
