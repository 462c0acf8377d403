//! Runs steps that are WebAssembly components, within their grants and limits, in the place of native
//! elements.
//!
//! A component passes through three types:
//!
//! 1. [`receive`] reads an uploaded component, up to the maximum length of a component, and
//!    [`Sandbox::inspect`] checks it. Nothing is compiled before the bytes look like a step of one of the
//!    five worlds ([`World`]). Nothing is kept before the component has described itself ([`Description`]). A
//!    refusal is a [`ComponentError`].
//! 2. [`Sandbox::load`] finds it again by its digest, from memory or the cache, as a [`Program`].
//! 3. [`Program::reader`], [`processor`](Program::processor), [`writer`](Program::writer) and
//!    [`tasklet`](Program::tasklet) use it as an element. The engine in `stepbox-batch` sees no difference to
//!    a native element.
//!
//! A component may also answer questions about the form of a job, outside of any run:
//! [`Program::describe_form`].
//!
//! One [`ComponentSetup`] holds everything that the component gets there: what it may touch ([`Grants`], and
//! at most [`HttpPolicy`] and [`NetworkPolicy`]) and how much it may use ([`Limits`], counted in [`Usage`]
//! for all components of a step). The grants are empty by default: no files but the working folder, no hosts,
//! no environment.
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
//! # How the sandbox protects the host
//!
//! - Each element has a store of its own, and its first call that fails is its last: after a trap the
//!   contents of its memory cannot be trusted.
//! - Time limits act from outside: a ticker interrupts components that compute, and calls that wait are
//!   dropped. After a stop request a component gets a grace time. Memory is counted per component, per tenant
//!   and for all components together. Tenants take turns on the processors.
//! - A path begins with the name of a granted folder, and the operating system resolves the rest beneath that
//!   folder. No path is compared as text.
//! - A request is judged by its grant first, and then by the addresses that its host resolves to. Only the
//!   judged addresses are dialled.
//! - A secret never enters a component's memory: it is inserted where a request leaves, towards its own hosts
//!   only, and removed from their answers.
//! - The contract's own imports and WASI's are two doors to the same grants and the same budget.
//! - Everything that a component returns is checked before it is used: batches, headers, checkpoints, codes.
//!
//! - A running compilation cannot be cancelled. So a [`Compiler`] for other people's components is a separate
//!   process, which is ended at its limits of time and memory.
//!
//! This crate knows no jobs, repositories or tenants, and none of its defaults grants access to anything.
//! Failures that the sandbox itself detects have the codes in [`FAILURE_CODES`]; `docs/errors.md` explains
//! each of them.

mod budget;
mod compile_cache;
mod compiler;
mod console;
mod describing;
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
