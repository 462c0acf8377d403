//! What a browser posts, turned into parameters.
//!
//! Names of inputs: a field has its own name. A column of a table is `mapping.0.from`, a member of a storage is
//! `storage.type`. An input that a browser leaves out when it is empty (a box to tick, a list, a table) has a hidden
//! companion of the same name before it: `false` for a box, an empty text for the others. A field of which nothing was
//! posted stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::texts::{Unfit, is_blank, item_of, value_of};
use super::widget::{ItemKind, ValueKind, Widget};
use super::{Field, InstanceForm, ROWS_MAX, first_name, pointer_of};
use crate::parameters::{ParameterSchema, Violation};

/// The parameters that a posted form stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// The raw parameters: those before, with what was posted. A JSON object.
    ///
    /// A text that cannot be the value of its field is in it as text, so that the form can be shown again as it was
    /// written.
    pub parameters: Value,
    /// The parameters that are new or have another value than before.
    pub set: Map<String, Value>,
    /// The parameters that were there before, and are not any more: their defaults count.
    pub unset: Vec<String>,
    /// The texts that cannot be values of their fields, by path. The schema has not been asked.
    pub violations: Vec<Violation>,
}

impl Posted {
    /// All violations: of texts that cannot be values, and of the schema. There are none if the parameters can be saved.
    ///
    /// `schema` is that of the job. The words are those of [`ParameterSchema::effective`], but for fields with a
    /// sentence of their own.
    pub fn all_violations(&self, form: &InstanceForm, schema: &ParameterSchema) -> Vec<Violation> {
        let found = schema.effective(&self.parameters, &Value::Object(Map::new())).err().unwrap_or_default();
        // What is not in the form may be there although the viewer does not see it.
        let is_seen = |name: &str| form.field(name).is_some() || self.parameters.get(name).is_some();
        let is_new = |violation: &Violation| {
            (violation.path.is_empty() || is_seen(&first_name(&violation.path)))
                && self.violations.iter().all(|own| own.path != violation.path)
        };
        let mut all = self.violations.clone();
        all.extend(found.into_iter().filter(is_new).map(|violation| form.in_words(violation)));
        all.sort_by(|one, other| one.path.cmp(&other.path));
        all
    }

    /// The overrides of a launch: what differs from the effective parameters that the form was filled with, and the
    /// defaults of what was emptied.
    pub fn overrides(&self, form: &InstanceForm) -> Value {
        let default = |name: &String| Some((name.clone(), form.field(name)?.default.clone()?));
        let emptied = self.unset.iter().filter_map(default);
        Value::Object(self.set.clone().into_iter().chain(emptied).collect())
    }
}

impl InstanceForm {
    /// A violation in the words of its field, if the field has such words and the value is there but wrong.
    pub fn in_words(&self, violation: Violation) -> Violation {
        let of_field = self.fields().find(|field| field.pointer == violation.path);
        match of_field.and_then(|field| field.when_invalid.as_ref()) {
            Some(words) if violation.message != "is required" => {
                Violation { message: format!("is not {words}"), ..violation }
            }
            _ => violation,
        }
    }

    /// Turns what a browser posted into parameters. `before` are the raw parameters as they were, or for a launch the
    /// effective ones.
    ///
    /// The form is one that [`seen_by`](Self::seen_by) made: what is not in it, and what is read-only there, stays as it
    /// was, whatever was posted. An empty text is no value, so that the default counts. A field that is not there for
    /// the posted values has no value. A box or a choice with its default, where nothing was set before, stays unset.
    pub fn parameters_of(&self, posted: &[(String, String)], before: &Value) -> Posted {
        let texts = Texts::of(self, posted);
        let old = before.as_object().cloned().unwrap_or_default();
        let (mut new, mut violations) = (old.clone(), Vec::new());
        for field in self.fields().filter(|field| field.is_editable()) {
            let Some(texts) = texts.0.get(field.name.as_str()) else { continue };
            let before = old.get(&field.name);
            let mut reading = Reading { violations: &mut violations };
            match reading.field(&field.pointer, field, texts, before) {
                Some(value) if before.is_none() && field.default.as_ref() == Some(&value) => {}
                Some(value) => {
                    new.insert(field.name.clone(), value);
                }
                None => {
                    new.shift_remove(&field.name);
                }
            }
        }
        let raw = Value::Object(new);
        let inactive = self.inactive(&raw);
        let Value::Object(mut new) = raw else { unreachable!("it was just made an object") };
        for field in self.fields().filter(|field| field.is_editable() && inactive.contains(&field.name)) {
            new.shift_remove(&field.name);
            violations.retain(|violation: &Violation| !is_at(&violation.path, &field.pointer));
        }
        violations.sort_by(|one, other| one.path.cmp(&other.path));
        let differs = |(name, value): &(&String, &Value)| old.get(*name) != Some(*value);
        Posted {
            set: new.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect(),
            unset: old.keys().filter(|name| !new.contains_key(*name)).cloned().collect(),
            parameters: Value::Object(new),
            violations,
        }
    }
}

/// Whether a path is that of a value or of a part of it.
fn is_at(path: &str, pointer: &str) -> bool {
    path.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The posted texts of each field.
struct Texts<'a>(BTreeMap<&'a str, FieldTexts<'a>>);

/// The posted texts of a field: under its own name, and under the names of its parts.
#[derive(Default)]
struct FieldTexts<'a> {
    whole: Vec<&'a str>,
    parts: Vec<(&'a str, &'a str)>,
}

impl<'a> Texts<'a> {
    fn of(form: &'a InstanceForm, posted: &'a [(String, String)]) -> Self {
        let names: BTreeSet<&str> = form.fields().map(|field| field.name.as_str()).collect();
        let mut texts: BTreeMap<&str, FieldTexts<'_>> = BTreeMap::new();
        for (name, text) in posted {
            if let Some(whole) = names.get(name.as_str()) {
                texts.entry(*whole).or_default().whole.push(text);
                continue;
            }
            // A name may hold dots itself: the longest one that is a field is meant.
            let mut ends = name.rmatch_indices('.').map(|(end, _)| end);
            let found = ends.find_map(|end| Some((*names.get(&name[..end])?, &name[end + 1..])));
            if let Some((field, part)) = found {
                texts.entry(field).or_default().parts.push((part, text.as_str()));
            }
        }
        Self(texts)
    }
}

/// The reading of one posted form, which collects what cannot be read.
struct Reading<'a> {
    violations: &'a mut Vec<Violation>,
}

impl Reading<'_> {
    /// The value of a field; `None` if there is none.
    fn field(
        &mut self,
        path: &str,
        field: &Field,
        texts: &FieldTexts<'_>,
        before: Option<&Value>,
    ) -> Option<Value> {
        let whole = texts.whole.iter().rev().find(|text| !text.is_empty());
        match (field.kind, whole) {
            // A value that the widget cannot show was shown as JSON.
            (ValueKind::Table | ValueKind::Storage, Some(text)) => Some(self.text(path, field, text, before)),
            (ValueKind::Table, None) => self.table(path, field, texts),
            (ValueKind::Storage, None) => self.members(path, &field.members, &texts.parts, before),
            (ValueKind::List(kind), _) if field.widget != Widget::Json => {
                self.list(path, field, kind, texts, before)
            }
            // The last one counts: the companion stands before its box.
            _ => texts
                .whole
                .last()
                .filter(|text| !text.is_empty())
                .map(|text| self.text(path, field, text, before)),
        }
    }

    fn text(&mut self, path: &str, field: &Field, text: &str, before: Option<&Value>) -> Value {
        let read = value_of(field, text, before);
        self.kept(path, text, read)
    }

    /// The value, or the text itself with a violation.
    fn kept(&mut self, path: &str, text: &str, read: Result<Value, Unfit>) -> Value {
        read.unwrap_or_else(|Unfit(message)| {
            self.violations.push(Violation { path: path.to_owned(), message });
            Value::from(text)
        })
    }

    /// Entries that were posted one by one, or one on each line.
    fn list(
        &mut self,
        path: &str,
        field: &Field,
        kind: ItemKind,
        texts: &FieldTexts<'_>,
        before: Option<&Value>,
    ) -> Option<Value> {
        // A value that the widget cannot show was shown as JSON.
        if let ([text], Some(before)) = (&texts.whole[..], before.filter(|before| !field.can_hold(before))) {
            let as_json = Field { widget: Widget::Json, ..field.clone() };
            match value_of(&as_json, text, Some(before)) {
                Ok(value) if value.is_array() || value == *before => return Some(value),
                _ => {}
            }
        }
        let lines = texts.whole.iter().flat_map(|text| text.lines()).map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        if self.is_too_long(path, lines.len()) {
            return before.cloned();
        }
        let items = lines
            .iter()
            .enumerate()
            .map(|(index, line)| self.kept(&format!("{path}/{index}"), line, item_of(field, kind, line)));
        given(items.collect(), field)
    }

    fn is_too_long(&mut self, path: &str, length: usize) -> bool {
        if length > ROWS_MAX {
            let message = format!("has {length} entries; a form takes at most {ROWS_MAX}");
            self.violations.push(Violation { path: path.to_owned(), message });
        }
        length > ROWS_MAX
    }

    /// The rows of a table, in the order in which they were posted. Rows in which nothing is written are left out.
    fn table(&mut self, path: &str, field: &Field, texts: &FieldTexts<'_>) -> Option<Value> {
        let (mut order, mut rows): (Vec<&str>, BTreeMap<&str, Vec<(&str, &str)>>) = Default::default();
        for (name, text) in &texts.parts {
            let Some((index, column)) = name.split_once('.') else { continue };
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            rows.entry(index).or_insert_with(|| {
                order.push(index);
                Vec::new()
            });
            rows.entry(index).or_default().push((column, *text));
        }
        if self.is_too_long(path, order.len()) {
            order.truncate(ROWS_MAX);
        }
        let mut table = Vec::new();
        for cells in order.iter().filter_map(|index| rows.get(index)) {
            let row = self.members(&format!("{path}/{}", table.len()), &field.columns, cells, None);
            table.extend(row.filter(|row| !is_blank(field, row)));
        }
        given(table, field)
    }

    /// The members of a storage, or the cells of a row; `None` if nothing is written in any of them.
    fn members(
        &mut self,
        path: &str,
        members: &[Field],
        texts: &[(&str, &str)],
        before: Option<&Value>,
    ) -> Option<Value> {
        let mut object = Map::new();
        for member in members {
            let whole: Vec<&str> =
                texts.iter().filter(|(name, _)| *name == member.name).map(|(_, text)| *text).collect();
            let before = before.and_then(|before| before.get(&member.name));
            let of_member = FieldTexts { whole, parts: Vec::new() };
            let path = format!("{path}{}", pointer_of(&member.name));
            if let Some(value) = self.field(&path, member, &of_member, before) {
                object.insert(member.name.clone(), value);
            }
        }
        // A member that the type does not have was not drawn.
        let counted = Value::Object(object.clone());
        object.retain(|name, _| {
            members.iter().any(|member| member.name == *name && member.when.holds(&counted))
        });
        (!object.is_empty()).then_some(Value::Object(object))
    }
}

/// A list; `None` if it is empty and nothing is lost by that.
fn given(items: Vec<Value>, field: &Field) -> Option<Value> {
    let has_default = field
        .default
        .as_ref()
        .is_some_and(|default| default.as_array().is_none_or(|items| !items.is_empty()));
    (!items.is_empty() || has_default).then_some(Value::Array(items))
}
