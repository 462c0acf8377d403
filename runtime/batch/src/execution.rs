//! One run of a job instance and of each of its steps: what is stored of it, and the rules that every store keeps.
//!
//! - What is stored: [`JobExecution`] with its [`StepExecution`]s, [`Checkpoint`]s, [`Warning`]s and [`Failure`]s; as
//!   lists show it, [`ExecutionSummary`]; one part of a step that was split, [`Partition`]. Where it stands is its
//!   [`status`].
//! - How it comes in, waits and is run: [`NewJobExecution`], [`queue`], [`Claim`], [`Claimed`], [`Lease`], [`Save`].
//! - What happens to it, as a stream that other processes read: [`event`].
//! - The rules: who may do what to it ([`standing`]), what becomes of it when its worker is lost ([`rescue`]), how a
//!   part ends with its whole ([`part::PartOfEnded`]), and whose turn it is ([`fairness`]). They are functions from
//!   values to values; a store asks them inside its transactions.

pub mod checkpoint;
pub mod claimed;
pub mod context;
pub mod ending;
pub mod event;
pub mod failure;
pub mod fairness;
pub mod filter;
pub mod job_execution;
pub mod lease;
pub mod new;
pub mod part;
pub mod queue;
pub mod rescue;
pub mod save;
pub mod standing;
pub mod status;
pub mod step_execution;
pub mod summary;

pub use checkpoint::Checkpoint;
pub use claimed::Claimed;
pub(crate) use context::entry_bytes;
pub use context::{CONTEXT_BYTES_MAX, ExecutionContext};
pub use failure::{Failure, Warning};
pub use filter::{ExecutionFilter, Purgeable};
pub use job_execution::{Ancestor, JobExecution, Remains};
pub use lease::{Claim, Lease};
pub use new::NewJobExecution;
pub use part::{Partition, PartitionState};
pub use rescue::{Fate, Rescued, Whose};
pub use save::Save;
pub use standing::StopRequest;
pub use step_execution::{Counts, StepExecution, Summary, SummaryValue, Tracking};
pub use summary::{ExecutionSummary, JobSummary};
