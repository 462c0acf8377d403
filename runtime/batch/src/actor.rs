//! On whose behalf something is done.

use crate::clock::Timestamp;

/// On whose behalf something is done, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who asked for it; `None` if that is unknown. A user is never the runtime, also with its name.
    pub user: Option<String>,
    /// Whether the runtime did it by itself.
    pub is_runtime: bool,
    /// When.
    pub at: Timestamp,
}

impl Actor {
    /// A user, or an unknown one.
    pub fn new(user: Option<&str>, at: Timestamp) -> Self {
        Self { user: user.map(str::to_owned), is_runtime: false, at }
    }

    /// The runtime itself.
    pub fn stepbox(at: Timestamp) -> Self {
        Self { user: None, is_runtime: true, at }
    }
}
