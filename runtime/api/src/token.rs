//! Tokens of programs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stepbox_batch::access;

/// A token. Its text is shown once, when it is created.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub id: u64,
    /// A name for people: what it is for.
    pub name: String,
    /// The user whose rights it has.
    pub owner: String,
    /// The tenant in which it can be used; `null` for a token of the installation.
    pub tenant: Option<String>,
    /// The only instance for which it can be used; `null` if it can be used for all.
    pub instance: Option<String>,
    /// What it may be used for: `executions:read`.
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: String,
    /// From when on it cannot be used any more.
    pub expires_at: String,
    /// When it was used last, to the hour; `null` if it was not.
    pub last_used_at: Option<String>,
    /// The number of the token with which it was made; `null` if a person made it.
    pub made_by: Option<u64>,
}

impl Token {
    /// Built from a stored token.
    pub fn of(token: &access::Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name.clone(),
            owner: token.owner.to_string(),
            tenant: token.tenant.as_ref().map(ToString::to_string),
            instance: token.instance.as_ref().map(ToString::to_string),
            scopes: token.scopes.iter().map(ToString::to_string).collect(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            last_used_at: token.last_used_at.map(|moment| moment.to_string()),
            made_by: token.made_by.map(|id| id.0),
        }
    }
}

/// A token that was just created, with its text.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// Its text, for `Authorization: Bearer`. It is shown this once.
    pub text: String,
}

impl CreatedToken {
    /// Built from a token that was just created.
    pub fn of(token: &access::Token, text: &access::TokenText) -> Self {
        Self { token: Token::of(token), text: text.as_str().to_owned() }
    }
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A token to create.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// A name for people: what it is for.
    pub name: String,
    /// The only instance for which it can be used; absent if it can be used for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What it may be used for: `executions:read`. At least one.
    pub scopes: BTreeSet<String>,
    /// After how many days it expires; 90 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepbox_batch::access::{Scope, TokenId, TokenText};
    use stepbox_batch::name::{InstanceCode, TenantId, UserName};

    use super::*;
    use crate::testing::{NOW, survives};

    fn token() -> access::Token {
        access::Token {
            id: TokenId(7),
            name: "nightly CI".to_owned(),
            owner: UserName::new("julia").unwrap(),
            tenant: Some(TenantId::default()),
            instance: Some(InstanceCode::new("nightly").unwrap()),
            scopes: [Scope::ReadExecutions, Scope::LaunchExecutions].into(),
            created_at: NOW,
            expires_at: NOW.plus_ms(1),
            last_used_at: Some(NOW),
            made_by: Some(TokenId(6)),
        }
    }

    #[test]
    fn a_token_survives_a_wire_without_its_text() {
        let shown = survives(&Token::of(&token()));
        assert_eq!(shown["scopes"], json!(["executions:read", "executions:launch"]));
        assert!(shown.as_object().unwrap().keys().all(|name| !name.contains("hash") && name != "text"));
    }

    #[test]
    fn the_text_is_in_the_answer_of_its_creation_alone() {
        let text = TokenText::from_bytes([7; 32]);
        let created = CreatedToken::of(&token(), &text);
        let shown = survives(&created);
        assert_eq!((&shown["id"], &shown["text"]), (&json!(7), &json!(text.as_str())));
        assert!(!format!("{created:?}").contains(text.as_str()));
    }

    #[test]
    fn a_request_survives_a_wire_and_has_no_other_fields() {
        let request = CreateToken {
            name: "ci".to_owned(),
            instance: Some("nightly".to_owned()),
            scopes: ["executions:read".to_owned()].into(),
            days: Some(30),
        };
        survives(&request);
        for extra in ["owner", "tenant", "hash", "text", "made_by", "expires_at"] {
            let request = json!({ "name": "ci", "scopes": ["executions:read"], extra: "x" });
            assert!(serde_json::from_value::<CreateToken>(request).is_err(), "{extra}");
        }
    }
}
