//! What the fuzz targets need of the inside: files read in windows of any size, so that small inputs
//! have many edges, and a bucket that answers whatever it is told to.

use std::cell::Cell;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::step_context::RunInfo;

use crate::input_file::WINDOW_BYTES;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(WINDOW_BYTES) };
}

/// How many bytes this thread reads at a time of files that it opens from now on; at least 1.
pub fn set_window_bytes(bytes: usize) {
    BYTES.set(bytes.max(1));
}

/// Lets a bucket give these bytes as its answers.
///
/// # Panics
///
/// If more comes of an answer than was asked for, or another name.
pub fn bucket_answers(bytes: &[u8]) {
    crate::bucket::fuzz::answers(bytes);
}

pub(crate) fn window_bytes() -> usize {
    BYTES.get()
}

/// A path with its placeholders filled, for a run that began at the beginning of time.
pub fn fill_placeholders(path: &str, job_label: &str) -> String {
    let (id, started_at) = (JobExecutionId(1), Timestamp(0));
    crate::placeholders::fill(path, &RunInfo { id, job_label: job_label.to_owned(), started_at })
}
