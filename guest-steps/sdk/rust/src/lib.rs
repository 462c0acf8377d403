//! Write a Stepbox step in Rust.
//!
//! A step is one of four things: a [`Processor`] changes items, a [`Reader`] finds them, a [`Writer`] stores
//! or sends them, and a [`Tasklet`] does one task without items. Implement the trait, export it with the
//! macro of that name, and build for `wasm32-wasip2`:
//!
//! ```
//! use stepbox_step::{Column, Item, NoParameters, Opening, Processor, StepError, Verdict, json};
//!
//! /// Writes the names of all items in upper case.
//! struct Upper {
//!     name: Column,
//! }
//!
//! impl Processor for Upper {
//!     type Parameters = NoParameters;
//!
//!     fn open(_: NoParameters, opening: &mut Opening) -> Result<Self, StepError> {
//!         Ok(Upper { name: opening.columns.find("name")? })
//!     }
//!
//!     fn process(&mut self, item: &mut Item) -> Result<Verdict, StepError> {
//!         item.set(self.name, &item.text(self.name).to_uppercase());
//!         Ok(Verdict::Keep)
//!     }
//! }
//!
//! stepbox_step::export_processor!(Upper);
//!
//! let done = stepbox_step::testing::process::<Upper>(json!({}), &["sku", "name"], &[&["1", "chair"]])?;
//! assert_eq!(done.lines(), ["1|CHAIR"]);
//! # Ok::<(), StepError>(())
//! ```
//!
//! The other modules:
//!
//! - [`execution`] gives access to the step's run: parameters, progress, warnings, stop request;
//! - [`files`] and [`http`] reach what the job granted, and nothing else; [`log`] writes messages for people;
//! - [`form`] helps people to fill in the form of a job, beside any of the four: [`FormDescriber`];
//! - [`testing`] runs a step natively, in an ordinary unit test, with a recorder instead of the runtime;
//! - [`contract`] has the values that cross between step and runtime, for drivers and tests.
//!
//! For a bad item return a [`Verdict::Skip`]; the step continues. If the step cannot continue, return a
//! [`StepError`]. A stop request is neither of these: a tasklet that sees [`execution::is_stopping`] returns.
//!
//! The SDK allocates nothing for an item: items are views into a batch. Unchanged rows are copied many at a
//! time, or not at all.

mod columns;
pub mod contract;
mod describe;
mod error;
pub mod execution;
mod export;
pub mod files;
pub mod form;
mod host;
pub mod http;
mod item;
pub mod log;
mod opening;
mod output;
mod processor;
mod reader;
mod tasklet;
mod writer;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component;
#[cfg(target_family = "wasm")]
pub mod raw;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use columns::{Column, Columns};
pub use describe::Description;
pub use error::StepError;
pub use form::FormDescriber;
pub use item::Item;
pub use opening::{Checkpoint, NoParameters, Opening};
pub use processor::{Processor, ProcessorDriver, Skip, Verdict};
pub use reader::{NewItem, Next, PartitionedReader, Reader, ReaderDriver, split};
pub use serde_json::json;
pub use tasklet::{Exit, Tasklet, run_tasklet};
pub use writer::{Writer, WriterDriver, Written};

/// The example in the guide is compiled as well.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Guide;
