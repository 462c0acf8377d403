//! One run of a job instance and of each of its steps: the stored form, and the rules that every store keeps.
//!
//! - The stored form: [`JobExecution`] with its [`StepExecution`]s, [`Checkpoint`]s, [`Warning`]s and [`Failure`]s;
//!   [`ExecutionSummary`] for lists; [`Partition`] for one part of a step that was split; [`status`] for its state.
//! - From the submission to the worker: [`NewJobExecution`], [`queue`], [`Claim`], [`Claimed`], [`Lease`],
//!   [`Save`].
//! - Its events, as a stream that other processes read: [`event`].
//! - The rules: which request is allowed in which status ([`standing`]), what happens to it after the loss of its
//!   worker ([`rescue`]), how a part ends with its whole ([`part::PartOfEnded`]), and which execution begins next
//!   ([`fairness`]). The rules are functions from values to values; a store calls them inside its transactions.

pub mod checkpoint;
pub mod claimed;
pub mod context;
pub mod ending;
pub mod event;
pub mod failure;
pub mod fairness;
pub mod filter;
pub mod filter_text;
pub mod idempotency;
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
pub use filter::{Choice, ExecutionFilter, Narrowing, Purgeable, Range, SEARCHED_MAX, Took};
pub use idempotency::{IDEMPOTENCY_KEPT_MS, Idempotency};
pub use job_execution::{Ancestor, JobExecution, Remains};
pub use lease::{Claim, Lease};
pub use new::NewJobExecution;
pub use part::{Partition, PartitionState};
pub use rescue::{Fate, Rescued, Whose};
pub use save::Save;
pub use standing::{PauseRequest, StopRequest};
pub use step_execution::{Counts, StepExecution, Summary, SummaryValue, Tracking};
pub use summary::{ExecutionSummary, JobSummary};
