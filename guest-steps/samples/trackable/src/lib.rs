//! Works through a number of items and reports its progress.
//!
//! The tasklet first sets the total, and then counts each finished item. The runtime shows a progress bar and
//! the remaining time. `workMs` makes each item take long enough to watch.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, json, log};

/// The tasklet.
pub struct Trackable;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    items: u32,
    #[serde(default)]
    work_ms: u64,
}

impl Tasklet for Trackable {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        about.parameters(json!({
            "type": "object",
            "properties": {
                "items": { "type": "integer", "minimum": 0 },
                "workMs": { "type": "integer", "minimum": 0, "default": 0 },
            },
            "required": ["items"],
        }))
    }

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        execution::set_total_items(parameters.items);
        for _ in 0..parameters.items {
            work(parameters.work_ms);
            execution::increment_processed_items(1);
        }
        log::info(format!("{} items done", parameters.items));
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(Trackable);

/// Stands for the real work of a task.
fn work(work_ms: u64) {
    if work_ms > 0 {
        thread::sleep(Duration::from_millis(work_ms));
    }
}

#[cfg(test)]
mod tests {
    use stepbox_step::testing::{Host, recorded, run};

    use super::*;

    #[test]
    fn counts_every_item() {
        Host::new().install();
        assert_eq!(run::<Trackable>(json!({ "items": 3 })), Ok(Exit::Completed));
        let recorded = recorded();
        assert_eq!((recorded.total, recorded.processed), (Some(3), 3));
    }
}
