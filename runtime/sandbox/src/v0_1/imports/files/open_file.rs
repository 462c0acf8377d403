//! The open files of a component.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use std::fs::File;
use std::sync::Arc;

use crate::budget::Handle;

/// A file that is open for reading.
#[derive(Debug)]
pub struct FileReader {
    pub(super) file: Arc<File>,
    pub(super) _handle: Handle,
}

/// A file that is open for writing.
#[derive(Debug)]
pub struct FileWriter {
    pub(super) file: Arc<File>,
    pub(super) _handle: Handle,
}
