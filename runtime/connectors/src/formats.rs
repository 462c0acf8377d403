//! The formats of files, one row for each: its native reader and writer, their options, and the jobs that every
//! installation has.

use serde_json::Value;
use stepbox_batch::element::{ItemReader, ItemWriter, Role};
use stepbox_batch::error::ElementError;

use crate::element_setup::ElementSetup;
use crate::error::ConnectorError;
use crate::storage::STORAGE_TYPES;
use crate::storage::uploads::UPLOAD_TYPE;

pub(crate) mod csv;
mod jsonl;

use self::csv::{CsvReader, CsvWriter};
use self::jsonl::{JsonlReader, JsonlWriter};

/// A format: its name in connector files, and the functions that make its elements.
struct Format {
    /// The name of the reader and of the writer.
    name: &'static str,
    /// The reader's options, in the order of its documentation.
    reader_options: &'static [&'static str],
    /// Makes the reader. The reader opens no file before it is opened itself.
    reader: fn(&ElementSetup) -> Result<Box<dyn ItemReader>, ConnectorError>,
    /// The writer's options, in the order of its documentation.
    writer_options: &'static [&'static str],
    /// Makes the writer. The writer opens no file before it is opened itself.
    writer: fn(&ElementSetup) -> Result<Box<dyn ItemWriter>, ConnectorError>,
    /// The jobs of the format in every installation, as entries of `jobs` in a connector file.
    jobs: &'static str,
}

/// All formats, in the order of the documentation.
const FORMATS: &[Format] = &[
    Format {
        name: "csv",
        reader_options: csv::READER_OPTIONS,
        reader: |setup| Ok(Box::new(CsvReader::new(setup)?)),
        writer_options: csv::WRITER_OPTIONS,
        writer: |setup| Ok(Box::new(CsvWriter::from_setup(setup)?)),
        jobs: include_str!("formats/csv/jobs.yaml"),
    },
    Format {
        name: "jsonl",
        reader_options: jsonl::READER_OPTIONS,
        reader: |setup| Ok(Box::new(JsonlReader::new(setup)?)),
        writer_options: jsonl::WRITER_OPTIONS,
        writer: |setup| Ok(Box::new(JsonlWriter::from_setup(setup)?)),
        jobs: include_str!("formats/jsonl/jobs.yaml"),
    },
];

impl Format {
    fn find(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name == name)
    }

    /// The options of the element of a role, and the option that names its file; `None` if the format has no such
    /// element.
    fn element(&self, role: Role) -> Option<(&'static [&'static str], &'static str)> {
        match role {
            Role::Reader => Some((self.reader_options, "from")),
            Role::Writer => Some((self.writer_options, "to")),
            Role::Processor | Role::Tasklet => None,
        }
    }

    /// Makes an element to check its options.
    fn check(&self, role: Role, options: Value) -> Result<(), ElementError> {
        let setup = ElementSetup::to_check(options);
        match role {
            Role::Writer => (self.writer)(&setup).map(drop)?,
            _ => (self.reader)(&setup).map(drop)?,
        }
        Ok(())
    }
}

/// The names of all native elements of a role.
pub fn native_names(role: Role) -> Vec<&'static str> {
    FORMATS.iter().filter(|format| format.element(role).is_some()).map(|format| format.name).collect()
}

/// The options of a native element; `None` if there is no such element.
pub fn option_names(role: Role, name: &str) -> Option<&'static [&'static str]> {
    Format::find(name)?.element(role).map(|(options, _)| options)
}

/// A native reader from its setup; `None` if there is no such reader.
///
/// The options must not contain templates any more.
///
/// The reader opens no file before it is opened itself, and then only files that its reach allows.
pub fn native_reader(name: &str, setup: &ElementSetup) -> Result<Option<Box<dyn ItemReader>>, ElementError> {
    Ok(Format::find(name).map(|format| (format.reader)(setup)).transpose()?)
}

/// A native writer from its setup; `None` if there is no such writer.
///
/// The options must not contain templates any more.
///
/// The writer opens no file before it is opened itself, and then only files that its reach allows.
pub fn native_writer(name: &str, setup: &ElementSetup) -> Result<Option<Box<dyn ItemWriter>>, ElementError> {
    Ok(Format::find(name).map(|format| (format.writer)(setup)).transpose()?)
}

/// The jobs of all formats that every installation has, as entries of `jobs` in a connector file.
pub fn shipped_jobs() -> String {
    let jobs: Vec<_> = FORMATS.iter().map(|format| format.jobs).collect();
    let types = STORAGE_TYPES.join(", ");
    let jobs = jobs.join("\n").replace("[STORAGE_TYPES]", &format!("[{types}]"));
    jobs.replace("[INPUT_TYPES]", &format!("[{types}, {UPLOAD_TYPE}]"))
}

/// The errors in the options of a native element, found before any run.
///
/// Each error comes with the name of its option; the name is empty if an option is missing or if options do not fit
/// together. Values for which `is_open` is true are known only later, so they are not checked.
pub fn check_options(
    role: Role,
    name: &str,
    options: &Value,
    is_open: impl Fn(&Value) -> bool,
) -> Vec<(String, ElementError)> {
    let Some((format, (_, path))) =
        Format::find(name).and_then(|format| Some((format, format.element(role)?)))
    else {
        return Vec::new();
    };
    let mut given = options.as_object().cloned().unwrap_or_default();
    if given.get(path).is_some_and(&is_open) {
        given.insert(path.to_owned(), Value::from("later"));
    }
    let Err(whole) = format.check(role, Value::Object(given.clone())) else { return Vec::new() };
    let is_given = given.get(path).is_some_and(|value| !value.is_null());
    let mut wrong = Vec::new();
    for (option, value) in given.iter().filter(|(_, value)| !is_open(value)) {
        // Each option is checked alone, together with a path that is valid.
        let alone = [(path, Value::from("later")), (option.as_str(), value.clone())];
        let alone =
            Value::Object(alone.map(|(option, value)| (option.to_owned(), value)).into_iter().collect());
        if !value.is_null()
            && let Err(error) = format.check(role, alone)
        {
            wrong.push((option.clone(), error));
        }
    }
    if !is_given {
        let nothing = format.check(role, Value::Object(serde_json::Map::new()));
        wrong.extend(nothing.err().map(|error| (String::new(), error)));
    }
    // Options that are valid alone may be wrong together.
    if wrong.is_empty() && !given.values().any(is_open) {
        wrong.push((String::new(), whole));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLES: [Role; 2] = [Role::Reader, Role::Writer];

    fn make(role: Role, name: &str, options: &Value) -> Result<bool, ElementError> {
        let setup = ElementSetup::to_check(options.clone());
        match role {
            Role::Writer => Ok(native_writer(name, &setup)?.is_some()),
            _ => Ok(native_reader(name, &setup)?.is_some()),
        }
    }

    fn check(role: Role, name: &str, options: Value, expected: &str) {
        let found = match make(role, name, &options) {
            Ok(is_there) => is_there.to_string(),
            Err(ElementError { code, message, help, .. }) => format!("{code}: {message}; {help}"),
        };
        assert_eq!(found, expected, "{options}");
    }

    #[test]
    fn every_element_has_options_and_reads_each_of_them() {
        for role in ROLES {
            for name in native_names(role) {
                for option in option_names(role, name).unwrap() {
                    let path = if role == Role::Reader { "from" } else { "to" };
                    let mut options = json!({ path: "a" });
                    options[option] = json!(1.5);
                    let error = make(role, name, &options).unwrap_err().to_string();
                    assert!(error.contains(&format!("`{option}`")), "{role:?} {name} {option}: {error}");
                    options[option] = Value::Null;
                    assert_eq!(make(role, name, &options).is_ok(), *option != path, "{option}");
                }
            }
        }
    }

    #[test]
    fn options_are_judged_before_a_run_as_far_as_they_are_known() {
        let check = |role, name: &str, options: Value, expected: &str| {
            let is_open = |value: &Value| value.to_string().contains("${");
            let found = check_options(role, name, &options, is_open).into_iter();
            let shown = found.map(|(option, error)| format!("{option}: {error}")).collect::<Vec<_>>();
            assert_eq!(shown.join(" | "), expected, "{options}");
        };
        use Role::{Reader, Writer};
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
        use Role::{Reader, Writer};
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
