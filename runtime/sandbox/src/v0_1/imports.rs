//! The imports that the runtime provides to components: one file for each interface of `wit/0.1`.

pub(crate) mod execution;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;

use crate::state::StepState;
use crate::v0_1::bindings::stepbox::step::types;

/// `stepbox:step/types` has no functions.
impl types::Host for StepState {}
