//! Why a call on HTTP gives no answer, whatever the version of the contract calls it.

#![expect(unreachable_pub, reason = "the generated bindings re-export the types behind resources")]

use wasmtime::component::ResourceTableError;

use crate::budget::OverLimit;
use crate::egress::EgressError;
use crate::memory::OutOfMemory;

/// Why a call on HTTP gives no answer: something the step is told, or a handle that does not exist,
/// which ends it.
#[derive(Debug)]
pub enum HttpFailure {
    /// What the step is told.
    Told(EgressError),
    /// What ends it.
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
