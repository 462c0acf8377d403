//! Signing in, and who one is then.

use serde::{Deserialize, Serialize};
use stepbox_batch::access::{Principal, Right};

use crate::member::{Membership, Role};

/// A sign-in with a password.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The name of the user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// A change of one's own password. All sessions end, and a new one begins.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present password.
    pub current: String,
    /// The new password.
    pub new: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangePassword").finish_non_exhaustive()
    }
}

/// Who one is, and what one may do.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name of the user; `null` for an embedder's own.
    pub user: Option<String>,
    /// Whether the user operates the installation.
    pub operator: bool,
    /// The roles of the user, by tenant.
    pub memberships: Vec<Membership>,
    /// The tenant for which it was asked; `null` if none was named.
    pub tenant: Option<String>,
    /// What the user is in that tenant; `null` if nothing, or if none was named.
    pub role: Option<Role>,
    /// The rights that the role gives: `view`.
    pub rights: Vec<String>,
    /// What the token is limited to; `null` if the user signed in.
    pub token: Option<TokenLimits>,
    /// When the session or the token ends; `null` if there is neither.
    pub expires_at: Option<String>,
}

/// What a token is limited to.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLimits {
    /// The number of the token.
    pub id: u64,
    /// The tenant in which it can be used; `null` for a token of the installation.
    pub tenant: Option<String>,
    /// The only instance for which it can be used; `null` if it can be used for all.
    pub instance: Option<String>,
    /// What it may be used for: `executions:read`.
    pub scopes: Vec<String>,
}

impl Identity {
    /// Built from a principal. `expires_at` is when its session or token ends.
    pub fn of(principal: &Principal, expires_at: Option<stepbox_batch::clock::Timestamp>) -> Self {
        let role = principal.role();
        let has = |right: &Right| match right.least_role() {
            Some(least) => role.is_some_and(|role| role >= least),
            None => principal.is_operator,
        };
        Self {
            user: principal.user.as_ref().map(ToString::to_string),
            operator: principal.is_operator,
            memberships: principal
                .memberships
                .iter()
                .map(|(tenant, role)| Membership::of(tenant, *role))
                .collect(),
            tenant: principal.tenant.as_ref().map(ToString::to_string),
            role: role.map(Role::of),
            rights: Right::ALL
                .iter()
                .filter(|right| has(right))
                .map(|right| right.as_str().to_owned())
                .collect(),
            token: principal.token.as_ref().map(|token| TokenLimits {
                id: token.id.0,
                tenant: token.tenant.as_ref().map(ToString::to_string),
                instance: token.instance.as_ref().map(ToString::to_string),
                scopes: token.scopes.iter().map(ToString::to_string).collect(),
            }),
            expires_at: expires_at.map(|moment| moment.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::access::{self, Scope, TokenId};
    use stepbox_batch::name::{TenantId, UserName};

    use super::*;
    use crate::testing::{NOW, survives};

    #[test]
    fn requests_survive_a_wire_and_are_not_shown() {
        let sign_in = SignIn { user: "julia".to_owned(), password: "a secret".to_owned() };
        survives(&sign_in);
        let change = ChangePassword { current: "a secret".to_owned(), new: "a secret".to_owned() };
        survives(&change);
        assert!(!format!("{sign_in:?} {change:?}").contains("a secret"));
        let request = json!({ "user": "julia", "password": "x", "remember": true });
        assert!(serde_json::from_value::<SignIn>(request).is_err());
    }

    #[test]
    fn an_identity_survives_a_wire() {
        let tenant = TenantId::default();
        let principal = Principal {
            user: Some(UserName::new("julia").unwrap()),
            memberships: [(tenant.clone(), access::Role::Operator)].into(),
            tenant: Some(tenant.clone()),
            token: Some(access::TokenLimits {
                id: TokenId(7),
                tenant: Some(tenant),
                instance: None,
                scopes: [Scope::ReadExecutions].into(),
                expires_at: NOW,
            }),
            ..Principal::default()
        };
        let shown = survives(&Identity::of(&principal, Some(NOW)));
        assert_eq!(shown["rights"], json!(["view", "history", "launch"]));
        assert_eq!((&shown["role"], &shown["token"]["id"]), (&json!("operator"), &json!(7)));
        let nobody = survives(&Identity::of(&Principal::default(), None));
        assert_eq!((&nobody["rights"], &nobody["role"]), (&json!([]), &json!(null)));
        let root = survives(&Identity::of(&Principal::unlimited(None, None), None));
        assert_eq!(root["rights"], json!(["operate"]));
    }
}
