//! Components in the places of native elements: one adapter for each world.
//!
//! An adapter starts its component when it is opened, in a store of its own, and lets go of it at the
//! first call that fails: nothing can be said any more about what is in its memory.

#[cfg(feature = "fuzzing")]
pub(crate) mod lies;
mod processor;
mod reader;
mod running;
mod tasklet;
mod writer;

pub(crate) use self::processor::SandboxedProcessor;
pub(crate) use self::reader::SandboxedReader;
pub(crate) use self::tasklet::SandboxedTasklet;
pub(crate) use self::writer::SandboxedWriter;
