//! The user, or the runtime, that does something.

use crate::clock::Timestamp;

/// The user, or the runtime, that does something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user who asked for it; `None` if the user is unknown.
    ///
    /// A user is never the runtime, even with the runtime's name.
    pub user: Option<String>,
    /// Whether the runtime acts by itself.
    pub is_runtime: bool,
    /// When it is done.
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
