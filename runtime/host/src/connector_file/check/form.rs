//! The form of a job: what the keys of `form:` mean, and whether they fit the job's parameters.

mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stepbox_batch::access::Role;
use stepbox_batch::instance_form::{
    Clause, Condition, Describer, EntryChange, FIELDS_MAX, FORM_DEPTH_MAX, FieldChange, FieldOptions,
    FormChanges, FormLayout, GroupChange, NeededRight, Place, ReadOnly, TABS_MAX, TabChange, TabRight, Test,
};
use stepbox_batch::name::StepName;
use stepbox_batch::nearest::nearest;

use super::super::{ComponentSource, Mistake, Mistakes, part, shape};
use super::{check_label, named};

/// The rights that a connector declares, by name.
pub(super) struct DeclaredRights(BTreeMap<String, NeededRight>);

impl DeclaredRights {
    pub(super) fn new(declared: Option<shape::Ordered<shape::DeclaredRight>>) -> Result<Self, Mistakes> {
        let rights = declared.into_iter().flat_map(|declared| declared.0).map(|(name, right)| {
            let pointer = format!("/rights/{}", part(&name));
            named(&pointer, StepName::new(&name))?;
            if role(&name).is_some() {
                let message = format!("`{name}` is a role, so it cannot be the name of another right");
                return Err(Mistake::new("bad-name", pointer, message)
                    .help("give the right another name")
                    .into());
            }
            let label = check_label(&format!("{pointer}/label"), right.label)?;
            Ok((name.clone(), NeededRight { name, label: Some(label), from: right.from }))
        });
        Ok(Self(Mistakes::none_in(rights)?.into_iter().collect()))
    }

    /// Refuses a right that nothing needs: it would be given to people in vain.
    pub(super) fn refuse_unused<'a>(
        &self,
        layouts: impl Iterator<Item = &'a FormLayout>,
    ) -> Result<(), Mistakes> {
        let used: BTreeSet<&str> =
            layouts.flat_map(FormLayout::rights).map(|right| right.name.as_str()).collect();
        let unused = self.0.keys().filter(|name| !used.contains(name.as_str())).map(|name| {
            let message = format!("no tab and no field of the connector needs the right `{name}`");
            let mistake = Mistake::new("form-right-unused", format!("/rights/{}", part(name)), message);
            Err(mistake.help(format!("name it in a tab as `right: {name}`, or leave it out")).into())
        });
        Mistakes::none_in::<()>(unused).map(drop)
    }

    /// A role, or a declared right.
    fn named(&self, pointer: &str, name: &str) -> Result<NeededRight, Mistake> {
        if let Some(from) = role(name) {
            return Ok(NeededRight { name: name.to_owned(), label: None, from });
        }
        self.0.get(name).cloned().ok_or_else(|| {
            let known =
                || Role::ALL.iter().map(|role| role.as_str()).chain(self.0.keys().map(String::as_str));
            let help = match nearest(name, known()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "declare it under `rights` at the top of the file, or name one of: {}",
                    known().collect::<Vec<_>>().join(", ")
                ),
            };
            Mistake::new("form-right-unknown", pointer, format!("there is no right `{name}`")).help(help)
        })
    }
}

fn role(name: &str) -> Option<Role> {
    name.parse().ok()
}

/// What the form of a job is checked against.
pub(super) struct FormScope<'a> {
    /// The pointer of the job.
    pub(super) pointer: &'a str,
    pub(super) components: &'a BTreeMap<String, ComponentSource>,
    pub(super) rights: &'a DeclaredRights,
    /// All parameters of the job.
    pub(super) schema: &'a Value,
    /// The names of the job's steps.
    pub(super) steps: BTreeSet<&'a str>,
}

/// The layout of a job's form; `None` if it follows the schema. `base` is the layout of the job that it extends.
pub(super) fn layout(
    scope: &FormScope<'_>,
    base: Option<&FormLayout>,
    form: Option<shape::Form>,
    launch: Option<Vec<String>>,
) -> Result<FormLayout, Mistakes> {
    if let Some(mistake) = too_large(scope, form.as_ref()) {
        return Err(mistake.into());
    }
    let mut reading = Reading { scope, mistakes: Vec::new(), places: BTreeMap::new(), tabs: BTreeMap::new() };
    let tabs = form.map(|form| form.tabs.0).unwrap_or_default();
    let tabs = tabs.into_iter().map(|(code, tab)| reading.tab(code, tab)).collect();
    for (index, name) in launch.iter().flatten().enumerate() {
        reading.known(&format!("{}/launch/{index}", scope.pointer), name);
    }
    let launch = launch.map(|names| names.into_iter().collect());
    let changes = FormChanges { tabs, launch };
    let Reading { mut mistakes, places, tabs, .. } = reading;
    let layout = FormLayout::changed(base, &changes, scope.schema);
    // The rules are about the whole, so its parts must be right.
    if mistakes.is_empty() {
        mistakes = rules::check(scope, &changes, &layout, &rules::Places { fields: &places, tabs: &tabs });
    }
    if mistakes.is_empty() { Ok(layout) } else { Err(Mistakes(mistakes)) }
}

/// The reading of one `form:`, which collects its mistakes.
struct Reading<'a> {
    scope: &'a FormScope<'a>,
    mistakes: Vec<Mistake>,
    /// Where the file names each field.
    places: BTreeMap<String, String>,
    /// Where the file has each tab.
    tabs: BTreeMap<String, String>,
}

impl Reading<'_> {
    fn refuse(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// The value, or a mistake that is noted.
    fn noted<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.refuse(mistake)).ok()
    }

    fn tab(&mut self, code: String, tab: shape::FormTab) -> TabChange {
        let shape::FormTab { label, after, before, icon, right, when, described_by, hide, fields } = tab;
        let pointer = format!("{}/form/tabs/{}", self.scope.pointer, part(&code));
        self.tabs.insert(code.clone(), pointer.clone());
        let code_checked = named(&pointer, StepName::new(&code));
        self.noted(code_checked);
        let label = label.and_then(|label| {
            let label = check_label(&format!("{pointer}/label"), label);
            self.noted(label)
        });
        let entries = self.entries(&format!("{pointer}/fields"), fields);
        TabChange {
            label,
            place: self.place(&pointer, after, before),
            icon,
            right: right.map(|right| self.tab_right(&format!("{pointer}/right"), right)),
            when: when.map(|when| self.condition(&format!("{pointer}/when"), when)),
            described_by: described_by.and_then(|name| self.describer(&pointer, name)),
            hide,
            entries,
            code,
        }
    }

    fn tab_right(&mut self, pointer: &str, right: shape::FormRight) -> TabRight {
        let scope = self.scope;
        let mut named = |pointer: String, name: Option<String>| {
            let right = name.map(|name| scope.rights.named(&pointer, &name)).transpose();
            self.noted(right).flatten()
        };
        match right {
            shape::FormRight::Both(name) => {
                TabRight { see: named(pointer.to_owned(), Some(name)), edit: None }
            }
            shape::FormRight::Each(each) => TabRight {
                see: named(format!("{pointer}/see"), each.see),
                edit: named(format!("{pointer}/edit"), each.edit),
            },
        }
    }

    fn entries(&mut self, pointer: &str, entries: Vec<shape::FormEntry>) -> Vec<EntryChange> {
        let entries = entries.into_iter().enumerate();
        entries
            .map(|(index, entry)| {
                let pointer = format!("{pointer}/{index}");
                match entry {
                    shape::FormEntry::Field(name, keys) => {
                        EntryChange::Field(self.field(&pointer, name, *keys))
                    }
                    shape::FormEntry::Group(group) => EntryChange::Group(self.group(&pointer, group)),
                }
            })
            .collect()
    }

    fn group(&mut self, pointer: &str, group: shape::FormGroup) -> GroupChange {
        let shape::FormGroup { label, folded, fields } = group;
        let checked = check_label(&format!("{pointer}/group"), label.clone());
        self.noted(checked);
        let fields = fields.into_iter().enumerate().filter_map(|(index, entry)| {
            let pointer = format!("{pointer}/fields/{index}");
            match entry {
                shape::FormEntry::Field(name, keys) => Some(self.field(&pointer, name, *keys)),
                shape::FormEntry::Group(inner) => {
                    let message = format!("the group `{}` is in another group", inner.label);
                    let help = format!(
                        "a form is at most {FORM_DEPTH_MAX} deep: a tab, a group in it, and its fields"
                    );
                    self.refuse(Mistake::new("form-too-large", pointer, message).help(help));
                    None
                }
            }
        });
        GroupChange { label, folded, fields: fields.collect() }
    }

    fn field(&mut self, pointer: &str, name: String, keys: shape::FormField) -> FieldChange {
        let pointer = format!("{pointer}/{}", part(&name));
        self.known(&pointer, &name);
        if let Some(first) = self.places.get(&name) {
            let message = format!("the field `{name}` stands in the form twice");
            let help = format!("keep one of them; the other one is at `{first}`");
            self.refuse(Mistake::new("form-field-twice", pointer.clone(), message).help(help));
        }
        self.places.insert(name.clone(), pointer.clone());
        let place = self.place(&pointer, keys.after.clone(), keys.before.clone());
        if let Some(place) = &place {
            let key = if matches!(place, Place::After(_)) { "after" } else { "before" };
            self.known(&format!("{pointer}/{key}"), place.name());
        }
        let options = self.options(&pointer, keys);
        FieldChange { name, place, options }
    }

    fn options(&mut self, pointer: &str, keys: shape::FormField) -> FieldOptions {
        if let Some(url) = keys.help_url.as_deref().filter(|url| !is_link(url)) {
            let message = format!("`{url}` is not a link: links begin with `https://`");
            self.refuse(Mistake::new("form-link-unfit", format!("{pointer}/help_url"), message));
        }
        if let Some(step) = keys.test.as_deref().filter(|step| !self.scope.steps.contains(step)) {
            let message = format!("the job has no step `{step}`");
            let help = nearest(step, self.scope.steps.iter().copied());
            let help = help.map(|nearest| format!("did you mean `{nearest}`?")).unwrap_or_default();
            self.refuse(Mistake::new("unknown-step", format!("{pointer}/test"), message).help(help));
        }
        FieldOptions {
            widget: keys.widget,
            placeholder: keys.placeholder,
            help: keys.help,
            help_url: keys.help_url,
            when: keys.when.map(|when| self.condition(&format!("{pointer}/when"), when)),
            when_invalid: keys.when_invalid,
            read_only: keys.read_only.and_then(|rule| self.read_only(pointer, rule)),
            modes: keys.r#in,
            suggest: keys.suggest,
            test: keys.test,
            columns: keys.columns.map(|columns| columns.0),
            reorder: keys.reorder,
            described_by: keys.described_by.and_then(|name| self.describer(pointer, name)),
            width: keys.width,
            hide: keys.hide,
        }
    }

    fn read_only(&mut self, pointer: &str, rule: shape::FormReadOnly) -> Option<ReadOnly> {
        match rule {
            shape::FormReadOnly::Always(true) => Some(ReadOnly::Always),
            shape::FormReadOnly::Always(false) => Some(ReadOnly::Never),
            shape::FormReadOnly::When(shape::ReadOnlyWhen::After(_)) => Some(ReadOnly::AfterCreate),
            shape::FormReadOnly::When(shape::ReadOnlyWhen::Unless(name)) => {
                let right = self.scope.rights.named(&format!("{pointer}/read-only/unless"), &name);
                self.noted(right).map(ReadOnly::Unless)
            }
        }
    }

    fn place(&mut self, pointer: &str, after: Option<String>, before: Option<String>) -> Option<Place> {
        match (after, before) {
            (None, None) => None,
            (Some(after), None) => Some(Place::After(after)),
            (None, Some(before)) => Some(Place::Before(before)),
            (Some(_), Some(_)) => {
                let message = "`after` and `before` do not go together".to_owned();
                let mistake = Mistake::new("connector-file-malformed", format!("{pointer}/before"), message);
                self.refuse(mistake.help("keep one of them"));
                None
            }
        }
    }

    /// A component that describes a part of the form. Whether it can is known when it is uploaded.
    fn describer(&mut self, pointer: &str, name: String) -> Option<Describer> {
        if self.scope.components.contains_key(&name) {
            return Some(Describer { component: name, digest: None });
        }
        let message = format!("the connector has no component `{name}` that could describe it");
        let known = self.scope.components.keys().map(String::as_str);
        let help = match nearest(&name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "name it under `components`".to_owned(),
        };
        let pointer = format!("{pointer}/described-by");
        self.refuse(Mistake::new("form-describer-unfit", pointer, message).help(help));
        None
    }

    fn condition(&mut self, pointer: &str, when: shape::Ordered<Value>) -> Condition {
        let clauses = when.0.into_iter().filter_map(|(parameter, asked)| {
            let pointer = format!("{pointer}/{}", part(&parameter));
            self.known(&pointer, &parameter);
            let test = test(&pointer, asked);
            Some(Clause { parameter, test: self.noted(test)? })
        });
        Condition { all: clauses.collect() }
    }

    /// Refuses the name of a parameter that the job does not have.
    fn known(&mut self, pointer: &str, name: &str) {
        let properties = self.scope.schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> =
            properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect();
        if !known.contains(&name) {
            let mistake =
                rules::unknown_field(pointer, format!("the job has no parameter `{name}`"), name, &known);
            self.refuse(mistake);
        }
    }
}

fn test(pointer: &str, asked: Value) -> Result<Test, Mistake> {
    let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match asked {
        Value::Array(values) if values.iter().all(is_plain) => Ok(Test::OneOf(values)),
        Value::Object(asked) => match (asked.len(), asked.get("set")) {
            (1, Some(Value::Bool(expected))) => Ok(Test::Set(*expected)),
            _ => Err(malformed(pointer)),
        },
        value if is_plain(&value) => Ok(Test::OneOf(vec![value])),
        _ => Err(malformed(pointer)),
    }
}

fn malformed(pointer: &str) -> Mistake {
    let message = "a condition is a value, a list of values, or `{ set: true }`".to_owned();
    Mistake::new("connector-file-malformed", pointer, message)
}

/// Whether it is an address that a browser may be sent to.
fn is_link(url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && !url.contains(|character: char| character.is_control() || character.is_whitespace())
}

/// Refuses a form that nobody could use, before anything is compared with anything else.
fn too_large(scope: &FormScope<'_>, form: Option<&shape::Form>) -> Option<Mistake> {
    let tabs = form.map(|form| form.tabs.0.len()).unwrap_or_default();
    let listed: usize = form
        .iter()
        .flat_map(|form| &form.tabs.0)
        .map(|(_, tab)| tab.fields.iter().map(size).sum::<usize>())
        .sum();
    let parameters = scope.schema.get("properties").and_then(Value::as_object).map(|all| all.len());
    let fields = listed.max(parameters.unwrap_or_default());
    let message = match (tabs > TABS_MAX, fields > FIELDS_MAX) {
        (true, _) => format!("the form has {tabs} tabs; it may have {TABS_MAX}"),
        (_, true) => format!("the form has {fields} fields; it may have {FIELDS_MAX}"),
        _ => return None,
    };
    let mistake = Mistake::new("form-too-large", format!("{}/form", scope.pointer), message);
    Some(mistake.help("put what belongs together into one table, or split the job"))
}

/// How many fields an entry has.
fn size(entry: &shape::FormEntry) -> usize {
    match entry {
        shape::FormEntry::Field(..) => 1,
        shape::FormEntry::Group(group) => group.fields.len(),
    }
}
