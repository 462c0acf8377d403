//! Keys under which a caller asks for an execution, so that a request that is sent twice has one effect.

use crate::clock::Timestamp;
use crate::name::Digest;

/// For how long a key is remembered, in milliseconds: one day. A later request with the same key is a new one.
pub const IDEMPOTENCY_KEPT_MS: u64 = 24 * 3_600_000;

/// A caller's name for a request.
///
/// The first request with a key is accepted. A later one is not: the caller gets the first execution again, or is
/// refused if the request is another one. Keys of other tenants and of other callers are other keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller who chose the key.
    pub principal: String,
    /// The key.
    pub key: String,
    /// The SHA-256 of everything that was asked.
    pub request: Digest,
}

impl Idempotency {
    /// Keys that were used at this moment or earlier are forgotten.
    pub fn forgotten_at(now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub_unsigned(IDEMPOTENCY_KEPT_MS))
    }
}
