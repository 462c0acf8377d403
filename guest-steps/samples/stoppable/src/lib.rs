//! Works through a number of items until a stop is requested, and continues from there when it runs again.
//!
//! The tasklet checks before each item. If a stop is requested, it returns at once, and the finished work
//! stays done. The execution context says how many items are done. So the next run continues after them,
//! whether this run was stopped, paused or killed. The tasklet first counts an item and then stores the
//! number: the runtime keeps the counts up to that moment.
//!
//! Counting an item and checking for a stop are the two calls that a step makes most often. Use `items` of
//! ten million and `workMs` of 0 to measure their cost.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, json};

/// The key of the number of finished items in the execution context.
const DONE: &str = "stoppable.done";
/// The maximum number of finished items that are not stored yet. Items that take time are stored one by one.
const KEPT_EVERY: u32 = 100_000;

/// The tasklet.
pub struct Stoppable;

/// The parameters.
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
    fn stops_when_asked_and_goes_on_from_there() {
        check(Host::new(), "5 of 5, counted 5");
        check(Host::new().stop_after_checks(2), "2 of 5, counted 2");
        check(Host::new().stop_after_checks(0), "0 of 5, counted 0");
        // The runtime has already counted the first two.
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
