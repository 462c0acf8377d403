//! A tasklet that returns an error, with a message of 70,000 bytes if the parameter `long` is true.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet};

struct FailsWithError;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    long: bool,
}

impl Tasklet for FailsWithError {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let message = if parameters.long { "long ".repeat(14_000) } else { "tray 2 is empty".to_owned() };
        let error = StepError::new("out-of-paper", message);
        Err(if parameters.retryable { error.retryable() } else { error })
    }
}

stepbox_step::export_tasklet!(FailsWithError);
