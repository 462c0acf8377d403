//! Steps that do one task without items.

use serde::de::DeserializeOwned;

use crate::contract::Setup;
use crate::opening::parse_parameters;
use crate::{Description, StepError};

/// A step that does one task.
///
/// One that loops asks [`execution::is_stopping`](crate::execution::is_stopping) as it goes and
/// returns soon after a yes, keeping in the execution context what a restart needs.
pub trait Tasklet {
    /// What the step is configured with; [`NoParameters`](crate::NoParameters) if nothing.
    type Parameters: DeserializeOwned;

    /// What whoever installs the component is shown. Name, version and summary are already there.
    fn describe(about: Description) -> Description {
        about
    }

    /// Does the task.
    fn run(parameters: Self::Parameters) -> Result<Exit, StepError>;
}

/// How a tasklet ended, if not with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As it should: COMPLETED, or STOPPED if `is_stopping` told it yes.
    Completed,
    /// With an exit status of its own, at most 100 bytes, such as `PARTIAL`.
    Own(String),
}

/// Runs a tasklet: what a component does, for native use as well.
pub fn run_tasklet<T: Tasklet>(setup: &Setup) -> Result<Exit, StepError> {
    T::run(parse_parameters(&setup.parameters)?)
}
