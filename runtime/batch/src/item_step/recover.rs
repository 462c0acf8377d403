//! After a failure, the step prepares another attempt, or ends.

use super::interruption::ChunkFailure;
use super::recovery::{Attempt, Next, explained};
use super::run::ItemStepRun;
use crate::error::StepError;
use crate::log::LogLevel;
use crate::retry::wait_to_retry;

impl ItemStepRun<'_> {
    /// Prepares another attempt from the last checkpoint, or returns the error that ends the step.
    pub(super) async fn recover(&mut self, failure: ChunkFailure) -> Result<(), StepError> {
        if let Some(items) = failure.items_out_of_time() {
            self.pace.was_too_slow(items);
        }
        let counts = self.journey.execution.counts;
        let attempt =
            Attempt { retry: &self.retry, retries: self.journey.execution.retries, read: counts.read };
        let context = self.journey.context;
        let log = |plan: &str| {
            context.log(LogLevel::Warning, &format!("{}; {plan}", failure.error.to_failure()));
        };
        match self.recovery.next(&failure, attempt, &self.settings.skip) {
            Next::Fail => return Err(explained(failure, &self.settings.skip)),
            Next::Narrow if failure.is_refusal => log("the items before it go first"),
            Next::Narrow => log("looking for the item at fault"),
            Next::Smaller => log("trying smaller chunks"),
            Next::Retry { after_ms } => {
                self.journey.execution.retries += 1;
                let retries = self.journey.execution.retries;
                log(&format!("retry {retries} of {} in {after_ms} ms", self.retry.limit));
                wait_to_retry(after_ms, context, self.journey.recorder.clock.as_ref()).await;
            }
        }
        Ok(())
    }
}
