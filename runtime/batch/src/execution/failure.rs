//! What went wrong: items set aside, and what ended a step or a job.

use serde::{Deserialize, Serialize};

use crate::name::StepName;
use crate::remedy::Remedy;

/// An item set aside, or something that a component wants people to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The step.
    pub step: StepName,
    /// Stable, for machines; `warning` for one that a component added without a code.
    pub code: String,
    /// For people.
    pub reason: String,
    /// Where the item is in the input, in words for people: `line 41`.
    ///
    /// Empty if unknown.
    pub place: String,
    /// The text of the item, as far as it is known: JSON or any other text.
    pub item: String,
}

/// What ended a step or a job: culprit, place, cause, next action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, for machines and for `docs/errors.md`.
    pub code: String,
    /// Who: ``processor `normalise` ``.
    ///
    /// Empty for the job itself.
    pub culprit: String,
    /// Where: `item 41 (line 42)`.
    ///
    /// Empty if there is no particular place.
    pub place: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    ///
    /// Empty if there is no advice, or if the remedies give it.
    pub help: String,
    /// Further next actions, which a front end puts in words.
    #[serde(default)]
    pub remedies: Vec<Remedy>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.culprit.is_empty() {
            write!(f, "{}", self.culprit)?;
            if !self.place.is_empty() {
                write!(f, ", {}", self.place)?;
            }
            write!(f, ": ")?;
        }
        f.write_str(&self.message)
    }
}
