//! The domain and the engine of Stepbox: the definition of a job, and how its steps run.
//!
//! Start with [`item_step`]: a data item's journey, top to bottom. The other modules are:
//!
//! - the definition: [`job`] (jobs, steps, instances), [`parameters`] (schemas, merging, violations), [`template`];
//!   [`instance_form`] (the forms in which people write them); [`strict_json`] parses JSON from people and programs;
//! - the stored state of a run, and the rules that every store keeps: [`execution`]; the ports through which a run
//!   is stored: [`ports`], [`recorder`]; what is installed: [`inventory`]; the processes that run executions:
//!   [`worker`]; the audit trail: [`audit`];
//! - who may do what: [`access`];
//! - what a component says about a form: [`form_answer`];
//! - texts that are safe to show: [`visible`];
//! - what elements use: [`element`] (the ports), [`rows`] (items as one flat batch), [`step_context`] and
//!   [`run_context`] (parameters, progress, [`findings`], stop requests), [`log`]; and the [`gate`] between
//!   elements and everything that they may change.
//!
//! This crate has no WebAssembly, SQL, HTTP, path, argument or clock. A sandboxed processor is one more implementor
//! of [`element::ItemProcessor`], a database is one more [`ports::JobRepository`], and time comes in through
//! [`clock::Clock`].
//!
//! ```
//! use stepbox_batch::parameters::ParameterSchema;
//! use serde_json::json;
//!
//! let schema = ParameterSchema::new(&json!({
//!     "properties": {
//!         "delimiter": { "enum": [",", ";"], "default": ";" },
//!         "storage": { "type": "string" },
//!     },
//!     "required": ["storage"],
//! }))?;
//! let parameters = schema.effective(&json!({ "storage": "out.csv" }), &json!({ "delimiter": "," }));
//! assert_eq!(parameters.unwrap(), json!({ "delimiter": ",", "storage": "out.csv" }));
//!
//! let violations = schema.effective(&json!({ "storrage": "out.csv" }), &json!({})).unwrap_err();
//! assert_eq!(violations[0].to_string(), "/storage: is required");
//! assert_eq!(
//!     violations[1].to_string(),
//!     "/storrage: is not a known parameter; did you mean `storage`?"
//! );
//! # Ok::<(), stepbox_batch::parameters::SchemaError>(())
//! ```

pub mod access;
pub mod accounting;
pub mod actor;
pub mod audit;
pub mod base62;
pub mod clock;
pub mod component_quota;
pub mod counters;
pub mod cut;
pub mod depth;
pub mod element;
pub mod error;
pub mod error_kind;
pub mod execution;
pub mod findings;
pub mod flow;
pub mod form_answer;
pub mod gate;
pub mod instance_form;
pub mod inventory;
pub mod item_step;
pub mod job;
pub mod limits;
pub mod lock;
pub mod log;
pub mod metering;
pub mod name;
pub mod nearest;
pub mod numbers;
pub mod observer;
pub mod parameters;
pub mod pattern;
pub mod ports;
pub mod projection;
pub mod recorder;
pub mod remedy;
mod retry;
pub mod rows;
pub mod run_context;
mod shared_values;
pub mod step_context;
pub mod strict_json;
pub mod tasklet_point;
pub mod tasklet_step;
pub mod template;
pub mod thread;
pub mod uploaded_file;
pub mod visible;
pub mod worker;

#[cfg(test)]
mod testing;
