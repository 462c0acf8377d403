//! The events of users, their rights, and what they come in with. No event has a password, a secret or a hash.

use serde_json::{Map, Value, json};

use super::{AuditAction, Deed};
use crate::access::{InstanceRight, InstanceRights, LinkPurpose, NewToken, Role, TokenId, TokenWish, User};
use crate::name::{InstanceCode, UserName};

/// Each function makes the event of one action.
impl Deed {
    /// A user was created.
    pub fn user_created(user: &User) -> Self {
        let User { name, label, is_operator, external, .. } = user;
        let detail = json!({ "label": label, "is_operator": is_operator, "external": external });
        Self::new(AuditAction::UserCreated, name, detail)
    }

    /// A user was changed.
    ///
    /// The event has the new values of what changed.
    pub fn user_changed(before: &User, after: &User) -> Self {
        let mut detail = Map::new();
        let mut tell = |name: &str, differs: bool, value: Value| {
            if differs {
                detail.insert(name.to_owned(), value);
            }
        };
        tell("label", before.label != after.label, json!(after.label));
        tell("is_operator", before.is_operator != after.is_operator, json!(after.is_operator));
        tell("is_suspended", before.is_suspended != after.is_suspended, json!(after.is_suspended));
        tell("external", before.external != after.external, json!(after.external));
        Self::new(AuditAction::UserChanged, &after.name, Value::Object(detail))
    }

    /// A user was removed.
    pub fn user_removed(name: &UserName) -> Self {
        Self::new(AuditAction::UserRemoved, name, json!({}))
    }

    /// A link was made with which a password can be set.
    ///
    /// The subject is the user; empty for the link of the first operator.
    pub fn password_link_created(purpose: &LinkPurpose) -> Self {
        let user = match purpose {
            LinkPurpose::FirstOperator => "",
            LinkPurpose::SetPassword(user) => user.as_str(),
        };
        Self::new(AuditAction::PasswordLinkCreated, user, json!({}))
    }

    /// The password of a user was set, perhaps with a one-time link.
    pub fn password_set(user: &UserName, with_link: bool) -> Self {
        Self::new(AuditAction::PasswordSet, user, json!({ "with_link": with_link }))
    }

    /// A user signed in, from that address.
    ///
    /// `with` says what the user has shown: `password` or `identity`.
    pub fn signed_in(user: &UserName, with: &str, client: Option<&str>) -> Self {
        Self::new(AuditAction::SignedIn, user, json!({ "with": with, "client": client }))
    }

    /// Somebody tried to sign in and was refused.
    ///
    /// `user` is `None` if there is no user of the name that was given. The event does not have that name: people
    /// type passwords there.
    pub fn sign_in_failed(user: Option<&UserName>, client: Option<&str>) -> Self {
        let subject = user.map_or("", UserName::as_str);
        Self::new(AuditAction::SignInFailed, subject, json!({ "client": client }))
    }

    /// Somebody came back from an identity provider and was refused, with the code of the reason.
    ///
    /// `user` is `None` if no user has that identity, or if the provider did not say who it is.
    pub fn identity_refused(user: Option<&UserName>, reason: &str, client: Option<&str>) -> Self {
        let subject = user.map_or("", UserName::as_str);
        let detail = json!({ "with": "identity", "reason": reason, "client": client });
        Self::new(AuditAction::SignInFailed, subject, detail)
    }

    /// That many sessions of a user were ended.
    pub fn signed_out(user: &UserName, sessions: u64) -> Self {
        Self::new(AuditAction::SignedOut, user, json!({ "sessions": sessions }))
    }

    /// A user got another role in the tenant; `None` is no role.
    pub fn role_changed(user: &UserName, before: Option<Role>, after: Option<Role>) -> Self {
        Self::new(AuditAction::RoleChanged, user, json!({ "before": before, "after": after }))
    }

    /// The lists of an instance were changed.
    ///
    /// The event has each list that changed, as it is now; `null` if there is none any more.
    pub fn instance_rights_changed(
        code: &InstanceCode,
        before: &InstanceRights,
        after: &InstanceRights,
    ) -> Self {
        let differs = |right: &InstanceRight| before.list(*right) != after.list(*right);
        let lists = InstanceRight::ALL.into_iter().filter(differs);
        let detail = lists.map(|right| (right.to_string(), json!(after.list(right)))).collect();
        Self::new(AuditAction::InstanceRightsChanged, code, Value::Object(detail))
    }

    /// A token was created.
    pub fn token_created(id: TokenId, token: &NewToken) -> Self {
        let NewToken { owner, wish, made_by, hash: _ } = token;
        let TokenWish { name, tenant: _, instance, scopes, expires_at } = wish;
        let detail = json!({
            "name": name, "owner": owner, "instance": instance, "scopes": scopes,
            "expires_at_ms": expires_at, "made_by": made_by,
        });
        Self::new(AuditAction::TokenCreated, id, detail)
    }

    /// A token was revoked.
    ///
    /// `along_with` is the token that was revoked, if this one only was made with it.
    pub fn token_revoked(id: TokenId, name: &str, owner: &str, along_with: Option<TokenId>) -> Self {
        let detail = json!({ "name": name, "owner": owner, "along_with": along_with });
        Self::new(AuditAction::TokenRevoked, id, detail)
    }
}
