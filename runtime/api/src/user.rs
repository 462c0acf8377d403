//! Users of the installation, and the links with which they set their passwords.

use serde::{Deserialize, Serialize};
use stepbox_batch::access;
use stepbox_batch::clock::Timestamp;

/// A user of the installation.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name, unique in the installation.
    pub name: String,
    /// The name for people.
    pub label: String,
    /// Whether the user operates the installation, and so is above tenants.
    pub operator: bool,
    /// Whether the user must not come in.
    pub suspended: bool,
    /// When the user was created.
    pub created_at: String,
    /// When the password was set last; `null` if there is none.
    pub password_changed_at: Option<String>,
    /// Who the user is for an identity provider; `null` if the user has no such identity.
    pub external: Option<ExternalIdentity>,
}

/// Who a user is for an identity provider (OpenID Connect).
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalIdentity {
    /// The address of the provider.
    pub issuer: String,
    /// The provider's id of the user.
    pub subject: String,
}

impl User {
    /// Built from a stored user.
    pub fn of(user: &access::User) -> Self {
        Self {
            name: user.name.to_string(),
            label: user.label.clone(),
            operator: user.is_operator,
            suspended: user.is_suspended,
            created_at: user.created_at.to_string(),
            password_changed_at: user.password_changed_at.map(|moment| moment.to_string()),
            external: user.external.as_ref().map(ExternalIdentity::of),
        }
    }
}

impl ExternalIdentity {
    /// Built from a stored identity.
    pub fn of(identity: &access::ExternalIdentity) -> Self {
        Self { issuer: identity.issuer.clone(), subject: identity.subject.clone() }
    }
}

/// A user to create. The user has no password until one is set with a link.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name, unique in the installation. It never changes.
    pub name: String,
    /// A name for people; the name if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the user operates the installation.
    #[serde(default)]
    pub operator: bool,
    /// Who the user is for an identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<NewExternalIdentity>,
}

/// Changes of a user. What is absent stays.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Another name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the user operates the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<bool>,
    /// Whether the user must not come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Who the user is for an identity provider; `null` takes the identity away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub external: Option<Option<NewExternalIdentity>>,
}

/// An identity at a provider, in a request.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewExternalIdentity {
    /// The address of the provider.
    pub issuer: String,
    /// The provider's id of the user.
    pub subject: String,
}

/// A field that is there, perhaps with `null`.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ChangeUser {
    /// The change for the domain.
    pub fn into_change(self) -> access::UserChange {
        access::UserChange {
            label: self.label,
            is_operator: self.operator,
            is_suspended: self.suspended,
            external: self.external.map(|identity| identity.map(NewExternalIdentity::into_identity)),
        }
    }
}

impl NewExternalIdentity {
    /// The identity for the domain.
    pub fn into_identity(self) -> access::ExternalIdentity {
        access::ExternalIdentity { issuer: self.issuer, subject: self.subject }
    }
}

/// A link that can be used once, to set a password.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeLink {
    /// The secret of the link. It is shown this once.
    pub secret: String,
    /// From when on the link cannot be used any more.
    pub expires_at: String,
}

impl OneTimeLink {
    /// Built from the secret of a link that was just made.
    pub fn of(secret: &str, expires_at: Timestamp) -> Self {
        Self { secret: secret.to_owned(), expires_at: expires_at.to_string() }
    }
}

/// The use of a one-time link.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseLink {
    /// The name of the first operator of an installation; absent for every other link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The new password.
    pub password: String,
}

impl std::fmt::Debug for OneTimeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for UseLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UseLink").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::name::UserName;

    use super::*;
    use crate::testing::{NOW, survives};

    fn identity() -> access::ExternalIdentity {
        access::ExternalIdentity { issuer: "https://login.example".to_owned(), subject: "7".to_owned() }
    }

    #[test]
    fn a_user_survives_a_wire_without_a_password() {
        let user = access::User {
            name: UserName::new("julia").unwrap(),
            label: "Julia".to_owned(),
            is_operator: true,
            is_suspended: false,
            created_at: NOW,
            password_changed_at: Some(NOW),
            external: Some(identity()),
        };
        let shown = survives(&User::of(&user));
        let fields: Vec<_> = shown.as_object().unwrap().keys().collect();
        let expected =
            ["name", "label", "operator", "suspended", "created_at", "password_changed_at", "external"];
        assert_eq!(fields, expected);
        assert_eq!(shown["external"]["subject"], "7");
        let newer = json!({
            "name": "a", "label": "A", "operator": false, "suspended": false, "created_at": "x",
            "password_changed_at": null, "external": null, "of_a_newer_version": 1,
        });
        assert!(serde_json::from_value::<User>(newer).is_ok());
    }

    #[test]
    fn a_change_tells_what_is_absent_from_what_is_null() {
        let rows = [
            (json!({}), access::UserChange::default()),
            (
                json!({ "external": null }),
                access::UserChange { external: Some(None), ..access::UserChange::default() },
            ),
            (
                json!({ "external": { "issuer": "https://login.example", "subject": "7" } }),
                access::UserChange { external: Some(Some(identity())), ..access::UserChange::default() },
            ),
            (
                json!({ "label": "J", "operator": true, "suspended": false }),
                access::UserChange {
                    label: Some("J".to_owned()),
                    is_operator: Some(true),
                    is_suspended: Some(false),
                    external: None,
                },
            ),
        ];
        for (request, expected) in rows {
            let read: ChangeUser = serde_json::from_value(request.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), request);
            assert_eq!(read.into_change(), expected, "{request}");
        }
    }

    /// A field that is not known could be one that somebody hoped to set.
    #[test]
    fn requests_with_unknown_fields_are_refused() {
        for extra in ["password", "role", "tenant", "is_operator", "name"] {
            let request = json!({ extra: "x" });
            assert!(serde_json::from_value::<ChangeUser>(request).is_err(), "{extra}");
        }
        let request = json!({ "name": "a", "password": "x" });
        assert!(serde_json::from_value::<CreateUser>(request).is_err());
        let request = json!({ "password": "x", "operator": true });
        assert!(serde_json::from_value::<UseLink>(request).is_err());
        let request =
            json!({ "external": { "issuer": "https://login.example", "subject": "7", "role": "x" } });
        assert!(serde_json::from_value::<ChangeUser>(request).is_err());
    }

    #[test]
    fn requests_and_links_survive_a_wire_and_are_not_shown() {
        survives(&CreateUser { name: "julia".to_owned(), label: None, operator: true, external: None });
        let link = OneTimeLink::of("a secret", NOW);
        assert_eq!(survives(&link)["secret"], "a secret");
        let used = UseLink { user: Some("root".to_owned()), password: "a secret".to_owned() };
        survives(&used);
        assert!(!format!("{link:?} {used:?}").contains("a secret"));
    }
}
