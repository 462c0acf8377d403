//! A running step, as its elements and the engine see it: parameters, progress, findings, stop.
//!
//! Counters and the stop requests are atomics, so that a component may ask for them with every item.
//!
//! An element of an item step reports on a slip of its own ([`Reports`]) that travels with the chunk that the report is
//! about: several chunks may be under way, and only what belongs to the written ones may be saved with a checkpoint.
//!
//! `reporting` is what elements report and read; `saving` is what is stored of a step, and how it goes back to that.

mod reporting;
mod saving;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::execution::{Counts, StepExecution, Summary, Tracking};
use crate::findings::{Findings, Reports};
use crate::gate::{Call, Gate};
use crate::lock::lock;
use crate::log::LogLevel;
use crate::metering::Metering;
use crate::name::StepName;
use crate::recorder::Recorder;
use crate::run_context::RunContext;
use crate::tasklet_point::TaskletPoint;

/// A running step. Cheap to clone; all clones are the same step.
#[derive(Clone)]
pub struct StepContext {
    inner: Arc<Inner>,
    /// Where this element's reports wait for their chunk; `None` where they count at once.
    slip: Option<Arc<Mutex<Reports>>>,
    /// Closed once the elements were left behind: nothing that they report counts any more.
    gate: Gate,
}

struct Inner {
    run: Arc<RunContext>,
    step: StepName,
    /// Whether the engine counts items itself, so that elements cannot.
    has_items: bool,
    processed: AtomicU64,
    /// `u64::MAX` while the total is not known.
    total: AtomicU64,
    is_estimate: AtomicBool,
    has_observed_stop: AtomicBool,
    /// Whether the step runs whatever happened: also after a stop was requested.
    runs_always: bool,
    metering: Metering,
    findings: Mutex<Findings>,
    saved: Mutex<Saved>,
    /// Where a tasklet goes on, and whether that is not saved yet.
    point: Mutex<(Option<TaskletPoint>, bool)>,
    /// How a tasklet is saved while it runs: by whom, and its row. Empty for item steps.
    saver: OnceLock<(Recorder, StepExecution)>,
}

/// Where a step stood when it was saved last, to go back there when later chunks are not committed.
#[derive(Default)]
struct Saved {
    summary: Summary,
    warning_count: u64,
    /// Of a tasklet.
    point: Option<TaskletPoint>,
}

impl StepContext {
    /// A step of a run. `has_items` says whether the engine counts its items.
    pub fn new(run: Arc<RunContext>, step: StepName, has_items: bool, findings: Findings) -> Self {
        Self::begin(run, step, has_items, false, findings)
    }

    /// A step that runs whatever happened: also after a stop was requested.
    pub fn new_always(run: Arc<RunContext>, step: StepName, has_items: bool, findings: Findings) -> Self {
        Self::begin(run, step, has_items, true, findings)
    }

    fn begin(
        run: Arc<RunContext>,
        step: StepName,
        has_items: bool,
        runs_always: bool,
        findings: Findings,
    ) -> Self {
        let (summary, warning_count) = (findings.summary.clone(), findings.warning_count);
        let metering = Metering::going_on_from(findings.usage, run.tally().clone());
        let inner = Arc::new(Inner {
            run,
            step,
            has_items,
            processed: AtomicU64::new(0),
            total: AtomicU64::new(u64::MAX),
            is_estimate: AtomicBool::new(false),
            has_observed_stop: AtomicBool::new(false),
            runs_always,
            metering,
            findings: Mutex::new(findings),
            saved: Mutex::new(Saved { summary, warning_count, point: None }),
            point: Mutex::default(),
            saver: OnceLock::new(),
        });
        Self { inner, slip: None, gate: Gate::default() }
    }

    /// The same step for one of its elements, whose reports wait until they are taken.
    #[must_use]
    pub(crate) fn for_element(&self) -> Self {
        Self { inner: self.inner.clone(), slip: Some(Arc::default()), gate: self.gate.clone() }
    }

    /// The same step for elements that may be left behind. Once the gate is closed they change nothing any more.
    #[must_use]
    pub fn behind(&self, gate: &Gate) -> Self {
        Self { gate: gate.clone(), ..self.clone() }
    }

    /// The gate between the step's elements and everything that they may change.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Remembers that a call of an element begins.
    pub fn call(&self, who: &Arc<str>) -> Call {
        self.gate.call(who)
    }

    /// The run it belongs to.
    pub fn run(&self) -> &Arc<RunContext> {
        &self.inner.run
    }

    /// The step's name.
    pub fn step(&self) -> &StepName {
        &self.inner.step
    }

    /// Whether the step should end, for good or for a pause.
    pub fn should_stop(&self) -> bool {
        self.inner.run.should_stop() && !self.inner.runs_always
    }

    /// [`should_stop`](Self::should_stop) as an element asks it. A tasklet that got the answer yes and returns has
    /// stopped; a tasklet that never asked has done all its work.
    pub fn observe_stop(&self) -> bool {
        let should_stop = self.should_stop();
        if should_stop {
            self.inner.has_observed_stop.store(true, Ordering::Relaxed);
        }
        should_stop
    }

    /// Whether an element was told to stop.
    pub fn has_observed_stop(&self) -> bool {
        self.inner.has_observed_stop.load(Ordering::Relaxed)
    }

    /// Progress as an element reports it. In an item step the engine counts, and this does nothing.
    pub fn increment_processed_items(&self, by: u32) {
        if !self.inner.has_items && !self.gate.is_closed() {
            self.inner.processed.fetch_add(u64::from(by), Ordering::Relaxed);
        }
    }

    /// The total as an element reports it. In an item step the reader's total counts instead.
    pub fn set_total_items(&self, total: u32) {
        if !self.inner.has_items && !self.gate.is_closed() {
            self.inner.total.store(u64::from(total), Ordering::Relaxed);
        }
    }

    /// Progress as the engine counts it.
    pub fn set_tracking(&self, tracking: Tracking) {
        if self.gate.is_closed() {
            return;
        }
        self.inner.processed.store(tracking.processed, Ordering::Relaxed);
        self.inner.total.store(tracking.total.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.inner.is_estimate.store(tracking.is_estimate, Ordering::Relaxed);
    }

    /// Progress now. More processed items than the total raise the total.
    pub fn tracking(&self) -> Tracking {
        let processed = self.inner.processed.load(Ordering::Relaxed);
        let total = self.inner.total.load(Ordering::Relaxed);
        Tracking {
            processed,
            total: (total != u64::MAX).then_some(total.max(processed)),
            is_estimate: self.inner.is_estimate.load(Ordering::Relaxed),
        }
    }

    /// Logs a message about this step.
    pub fn log(&self, level: LogLevel, message: &str) {
        if !self.gate.is_closed() {
            self.inner.run.log_of_step(level, self.inner.step.as_str(), message);
        }
    }

    /// What was reported so far.
    pub fn findings(&self) -> Findings {
        Findings { usage: self.metering().usage(), ..lock(&self.inner.findings).clone() }
    }

    /// Where elements count what they use.
    pub fn metering(&self) -> &Metering {
        &self.inner.metering
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext").field("step", &self.inner.step).finish_non_exhaustive()
    }
}

/// Counts and tracking go together in an item step.
impl From<Counts> for Tracking {
    fn from(counts: Counts) -> Self {
        Self { processed: counts.read, total: None, is_estimate: false }
    }
}

#[cfg(test)]
mod tests;
