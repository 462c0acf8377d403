//! How many bytes of a file are read at a time.

/// How many bytes are read at a time. Larger windows do not fit into the processor's cache, and are not faster.
pub(crate) const WINDOW_BYTES: usize = 128 << 10;

#[cfg(not(feature = "fuzzing"))]
pub(super) fn window_bytes() -> usize {
    WINDOW_BYTES
}

#[cfg(feature = "fuzzing")]
thread_local! {
    static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(WINDOW_BYTES) };
}

#[cfg(feature = "fuzzing")]
pub(super) fn window_bytes() -> usize {
    BYTES.get()
}

/// Sets how many bytes this thread reads at a time, for files that it opens from now on.
///
/// 0 counts as 1.
#[cfg(feature = "fuzzing")]
pub fn set_window_bytes(bytes: usize) {
    BYTES.set(bytes.max(1));
}
