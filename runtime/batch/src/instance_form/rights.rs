//! Who sees and changes a part of a form.

use serde::{Deserialize, Serialize};

use crate::access::Role;

/// A right that a tab or a field needs: a role, or a right that the connector declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeededRight {
    /// The name in the connector file: `author`, `mapping`.
    pub name: String,
    /// What it lets one do, for people; `None` for a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The weakest role that has it.
    pub from: Role,
}

/// Who sees the fields of a tab with their values, and who changes them; `None` for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabRight {
    /// Needed to see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub see: Option<NeededRight>,
    /// Needed to change them, beside the right to see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<NeededRight>,
}

/// When a value cannot be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOnly {
    /// It can be changed.
    #[default]
    Never,
    /// It is the job's own: the default counts.
    Always,
    /// It is chosen when the instance is created.
    AfterCreate,
    /// Only who has this right may change it.
    Unless(NeededRight),
}

/// The rights of a viewer of forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FormRights {
    /// The person at the machine, and an embedder's own code: nothing is hidden or refused.
    #[default]
    Every,
    /// Somebody with that role in the tenant; `None` has no right at all.
    Of(Option<Role>),
}

impl FormRights {
    /// Whether the viewer has a right; nobody needs `None`.
    pub fn has(self, needed: Option<&NeededRight>) -> bool {
        match (self, needed) {
            (Self::Every, _) | (_, None) => true,
            (Self::Of(role), Some(needed)) => role.is_some_and(|role| role >= needed.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_had_from_its_role_on() {
        let needed = NeededRight { name: "mapping".to_owned(), label: None, from: Role::Author };
        let rows = [
            (FormRights::Every, true),
            (FormRights::Of(Some(Role::Administrator)), true),
            (FormRights::Of(Some(Role::Author)), true),
            (FormRights::Of(Some(Role::Operator)), false),
            (FormRights::Of(None), false),
        ];
        for (rights, expected) in rows {
            assert_eq!(rights.has(Some(&needed)), expected, "{rights:?}");
            assert!(rights.has(None));
        }
    }
}
