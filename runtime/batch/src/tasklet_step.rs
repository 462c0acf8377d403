//! A tasklet's run: one task without items.

use crate::element::Tasklet;
use crate::error::{ElementError, StepError};
use crate::item_step::{Journey, StepOutcome, wait, wait_to_retry};
use crate::job::RetryPolicy;

/// Runs a tasklet. One that returns after it was told to stop is STOPPED, whatever it says; one that
/// never asked has done its work.
pub async fn run(
    tasklet: &mut dyn Tasklet,
    name: &str,
    retry: &RetryPolicy,
    journey: Journey<'_>,
) -> Result<StepOutcome, StepError> {
    let Journey { execution, context, recorder } = journey;
    let mut in_a_row = 0;
    loop {
        let call = context.call(&name.into());
        let ran = tasklet.run(context).await;
        drop(call);
        let failure = match ran {
            Ok(_) if context.has_observed_stop() => return Ok(StepOutcome::Stopped),
            Ok(exit_code) => return Ok(StepOutcome::Completed(exit_code)),
            Err(ElementError::Stopped) => return Ok(StepOutcome::Stopped),
            Err(source) => StepError::Element { culprit: name.to_owned(), place: String::new(), source },
        };
        if !retry.takes(&failure) || execution.retries >= retry.limit {
            return Err(failure);
        }
        (execution.retries, in_a_row) = (execution.retries + 1, in_a_row + 1);
        let number = (execution.retries, retry.limit);
        wait_to_retry(&failure, number, wait(retry.backoff, in_a_row), context, recorder).await;
        if context.is_stopping() {
            return Ok(StepOutcome::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::execution::StepExecution;
    use crate::job::Backoff;
    use crate::name::StepName;
    use crate::step_context::StepContext;
    use crate::testing::Bench;

    /// Fails so many times.
    struct Fails(u32);

    #[async_trait]
    impl Tasklet for Fails {
        async fn run(&mut self, _: &StepContext) -> Result<Option<String>, ElementError> {
            if self.0 == 0 {
                return Ok(None);
            }
            self.0 -= 1;
            Err(ElementError::failed("refused", "try later").retryable())
        }
    }

    #[tokio::test]
    async fn is_tried_again_as_often_as_the_step_allows() {
        let rows = [(0, 0, "completed"), (2, 2, "completed"), (3, 2, "refused"), (1, 0, "refused")];
        for (failures, limit, expected) in rows {
            let bench = Bench::new(false);
            let name = StepName::new("step").expect("a good name");
            let mut execution = StepExecution::new(0, name, bench.recorder.clock.now());
            let backoff = Backoff { ms: 100, ms_max: 60_000 };
            let retry = RetryPolicy { limit, on: None, backoff };
            let journey =
                Journey { execution: &mut execution, context: &bench.context, recorder: &bench.recorder };
            let ran = run(&mut Fails(failures), "tasklet", &retry, journey).await;
            let found = ran.as_ref().map_or_else(|error| error.code(), |_| "completed");
            assert_eq!(found, expected, "{failures} failures, {limit} retries");
            let waited = bench.recorder.clock.now().0;
            let expected = [0, 100, 300][failures.min(limit) as usize];
            assert_eq!((execution.retries, waited), (failures.min(limit), expected));
        }
    }
}
