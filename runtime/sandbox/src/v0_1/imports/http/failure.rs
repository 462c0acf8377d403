//! Why a call on HTTP failed, independent of the contract's version.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use wasmtime::component::ResourceTableError;

use crate::budget::OverLimit;
use crate::egress::EgressError;
use crate::memory::OutOfMemory;

/// Why a call on HTTP failed: a reason that the step gets, or a handle that does not exist, which ends the
/// step.
#[derive(Debug)]
pub enum HttpFailure {
    /// The reason that the step gets.
    Told(EgressError),
    /// The error that ends the step.
    Trap(wasmtime::Error),
}

impl From<EgressError> for HttpFailure {
    fn from(error: EgressError) -> Self {
        Self::Told(error)
    }
}

impl From<OverLimit> for HttpFailure {
    fn from(error: OverLimit) -> Self {
        EgressError::from(error).into()
    }
}

impl From<OutOfMemory> for HttpFailure {
    fn from(error: OutOfMemory) -> Self {
        EgressError::from(error).into()
    }
}

impl From<ResourceTableError> for HttpFailure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
