//! Work beside the executions: each service has a file of its own. Every worker runs all services about once
//! a second.
//!
//! - `watchdog`: takes over the executions that dead workers have left behind.
//! - `retention`: deletes the old events of executions.
//! - `log_sharing`: copies a run's log to the folder that several machines share. It belongs to one run. The
//!   run starts it, with or without a worker.
//!
//! Later services also belong here: a scheduler (finds the schedules that are due, and submits their jobs)
//! and a notifier (delivers the events of executions). Each is one more [`Background`] in a file here, listed
//! in [`services`].

pub(crate) mod log_sharing;
pub(crate) mod retention;
mod service;
pub(crate) mod watchdog;

use std::sync::Arc;

pub(crate) use service::Background;

use crate::installation::Installation;

/// The services of an installation, in the order in which a worker ticks them.
pub(crate) fn services(installation: &Arc<Installation>) -> Vec<Arc<dyn Background>> {
    vec![
        Arc::new(watchdog::Watchdog::new(installation.clone())),
        Arc::new(retention::Retention::new(installation.clone())),
    ]
}
