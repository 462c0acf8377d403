//! What the fuzz targets need of the inside: files read in windows of any size, so that small inputs
//! have many edges.

use std::cell::Cell;

use crate::input_file::WINDOW_BYTES;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(WINDOW_BYTES) };
}

/// How many bytes this thread reads at a time of files that it opens from now on; at least 1.
pub fn set_window_bytes(bytes: usize) {
    BYTES.set(bytes.max(1));
}

pub(crate) fn window_bytes() -> usize {
    BYTES.get()
}
