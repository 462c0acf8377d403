//! Events of executions as they happen, as server-sent events.

pub(crate) mod broadcaster;
pub(crate) mod event_stream;
pub(crate) mod following;
