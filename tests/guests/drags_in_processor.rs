//! A processor that takes `ms` milliseconds for each item, like one that sends a request for it.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stepbox_step::{Item, Opening, Processor, StepError, Verdict};

struct DragsInProcessor(Duration);

#[derive(Deserialize)]
struct Parameters {
    ms: u64,
}

impl Processor for DragsInProcessor {
    type Parameters = Parameters;

    fn open(parameters: Parameters, _: &mut Opening) -> Result<Self, StepError> {
        Ok(Self(Duration::from_millis(parameters.ms)))
    }

    fn process(&mut self, _: &mut Item<'_>) -> Result<Verdict, StepError> {
        thread::sleep(self.0);
        Ok(Verdict::Keep)
    }
}

stepbox_step::export_processor!(DragsInProcessor);
