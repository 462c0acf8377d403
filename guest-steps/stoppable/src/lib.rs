//! Works through a number of items until somebody asks it to stop, and goes on from there.
//!
//! Asks before each item. After a yes it returns at once: what is done stays done, and the execution
//! context says how much that is, so that a restart goes on behind it.
//!
//! Counting an item and asking whether to stop are the two calls that a step makes most often. With
//! `items` at ten million and `workMs` at 0 this is the measure of what they cost.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, json};

/// How many items are done, in the execution context.
const DONE: &str = "stoppable.done";

/// The tasklet.
pub struct Stoppable;

/// What it is configured with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    items: u32,
    #[serde(default)]
    work_ms: u64,
}

impl Tasklet for Stoppable {
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
        let before: u32 = execution::get(DONE)?.unwrap_or(0);
        execution::set_total_items(parameters.items);
        execution::increment_processed_items(before);

        let mut done = before;
        while done < parameters.items && !execution::is_stopping() {
            work(parameters.work_ms);
            execution::increment_processed_items(1);
            done += 1;
        }
        execution::put(DONE, &done)?;
        execution::set_summary("done", &done.to_string());
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(Stoppable);

/// Stands for whatever the task is.
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
    fn stops_when_asked_and_goes_on_from_there() {
        check(Host::new(), "done=5 of 5");
        check(Host::new().stop_after_checks(2), "done=2 of 5");
        check(Host::new().stop_after_checks(0), "done=0 of 5");
        check(Host::new().context(DONE, json!(2)), "done=5 of 5");
        check(Host::new().context(DONE, json!(2)).stop_after_checks(1), "done=3 of 5");

        fn check(host: Host, expected: &str) {
            host.install();
            assert_eq!(run::<Stoppable>(json!({ "items": 5 })), Ok(Exit::Completed));
            let recorded = recorded();
            let total = recorded.total.unwrap();
            assert_eq!(format!("done={} of {total}", recorded.processed), expected);
            assert_eq!(recorded.context[DONE], recorded.processed.to_string());
            assert_eq!(recorded.summary["done"], recorded.processed.to_string());
        }
    }
}
