//! What all sign-ins of a process share.

use std::sync::Arc;

use stepbox_batch::clock::Clock;

use super::attempts::Attempts;
use super::passwords::Passwords;

/// What all sign-ins of this process share.
#[derive(Debug)]
pub(crate) struct Reception {
    pub(super) passwords: Passwords,
    pub(super) attempts: Attempts,
}

impl Reception {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { passwords: Passwords::default(), attempts: Attempts::new(clock) }
    }
}
