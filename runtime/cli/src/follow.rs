//! A run, followed to its end.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use stepbox_api::execution::{Execution, StepExecution};
use stepbox_api::exit_code::ExitCode;
use tokio::time::{Interval, MissedTickBehavior};

use crate::args::RunManner;
use crate::error::CliError;
use crate::interrupts::{Interrupt, Interrupts};
use crate::output::Answer;
use crate::output::execution::summary;
use crate::output::progress::ProgressDisplay;
use crate::site::{Progressing, Run, Site, Stopping};

/// The time between two updates of the display.
const DISPLAY_EVERY: Duration = Duration::from_millis(200);

/// The time between two questions to the store, once a run has to end.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long a run that has to end waits for a store that does not answer.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// Follows a run to its end and reports the result. The first interrupt asks it to stop or to pause; the second one
/// ends the program at once.
pub(crate) async fn follow(
    site: &Site,
    mut run: Run,
    display: ProgressDisplay,
    manner: &RunManner,
) -> Result<Answer, CliError> {
    let id = run.id();
    let mut interrupts = Interrupts::listen().map_err(CliError::Start)?;
    let mut is_interrupted = false;
    // Before an interrupt, a silent store is no reason to end.
    let mut silence: Pin<Box<dyn Future<Output = CliError> + Send>> = Box::pin(std::future::pending());
    let mut beat = tokio::time::interval(DISPLAY_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut steps = Steps { display, shown: 0 };
    let progress = run.progress();
    let execution = loop {
        let interrupt = tokio::select! {
            ended = run.wait() => break ended?,
            interrupt = interrupts.next() => interrupt,
            error = &mut silence => return Err(error),
            // Until an interrupt, also while the store does not answer.
            shown = steps.keep_up(site, id, &progress, &mut beat) => match shown? {},
        };
        if is_interrupted {
            return Err(CliError::Interrupted(id));
        }
        is_interrupted = true;
        silence = Box::pin(of_store(site.clone(), id));
        match interrupt {
            Interrupt::Stop => tokio::select! {
                asked = ask_to_stop(&run, &steps.display) => asked?,
                error = &mut silence => return Err(error),
            },
            Interrupt::Pause => {
                run.pause().await?;
                steps.display.say(&format!("pausing execution {id} at its next checkpoint"));
            }
        }
    };
    steps.end(&execution);
    let exit_code = ExitCode::of_run(&execution, is_interrupted, manner.warnings_as_errors);
    let answer = Answer::new(manner.format.format, || summary(&execution), || &execution);
    Ok(answer.with_exit_code(exit_code))
}

/// Completes once the store no longer answers. A run that has to end could then not be saved, and the program leaves
/// it to its lease.
async fn of_store(site: Site, id: u64) -> CliError {
    loop {
        let answer = tokio::time::timeout(SILENT_MAX, site.execution(id)).await;
        if answer.is_err() {
            return CliError::StoreSilent(id);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Asks the run to stop. A job that is not stoppable continues; then only a second interrupt ends the program.
async fn ask_to_stop(run: &Run, display: &ProgressDisplay) -> Result<(), CliError> {
    let id = run.id();
    match run.stop().await? {
        Stopping::Asked => display.say(&format!(
            "stopping execution {id}: what is done stays done; press Ctrl-C again to leave at once"
        )),
        Stopping::Continues { reason } => {
            display.say(&format!(
                "execution {id} continues: {reason}; press Ctrl-C again to end this command at once"
            ));
        }
    }
    Ok(())
}

/// The steps on the display: each begins and ends once, in order, also if they are very short.
struct Steps {
    display: ProgressDisplay,
    /// How many steps the display has begun.
    shown: usize,
}

impl Steps {
    /// Keeps the display up to date. Returns only if the store fails.
    async fn keep_up(
        &mut self,
        site: &Site,
        id: u64,
        progress: &Progressing,
        beat: &mut Interval,
    ) -> Result<Infallible, CliError> {
        loop {
            beat.tick().await;
            let progress = progress.latest();
            if progress.step_number > self.shown {
                let execution = site.execution(id).await?;
                self.catch_up(&execution, progress.step_number - 1);
                self.shown = progress.step_number;
                self.display.begin(progress.step_number, progress.step_count, &progress.step);
            }
            self.display.advance(progress.tracking);
        }
    }

    /// Shows the remaining steps.
    fn end(&mut self, execution: &Execution) {
        self.catch_up(execution, execution.steps.len());
    }

    /// Ends the step on the display, then begins and ends the steps that came and went since, up to the first `count`
    /// ones.
    fn catch_up(&mut self, execution: &Execution, count: usize) {
        for (index, step) in execution.steps.iter().enumerate().take(count) {
            let number = index + 1;
            if number > self.shown {
                self.shown = number;
                self.display.begin(number, execution.step_count as usize, &step.name);
            }
            self.end_shown(step, number);
        }
    }

    fn end_shown(&mut self, step: &StepExecution, number: usize) {
        if number == self.shown {
            self.display.end(step);
        }
    }
}
