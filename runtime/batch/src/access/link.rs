//! Links that set a password, once.

use super::secret::LinkHash;
use crate::clock::Timestamp;
use crate::name::UserName;

/// How long a link can be used, in milliseconds: 24 hours.
pub const LINK_MS_MAX: u64 = 24 * 3_600_000;

/// What a one-time link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Create the first operator of an installation that has no user.
    FirstOperator,
    /// Set the password of this user.
    SetPassword(UserName),
}

/// A link that can be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    /// The hash of its secret.
    pub hash: LinkHash,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// From when on it cannot be used any more.
    pub expires_at: Timestamp,
}
