//! A tasklet's run: one task without items.

use crate::element::Tasklet;
use crate::error::{ElementError, StepError};
use crate::item_step::StepOutcome;
use crate::step_context::StepContext;

/// Runs a tasklet. One that returns after it was told to stop is STOPPED, whatever it says; one that
/// never asked has done its work.
pub async fn run(
    tasklet: &mut dyn Tasklet,
    name: &str,
    context: &StepContext,
) -> Result<StepOutcome, StepError> {
    match tasklet.run(context).await {
        Ok(_) if context.has_observed_stop() => Ok(StepOutcome::Stopped),
        Ok(exit_code) => Ok(StepOutcome::Completed(exit_code)),
        Err(ElementError::Stopped) => Ok(StepOutcome::Stopped),
        Err(source) => Err(StepError::Element { culprit: name.to_owned(), place: String::new(), source }),
    }
}
