//! To come.

mod adapters;
#[allow(missing_docs)]
mod bindings;
mod budget;
mod compile_cache;
mod console;
mod digest;
mod egress;
mod engine;
mod error;
mod failure;
mod grants;
mod imports;
mod instance;
mod limits;
mod linker;
mod memory;
mod program;
mod sandbox;
mod setup;
mod state;
#[cfg(test)]
mod testing;
mod text;
mod upload;
mod wasi;
mod watch;

pub use self::adapters::{SandboxedProcessor, SandboxedReader, SandboxedTasklet, SandboxedWriter};
pub use self::budget::Usage;
pub use self::egress::{AddressKind, NetworkPolicy};
pub use self::error::{ComponentError, SandboxError};
pub use self::failure::FAILURE_CODES;
pub use self::grants::{Access, FolderGrant, GrantError, Grants, HttpGrant, WORK_FOLDER};
pub use self::limits::Limits;
pub use self::program::Program;
pub use self::sandbox::{Sandbox, SandboxConfig};
pub use self::setup::ComponentSetup;
pub use self::upload::{Description, Finding, Inspected, World};
