//! What a step and its elements report: summary, warnings and errors, and how much of them is kept.
//!
//! [`Findings`] are the reports of a step. [`Reports`] are the reports of one element about one chunk, until the
//! chunk counts or is dropped.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::execution::{Summary, SummaryValue, Warning};
use crate::metering::ResourceUsage;

/// How many warnings of a step are stored; all are counted.
pub const WARNINGS_STORED_MAX: u64 = 1000;
/// How many errors of a step are kept.
pub(crate) const ERRORS_MAX: usize = 100;
/// How many names a summary may have.
pub(crate) const SUMMARY_NAMES_MAX: usize = 100;
/// How long a name in a summary may be, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// How long a key of the execution context may be, in bytes: the longest name of a step, and a property of the step,
/// such as `.file_path`.
pub const CONTEXT_KEY_BYTES_MAX: usize = 128;
/// How long an error, a reason or a text of a summary may be, in bytes; the rest is cut off.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// How long the item of a warning may be, in bytes; the rest is cut off.
pub const ITEM_BYTES_MAX: usize = 16 << 10;

/// What a step has found so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Named counters and texts.
    pub summary: Summary,
    /// All warnings so far, stored or not.
    pub warning_count: u64,
    /// Warnings within the cap that are not saved yet.
    pub unsaved_warnings: Vec<Warning>,
    /// Errors that did not end the step.
    pub errors: Vec<String>,
    /// The resources used so far.
    pub usage: ResourceUsage,
}

/// The reports of an element about the chunk that it works on.
///
/// Empty for most elements.
#[derive(Debug, Default)]
pub struct Reports {
    pub(crate) summary: BTreeMap<String, SummaryChange>,
    /// The warnings within the cap.
    pub(crate) warnings: Vec<Warning>,
    /// How many warnings there are in all.
    pub(crate) warning_count: u64,
    /// Values of the execution context.
    pub(crate) context: BTreeMap<String, Value>,
}

/// A change of the summary. Several changes can be combined to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SummaryChange {
    /// Adds to a counter; a text is replaced by the counter.
    Add(u64),
    /// Replaces the present value.
    Set(SummaryValue),
}

impl SummaryChange {
    /// The value after the change.
    pub(crate) fn onto(self, before: Option<&SummaryValue>) -> SummaryValue {
        match (self, before) {
            (Self::Set(value), _) => value,
            (Self::Add(by), Some(SummaryValue::Count(count))) => {
                SummaryValue::Count(count.saturating_add(by))
            }
            (Self::Add(by), _) => SummaryValue::Count(by),
        }
    }

    /// One change with the effect of `self` and then `next`.
    fn then(self, next: Self) -> Self {
        match (self, next) {
            (_, Self::Set(value)) => Self::Set(value),
            (Self::Set(value), add) => Self::Set(add.onto(Some(&value))),
            (Self::Add(first), Self::Add(second)) => Self::Add(first.saturating_add(second)),
        }
    }
}

impl Reports {
    pub(crate) fn is_empty(&self) -> bool {
        self.summary.is_empty() && self.warning_count == 0 && self.context.is_empty()
    }

    /// Notes a change of the summary; returns `false` if there is no room for it.
    pub(crate) fn change_summary(&mut self, name: &str, change: &SummaryChange) -> bool {
        if !has_room(&self.summary, name) {
            return false;
        }
        let before = self.summary.get(name).cloned();
        let change = before.map_or(change.clone(), |before| before.then(change.clone()));
        self.summary.insert(name.to_owned(), change);
        true
    }
}

impl Findings {
    /// Changes the summary; returns `false` if there is no room for the name.
    pub(crate) fn change_summary(&mut self, name: &str, change: SummaryChange) -> bool {
        if !has_room(&self.summary, name) {
            return false;
        }
        let value = change.onto(self.summary.get(name));
        self.summary.insert(name.to_owned(), value);
        true
    }
}

fn has_room<T>(summary: &BTreeMap<String, T>, name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && (summary.contains_key(name) || summary.len() < SUMMARY_NAMES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_changes_do_together_what_they_do_one_by_one() {
        let add = SummaryChange::Add;
        let text = |text: &str| SummaryChange::Set(SummaryValue::Text(text.to_owned()));
        let befores = [None, Some(SummaryValue::Count(5)), Some(SummaryValue::Text("before".to_owned()))];
        let changes = [add(1), add(u64::MAX), text("a"), text("b")];
        for before in &befores {
            for number in 0..changes.len().pow(3) {
                let all = [0, 1, 2].map(|place| &changes[number / changes.len().pow(place) % changes.len()]);
                let one_by_one = all
                    .iter()
                    .fold(before.clone(), |value, change| Some((*change).clone().onto(value.as_ref())));
                let mut reports = Reports::default();
                all.iter().for_each(|change| assert!(reports.change_summary("n", change)));
                let together = reports.summary["n"].clone().onto(before.as_ref());
                assert_eq!(Some(together), one_by_one, "{before:?} {all:?}");
            }
        }
    }
}
