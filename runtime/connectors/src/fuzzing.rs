//! The internals that the fuzz targets need: files that are read in windows of any size, so that small inputs have many
//! edges, and a bucket with any answers.

use serde_json::Value;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::run_context::RunInfo;

use crate::element_setup::ElementSetup;
use crate::folders::Folders;
pub use crate::input_file::window::set_window_bytes;

/// Gives these bytes to a bucket as its answers.
///
/// # Panics
///
/// If the bucket delivers more than was asked for, or an object of another name.
pub fn bucket_answers(bytes: &[u8]) {
    crate::storage::bucket::fuzz::answers(bytes);
}

/// A setup with these options, for an element that reaches these folders.
pub fn setup(options: &Value, folders: &Folders) -> ElementSetup {
    ElementSetup { reach: folders.clone().into(), ..ElementSetup::to_check(options.clone()) }
}

/// A path with its placeholders filled, for a run that began at the time 0.
pub fn fill_placeholders(path: &str, job_label: &str) -> String {
    let (id, started_at) = (JobExecutionId(1), Timestamp(0));
    crate::placeholders::fill(path, &RunInfo { id, job_label: job_label.to_owned(), started_at })
}
