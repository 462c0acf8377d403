//! The data that `wasi:http` keeps for a component, and the maximum size of each item.

use std::collections::HashMap;

use crate::lengths::PATH_WITH_QUERY;
use crate::memory::{Account, Charge};

/// The maximum size of the headers of one request or answer, as WASI counts them, in bytes.
pub(crate) const FIELDS_BYTES_MAX: usize = 64 << 10;
/// The maximum memory of such headers, in bytes: the library's tables grow by doubling.
pub(super) const FIELDS: u64 = 4 * FIELDS_BYTES_MAX as u64;
/// The maximum that one call writes to the body of a request, in bytes.
pub(super) const CHUNK_BYTES_MAX: usize = 64 << 10;
/// The number of chunks that wait for the other side, in addition to the one that is being written.
pub(super) const CHUNKS_MAX: usize = 1;
/// The memory of a body before it is sent, in bytes.
pub(super) const UNSENT: u64 = ((CHUNKS_MAX + 1) * CHUNK_BYTES_MAX) as u64;
/// The memory of a request or an answer that the step makes, in bytes: headers, trailers, texts, and the
/// beginning of its body.
pub(super) const MESSAGE: u64 = 2 * FIELDS + UNSENT + PATH_WITH_QUERY.max as u64;

/// The charges for the data that `wasi:http` keeps for a component, by its number in the table.
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
