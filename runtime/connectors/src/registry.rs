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
            Err(ElementError::Failed { code, message, help, .. }) => format!("{code}: {message}; {help}"),
            Err(other) => other.to_string(),
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
        let none = r#"is "keep", which is none of `refuse`, `name`, `drop`"#;
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
