//! The values that the steps of a run share, and which of them are not saved yet.
//!
//! All values are saved together, while several steps may work side by side. The changes of a step are saved
//! together with the step's counts of the same moment. The save of another step does not include them. So a step
//! that continues finds values and counts of the same moment.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::execution::ExecutionContext;
use crate::name::StepName;

/// The values as they were before a step changed them; `None` for a value that did not exist.
pub(crate) type Changes = BTreeMap<String, Option<Value>>;

/// The execution context of a run.
#[derive(Debug, Default)]
pub(crate) struct SharedValues {
    values: ExecutionContext,
    /// The previous values of unsaved changes, by the step that made the changes.
    unsaved: BTreeMap<StepName, Changes>,
}

impl SharedValues {
    /// Starts with the stored values.
    pub(crate) fn new(values: ExecutionContext) -> Self {
        Self { values, unsaved: BTreeMap::new() }
    }

    /// All values as they are now.
    pub(crate) fn now(&self) -> &ExecutionContext {
        &self.values
    }

    /// Puts a value that the next save stores, by any step.
    pub(crate) fn put(&mut self, key: String, value: Value) {
        self.values.0.insert(key, value);
    }

    /// Puts a value that only the save of this step stores.
    pub(crate) fn change(&mut self, step: &StepName, key: String, value: Value) {
        let previous = self.values.0.insert(key.clone(), value);
        self.unsaved.entry(step.clone()).or_default().entry(key).or_insert(previous);
    }

    /// The values that a step saves: with its own changes, and without those of other steps. A value that two steps
    /// have changed is saved as it is now.
    pub(crate) fn to_save(&self, step: &StepName) -> ExecutionContext {
        let mut values = self.values.clone();
        let is_own = |key: &String| self.unsaved.get(step).is_some_and(|own| own.contains_key(key));
        let others = self.unsaved.iter().filter(|(other, _)| *other != step);
        for (key, previous) in others.flat_map(|(_, changes)| changes).filter(|(key, _)| !is_own(key)) {
            set(&mut values, key, previous.clone());
        }
        values
    }

    /// The changes that are about to be saved.
    pub(crate) fn take(&mut self, step: &StepName) -> Changes {
        self.unsaved.remove(step).unwrap_or_default()
    }

    /// Marks the changes of a step as unsaved again, after their save has failed.
    pub(crate) fn put_back(&mut self, step: &StepName, changes: Changes) {
        if !changes.is_empty() {
            self.unsaved.entry(step.clone()).or_default().extend(changes);
        }
    }

    /// Restores the values that a step has changed since its last save.
    pub(crate) fn go_back(&mut self, step: &StepName) {
        for (key, previous) in self.take(step) {
            set(&mut self.values, &key, previous);
        }
    }
}

fn set(values: &mut ExecutionContext, key: &str, value: Option<Value>) {
    match value {
        Some(value) => values.0.insert(key.to_owned(), value),
        None => values.0.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &ExecutionContext) -> String {
        values.0.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_step_saves_its_own_changes_alone() {
        let [a, b] = ["a", "b"].map(|name| StepName::new(name).unwrap());
        let mut values = SharedValues::new(ExecutionContext([("old".to_owned(), 1.into())].into()));
        values.put("all".to_owned(), 1.into());
        values.change(&a, "old".to_owned(), 2.into());
        values.change(&a, "old".to_owned(), 3.into());
        values.change(&b, "new".to_owned(), 1.into());
        assert_eq!(told(values.now()), "all=1 new=1 old=3");
        assert_eq!(told(&values.to_save(&a)), "all=1 old=3");
        assert_eq!(told(&values.to_save(&b)), "all=1 new=1 old=1");

        let saving = values.take(&a);
        values.change(&a, "old".to_owned(), 4.into());
        values.put_back(&a, saving);
        assert_eq!(told(&values.to_save(&b)), "all=1 new=1 old=1", "it was not saved in the end");
        values.go_back(&a);
        assert_eq!(told(values.now()), "all=1 new=1 old=1");
        values.go_back(&b);
        assert_eq!(told(values.now()), "all=1 old=1");
    }
}
