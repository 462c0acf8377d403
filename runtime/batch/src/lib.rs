//! The domain and the engine of Stepbox. (tour to come)

pub mod clock;
pub mod element;
pub mod error;
pub mod execution;
pub mod job;
pub mod log;
pub mod name;
pub mod repository;
pub mod rows;
pub mod status;
pub mod step_context;
