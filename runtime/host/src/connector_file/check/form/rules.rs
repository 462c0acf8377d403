//! The rules about a form as a whole: places, widgets, conditions and required fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stepbox_batch::instance_form::{
    Condition, EntryLayout, Field, FieldChange, FieldLayout, FormChanges, FormLayout, InstanceForm, Mode,
    Place, ReadOnly, TABS_MAX, TabChange, TabLayout, Test, ValueKind, Widget,
};
use stepbox_batch::nearest::nearest;
use stepbox_batch::parameters::ParameterSchema;

use super::super::super::{Mistake, part};
use super::FormScope;

/// Where the file names fields and tabs.
pub(super) struct Places<'a> {
    pub(super) fields: &'a BTreeMap<String, String>,
    pub(super) tabs: &'a BTreeMap<String, String>,
}

impl Places<'_> {
    /// The place of a field, or else of its tab, or else of the form.
    fn of(&self, scope: &FormScope<'_>, tab: &str, field: &str) -> String {
        let found = self.fields.get(field).or_else(|| self.tabs.get(tab));
        found.cloned().unwrap_or_else(|| format!("{}/form", scope.pointer))
    }
}

pub(super) fn check(
    scope: &FormScope<'_>,
    changes: &FormChanges,
    layout: &FormLayout,
    places: &Places<'_>,
) -> Vec<Mistake> {
    let (mut mistakes, mut possible) = (too_many_tabs(scope, layout), Possible::default());
    // A hidden field has a kind, too.
    let mut whole = layout.clone();
    whole.tabs.iter_mut().for_each(|tab| tab.hide = false);
    let form = InstanceForm::new(scope.schema, Some(&unhidden(whole)));
    for change in &changes.tabs {
        mistakes.extend(misplaced(change, layout, places));
        for field in change.fields() {
            let pointer = places.of(scope, &change.code, &field.name);
            if let Some(found) = form.field(&field.name) {
                mistakes.extend(unfit(&pointer, field, found));
            }
            if let Some(when) = &field.options.when {
                mistakes.extend(never(&mut possible, scope, &format!("{pointer}/when"), when, &form));
            }
        }
        if let (Some(when), Some(pointer)) = (&change.when, places.tabs.get(&change.code)) {
            mistakes.extend(never(&mut possible, scope, &format!("{pointer}/when"), when, &form));
        }
    }
    mistakes.extend(circle(scope, layout, places));
    mistakes.extend(required_hidden(scope, layout, places));
    mistakes
}

/// The same layout with all fields drawn.
fn unhidden(mut layout: FormLayout) -> FormLayout {
    for entry in layout.tabs.iter_mut().flat_map(|tab| &mut tab.entries) {
        let fields = match entry {
            EntryLayout::Field(field) => std::slice::from_mut(field),
            EntryLayout::Group(group) => &mut group.fields[..],
        };
        fields.iter_mut().for_each(|field| field.options.hide = None);
    }
    layout
}

pub(super) fn unknown_field(pointer: &str, message: String, name: &str, known: &[&str]) -> Mistake {
    let help = match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "declare it under `parameters`".to_owned(),
        None => format!("known are {}", known.join(", ")),
    };
    Mistake::new("form-field-unknown", pointer, message).help(help)
}

/// Tabs beside tabs that are not there, and fields beside fields of other tabs.
fn misplaced(change: &TabChange, layout: &FormLayout, places: &Places<'_>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let key = |place: &Place| if matches!(place, Place::After(_)) { "after" } else { "before" };
    if let (Some(place), Some(pointer)) = (&change.place, places.tabs.get(&change.code)) {
        let others: Vec<&str> =
            layout.tabs.iter().map(|tab| tab.code.as_str()).filter(|code| *code != change.code).collect();
        if !others.contains(&place.name()) {
            let message = format!("the form has no other tab `{}`", place.name());
            let help = match nearest(place.name(), others.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("its other tabs are {}", others.join(", ")),
            };
            let pointer = format!("{pointer}/{}", key(place));
            mistakes.push(Mistake::new("form-tab-unknown", pointer, message).help(help));
        }
    }
    let Some(tab) = layout.tabs.iter().find(|tab| tab.code == change.code) else { return mistakes };
    for field in change.fields() {
        let (Some(place), Some(pointer)) = (&field.place, places.fields.get(&field.name)) else { continue };
        let others: Vec<&str> =
            tab.fields().map(|other| other.name.as_str()).filter(|other| *other != field.name).collect();
        if !others.contains(&place.name()) {
            let message = format!("the tab `{}` has no other field `{}`", change.code, place.name());
            mistakes.push(unknown_field(
                &format!("{pointer}/{}", key(place)),
                message,
                place.name(),
                &others,
            ));
        }
    }
    mistakes
}

/// Options that do not go with the value of the field.
fn unfit(pointer: &str, change: &FieldChange, field: &Field) -> Vec<Mistake> {
    let FieldChange { name, options, .. } = change;
    let mut mistakes = Vec::new();
    let format = field.constraints.format.as_deref();
    if let Some(widget) = options.widget.filter(|widget| !widget.fits(field.kind, format)) {
        let fitting = Widget::ALL.iter().filter(|widget| widget.fits(field.kind, format));
        let fitting: Vec<_> = fitting.map(|widget| widget.as_str()).collect();
        let what = field.kind.as_str();
        let message = format!("the widget `{}` does not fit `{name}`, which is {what}", widget.as_str());
        let mistake = Mistake::new("form-widget-unfit", format!("{pointer}/widget"), message);
        mistakes.push(mistake.help(format!("these fit: {}", fitting.join(", "))));
    }
    let is_table = field.kind == ValueKind::Table;
    let takes_text =
        matches!(field.kind, ValueKind::Text | ValueKind::List(_) | ValueKind::Integer | ValueKind::Number);
    let wrong = [
        ("columns", options.columns.is_some() && !is_table, "a table"),
        ("reorder", options.reorder.is_some() && !is_table, "a table"),
        ("suggest", options.suggest.is_some() && !takes_text, "a text, a number or a list"),
    ];
    for (key, _, needed) in wrong.into_iter().filter(|(_, is_wrong, _)| *is_wrong) {
        let message = format!("`{key}` is for {needed}, and `{name}` is {}", field.kind.as_str());
        mistakes.push(Mistake::new("form-widget-unfit", format!("{pointer}/{key}"), message));
    }
    let columns: Vec<&str> = field.columns.iter().map(|column| column.name.as_str()).collect();
    let named = options.columns.iter().flatten().filter(|_| is_table);
    for (column, _) in named.filter(|(column, _)| !columns.contains(&column.as_str())) {
        let message = format!("the table `{name}` has no column `{column}`");
        mistakes.push(unknown_field(
            &format!("{pointer}/columns/{}", part(column)),
            message,
            column,
            &columns,
        ));
    }
    mistakes
}

/// Conditions that no parameters fulfil.
fn never(
    possible: &mut Possible,
    scope: &FormScope<'_>,
    pointer: &str,
    when: &Condition,
    form: &InstanceForm,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for clause in &when.all {
        let name = &clause.parameter;
        let Some(field) = form.field(name) else { continue };
        let mut refuse = |message: String, help: String| {
            let pointer = format!("{pointer}/{}", part(name));
            mistakes.push(Mistake::new("form-condition-never", pointer, message).help(help));
        };
        match &clause.test {
            Test::Set(true) => {}
            Test::Set(false) if field.required || field.default.is_some() => {
                let why = if field.required { "is required" } else { "has a default" };
                refuse(format!("`{name}` {why}, so it is always set"), "leave the condition out".to_owned());
            }
            Test::Set(false) => {}
            Test::OneOf(values) if values.is_empty() => {
                refuse(format!("no value of `{name}` is in an empty list"), "name a value".to_owned());
            }
            Test::OneOf(values) => {
                for value in values.iter().filter(|value| !possible.holds(scope.schema, name, value)) {
                    let options: Vec<_> =
                        field.options.iter().map(|choice| choice.value.to_string()).collect();
                    let help = match options.is_empty() {
                        true => format!("`{name}` is {}", field.kind.as_str()),
                        false => format!("its values are {}", options.join(", ")),
                    };
                    refuse(format!("{value} is never the value of `{name}`"), help);
                }
            }
        }
    }
    mistakes
}

/// The validators of single parameters; `None` for those that cannot be judged alone.
#[derive(Default)]
struct Possible(BTreeMap<String, Option<ParameterSchema>>);

impl Possible {
    /// Whether the schema lets a parameter have a value.
    fn holds(&mut self, schema: &Value, name: &str, value: &Value) -> bool {
        let alone = self.0.entry(name.to_owned()).or_insert_with(|| {
            let definitions = schema.get("$defs").cloned().unwrap_or_else(|| json!({}));
            let property = &schema["properties"][name];
            ParameterSchema::new(&json!({ "$defs": definitions, "properties": { name: property } })).ok()
        });
        alone.as_ref().is_none_or(|alone| alone.effective(&json!({ name: value }), &json!({})).is_ok())
    }
}

/// Tabs of the extended job count, too.
fn too_many_tabs(scope: &FormScope<'_>, layout: &FormLayout) -> Vec<Mistake> {
    let tabs = layout.tabs.len();
    if tabs <= TABS_MAX {
        return Vec::new();
    }
    let message = format!("the form has {tabs} tabs; it may have {TABS_MAX}");
    vec![Mistake::new("form-too-large", format!("{}/form", scope.pointer), message).help("join some of them")]
}

/// The first conditions that wait for each other.
fn circle(scope: &FormScope<'_>, layout: &FormLayout, places: &Places<'_>) -> Option<Mistake> {
    let asks = |tab: &TabLayout, field: &FieldLayout| {
        let own = field.options.when.iter().flat_map(Condition::parameters);
        let names: Vec<String> = tab.when.parameters().chain(own).map(str::to_owned).collect();
        (field.name.clone(), (tab.code.clone(), names))
    };
    let asks: BTreeMap<String, (String, Vec<String>)> =
        layout.fields().map(|(tab, field)| asks(tab, field)).collect();
    let mut settled = BTreeSet::new();
    let found = asks.keys().find_map(|name| walk(name, &asks, &mut Vec::new(), &mut settled))?;
    let first = found.first()?;
    let (tab, _) = asks.get(first)?;
    let path: Vec<_> = found.iter().chain([first]).map(|name| format!("`{name}`")).collect();
    let message = format!("whether `{first}` is there depends on itself: {}", path.join(" → "));
    let mistake = Mistake::new("form-condition-cycle", places.of(scope, tab, first), message);
    Some(mistake.help("leave one of the conditions out"))
}

fn walk(
    name: &str,
    asks: &BTreeMap<String, (String, Vec<String>)>,
    path: &mut Vec<String>,
    settled: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(begins) = path.iter().position(|known| known == name) {
        return Some(path[begins..].to_vec());
    }
    if settled.contains(name) {
        return None;
    }
    path.push(name.to_owned());
    let next = asks.get(name).map(|(_, names)| names.as_slice()).unwrap_or_default();
    let found = next.iter().find_map(|next| walk(next, asks, path, settled));
    path.pop();
    settled.insert(name.to_owned());
    found
}

/// Required parameters that a form may not ask for, so that an instance could not be created with it.
fn required_hidden(scope: &FormScope<'_>, layout: &FormLayout, places: &Places<'_>) -> Vec<Mistake> {
    let required = scope.schema.get("required").and_then(Value::as_array);
    let required: BTreeSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let has_default = |name: &str| scope.schema["properties"][name].get("default").is_some();
    let fields = layout
        .fields()
        .filter(|(_, field)| required.contains(field.name.as_str()) && !has_default(&field.name));
    let mut mistakes = Vec::new();
    for (tab, field) in fields {
        let name = &field.name;
        let options = &field.options;
        let is_conditional =
            !tab.when.is_empty() || options.when.as_ref().is_some_and(|when| !when.is_empty());
        let why = if is_conditional {
            "may not be there"
        } else if tab.hide || options.hide == Some(true) {
            "is hidden"
        } else if options.modes.as_ref().is_some_and(|modes| !modes.contains(&Mode::Create)) {
            "is not there when an instance is created"
        } else if options.read_only == Some(ReadOnly::Always) {
            "is read-only"
        } else {
            continue;
        };
        let message = format!("`{name}` is required and has no default, and {why}");
        let help = match is_conditional {
            true => format!(
                "take it out of `required`, and require it where it is there: \
                 `allOf: [{{ if: {{ … the condition … }}, then: {{ required: [{name}] }} }}]`"
            ),
            false => "give it a default, or let people write it".to_owned(),
        };
        let pointer = places.of(scope, &tab.code, name);
        mistakes.push(Mistake::new("form-required-hidden", pointer, message).help(help));
    }
    mistakes
}
