//! The check of an uploaded component: nothing is compiled before it looks right, and nothing kept
//! before it described itself.

mod contract;
mod cost;
mod description;
mod difference;
mod form;
mod receive;
mod world;

pub use self::description::Description;
pub use self::receive::receive;
pub use self::world::{Finding, World};

pub use self::form::COMPONENT_BYTES_MAX;

use std::sync::Arc;

use stepbox_batch::name::Digest;

use crate::error::ComponentError;
use crate::machine::Machine;

/// What the check of an uploaded component found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// What it can be used as.
    pub world: World,
    /// What it says about itself.
    pub description: Description,
}

/// Checks a component, compiles it into the cache, and asks it to describe itself.
pub(crate) async fn inspect(machine: &Arc<Machine>, bytes: &[u8]) -> Result<Inspected, ComponentError> {
    form::check(bytes)?;
    let bytes: Arc<[u8]> = Arc::from(bytes);
    let world = off_thread(bytes.clone(), validate).await?;
    let digest = crate::digest::of(&bytes);
    let loaded = machine.compile(&digest, bytes).await?;
    let description = description::ask(&loaded, world).await.inspect_err(|_| machine.forget(&digest))?;
    Ok(Inspected { digest, world, description })
}

/// What can be found out without compiling.
fn validate(bytes: &[u8]) -> Result<World, ComponentError> {
    form::validate(bytes)?;
    cost::check(bytes)?;
    contract::check(bytes)
}

/// The checks before compiling, in the open.
#[cfg(feature = "fuzzing")]
pub(crate) fn look(bytes: &[u8]) -> Result<World, ComponentError> {
    form::check(bytes)?;
    validate(bytes)
}

/// Looks at hostile bytes where it keeps nobody waiting and a panic takes nobody along.
async fn off_thread<T: Send + 'static>(
    bytes: Arc<[u8]>,
    look: impl FnOnce(&[u8]) -> Result<T, ComponentError> + Send + 'static,
) -> Result<T, ComponentError> {
    match tokio::task::spawn_blocking(move || look(&bytes)).await {
        Ok(result) => result,
        Err(_) => Err(ComponentError::Malformed { problem: "it confuses the validator".to_owned() }),
    }
}
