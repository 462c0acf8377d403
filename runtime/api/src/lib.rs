//! The words of Stepbox on every wire.
//!
//! The command line prints these types as `--format json`, and an HTTP API answers with them. Programs that read
//! such an answer can use the same types: each of them is `Serialize` and `Deserialize`. There is one module for
//! each noun, and the names of the types are those that an OpenAPI document has.
//!
//! Rules for every type here:
//!
//! - Fields are only ever added. No field is removed, renamed or given another meaning.
//! - The names are the domain's words. Moments are texts of RFC 3339 in UTC. A value that is not known is `null`.
//! - No type of the domain is on a wire. Each type here is built from one by a function `of`, so the domain is free
//!   to change.
//! - A reader ignores fields that it does not know.
//!
//! docs/cli.md describes the fields, and a test compares the two.
//!
//! ```
//! use stepbox_api::execution::{Execution, Status};
//! use stepbox_api::exit_code::ExitCode;
//!
//! # let answer = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/execution.json"));
//! // What `stepbox executions show 118 --format json` has printed.
//! let execution: Execution = serde_json::from_str(answer)?;
//! assert_eq!((execution.id, execution.status), (118, Status::Failed));
//! assert_eq!(execution.steps[0].counts.read, 1239);
//!
//! // What the exit code of `stepbox run` says.
//! assert_eq!(ExitCode::from_number(3), Some(ExitCode::JobFailed));
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod audit;
pub mod bulk;
pub mod connector;
pub mod event;
pub mod execution;
pub mod exit_code;
pub mod file;
pub mod form;
pub mod form_answer;
pub mod instance;
pub mod job;
pub mod list;
pub mod member;
pub mod policy;
pub mod problem;
pub mod queue;
pub mod remedy;
pub mod request;
pub mod session;
mod status;
pub mod step;
mod step_execution;
pub mod step_settings;
pub mod store;
pub mod tenant;
pub mod token;
pub mod user;
pub mod worker;

#[cfg(test)]
mod testing;
