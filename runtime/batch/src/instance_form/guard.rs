//! Which values of a job's parameters somebody may see and change. The one place that decides it: pages, the HTTP API
//! and the library ask here, whether or not a value is drawn anywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::layout::{FormLayout, names};
use super::rights::{FormRights, NeededRight, ReadOnly};
use super::schema::resolved;
use super::{Mode, first_name, pointer_of};
use crate::access::Role;
use crate::parameters::Violation;

/// Which parameters somebody may not see, and which not change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// Whether nothing at all may be seen, because the rights of the job are not known.
    is_closed: bool,
    hidden: BTreeSet<String>,
    /// Why each of these may not be changed.
    locked: BTreeMap<String, Lock>,
}

/// A parameter that not everybody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veiled {
    /// Its name.
    pub parameter: String,
    /// The weakest role that sees its values; `None` if nobody does.
    pub from: Option<Role>,
}

impl Veiled {
    /// The parameters of a job that not everybody sees.
    pub fn of(schema: &Value, layout: Option<&FormLayout>) -> Vec<Self> {
        let veiled = names(schema).filter_map(|name| {
            let property = resolved(schema, &schema["properties"][name]);
            let is_private = property.get("writeOnly") == Some(&Value::Bool(true));
            let needed = layout.and_then(|layout| layout.tab_of(name)?.right.see.as_ref());
            let from = needed.map(|needed| needed.from).filter(|_| !is_private);
            (is_private || needed.is_some()).then(|| Self { parameter: name.to_owned(), from })
        });
        veiled.collect()
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Lock {
    /// The tab or the field needs a right.
    Right(String),
    Rule(ReadOnly),
}

impl Guard {
    /// Hides and refuses nothing.
    pub fn open() -> Self {
        Self::default()
    }

    /// Hides and refuses everything.
    pub fn closed() -> Self {
        Self { is_closed: true, ..Self::default() }
    }

    /// What the schema and the layout of a job leave to somebody with these rights.
    pub fn new(schema: &Value, layout: Option<&FormLayout>, rights: FormRights) -> Self {
        if rights == FormRights::Every {
            return Self::open();
        }
        let mut guard = Self::open();
        for name in names(schema) {
            let property = resolved(schema, &schema["properties"][name]);
            if property.get("writeOnly") == Some(&Value::Bool(true)) {
                guard.hidden.insert(name.to_owned());
            }
            if property.get("readOnly") == Some(&Value::Bool(true)) {
                guard.locked.insert(name.to_owned(), Lock::Rule(ReadOnly::Always));
            }
            if let Some(layout) = layout {
                guard.judge(name, layout, rights);
            }
        }
        guard
    }

    /// What the list of veiled parameters leaves to somebody with these rights. It says nothing about changes.
    pub fn veiling(veiled: &[Veiled], rights: FormRights) -> Self {
        let is_hidden = |veiled: &&Veiled| match rights {
            FormRights::Every => false,
            FormRights::Of(role) => veiled.from.is_none_or(|from| role.is_none_or(|role| role < from)),
        };
        let hidden = veiled.iter().filter(is_hidden).map(|veiled| veiled.parameter.clone()).collect();
        Self { hidden, ..Self::default() }
    }

    fn judge(&mut self, name: &str, layout: &FormLayout, rights: FormRights) {
        let found = layout.fields().find(|(_, field)| field.name == name);
        let read_only = found.and_then(|(_, field)| field.options.read_only.as_ref());
        match read_only {
            Some(ReadOnly::Unless(needed)) if !rights.has(Some(needed)) => self.lock(name, needed),
            Some(rule @ (ReadOnly::Always | ReadOnly::AfterCreate)) => {
                self.locked.entry(name.to_owned()).or_insert_with(|| Lock::Rule(rule.clone()));
            }
            _ => {}
        }
        let Some(tab) = layout.tab_of(name) else { return };
        for (needed, hides) in [(&tab.right.edit, false), (&tab.right.see, true)] {
            if let Some(needed) = needed.as_ref().filter(|needed| !rights.has(Some(needed))) {
                self.lock(name, needed);
                if hides {
                    self.hidden.insert(name.to_owned());
                }
            }
        }
    }

    fn lock(&mut self, name: &str, needed: &NeededRight) {
        self.locked.insert(name.to_owned(), Lock::Right(needed.name.clone()));
    }

    /// Hides what either of the two hides, and refuses what either refuses.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.is_closed |= other.is_closed;
        self.hidden.extend(other.hidden);
        self.locked.extend(other.locked);
        self
    }

    /// Whether it hides nothing.
    pub fn hides_nothing(&self) -> bool {
        !self.is_closed && self.hidden.is_empty()
    }

    /// Whether a parameter is hidden.
    pub fn hides(&self, name: &str) -> bool {
        self.is_closed || self.hidden.contains(name)
    }

    /// Takes the hidden values out of parameters.
    pub fn hide_in(&self, parameters: &mut Value) {
        if let Some(parameters) = parameters.as_object_mut() {
            parameters.retain(|name, _| !self.hides(name));
        }
    }

    /// Violations without what they tell of hidden values.
    pub fn without_values(&self, violations: Vec<Violation>) -> Vec<Violation> {
        if self.hides_nothing() {
            return violations;
        }
        let masked = |violation: Violation| match violation.path.is_empty() {
            // Such a message may quote any value.
            true => {
                let message = "break a constraint; you may not see all of their values".to_owned();
                Violation { path: String::new(), message }
            }
            false if self.hides(&first_name(&violation.path)) => Violation {
                path: pointer_of(&first_name(&violation.path)),
                message: "breaks a constraint; you may not see its value".to_owned(),
            },
            false => violation,
        };
        let mut violations: Vec<_> = violations.into_iter().map(masked).collect();
        violations.dedup();
        violations
    }

    /// The changes that are refused: `given` are the names of parameters with their new values, `None` for those that
    /// are unset; `before` are the parameters as they are.
    ///
    /// A value that stays as it was is no change. Whether a hidden value would stay is not told: it is refused.
    pub fn refused<'a>(
        &self,
        mode: Mode,
        given: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>,
        before: &Value,
    ) -> Vec<Violation> {
        let refused = given.into_iter().filter_map(|(name, value)| {
            let lock = self.locked.get(name);
            let stays = !(self.hides(name) && lock.is_some()) && value == before.get(name);
            let message = match lock {
                _ if self.is_closed => "may not be changed: the rights of its job cannot be read".to_owned(),
                None => return None,
                Some(_) if stays => return None,
                Some(Lock::Right(right)) => {
                    format!("may not be changed by you: that needs the right `{right}`")
                }
                Some(Lock::Rule(ReadOnly::AfterCreate)) if mode == Mode::Create => return None,
                Some(Lock::Rule(ReadOnly::AfterCreate)) => {
                    "cannot be changed after the instance was created".to_owned()
                }
                Some(Lock::Rule(_)) => "is read-only".to_owned(),
            };
            Some(Violation { path: pointer_of(name), message })
        });
        refused.collect()
    }
}
