//! Members of a tenant, and their rights at instances.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stepbox_batch::access;
use stepbox_batch::name::{NameError, TenantId, UserName};

/// What a user is in a tenant. Each role may do everything that the roles before it may do.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Launches and stops.
    Operator,
    /// Changes instances, connectors and steps.
    Author,
    /// Decides who may do what in the tenant.
    Administrator,
}

impl Role {
    /// Built from a role of the domain.
    pub fn of(role: access::Role) -> Self {
        match role {
            access::Role::Viewer => Self::Viewer,
            access::Role::Operator => Self::Operator,
            access::Role::Author => Self::Author,
            access::Role::Administrator => Self::Administrator,
        }
    }

    /// The role of the domain.
    pub fn into_role(self) -> access::Role {
        match self {
            Self::Viewer => access::Role::Viewer,
            Self::Operator => access::Role::Operator,
            Self::Author => access::Role::Author,
            Self::Administrator => access::Role::Administrator,
        }
    }
}

/// A user with a role in the tenant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name of the user.
    pub user: String,
    /// What the user is in the tenant.
    pub role: Role,
}

impl Member {
    /// Built from a stored member.
    pub fn of(member: &access::Member) -> Self {
        Self { user: member.user.to_string(), role: Role::of(member.role) }
    }
}

/// A role for a user of the installation.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetMember {
    /// What the user shall be in the tenant.
    pub role: Role,
}

/// The role of a user in one tenant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The tenant.
    pub tenant: String,
    /// What the user is there.
    pub role: Role,
}

impl Membership {
    /// Built from a stored membership.
    pub fn of(tenant: &TenantId, role: access::Role) -> Self {
        Self { tenant: tenant.to_string(), role: Role::of(role) }
    }
}

/// Who has which right at an instance. A list only takes a right away from the users that it does not name; `null`
/// leaves the decision to the role.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceRights {
    /// Who may see the instance.
    #[serde(default)]
    pub view: Option<BTreeSet<String>>,
    /// Who may change it.
    #[serde(default)]
    pub edit: Option<BTreeSet<String>>,
    /// Who may launch it.
    #[serde(default)]
    pub launch: Option<BTreeSet<String>>,
    /// Who may look at its executions.
    #[serde(default)]
    pub history: Option<BTreeSet<String>>,
}

impl InstanceRights {
    /// Built from stored rights.
    pub fn of(rights: &access::InstanceRights) -> Self {
        let names = |list: &Option<BTreeSet<UserName>>| {
            list.as_ref().map(|users| users.iter().map(ToString::to_string).collect())
        };
        Self {
            view: names(&rights.view),
            edit: names(&rights.edit),
            launch: names(&rights.launch),
            history: names(&rights.history),
        }
    }

    /// The rights for the domain; an error if a name cannot be one of a user.
    pub fn into_rights(self) -> Result<access::InstanceRights, NameError> {
        let users = |list: Option<BTreeSet<String>>| {
            list.map(|names| names.into_iter().map(UserName::new).collect()).transpose()
        };
        Ok(access::InstanceRights {
            view: users(self.view)?,
            edit: users(self.edit)?,
            launch: users(self.launch)?,
            history: users(self.history)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::survives;

    #[test]
    fn members_survive_a_wire_with_the_names_of_the_roles() {
        for role in access::Role::ALL {
            let member = access::Member { user: UserName::new("julia").unwrap(), role };
            let shown = survives(&Member::of(&member));
            assert_eq!(shown, json!({ "user": "julia", "role": role.as_str() }));
            assert_eq!(Role::of(role).into_role(), role);
            survives(&SetMember { role: Role::of(role) });
            survives(&Membership::of(&TenantId::default(), role));
        }
        assert!(serde_json::from_value::<SetMember>(json!({ "role": "root" })).is_err());
        assert!(serde_json::from_value::<SetMember>(json!({ "role": "viewer", "tenant": "x" })).is_err());
    }

    #[test]
    fn rights_tell_an_empty_list_from_none() {
        let rights = access::InstanceRights {
            edit: Some(BTreeSet::new()),
            history: Some([UserName::new("julia").unwrap()].into()),
            ..access::InstanceRights::default()
        };
        let shown = survives(&InstanceRights::of(&rights));
        assert_eq!(shown, json!({ "view": null, "edit": [], "launch": null, "history": ["julia"] }));
        assert_eq!(InstanceRights::of(&rights).into_rights().unwrap(), rights);
        let absent: InstanceRights = serde_json::from_value(json!({ "edit": [] })).unwrap();
        assert_eq!(absent.into_rights().unwrap().history, None);
        assert!(serde_json::from_value::<InstanceRights>(json!({ "delete": [] })).is_err());
        let odd = InstanceRights { view: Some([String::new()].into()), ..InstanceRights::default() };
        assert!(odd.into_rights().is_err());
    }
}
