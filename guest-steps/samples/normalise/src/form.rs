//! What the step knows about the form: names for the columns of the source, and how numbers and dates will look.

use serde::Deserialize;
use stepbox_step::form::{Answer, Choice, Question, Table, TableColumn, Tone};
use stepbox_step::{FormDescriber, StepError, json};

use crate::date::{Date, DateFormat};
use crate::{Mapping, Normalise};

/// The fields that catalogues usually have, each with other names for it.
const FIELDS: [(&str, &[&str]); 10] = [
    ("identifier", &["sku", "id", "code", "article", "item"]),
    ("name", &["title", "label"]),
    ("description", &["text"]),
    ("categories", &["category", "group"]),
    ("enabled", &["active", "status"]),
    ("price", &["amount"]),
    ("weight", &[]),
    ("weight_unit", &["unit"]),
    ("released_on", &["released", "release_date", "since"]),
    ("ean", &["gtin", "barcode"]),
];

/// An answer has no longer texts, and no more rows than this.
const NAME_BYTES_MAX: usize = 1024;
const ROWS_MAX: usize = 1000;

impl FormDescriber for Normalise {
    fn describe_form(question: &Question) -> Result<Answer, StepError> {
        match question.what.as_str() {
            "decimalSeparator" | "dateFormat" => Ok(formats(question)),
            _ => Ok(mapping(question)),
        }
    }
}

/// The values of the form that matter here. A value that is none yet counts as not there.
fn value<T: for<'de> Deserialize<'de>>(question: &Question, name: &str) -> Option<T> {
    T::deserialize(question.parameters.get(name)?).ok()
}

/// Shows a number and a date as they will be written.
fn formats(question: &Question) -> Answer {
    let separator: String = value(question, "decimalSeparator").unwrap_or_else(|| ".".to_owned());
    let format: String = value(question, "dateFormat").unwrap_or_else(|| "yyyy-MM-dd".to_owned());
    let format = match DateFormat::parse(&format) {
        Ok(format) => format,
        Err(problem) => return Answer::new().note(Tone::Problem, format!("the date format: {problem}")),
    };
    let (number, date) = ("12.50", "2024-03-05");
    let mut written = String::new();
    if let Some(date) = Date::parse(date.as_bytes()) {
        format.write(date, &mut written);
    }
    let rows = [(number, number.replace('.', &separator)), (date, written)];
    Answer::new().preview(
        vec!["as it is".to_owned(), "as it is written".to_owned()],
        rows.map(|(read, written)| vec![read.to_owned(), written]).into(),
    )
}

/// Suggests a name for each column of the source.
fn mapping(question: &Question) -> Answer {
    let names = question.header.iter().map(String::as_str);
    let header: Vec<&str> = names.filter(|name| name.len() <= NAME_BYTES_MAX).take(ROWS_MAX).collect();
    let mapped: Vec<Mapping> = value(question, "mapping").unwrap_or_default();
    let from = if header.is_empty() { TableColumn::any() } else { TableColumn::one_of(choices(&header)) };
    let mut table = Table::of("/mapping")
        .column("from", from)
        .column("to", TableColumn::suggesting(FIELDS.map(|(field, _)| field)))
        .column("keep", TableColumn::any());
    for (from, to) in suggestions(&header) {
        table = table.default(json!({ "from": from, "to": to, "keep": true }));
    }
    notes(&header, &mapped)
        .into_iter()
        .fold(Answer::new(), |answer, (tone, text)| answer.note(tone, text))
        .table(table)
}

/// The columns of the source, each with the field that it looks like.
fn choices(header: &[&str]) -> Vec<Choice> {
    let choice = |name: &&str| match field_of(name) {
        Some(field) => Choice::of(name).hint(&format!("looks like `{field}`")),
        None => Choice::of(name),
    };
    header.iter().map(choice).collect()
}

/// A name for each column: the field that it looks like, unless an earlier column has taken that one.
fn suggestions<'a>(header: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut taken: Vec<&str> = Vec::new();
    let name_of = |column: &'a str| {
        let field = field_of(column).filter(|field| !taken.contains(field) && !header.contains(field));
        taken.extend(field);
        (column, field.unwrap_or(column))
    };
    header.iter().copied().map(name_of).collect()
}

/// `Name-en_US`, `NAME` and `title` look like `name`.
fn field_of(column: &str) -> Option<&'static str> {
    let plain = column.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let is_one = |name: &str| {
        let known = FIELDS.iter().find(|(field, others)| *field == name || others.contains(&name))?;
        Some(known.0)
    };
    // Without the language or the currency at the end, too.
    is_one(&plain).or_else(|| is_one(column.split_once('-')?.0.trim().to_lowercase().as_str()))
}

/// What a run would do with the mapping as it stands.
fn notes(header: &[&str], mapped: &[Mapping]) -> Vec<(Tone, String)> {
    if header.is_empty() {
        return vec![(Tone::Info, "Choose a source: its columns are suggested here then.".to_owned())];
    }
    let is_mapped = |column: &&&str| mapped.iter().any(|mapping| mapping.from == **column);
    let (count, all) = (header.iter().filter(is_mapped).count(), header.len());
    let tone = if count == all { Tone::Success } else { Tone::Info };
    let mut notes =
        vec![(tone, format!("{count} of {all} columns are mapped; the others keep their names."))];
    let missing = mapped.iter().find(|mapping| !header.contains(&mapping.from.as_str()));
    if let Some(mapping) = missing {
        let name: String = mapping.from.chars().take(100).collect();
        notes.push((Tone::Problem, format!("The source has no column `{name}`: a run would fail.")));
    }
    notes
}

#[cfg(test)]
mod tests {
    use stepbox_step::testing::{Value, describe_form};

    use super::*;

    const CATALOGUE: [&str; 5] = ["sku", "name-en_US", "name-de_DE", "price-EUR", "colour"];

    #[test]
    fn suggests_a_name_for_each_column() {
        let answer = describe_form::<Normalise>(json!({ "mapping": [] }), &CATALOGUE).unwrap();
        let [note, table] = answer["blocks"].as_array().unwrap().as_slice() else { panic!("{answer}") };
        assert_eq!(note["note"], "0 of 5 columns are mapped; the others keep their names.");
        let row =
            |row: &Value| format!("{} → {}", row["from"].as_str().unwrap(), row["to"].as_str().unwrap());
        let rows: Vec<_> = table["table"]["defaults"].as_array().unwrap().iter().map(row).collect();
        let expected = [
            "sku → identifier",
            "name-en_US → name",
            "name-de_DE → name-de_DE",
            "price-EUR → price",
            "colour → colour",
        ];
        assert_eq!(rows, expected);
        let from = &table["table"]["columns"]["from"];
        assert_eq!(from["options"][0], json!({ "value": "sku", "hint": "looks like `identifier`" }));
        assert_eq!((&from["free"], &from["options"][4]), (&json!(false), &json!({ "value": "colour" })));
        assert_eq!(table["table"]["columns"]["to"]["free"], true);
    }

    #[test]
    fn says_what_a_run_would_do() {
        let check = |mapping: Value, header: &[&str], expected: &[(&str, &str)]| {
            let answer = describe_form::<Normalise>(json!({ "mapping": mapping }), header).unwrap();
            let notes = answer["blocks"].as_array().unwrap().iter().filter(|block| block["note"].is_string());
            let notes = notes.map(|note| (note["tone"].as_str().unwrap(), note["note"].as_str().unwrap()));
            assert_eq!(notes.collect::<Vec<_>>(), expected, "{mapping}");
        };
        let rows = json!([{ "from": "sku", "to": "id" }, { "from": "gone", "to": "x" }]);
        check(
            rows.clone(),
            &["sku"],
            &[
                ("success", "1 of 1 columns are mapped; the others keep their names."),
                ("problem", "The source has no column `gone`: a run would fail."),
            ],
        );
        check(rows, &[], &[("info", "Choose a source: its columns are suggested here then.")]);
        // What somebody is still typing is no mistake of the step.
        check(
            json!("half"),
            &["sku"],
            &[("info", "0 of 1 columns are mapped; the others keep their names.")],
        );
    }

    #[test]
    fn shows_how_numbers_and_dates_are_written() {
        let ask = |parameters: Value| {
            let Value::Object(parameters) = parameters else { panic!("{parameters}") };
            let question = Question {
                what: "dateFormat".to_owned(),
                parameters,
                header: Vec::new(),
                language: "en".to_owned(),
            };
            Normalise::describe_form(&question).unwrap().to_json().unwrap()
        };
        let shown = ask(json!({ "decimalSeparator": ",", "dateFormat": "d.M.yy" }));
        assert!(shown.contains(r#"[["12.50","12,50"],["2024-03-05","5.3.24"]]"#), "{shown}");
        let wrong = ask(json!({ "dateFormat": "dd MMM" }));
        assert!(wrong.contains(r#""tone":"problem""#), "{wrong}");
    }
}
