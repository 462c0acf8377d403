//! Run batch jobs whose custom steps are sandboxed WebAssembly components.

pub mod connector_file;
mod data_folder;
mod error;
mod execution_log;
mod job_lifecycle;
mod native;
mod policy;
mod step_elements;
mod stepbox;
mod system_clock;
mod tenant;

pub use error::{Error, ErrorKind};
pub use execution_log::{LogLine, LogListener};
pub use job_lifecycle::{HEARTBEAT_MS, LEASE_MS, PROGRESS_MS, Progress, STOP_CHECK_MS};
pub use policy::{FilesPolicy, Policy};
pub use stepbox::{Builder, Stepbox};
pub use stepbox_batch as batch;
pub use system_clock::SystemClock;
pub use tenant::{Inspected, InstanceEdit, NewInstance, Purge, RunOptions, Running, Tenant};
