//! The contract's imports, in the SDK's own types: in a component the runtime's, natively a recorder.
//!
//! The modules [`execution`](crate::execution), [`files`](crate::files), [`http`](crate::http) and
//! [`log`](crate::log) are the pleasant side of this one.

#[cfg(target_family = "wasm")]
mod imports;
#[cfg(target_family = "wasm")]
pub(crate) use imports::*;

#[cfg(not(target_family = "wasm"))]
mod recorder;
#[cfg(not(target_family = "wasm"))]
pub(crate) use recorder::*;
