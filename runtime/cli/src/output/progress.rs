//! The progress of a run: a bar for each step on a terminal, plain lines elsewhere. All of it goes to standard error.

mod bars;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stepbox::batch::visible::Visible;
use stepbox_api::execution::{LogLine, Status, StepExecution, Tracking};

use super::execution::total;
use super::talk_lines;
use super::words::{between, counted, duration, number};
use bars::{Bar, Bars};

/// The time between two plain lines about the progress of a step.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows a line of a log when it arrives.
pub(crate) type ShowLog = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// Shows the progress of a run.
pub(crate) struct ProgressDisplay {
    /// `None` without a terminal.
    bars: Option<Bars>,
    is_verbose: bool,
    running: Option<RunningStep>,
}

/// The step on the display.
struct RunningStep {
    /// ``step 1/2 `export` ``.
    title: String,
    began: Instant,
    /// The items done before the display saw the step: a restarted step continues from there.
    processed_before: Option<u64>,
    last_line: Instant,
    bar: Option<Bar>,
}

impl ProgressDisplay {
    /// Checks whether there is a terminal. `is_verbose` shows the execution's log instead of the lines about begun
    /// and ended steps.
    pub(crate) fn new(is_verbose: bool) -> Self {
        let is_terminal =
            io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { bars: is_terminal.then(Bars::default), is_verbose, running: None }
    }

    /// Shows lines of the execution's log, if they are to be shown.
    pub(crate) fn log(&self) -> Option<ShowLog> {
        let bars = self.bars.clone();
        let show = move |line: &LogLine| say(bars.as_ref(), &log_line(line));
        self.is_verbose.then(|| Arc::new(show) as ShowLog)
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, number: usize, count: usize, name: &str) {
        let title = format!("step {number}/{count} `{name}`");
        let bar = self.bars.as_ref().map(|bars| bars.begin(&Visible::line(&title)));
        if bar.is_none() && !self.is_verbose {
            say(None, &Visible::line(format_args!("{title} starting")));
        }
        let now = Instant::now();
        self.running = Some(RunningStep { title, began: now, processed_before: None, last_line: now, bar });
    }

    /// The running step has made progress.
    pub(crate) fn advance(&mut self, tracking: Tracking) {
        let Some(step) = &mut self.running else { return };
        let before = *step.processed_before.get_or_insert(tracking.processed);
        let words = advance_words(tracking, before, step.began.elapsed());
        match &step.bar {
            Some(bar) => bar.advance(tracking, &Visible::line(words)),
            None if step.last_line.elapsed() >= LINE_EVERY => {
                step.last_line = Instant::now();
                say(None, &Visible::line(format_args!("{} {words}", step.title)));
            }
            None => {}
        }
    }

    /// The last step that began has ended.
    pub(crate) fn end(&mut self, step: &StepExecution) {
        let Some(RunningStep { title, bar, .. }) = self.running.take() else { return };
        let words = end_words(step);
        match bar {
            Some(bar) => bar.end(&Visible::line(words)),
            None if !self.is_verbose => say(None, &Visible::line(format_args!("{title} {words}"))),
            None => {}
        }
    }

    /// Prints another message.
    pub(crate) fn say(&self, text: &str) {
        say(self.bars.as_ref(), &Visible::line(text));
    }
}

/// Prints lines without damaging the bars.
fn say(bars: Option<&Bars>, lines: &Visible) {
    match bars {
        Some(bars) => bars.suspended(|| talk_lines(lines)),
        None => talk_lines(lines),
    }
}

/// A line of the log: the time, the level, the step, and the message.
pub(crate) fn log_line(line: &LogLine) -> Visible {
    let step = line.step.as_deref().map(|step| format!("[{step}] ")).unwrap_or_default();
    Visible::line(format_args!("{} {:<7} {step}{}", line.at, line.level, line.message))
}

/// `12,000 of ~50,000 items, 4,000 items/s, ~10 s left`.
fn advance_words(tracking: Tracking, processed_before: u64, elapsed: Duration) -> String {
    let processed = tracking.processed;
    let mut words = match tracking.total {
        Some(_) => format!("{} of {} items", number(processed), total(tracking)),
        None => counted(processed, "item"),
    };
    let done_here = processed.saturating_sub(processed_before);
    let rate = done_here as f64 / elapsed.as_secs_f64().max(0.001);
    if done_here > 0 {
        words.push_str(&format!(", {} items/s", number(rate.round() as u64)));
        if let Some(left) = tracking.total.map(|total| total.saturating_sub(processed)) {
            words.push_str(&format!(", ~{} left", whole_seconds((left as f64 / rate).ceil() as u64)));
        }
    }
    words
}

/// Rounded, since an estimate to the tenth of a second helps no reader.
fn whole_seconds(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { duration(seconds.saturating_mul(1000)) }
}

/// `COMPLETED after 1.2 s: read 3, written 2, filtered 0, skipped 1`.
fn end_words(step: &StepExecution) -> String {
    if let Some(earlier) = step.carried_from {
        return format!("{} in execution {earlier} already", step.status);
    }
    let mut words =
        format!("{} after {}", step.status, between(Some(&step.started_at), step.ended_at.as_deref()));
    let counts = step.counts;
    if counts.read > 0 {
        words.push_str(&format!(
            ": read {}, written {}, filtered {}, skipped {}",
            number(counts.read),
            number(counts.written),
            number(counts.filtered),
            number(counts.skipped)
        ));
    }
    match step.failures.last() {
        Some(failure) if step.status == Status::Failed => {
            // The summary below has the rest of the failure.
            let failure = failure.to_string();
            format!("{words}: {}", failure.lines().next().unwrap_or_default())
        }
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_far_it_is_how_fast_and_how_long_to_go() {
        let known = |processed, total, is_estimate| Tracking { processed, total: Some(total), is_estimate };
        let unknown = Tracking { processed: 4000, total: None, is_estimate: false };
        let rows = [
            (known(0, 50_000, false), 0, 1000, "0 of 50,000 items"),
            (known(12_000, 50_000, true), 0, 3000, "12,000 of ~50,000 items, 4,000 items/s, ~10 s left"),
            (known(30_000, 50_000, false), 20_000, 1000, "30,000 of 50,000 items, 10,000 items/s, ~2 s left"),
            (unknown, 0, 2000, "4,000 items, 2,000 items/s"),
        ];
        for (tracking, before, ms, expected) in rows {
            assert_eq!(advance_words(tracking, before, Duration::from_millis(ms)), expected);
        }
    }
}
