//! Work beside the executions: each service in a file of its own, done by every worker on its beat.
//!
//! - `watchdog`: takes up what dead workers have left behind.
//! - `retention`: drops the events of executions that are old.
//! - `log_sharing`: brings a run's log to the folder that several machines share. It belongs to one run, so the run
//!   starts it, with or without a worker.
//!
//! Places for what comes: a scheduler (which schedule is due, and submitting it), and a notifier (delivering the events of
//! executions). Each is one more [`Background`] in a file here, named in [`services`].

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
