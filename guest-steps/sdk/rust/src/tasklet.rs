//! Steps that do one task without items.

use serde::de::DeserializeOwned;

use crate::contract::Setup;
use crate::opening::parse_parameters;
use crate::{Description, StepError};

/// A step that does one task.
///
/// A tasklet with a loop must call [`execution::is_stopping`](crate::execution::is_stopping) in the loop.
/// After `true` it must return soon, and put into the execution context what a restart needs.
pub trait Tasklet {
    /// The parameters of the step; [`NoParameters`](crate::NoParameters) if it has none.
    type Parameters: DeserializeOwned;

    /// Describes the component for people who install it. Name, version and summary are already set.
    fn describe(about: Description) -> Description {
        about
    }

    /// Does the task.
    fn run(parameters: Self::Parameters) -> Result<Exit, StepError>;
}

/// How a tasklet ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Normally: COMPLETED, or STOPPED if `is_stopping` returned `true`.
    Completed,
    /// With an exit status of its own, such as `PARTIAL`, of at most 100 bytes.
    Own(String),
}

/// Runs a tasklet. A component uses it, and native programs can use it as well.
pub fn run_tasklet<T: Tasklet>(setup: &Setup) -> Result<Exit, StepError> {
    T::run(parse_parameters(&setup.parameters)?)
}
