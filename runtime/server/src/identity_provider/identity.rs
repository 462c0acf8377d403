//! Whom a provider has named.

/// A user whose identity a provider has stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenIdentity {
    /// The provider.
    pub issuer: String,
    /// The provider's id of the user; it never changes.
    pub subject: String,
    /// The name that the user likes to have: `preferred_username`, or `email`.
    pub user: Option<String>,
    /// The name for people.
    pub label: Option<String>,
    /// The groups of the user.
    pub groups: Vec<String>,
}
