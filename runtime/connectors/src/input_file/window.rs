//! How much of a file is read at a time.

/// How many bytes are read at a time. Larger windows leave the processor's cache and gain nothing.
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

/// Sets how many bytes this thread reads at a time of files that it opens from now on; at least 1.
#[cfg(feature = "fuzzing")]
pub fn set_window_bytes(bytes: usize) {
    BYTES.set(bytes.max(1));
}
