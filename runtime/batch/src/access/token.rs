//! Tokens of programs.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::scope::Scope;
use super::secret::TokenHash;
use crate::clock::Timestamp;
use crate::name::{InstanceCode, TenantId, UserName};

/// How many days a token lasts if nobody says otherwise.
pub const TOKEN_DAYS: u32 = 90;
/// How many days a token lasts at most.
pub const TOKEN_DAYS_MAX: u32 = 366;
/// How many tokens a user has at most.
pub const TOKENS_PER_USER_MAX: u32 = 100;

/// The number of a token, given by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A token.
///
/// It acts with the rights that its owner has at the moment of its use, within its scopes, its tenant and its
/// instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The number of the token.
    pub id: TokenId,
    /// A name for people: what it is for.
    pub name: String,
    /// Whose rights it has.
    pub owner: UserName,
    /// The tenant in which it can be used; `None` if it is a token of the installation.
    ///
    /// A token of the installation works only while its owner is an operator of the installation.
    pub tenant: Option<TenantId>,
    /// The only instance for which it can be used; `None` if it can be used for all.
    pub instance: Option<InstanceCode>,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when on it cannot be used any more.
    pub expires_at: Timestamp,
    /// When it was used last, to the hour; `None` if it was not.
    pub last_used_at: Option<Timestamp>,
    /// The token with which it was made; revoking that one revokes this one as well.
    pub made_by: Option<TokenId>,
}

/// A token to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The hash of its text.
    pub hash: TokenHash,
    /// Whose rights it has.
    pub owner: UserName,
    /// What it shall be.
    pub wish: TokenWish,
    /// The token with which it is made.
    pub made_by: Option<TokenId>,
}

/// What a token shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWish {
    /// A name for people.
    pub name: String,
    /// The tenant in which it can be used; `None` for a token of the installation.
    pub tenant: Option<TenantId>,
    /// The only instance for which it can be used.
    pub instance: Option<InstanceCode>,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// From when on it cannot be used any more.
    pub expires_at: Timestamp,
}

/// What a token takes away from its owner's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLimits {
    /// The number of the token.
    pub id: TokenId,
    /// The tenant in which it can be used; `None` for a token of the installation.
    pub tenant: Option<TenantId>,
    /// The only instance for which it can be used.
    pub instance: Option<InstanceCode>,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// From when on it cannot be used any more.
    pub expires_at: Timestamp,
}

impl Token {
    /// What the token takes away from its owner's rights.
    pub fn limits(&self) -> TokenLimits {
        TokenLimits {
            id: self.id,
            tenant: self.tenant.clone(),
            instance: self.instance.clone(),
            scopes: self.scopes.clone(),
            expires_at: self.expires_at,
        }
    }
}
