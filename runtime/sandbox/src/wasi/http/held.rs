//! What `wasi:http` keeps for a component, and how much each thing may take.

use std::collections::HashMap;

use crate::lengths::PATH_WITH_QUERY;
use crate::memory::{Account, Charge};

/// How large the headers of one request or answer may be as WASI counts them, in bytes.
pub(crate) const FIELDS_BYTES_MAX: usize = 64 << 10;
/// What such headers take at most: the library's tables grow by doubling.
pub(super) const FIELDS: u64 = 4 * FIELDS_BYTES_MAX as u64;
/// The most bytes that one call writes to the body of a request.
pub(super) const CHUNK_BYTES_MAX: usize = 64 << 10;
/// How many chunks wait for the other side, beside the one that is being written.
pub(super) const CHUNKS_MAX: usize = 1;
/// What a body takes before it is sent.
pub(super) const UNSENT: u64 = ((CHUNKS_MAX + 1) * CHUNK_BYTES_MAX) as u64;
/// A request or an answer of its own: headers, trailers, texts, and the beginning of its body.
pub(super) const MESSAGE: u64 = 2 * FIELDS + UNSENT + PATH_WITH_QUERY.max as u64;

/// What `wasi:http` keeps for a component, by its number in the table.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) account: Account,
    pub(super) charges: HashMap<u32, Charge>,
}

impl Held {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, charges: HashMap::new() }
    }
}
