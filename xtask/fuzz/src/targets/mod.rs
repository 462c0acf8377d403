//! One module for each target.

pub mod bucket;
pub mod connector_file;
pub mod csv;
pub mod forms;
pub mod grants;
pub mod jsonl;
pub mod parameters;
mod reading;
pub mod rows;
pub mod templates;
pub mod upload;
