//! A processor that never returns from the item whose first cell is `spin`.
//!
//! Items before it come through, so that a test can look at what the step had committed.

use std::hint;

use stepbox_step::{Item, NoParameters, Opening, Processor, StepError, Verdict};

struct SpinsInProcessor;

impl Processor for SpinsInProcessor {
    type Parameters = NoParameters;

    fn open(_: NoParameters, _: &mut Opening) -> Result<Self, StepError> {
        Ok(SpinsInProcessor)
    }

    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError> {
        while item.text(0) == "spin" {
            hint::spin_loop();
        }
        Ok(Verdict::Keep)
    }
}

stepbox_step::export_processor!(SpinsInProcessor);
