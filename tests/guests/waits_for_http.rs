//! A tasklet that calls the parameter `url` and waits for an answer that never comes, or never ends.
//!
//! It uses the longest timeout, and cannot check for a stop while it waits.

use std::io::Read;

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, http, log};

struct WaitsForHttp;

#[derive(Deserialize)]
struct Parameters {
    url: String,
}

impl Tasklet for WaitsForHttp {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        log::info("waiting for the head");
        let mut answer = http::get(parameters.url).timeout_ms(u32::MAX).send()?;
        log::info("waiting for the body");
        answer.read_to_end(&mut Vec::new())?;
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(WaitsForHttp);
