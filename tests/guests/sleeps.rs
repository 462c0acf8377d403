//! A tasklet that sleeps for an hour, inside one call of the runtime, and cannot check for a stop.

use std::thread;
use std::time::Duration;

use stepbox_step::{Exit, NoParameters, StepError, Tasklet, log};

struct Sleeps;

impl Tasklet for Sleeps {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        log::info("asleep");
        thread::sleep(Duration::from_secs(3600));
        log::info("awake");
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(Sleeps);
