//! A tasklet's run: one task without items.

use crate::cut::cut;
use crate::element::Tasklet;
use crate::error::{ElementError, Halt, StepError};
use crate::findings::NAME_BYTES_MAX;
use crate::item_step::{Journey, StepOutcome};
use crate::job::RetryPolicy;
use crate::log::LogLevel;
use crate::retry::{is_worth_a_retry, wait_ms, wait_to_retry};

/// Runs a tasklet.
///
/// A tasklet that returns after it got the answer that it should stop is STOPPED, whatever it returns. A tasklet
/// that never asked has done all its work.
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
            Ok(exit_code) => match checked(exit_code) {
                Ok(exit_code) => return Ok(StepOutcome::Completed(exit_code)),
                Err(source) => return Err(StepError::element(name, "", source)),
            },
            Err(Halt::Stopped) => return Ok(StepOutcome::Stopped),
            Err(Halt::Failed(source)) => StepError::element(name, "", source),
        };
        if !is_worth_a_retry(retry, &failure) || execution.retries >= retry.limit {
            return Err(failure);
        }
        // The next attempt begins at the values that the tasklet kept last.
        context.go_back_to_point();
        (execution.retries, in_a_row) = (execution.retries + 1, in_a_row + 1);
        let (number, limit, ms) = (execution.retries, retry.limit, wait_ms(retry.backoff, in_a_row));
        let message = format!("{}; retry {number} of {limit} in {ms} ms", failure.to_failure());
        context.log(LogLevel::Warning, &message);
        wait_to_retry(ms, context, recorder.clock.as_ref()).await;
        if context.should_stop() {
            return Ok(StepOutcome::Stopped);
        }
    }
}

/// Refuses an exit status that a flow cannot name: an empty one, or one that would have to be cut.
fn checked(exit_code: Option<String>) -> Result<Option<String>, ElementError> {
    let Some(code) = exit_code else { return Ok(None) };
    if (1..=NAME_BYTES_MAX).contains(&code.len()) {
        return Ok(Some(code));
    }
    let (shown, length) = (cut(&code, NAME_BYTES_MAX).escape_debug(), code.len());
    let message = format!("its exit status `{shown}` has {length} bytes; one has 1 to {NAME_BYTES_MAX}");
    Err(ElementError::failed("step-bad-exit-status", message).with_help(
        "its author should return a short name, such as `PARTIAL`, and say the rest in the summary",
    ))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::execution::StepExecution;
    use crate::job::Backoff;
    use crate::name::StepName;
    use crate::recorder::With;
    use crate::step_context::StepContext;
    use crate::tasklet_point::TaskletPoint;
    use crate::testing::Bench;

    /// Does five items, and counts each of them. It keeps its position after each item, after some items, or never.
    struct Counts {
        kept_every: u64,
        /// Its end after so many items in a row: it fails, or it returns because it should stop.
        ends_after: Option<(u64, bool)>,
    }

    #[async_trait]
    impl Tasklet for Counts {
        async fn run(&mut self, context: &StepContext) -> Result<Option<String>, Halt> {
            let before = context.get("done").and_then(|done| done.as_u64()).unwrap_or(0);
            let ends_after = self.ends_after.take();
            for done in before + 1..=5 {
                if ends_after.is_some_and(|(after, _)| done > before + after) {
                    let fails = ends_after.is_some_and(|(_, fails)| fails);
                    return match fails {
                        true => Err(ElementError::failed("refused", "try later").retryable().into()),
                        false => Err(Halt::Stopped),
                    };
                }
                context.increment_processed_items(1);
                context.increment_summary("done", 1);
                context.add_warning("w", "", "", &done.to_string());
                if self.kept_every > 0 && done % self.kept_every == 0 {
                    context.put("done", done.into()).expect("there is room");
                }
            }
            Ok(None)
        }
    }

    fn told(bench: &Bench) -> String {
        let findings = bench.context.findings();
        let done = findings.summary.get("done").map_or_else(|| "0".to_owned(), ToString::to_string);
        let warnings = bench.journal.0.lock().unwrap().warnings.len();
        let processed = bench.context.tracking().processed;
        format!("processed={processed} done={done} warnings={} stored={warnings}", findings.warning_count)
    }

    fn begin(bench: &Bench) -> StepExecution {
        let name = StepName::new("step").expect("a good name");
        let execution = StepExecution::new(0, name, bench.recorder.clock.now());
        bench.context.saves_by(bench.recorder.clone(), execution.clone());
        execution
    }

    async fn save(bench: &Bench) {
        let saved = bench.context.save_step(&bench.recorder, &mut begin(bench), With::default()).await;
        saved.expect("it is stored");
    }

    async fn go(bench: &Bench, tasklet: &mut Counts, limit: u32) -> Result<StepOutcome, StepError> {
        let mut execution = begin(bench);
        let retry = RetryPolicy { limit, on: None, backoff: Backoff { ms: 0, ms_max: 0 } };
        let journey =
            Journey { execution: &mut execution, context: &bench.context, recorder: &bench.recorder };
        run(tasklet, "tasklet", &retry, journey).await
    }

    #[test]
    fn an_exit_status_is_kept_as_it_is_or_refused() {
        let long = "x".repeat(101);
        let rows = [
            (None, Ok(None)),
            (Some("PARTIAL"), Ok(Some("PARTIAL"))),
            (Some(&long[1..]), Ok(Some(&long[1..]))),
            (Some(&long), Err("step-bad-exit-status")),
            (Some(""), Err("step-bad-exit-status")),
        ];
        for (given, expected) in rows {
            let found = checked(given.map(str::to_owned)).map_err(|error| error.code.into_owned());
            let expected = expected.map(|code| code.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(found, expected, "{given:?}");
        }
    }

    const WHOLE: &str = "processed=5 done=5 warnings=5 stored=5";

    #[tokio::test]
    async fn counts_each_thing_once_when_it_is_tried_again() {
        for (kept_every, after) in (0..4).flat_map(|kept| (0..5).map(move |after| (kept, after))) {
            let bench = Bench::new(false);
            let mut tasklet = Counts { kept_every, ends_after: Some((after, true)) };
            go(&bench, &mut tasklet, 1).await.expect("it completes at the second attempt");
            save(&bench).await;
            assert_eq!(told(&bench), WHOLE, "keeps every {kept_every}, fails after {after}");
        }
    }

    /// The next run knows only what was stored when the tasklet ended. A tasklet is saved at its beat, when it asks
    /// for a save, and when it is paused.
    #[tokio::test]
    async fn counts_each_thing_once_when_it_is_paused_or_killed() {
        for ((kept_every, after), how) in (0..4)
            .flat_map(|kept| (0..5).map(move |after| (kept, after)))
            .flat_map(|case| ["pause", "beat and kill", "kill", "save and kill"].map(|how| (case, how)))
        {
            let name = format!("keeps every {kept_every}, {how} after {after}");
            let first = Bench::new(false);
            go(&first, &mut Counts { kept_every, ends_after: Some((after, false)) }, 0).await.unwrap();
            match how {
                "pause" => {
                    first.context.go_back_to_point();
                    save(&first).await;
                }
                "beat and kill" => drop(first.context.save_if_changed().await.unwrap()),
                "save and kill" => {
                    // The tasklet promises to continue from here, so it must keep its position.
                    first.context.put("done", after.into()).unwrap();
                    first.context.save().await.unwrap();
                }
                _ => {}
            }
            let stored = std::mem::take(&mut *first.journal.0.lock().unwrap());
            let second = Bench::going_on(stored.context.unwrap_or_default());
            second.context.go_on_from(TaskletPoint::of_checkpoint(stored.checkpoint.as_ref()));
            second.journal.0.lock().unwrap().warnings = stored.warnings;
            go(&second, &mut Counts { kept_every, ends_after: None }, 0).await.unwrap();
            save(&second).await;
            assert_eq!(told(&second), WHOLE, "{name}");
        }
    }

    #[tokio::test]
    async fn what_could_not_be_stored_is_stored_with_the_next_beat() {
        let bench = Bench::new(false);
        begin(&bench);
        bench.context.increment_summary("done", 1);
        bench.context.put("done", 1.into()).unwrap();
        bench.journal.0.lock().unwrap().is_refused = true;
        assert!(bench.context.save_if_changed().await.is_err());
        bench.journal.0.lock().unwrap().is_refused = false;
        assert!(bench.context.save_if_changed().await.unwrap());
        assert!(!bench.context.save_if_changed().await.unwrap(), "nothing is left");
        let saved = bench.journal.0.lock().unwrap();
        assert_eq!(saved.context.as_ref().unwrap().0["done"], 1);
        assert_eq!(saved.step.as_ref().unwrap().summary["done"].to_string(), "1");
    }

    /// Fails so many times.
    struct Fails(u32);

    #[async_trait]
    impl Tasklet for Fails {
        async fn run(&mut self, _: &StepContext) -> Result<Option<String>, Halt> {
            if self.0 == 0 {
                return Ok(None);
            }
            self.0 -= 1;
            Err(ElementError::failed("refused", "try later").retryable().into())
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
