//! What the runtime provides to components: one file for each interface of `wit/`.

pub(crate) mod execution;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod log;

use crate::bindings::stepbox::step::types;
use crate::state::StepState;

/// `stepbox:step/types` holds no functions.
impl types::Host for StepState {}
