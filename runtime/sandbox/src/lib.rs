//! Runs steps that are WebAssembly components: within their grants, within their limits, and in the
//! places of native elements.
//!
//! A component's way leads through three types:
//!
//! 1. [`receive`] takes what somebody uploads, as long as it is no longer than a component may be, and
//!    [`Sandbox::inspect`] looks at it. Nothing is compiled before it looks
//!    like a step of one of the five worlds ([`World`]), and nothing is kept before the component has
//!    described itself ([`Description`]). What it refuses is a [`ComponentError`].
//! 2. [`Sandbox::load`] finds it again by its digest, from memory or the cache, as a [`Program`].
//! 3. [`Program::reader`], [`processor`](Program::processor), [`writer`](Program::writer) and
//!    [`tasklet`](Program::tasklet) put it in an element's place. The engine in `stepbox-batch` cannot
//!    tell the difference.
//!
//! What it gets there stands in one [`ComponentSetup`]: what it may touch ([`Grants`], and at most
//! [`HttpPolicy`] and [`NetworkPolicy`]) and how much it may use ([`Limits`], counted in [`Usage`] for all components of
//! a step). The grants are empty by default: no files but the working folder, no hosts, no environment.
//!
//! ```
//! use std::error::Error;
//! use std::path::PathBuf;
//!
//! use stepbox_batch::element::Tasklet;
//! use stepbox_batch::step_context::StepContext;
//! use stepbox_sandbox::{
//!     ComponentError, ComponentSetup, Grants, HttpPolicy, Limits, NetworkPolicy, Sandbox, SandboxConfig,
//!     ShareLimits, StepSecrets, Usage,
//! };
//!
//! /// Runs a component of the world `tasklet`; returns the code of its exit status, if it says one.
//! async fn run(
//!     component: &[u8],
//!     work: PathBuf,
//!     context: &StepContext,
//! ) -> Result<Option<String>, Box<dyn Error>> {
//!     let sandbox = Sandbox::new(SandboxConfig::default())?;
//!     let inspected = sandbox.inspect(component).await?;
//!     let bytes = || Ok::<_, ComponentError>(component.to_vec());
//!     let program = sandbox.load(&inspected.digest, bytes).await?;
//!     let setup = ComponentSetup {
//!         grants: Grants::none().with_http("GET https://api.example.com")?,
//!         network: NetworkPolicy::default(),
//!         http: HttpPolicy::default(),
//!         secrets: StepSecrets::default(),
//!         limits: Limits::default(),
//!         share: sandbox.share(ShareLimits::default()),
//!         usage: Usage::default(),
//!         options: None,
//!         work,
//!     };
//!     Ok(program.tasklet(setup).run(context).await?)
//! }
//!
//! let refusal = Grants::none().with_http("GET api.example.com").unwrap_err();
//! assert_eq!(refusal.code(), "grant-http-malformed");
//! ```
//!
//! # How it holds
//!
//! - Each element has a store of its own, and its first call that fails is its last: after a trap
//!   nothing can be said about what is in its memory.
//! - Time is cut off from outside: a ticker interrupts what computes, and what waits is dropped. A stop
//!   request leaves a grace time. Memory is counted per component, per tenant and for all together;
//!   tenants take turns on the processors.
//! - A path begins with the name of a granted folder, and the operating system resolves the rest beneath
//!   it. No text is compared.
//! - A request is judged by its grant first, and then by the addresses that its host resolves to; only
//!   those that were judged are dialled.
//! - A secret never enters a component's memory: it is put in where a request leaves, towards its own hosts
//!   alone, and taken out of their answers.
//! - The contract's own imports and WASI's are two doors to the same grants and the same budget.
//! - Whatever a component returns is checked before it is used: batches, headers, checkpoints, codes.
//!
//! - Compiling cannot be called off, so a [`Compiler`] that others' components come to is a process, ended
//!   at its limits of time and memory.
//!
//! There is no job, repository or tenant in here, and no default that opens anything. Failures that the
//! sandbox itself finds have the codes in [`FAILURE_CODES`], each explained in `docs/errors.md`.

mod budget;
mod compile_cache;
mod compiler;
mod console;
mod digest;
mod egress;
mod engine;
mod error;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod instance;
mod lengths;
mod limits;
mod linker;
mod machine;
mod memory;
mod program;
mod renames;
mod sandbox;
mod secrets;
mod setup;
mod share;
mod state;
#[cfg(test)]
mod testing;
mod text;
mod upload;
mod v0_1;
mod wasi;
mod watch;

pub use self::budget::{ExecutionDisk, Usage};
pub use self::compiler::worker::compile_worker;
pub use self::compiler::{CompileProcess, Compiler};
pub use self::digest::of as digest_of;
pub use self::egress::{HttpPolicy, HttpPolicyError};
pub use self::error::{CompileLimit, ComponentError, SandboxError};
pub use self::failure::FAILURE_CODES;
pub use self::grants::{
    Access, FolderGrant, FolderTemplate, GrantError, Grants, HttpGrant, HttpTemplate, WORK_FOLDER, Withheld,
};
pub use self::limits::Limits;
pub use self::program::Program;
pub use self::sandbox::{Sandbox, SandboxConfig};
pub use self::secrets::{Secret, SecretError, Secrets, StepSecrets, UnusableSecret};
pub use self::setup::ComponentSetup;
pub use self::share::{Share, ShareLimits};
pub use self::upload::COMPONENT_BYTES_MAX;
pub use self::upload::{Description, Finding, Inspected, World, receive};
pub use stepbox_net::{NetworkPolicy, Resolver, SystemResolver};
