//! Rights per instance: lists of users that narrow what roles give.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::right::Right;
use crate::name::UserName;

/// A right that can be narrowed for one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceRight {
    /// See that the instance exists.
    ///
    /// Who must not view an instance has no other right at it either.
    View,
    /// Change and delete the instance.
    Edit,
    /// Launch it, and stop, restart and abandon its executions.
    Launch,
    /// Look at its executions.
    History,
}

impl InstanceRight {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::View, Self::Edit, Self::Launch, Self::History];

    /// The name of the right.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Launch => "launch",
            Self::History => "history",
        }
    }

    /// The same right at an instance; `None` if the right cannot be narrowed.
    pub const fn of(right: Right) -> Option<Self> {
        match right {
            Right::View => Some(Self::View),
            Right::Edit => Some(Self::Edit),
            Right::Launch => Some(Self::Launch),
            Right::History => Some(Self::History),
            Right::Administer | Right::Operate => None,
        }
    }
}

impl fmt::Display for InstanceRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InstanceRight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| format!("there is no right `{text}` at an instance"))
    }
}

/// Who has which right at one instance.
///
/// A list never gives a right: a user has it if the role gives it, and if there is no list or the list names the
/// user. Administrators of the tenant and operators of the installation need not be named.
///
/// The lists belong to the code, also after the instance was deleted, so a deletion makes no history visible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceRights {
    /// Who may see the instance; `None` if the role decides.
    #[serde(default)]
    pub view: Option<BTreeSet<UserName>>,
    /// Who may change it; `None` if the role decides.
    #[serde(default)]
    pub edit: Option<BTreeSet<UserName>>,
    /// Who may launch it; `None` if the role decides.
    #[serde(default)]
    pub launch: Option<BTreeSet<UserName>>,
    /// Who may look at its executions; `None` if the role decides.
    #[serde(default)]
    pub history: Option<BTreeSet<UserName>>,
}

impl InstanceRights {
    /// The list of a right; `None` if the role decides.
    pub fn list(&self, right: InstanceRight) -> Option<&BTreeSet<UserName>> {
        match right {
            InstanceRight::View => self.view.as_ref(),
            InstanceRight::Edit => self.edit.as_ref(),
            InstanceRight::Launch => self.launch.as_ref(),
            InstanceRight::History => self.history.as_ref(),
        }
    }

    /// The place of the list of a right, to change it.
    pub fn list_mut(&mut self, right: InstanceRight) -> &mut Option<BTreeSet<UserName>> {
        match right {
            InstanceRight::View => &mut self.view,
            InstanceRight::Edit => &mut self.edit,
            InstanceRight::Launch => &mut self.launch,
            InstanceRight::History => &mut self.history,
        }
    }

    /// The lists that there are.
    pub fn lists(&self) -> impl Iterator<Item = (InstanceRight, &BTreeSet<UserName>)> {
        InstanceRight::ALL.into_iter().filter_map(|right| Some((right, self.list(right)?)))
    }

    /// These lists, narrowed by others: who is in a list of both, or in the only one that there is.
    #[must_use]
    pub fn narrowed_by(&self, others: &Self) -> Self {
        let mut narrowed = Self::default();
        for right in InstanceRight::ALL {
            *narrowed.list_mut(right) = match (self.list(right), others.list(right)) {
                (Some(one), Some(other)) => Some(one.intersection(other).cloned().collect()),
                (one, other) => one.or(other).cloned(),
            };
        }
        narrowed
    }

    /// All users that a list names, each once.
    pub fn users(&self) -> BTreeSet<&UserName> {
        self.lists().flat_map(|(_, users)| users).collect()
    }
}
