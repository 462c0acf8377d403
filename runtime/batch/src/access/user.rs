//! Users of an installation.

use serde::{Deserialize, Serialize};

use super::secret::PasswordHash;
use crate::clock::Timestamp;
use crate::name::UserName;

/// A user of the installation.
///
/// Users belong to the installation; roles bind them to tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, unique in the installation.
    ///
    /// It never changes.
    pub name: UserName,
    /// A name for people.
    pub label: String,
    /// Whether the user operates the installation, and so is above tenants.
    pub is_operator: bool,
    /// Whether the user must not come in.
    pub is_suspended: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the password was set last; `None` if the user has no password.
    pub password_changed_at: Option<Timestamp>,
    /// Who the user is for an identity provider.
    pub external: Option<ExternalIdentity>,
}

/// Who a user is for an identity provider (OpenID Connect).
///
/// A user with such an identity signs in at the provider, and not with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdentity {
    /// The address of the provider.
    pub issuer: String,
    /// The provider's id of the user, unique at this provider.
    pub subject: String,
}

/// What changes of a user. `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// A new label.
    pub label: Option<String>,
    /// Whether the user operates the installation.
    pub is_operator: Option<bool>,
    /// Whether the user must not come in.
    pub is_suspended: Option<bool>,
    /// Who the user is for an identity provider; `Some(None)` removes it.
    pub external: Option<Option<ExternalIdentity>>,
}

impl UserChange {
    /// The user after the change.
    pub fn applied_to(&self, user: &User) -> User {
        let user = user.clone();
        User {
            label: self.label.clone().unwrap_or(user.label),
            is_operator: self.is_operator.unwrap_or(user.is_operator),
            is_suspended: self.is_suspended.unwrap_or(user.is_suspended),
            external: self.external.clone().unwrap_or(user.external),
            ..user
        }
    }
}

impl User {
    /// Whether the user may operate the installation now.
    pub fn operates(&self) -> bool {
        self.is_operator && !self.is_suspended
    }

    /// Whether the sessions of the user end with this change: the user has another standing afterwards, or comes in
    /// with another identity.
    pub fn has_other_standing_than(&self, before: &Self) -> bool {
        (self.is_operator, self.is_suspended, &self.external)
            != (before.is_operator, before.is_suspended, &before.external)
    }
}

/// What a store keeps of a user's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPassword {
    /// The hash; `None` if the user has no password.
    pub hash: Option<PasswordHash>,
    /// Whether the user must not come in.
    pub is_suspended: bool,
    /// Whether the user has an identity at a provider: then no password lets the user in.
    pub is_external: bool,
}
