//! A tasklet that ends with an exit status of its own: the parameter `status`, or `PARTIAL`.

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet};

struct OwnExitStatus;

#[derive(Deserialize)]
struct Parameters {
    status: Option<String>,
}

impl Tasklet for OwnExitStatus {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        Ok(Exit::Own(parameters.status.unwrap_or_else(|| "PARTIAL".to_owned())))
    }
}

stepbox_step::export_tasklet!(OwnExitStatus);
