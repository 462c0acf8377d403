//! The contract's imports, in the SDK's own types: in a component the runtime's imports, natively a recorder.
//!
//! The modules [`execution`](crate::execution), [`files`](crate::files), [`http`](crate::http) and
//! [`log`](crate::log) are the public interface to this one.

#[cfg(target_family = "wasm")]
mod imports;
#[cfg(target_family = "wasm")]
pub(crate) use imports::*;

#[cfg(not(target_family = "wasm"))]
mod recorder;
#[cfg(not(target_family = "wasm"))]
pub(crate) use recorder::*;

/// How much of a file or a body goes to the runtime in one call, in bytes. The runtime takes at most 4 MiB.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// The beginning of `bytes` that goes in one call.
pub(crate) fn piece(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(PIECE_BYTES)]
}
