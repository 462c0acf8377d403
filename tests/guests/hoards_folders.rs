//! A tasklet that asks for its granted folders `times` times, keeps all answers, and then sleeps.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Exit, StepError, Tasklet, log};
use wasi::filesystem::preopens::get_directories;

struct HoardsFolders;

#[derive(Deserialize)]
struct Parameters {
    times: u32,
}

impl Tasklet for HoardsFolders {
    type Parameters = Parameters;

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let folders: Vec<_> = (0..parameters.times).map(|_| get_directories()).collect();
        log::info("hoarded");
        thread::sleep(Duration::from_secs(3600));
        drop(folders);
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(HoardsFolders);
