//! The digest that identifies a component.

use sha2::{Digest as _, Sha256};
use stepbox_batch::name::Digest;

/// The SHA-256 of a component's bytes.
pub fn of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha256(bytes))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
