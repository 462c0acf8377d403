//! The check of an uploaded component. It is not compiled before it looks right, and not kept before it has
//! described itself.

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

/// The result of the check of an uploaded component.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The world, which says how it can be used.
    pub world: World,
    /// Its description of itself.
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

/// The checks that need no compiling.
fn validate(bytes: &[u8]) -> Result<World, ComponentError> {
    form::validate(bytes)?;
    cost::check(bytes)?;
    contract::check(bytes)
}

/// The checks before compiling, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn look(bytes: &[u8]) -> Result<World, ComponentError> {
    form::check(bytes)?;
    validate(bytes)
}

/// Runs a check of hostile bytes on another thread. There it does not hold up other work, and a panic stays
/// in it.
async fn off_thread<T: Send + 'static>(
    bytes: Arc<[u8]>,
    look: impl FnOnce(&[u8]) -> Result<T, ComponentError> + Send + 'static,
) -> Result<T, ComponentError> {
    match tokio::task::spawn_blocking(move || look(&bytes)).await {
        Ok(result) => result,
        Err(_) => Err(ComponentError::Malformed { problem: "it confuses the validator".to_owned() }),
    }
}
