//! A running step, as its elements and the engine see it: parameters, progress, findings, stop.
//!
//! Counters and stop requests are atomics, so that a component may read them with every item.
//!
//! An element of an item step collects its reports in a slip of its own ([`Reports`]), which travels with the chunk
//! that the reports are about. Several chunks may be in progress, and a checkpoint may save only the reports about
//! written chunks.
//!
//! `reporting` has the functions that elements call; `saving` saves a step, and restores its saved state.

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

/// A running step.
///
/// Cheap to clone; all clones are the same step.
#[derive(Clone)]
pub struct StepContext {
    inner: Arc<Inner>,
    /// Holds this element's reports until their chunk is written; `None` if reports count at once.
    slip: Option<Arc<Mutex<Reports>>>,
    /// Closed after the elements were left behind: then their reports do not count any more.
    gate: Gate,
}

struct Inner {
    run: Arc<RunContext>,
    step: StepName,
    /// Whether the engine counts the items itself. If so, elements cannot count them.
    has_items: bool,
    processed: AtomicU64,
    /// `u64::MAX` while the total is not known.
    total: AtomicU64,
    is_estimate: AtomicBool,
    has_observed_stop: AtomicBool,
    /// Whether the step runs even after a stop was requested.
    runs_always: bool,
    metering: Metering,
    findings: Mutex<Findings>,
    saved: Mutex<Saved>,
    /// The point from which a tasklet continues, and whether that point is not saved yet.
    point: Mutex<(Option<TaskletPoint>, bool)>,
    /// The recorder and the row with which a running tasklet is saved. Empty for item steps.
    saver: OnceLock<(Recorder, StepExecution)>,
}

/// The state of a step at its last save. The step goes back to it if later chunks are not committed.
#[derive(Default)]
struct Saved {
    summary: Summary,
    warning_count: u64,
    /// The point of a tasklet.
    point: Option<TaskletPoint>,
}

impl StepContext {
    /// A step of a run.
    ///
    /// `has_items` says whether the engine counts its items.
    pub fn new(run: Arc<RunContext>, step: StepName, has_items: bool, findings: Findings) -> Self {
        Self::begin(run, step, has_items, false, findings)
    }

    /// A step that runs even after a stop was requested.
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

    /// The same step for one of its elements. The element's reports wait until they are taken.
    #[must_use]
    pub(crate) fn for_element(&self) -> Self {
        Self { inner: self.inner.clone(), slip: Some(Arc::default()), gate: self.gate.clone() }
    }

    /// The same step for elements that may be left behind.
    ///
    /// After the gate is closed they cannot change anything.
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

    /// The same as [`should_stop`](Self::should_stop), but called by an element.
    ///
    /// If a tasklet got the answer yes, its return counts as a stop. If it never asked, its return means that all
    /// its work is done.
    pub fn observe_stop(&self) -> bool {
        let should_stop = self.should_stop();
        if should_stop {
            self.inner.has_observed_stop.store(true, Ordering::Relaxed);
        }
        should_stop
    }

    /// Whether an element got the answer that it should stop.
    pub fn has_observed_stop(&self) -> bool {
        self.inner.has_observed_stop.load(Ordering::Relaxed)
    }

    /// Adds to the progress, for an element.
    ///
    /// In an item step the engine counts, and this function does nothing.
    pub fn increment_processed_items(&self, by: u32) {
        if !self.inner.has_items && !self.gate.is_closed() {
            self.inner.processed.fetch_add(u64::from(by), Ordering::Relaxed);
        }
    }

    /// Sets the total, for an element.
    ///
    /// In an item step the reader's total counts instead.
    pub fn set_total_items(&self, total: u32) {
        if !self.inner.has_items && !self.gate.is_closed() {
            self.inner.total.store(u64::from(total), Ordering::Relaxed);
        }
    }

    /// Sets the progress, for the engine.
    pub fn set_tracking(&self, tracking: Tracking) {
        if self.gate.is_closed() {
            return;
        }
        self.inner.processed.store(tracking.processed, Ordering::Relaxed);
        self.inner.total.store(tracking.total.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.inner.is_estimate.store(tracking.is_estimate, Ordering::Relaxed);
    }

    /// The progress now.
    ///
    /// If more items are processed than the total, the total is raised.
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

    /// The findings so far.
    pub fn findings(&self) -> Findings {
        Findings { usage: self.metering().usage(), ..lock(&self.inner.findings).clone() }
    }

    /// Counts the resources that elements use.
    pub fn metering(&self) -> &Metering {
        &self.inner.metering
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext").field("step", &self.inner.step).finish_non_exhaustive()
    }
}

/// In an item step, counts and tracking show the same items.
impl From<Counts> for Tracking {
    fn from(counts: Counts) -> Self {
        Self { processed: counts.read, total: None, is_estimate: false }
    }
}

#[cfg(test)]
mod tests;
