//! What a viewer sees of a form in a mode.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::rights::{FormRights, ReadOnly};
use super::{Entry, Field, Group, InstanceForm, Mode, Tab};

impl InstanceForm {
    /// The tabs and fields that a viewer sees in a mode. What the viewer cannot change there is read-only.
    ///
    /// A condition on a value that the viewer may not see is left out: otherwise the drawing would tell the value.
    #[must_use]
    pub fn seen_by(&self, mode: Mode, rights: FormRights) -> Self {
        let (seen, unseen): (Vec<&Tab>, Vec<&Tab>) =
            self.tabs.iter().partition(|tab| rights.has(tab.right.see.as_ref()));
        let secret: BTreeSet<&str> =
            unseen.into_iter().flat_map(Tab::fields).map(|field| field.name.as_str()).collect();
        let view = View { mode, rights, launch: self.launch.as_ref(), secret };
        let tabs = seen.into_iter().map(|tab| view.tab(tab));
        let tabs = tabs.filter(|tab| !tab.entries.is_empty() || tab.described_by.is_some()).collect();
        Self { tabs, launch: self.launch.clone() }
    }

    /// The names of the fields that are not there for these parameters, because a condition does not hold.
    ///
    /// `raw` has no defaults. What is not there counts with its default in other conditions.
    pub fn inactive(&self, raw: &Value) -> BTreeSet<String> {
        let mut inactive = BTreeSet::new();
        // Conditions form no circle, so each round settles at least one field.
        for _ in 0..=self.fields().count() {
            let parameters = self.counted(raw, &inactive);
            let holds = |condition: &Condition| condition.holds(&parameters);
            let now: BTreeSet<String> = self
                .tabs
                .iter()
                .flat_map(|tab| tab.fields().map(move |field| (tab, field)))
                .filter(|(tab, field)| !holds(&tab.when) || !holds(&field.when))
                .map(|(_, field)| field.name.clone())
                .collect();
            if now == inactive {
                break;
            }
            inactive = now;
        }
        inactive
    }

    /// The parameters as they count: defaults, and the values of the fields that are there.
    fn counted(&self, raw: &Value, inactive: &BTreeSet<String>) -> Value {
        let defaults = self.fields().filter_map(|field| Some((field.name.clone(), field.default.clone()?)));
        let mut counted: Map<String, Value> = defaults.collect();
        let given = raw.as_object().into_iter().flatten().filter(|(name, _)| !inactive.contains(*name));
        counted.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(counted)
    }
}

struct View<'a> {
    mode: Mode,
    rights: FormRights,
    launch: Option<&'a BTreeSet<String>>,
    secret: BTreeSet<&'a str>,
}

impl View<'_> {
    fn tab(&self, tab: &Tab) -> Tab {
        let may_edit = self.rights.has(tab.right.edit.as_ref());
        let entries = tab.entries.iter().filter_map(|entry| match entry {
            Entry::Field(field) => self.field(field, may_edit).map(|field| Entry::Field(Box::new(field))),
            Entry::Group(group) => {
                let fields: Vec<_> =
                    group.fields.iter().filter_map(|field| self.field(field, may_edit)).collect();
                (!fields.is_empty()).then(|| Entry::Group(Group { fields, ..group.clone() }))
            }
        });
        Tab { when: self.known(&tab.when), entries: entries.collect(), ..tab.clone() }
    }

    fn field(&self, field: &Field, may_edit: bool) -> Option<Field> {
        let is_launched = |launch: &BTreeSet<String>| launch.contains(&field.name);
        let is_drawn = field.modes.contains(&self.mode)
            && (self.mode != Mode::Launch || self.launch.is_none_or(is_launched))
            && (self.mode != Mode::Show || !field.is_private);
        let is_locked = self.mode == Mode::Show || !may_edit || field.read_only.locks(self.mode, self.rights);
        is_drawn.then(|| Field {
            read_only: if is_locked { ReadOnly::Always } else { ReadOnly::Never },
            when: self.known(&field.when),
            ..field.clone()
        })
    }

    /// The part of a condition that is about values that the viewer may see.
    fn known(&self, condition: &Condition) -> Condition {
        let is_known = |parameter: &str| !self.secret.contains(parameter);
        let clauses = condition.all.iter().filter(|clause| is_known(&clause.parameter));
        Condition { all: clauses.cloned().collect() }
    }
}

impl ReadOnly {
    /// Whether a value is locked in a mode, for somebody with these rights.
    pub(super) fn locks(&self, mode: Mode, rights: FormRights) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::AfterCreate => mode != Mode::Create,
            Self::Unless(needed) => !rights.has(Some(needed)),
        }
    }
}
