//! The files that a component has open.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use std::fs::File;
use std::sync::Arc;

use crate::budget::Handle;

/// A file open for reading.
#[derive(Debug)]
pub struct FileReader {
    pub(super) file: Arc<File>,
    pub(super) _handle: Handle,
}

/// A file open for writing.
#[derive(Debug)]
pub struct FileWriter {
    pub(super) file: Arc<File>,
    pub(super) _handle: Handle,
}
