//! Works through a number of items until somebody asks it to stop, and goes on from there.
//!
//! Asks before each item. After a yes it returns at once: what is done stays done, and the execution
//! context says how much that is, so that it goes on behind it, whether it was stopped, paused or killed.
//! It counts an item first and then keeps how many there are: what it counted until then stays counted.
//!
//! Counting an item and asking whether to stop are the two calls that a step makes most often. With
//! `items` at ten million and `workMs` at 0 this is the measure of what they cost.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, json};

/// How many items are done, in the execution context.
const DONE: &str = "stoppable.done";
/// How many items are done at most before it says so there. Those that take time are kept one by one.
const KEPT_EVERY: u32 = 100_000;

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

        let mut done = before;
        while done < parameters.items && !execution::is_stopping() {
            work(parameters.work_ms);
            execution::increment_processed_items(1);
            done += 1;
            if parameters.work_ms > 0 || done % KEPT_EVERY == 0 {
                execution::put(DONE, &done)?;
            }
        }
        execution::set_summary("done", &done.to_string());
        execution::put(DONE, &done)?;
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
        check(Host::new(), "5 of 5, counted 5");
        check(Host::new().stop_after_checks(2), "2 of 5, counted 2");
        check(Host::new().stop_after_checks(0), "0 of 5, counted 0");
        // The runtime has counted the first two.
        check(Host::new().context(DONE, json!(2)), "5 of 5, counted 3");
        check(Host::new().context(DONE, json!(2)).stop_after_checks(1), "3 of 5, counted 1");

        fn check(host: Host, expected: &str) {
            host.install();
            assert_eq!(run::<Stoppable>(json!({ "items": 5 })), Ok(Exit::Completed));
            let recorded = recorded();
            let (total, done) = (recorded.total.unwrap(), &recorded.context[DONE]);
            assert_eq!(format!("{done} of {total}, counted {}", recorded.processed), expected);
            assert_eq!(recorded.summary["done"], *done);
        }
    }
}
