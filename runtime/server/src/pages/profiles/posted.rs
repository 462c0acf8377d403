//! What a form of a job profile sends: the profile's own fields, buttons of tables, and the values of parameters.

use serde_json::Value;
use stepbox::batch::form_answer::FormBlock;
use stepbox_web::form::Described;

use crate::conventions::failure::Failure;

/// A form as it was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) code: String,
    pub(super) label: Option<String>,
    /// The version that the form was filled with.
    pub(super) version: Option<u64>,
    /// The tab that was open.
    pub(super) tab: Option<String>,
    pub(super) priority: Option<String>,
    pub(super) is_unique: bool,
    /// The button that changes a table, if it was one of these.
    pub(super) button: Option<TableButton>,
    /// The inputs of parameters.
    pub(super) inputs: Vec<(String, String)>,
}

/// A button that changes a table in a form and shows the form again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TableButton {
    /// Nothing but the form again, which has an empty row at the end of each table.
    Add,
    /// A row goes.
    Remove(String, usize),
    /// A row goes up by one.
    Up(String, usize),
    /// The rows that a component suggests come in.
    Fill(String),
}

impl Sent {
    /// Takes the profile's own fields out of what was sent. Their names begin with `_`, as no parameter in a form does.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        let mut sent = Self::default();
        for (name, text) in pairs {
            match name.as_str() {
                "_code" => sent.code = text.trim().to_owned(),
                "_label" => sent.label = Some(text.trim().to_owned()).filter(|label| !label.is_empty()),
                "_version" => {
                    sent.version = Some(text.parse().map_err(|_| wrong("`_version` is no number"))?)
                }
                "_tab" => sent.tab = Some(text),
                "_priority" => sent.priority = Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
                "_unique" => sent.is_unique = text == "true",
                "_add" => sent.button = Some(TableButton::Add),
                "_fill" => sent.button = Some(TableButton::Fill(text)),
                "_remove" => {
                    sent.button = Some(row(&text).map(|(table, row)| TableButton::Remove(table, row))?)
                }
                "_up" => sent.button = Some(row(&text).map(|(table, row)| TableButton::Up(table, row))?),
                _ => sent.inputs.push((name, text)),
            }
        }
        Ok(sent)
    }
}

impl Sent {
    /// Does what the pressed button asks, if one was pressed.
    pub(super) fn press(&self, values: &mut Value, described: &[Described]) {
        if let Some(button) = &self.button {
            button.press(values, described);
        }
    }
}

fn wrong(what: &str) -> Failure {
    Failure::bad_request("body-invalid", format!("the form is not what is expected: {what}"))
}

/// A table and the number of one of its rows: `mapping.3`.
fn row(text: &str) -> Result<(String, usize), Failure> {
    let parts = text.rsplit_once('.').and_then(|(table, row)| Some((table.to_owned(), row.parse().ok()?)));
    parts.ok_or_else(|| wrong("there is no such row"))
}

impl TableButton {
    /// Changes the table in the values of the form.
    fn press(&self, values: &mut Value, described: &[Described]) {
        if let (Self::Fill(table), Some(values)) = (self, values.as_object_mut()) {
            if let Some(rows) = suggested(described, table) {
                values.insert(table.clone(), rows);
            }
            return;
        }
        let (Self::Remove(table, row) | Self::Up(table, row)) = self else { return };
        let Some(rows) = values.get_mut(table).and_then(Value::as_array_mut) else { return };
        if *row >= rows.len() {
            return;
        }
        match self {
            Self::Up(..) if *row > 0 => rows.swap(*row - 1, *row),
            Self::Remove(..) => {
                rows.remove(*row);
            }
            _ => {}
        }
    }
}

/// The rows that a component suggests for a table.
fn suggested(described: &[Described], table: &str) -> Option<Value> {
    let blocks =
        described.iter().filter_map(|one| one.answer.as_ref().ok()).flat_map(|answer| &answer.blocks);
    let mut tables = blocks.filter_map(|block| match block {
        FormBlock::Table(said) if said.parameter == table => Some(said),
        _ => None,
    });
    tables.next().map(|said| said.defaults.iter().cloned().map(Value::Object).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_profiles_own_fields_are_no_parameters() {
        let pairs = [("_code", " a "), ("_version", "7"), ("_tab", "x"), ("url", "u"), ("_up", "mapping.1")];
        let sent = Sent::of(pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into()).unwrap();
        assert_eq!((sent.code.as_str(), sent.version, sent.inputs.len()), ("a", Some(7), 1));
        assert_eq!(sent.button, Some(TableButton::Up("mapping".to_owned(), 1)));
        for (name, text) in [("_version", "x"), ("_remove", "mapping"), ("_up", "mapping.-1")] {
            assert!(Sent::of(vec![(name.to_owned(), text.to_owned())]).is_err(), "{name}={text}");
        }
    }

    #[test]
    fn buttons_change_a_row_of_a_table_and_nothing_else() {
        let rows = [
            (TableButton::Add, json!([1, 2, 3])),
            (TableButton::Remove("t".to_owned(), 1), json!([1, 3])),
            (TableButton::Up("t".to_owned(), 2), json!([1, 3, 2])),
            (TableButton::Up("t".to_owned(), 0), json!([1, 2, 3])),
            (TableButton::Remove("t".to_owned(), 9), json!([1, 2, 3])),
            (TableButton::Remove("other".to_owned(), 0), json!([1, 2, 3])),
        ];
        for (button, expected) in rows {
            let mut values = json!({ "t": [1, 2, 3] });
            button.press(&mut values, &[]);
            assert_eq!(values["t"], expected, "{button:?}");
        }
    }
}
