//! An answer that a component reads.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use bytes::Bytes;
use http::HeaderMap;

use crate::budget::Handle;
use crate::egress::AnswerBody;

/// An answer whose head has arrived.
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: AnswerBody,
    /// Bytes that were received and are not read yet.
    pub(super) rest: Bytes,
    pub(super) _handle: Handle,
}
