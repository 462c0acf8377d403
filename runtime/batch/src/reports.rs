//! What an element reports, until it is known whether its chunk counts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::execution::{SummaryValue, Warning};
use crate::step_context::{NAME_BYTES_MAX, SUMMARY_NAMES_MAX};

/// What an element has reported about the chunk it works on. Empty for most.
#[derive(Debug, Default)]
pub struct Reports {
    pub(crate) summary: BTreeMap<String, SummaryChange>,
    /// Those within the cap.
    pub(crate) warnings: Vec<Warning>,
    /// All of them.
    pub(crate) warning_count: u64,
    /// Values of the execution context.
    pub(crate) context: BTreeMap<String, Value>,
}

/// A change of the summary, of which several can become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SummaryChange {
    /// Adds to a counter, which replaces a text.
    Add(u64),
    /// Replaces whatever there is.
    Set(SummaryValue),
}

impl SummaryChange {
    /// What becomes of a value.
    pub(crate) fn onto(self, before: Option<&SummaryValue>) -> SummaryValue {
        match (self, before) {
            (Self::Set(value), _) => value,
            (Self::Add(by), Some(SummaryValue::Count(count))) => {
                SummaryValue::Count(count.saturating_add(by))
            }
            (Self::Add(by), _) => SummaryValue::Count(by),
        }
    }

    /// One change that does what `self` and then `next` do.
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

    /// Notes a change of the summary; false if there is no room for it.
    pub(crate) fn change_summary(&mut self, name: &str, change: &SummaryChange) -> bool {
        let before = self.summary.get(name).cloned();
        if name.len() > NAME_BYTES_MAX || (before.is_none() && self.summary.len() >= SUMMARY_NAMES_MAX) {
            return false;
        }
        let change = before.map_or(change.clone(), |before| before.then(change.clone()));
        self.summary.insert(name.to_owned(), change);
        true
    }
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
