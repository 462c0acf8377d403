//! Components as elements: one adapter for each world, and one for the interface `form`, which is beside them.
//!
//! An adapter starts its component when it is opened, in a store of its own. It drops the component at the
//! first call that fails, because the contents of its memory cannot be trusted any more.

mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod lies;
mod processor;
mod reader;
mod running;
mod tasklet;
mod writer;

pub(crate) use self::form::{describe_form, describes_forms};
pub(crate) use self::processor::SandboxedProcessor;
pub(crate) use self::reader::SandboxedReader;
pub(crate) use self::tasklet::SandboxedTasklet;
pub(crate) use self::writer::SandboxedWriter;
