//! A running step, as everything that works for it sees it: parameters, progress, findings, stop.
//!
//! Counters and the stop flag are atomics, so that a component may call them for every item.
//!
//! Whatever else an element of an item step reports goes on a slip of its own ([`Reports`]) that travels
//! with the chunk it is about: several chunks may be under way, and only what belongs to the written
//! ones may be saved with a checkpoint.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use crate::clock::Timestamp;
use crate::counters::Tally;
use crate::depth::{DEPTH_MAX, is_too_deep};
use crate::execution::{
    CONTEXT_BYTES_MAX, Counts, ExecutionContext, StepExecution, Summary, SummaryValue, Tracking, Warning,
    entry_bytes,
};
use crate::gate::{Call, Gate};
use crate::log::{ExecutionLog, LogLevel};
use crate::metering::{Metering, ResourceUsage};
use crate::name::{JobExecutionId, StepName};
use crate::recorder::Recorder;
use crate::reports::{Reports, SummaryChange};
use crate::repository::RepositoryError;
use crate::shared_values::{Changes, SharedValues};
use crate::tasklet_point::TaskletPoint;

/// How many warnings of a step are stored; all are counted.
pub const WARNINGS_STORED_MAX: u64 = 1000;
/// How many errors of a step are kept.
pub const ERRORS_MAX: usize = 100;
/// How many names a summary may have.
pub const SUMMARY_NAMES_MAX: usize = 100;
/// How long a name in a summary may be, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// How long a key of the execution context may be, in bytes: the longest name of a step, and what is
/// said of it, such as `.file_path`.
pub const CONTEXT_KEY_BYTES_MAX: usize = 128;
/// How long an error, a reason or a text of a summary may be, in bytes; the rest is cut off.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// How long the item of a warning may be, in bytes; the rest is cut off.
pub const ITEM_BYTES_MAX: usize = 16 << 10;

/// Which run it is, for names and placeholders: an execution, or several that go on from one another.
/// They all give the same names, so each finds what the one before it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// The first of these executions.
    pub id: JobExecutionId,
    /// The label of its instance: `%job_label%`.
    pub job_label: String,
    /// When the first of them began: `%datetime%`.
    pub started_at: Timestamp,
}

/// Which attempt at a run this is. One that comes later is greater, also in an execution that restarts
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The execution that runs now.
    pub execution: JobExecutionId,
    /// The fencing token of its lease.
    pub token: u64,
}

/// What all steps of a run share.
pub struct RunContext {
    /// Which run it is.
    pub info: RunInfo,
    /// Which attempt at it.
    pub attempt: Attempt,
    /// The effective parameters. A JSON object.
    pub parameters: Value,
    /// The same as text, made once for the components.
    pub parameters_text: String,
    /// Values shared by the steps.
    context: Mutex<SharedValues>,
    /// Held while they are saved: each save has all of them.
    saving: tokio::sync::Mutex<()>,
    /// Set once a stop is requested, never taken back.
    is_stopping: AtomicBool,
    /// Set once the worker is about to end: a stop after which the run can go on.
    is_pausing: AtomicBool,
    /// Where messages go.
    log: Arc<dyn ExecutionLog>,
    /// Where what its tenant's steps run into is counted.
    tally: Arc<Tally>,
}

impl RunContext {
    /// A run that begins, or goes on, with the given values.
    pub fn new(
        info: RunInfo,
        parameters: Value,
        context: ExecutionContext,
        log: Arc<dyn ExecutionLog>,
    ) -> Arc<Self> {
        let attempt = Attempt { execution: info.id, token: 0 };
        Self::counted(info, attempt, parameters, context, log, Arc::default())
    }

    /// The same under a lease, for a tenant that counts what its steps run into.
    pub fn counted(
        info: RunInfo,
        attempt: Attempt,
        parameters: Value,
        context: ExecutionContext,
        log: Arc<dyn ExecutionLog>,
        tally: Arc<Tally>,
    ) -> Arc<Self> {
        let parameters_text = parameters.to_string();
        let (is_stopping, is_pausing) = (AtomicBool::new(false), AtomicBool::new(false));
        let context = Mutex::new(SharedValues::new(context));
        Arc::new(Self {
            info,
            attempt,
            parameters,
            parameters_text,
            context,
            saving: tokio::sync::Mutex::default(),
            is_stopping,
            is_pausing,
            log,
            tally,
        })
    }

    /// Asks every step of this run to stop.
    pub fn request_stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Asks every step of this run to come to a checkpoint and end there, to go on later.
    pub fn request_pause(&self) {
        self.is_pausing.store(true, Ordering::Relaxed);
    }

    /// Whether steps should end, for good or for a pause.
    pub fn is_stopping(&self) -> bool {
        self.is_stop_requested() || self.is_pause_requested()
    }

    /// Whether somebody asked to stop.
    pub fn is_stop_requested(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether the worker asked to pause.
    pub fn is_pause_requested(&self) -> bool {
        self.is_pausing.load(Ordering::Relaxed)
    }

    /// The shared values as they are now.
    pub fn context(&self) -> ExecutionContext {
        lock(&self.context).now().clone()
    }

    /// Waits for the turn to save. Two saves at a time would store values of different moments.
    pub(crate) async fn turn_to_save(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.saving.lock().await
    }

    /// Logs a message about the job.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.log.log(level, None, message);
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").field("info", &self.info).finish_non_exhaustive()
    }
}

/// A running step. Cheap to clone; all clones are the same step.
#[derive(Clone)]
pub struct StepContext {
    inner: Arc<Inner>,
    /// Where this element's reports wait for their chunk; none where they count at once.
    slip: Option<Arc<Mutex<Reports>>>,
    /// What all it reports goes through.
    gate: Gate,
}

struct Inner {
    run: Arc<RunContext>,
    step: StepName,
    /// Whether the engine counts items itself, so that elements cannot.
    has_items: bool,
    processed: AtomicU64,
    /// `u64::MAX` while nobody knows.
    total: AtomicU64,
    is_estimate: AtomicBool,
    has_observed_stop: AtomicBool,
    /// Whether it runs on although a stop was requested.
    ignores_stop: bool,
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

/// What a step has reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Named counters and texts.
    pub summary: Summary,
    /// All warnings so far, stored or not.
    pub warning_count: u64,
    /// Warnings within the cap that are not saved yet.
    pub unsaved_warnings: Vec<Warning>,
    /// Errors that did not end the step.
    pub errors: Vec<String>,
    /// What was used so far.
    pub usage: ResourceUsage,
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
        ignores_stop: bool,
        findings: Findings,
    ) -> Self {
        let (summary, warning_count) = (findings.summary.clone(), findings.warning_count);
        let metering = Metering::going_on_from(findings.usage, run.tally.clone());
        let inner = Arc::new(Inner {
            run,
            step,
            has_items,
            processed: AtomicU64::new(0),
            total: AtomicU64::new(u64::MAX),
            is_estimate: AtomicBool::new(false),
            has_observed_stop: AtomicBool::new(false),
            ignores_stop,
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
    pub fn for_element(&self) -> Self {
        Self { inner: self.inner.clone(), slip: Some(Arc::default()), gate: self.gate.clone() }
    }

    /// The same step for elements that may be left behind. Once the gate is closed they change nothing any more.
    #[must_use]
    pub fn behind(&self, gate: &Gate) -> Self {
        Self { gate: gate.clone(), ..self.clone() }
    }

    /// What its elements' reports, saves and files go through.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Remembers that a call of an element begins.
    pub fn call(&self, who: &Arc<str>) -> Call {
        self.gate.call(who)
    }

    /// What this element has reported since it was asked last.
    pub fn take_reports(&self) -> Reports {
        self.slip.as_ref().map(|slip| std::mem::take(&mut *lock(slip))).unwrap_or_default()
    }

    /// Lets an element's reports count.
    pub fn accept(&self, reports: Reports) {
        if reports.is_empty() {
            return;
        }
        let Reports { summary, warnings, warning_count, context } = reports;
        let mut findings = lock(&self.inner.findings);
        if self.gate.is_closed() {
            return;
        }
        for (name, change) in summary {
            self.change_summary(&mut findings, &name, change);
        }
        let room = WARNINGS_STORED_MAX.saturating_sub(findings.warning_count);
        findings.unsaved_warnings.extend(warnings.into_iter().take(room as usize));
        findings.warning_count += warning_count;
        drop(findings);
        let mut shared = lock(&self.inner.run.context);
        if self.gate.is_closed() {
            return;
        }
        for (key, value) in context {
            shared.change(&self.inner.step, key, value);
        }
    }

    /// The run it belongs to.
    pub fn run(&self) -> &Arc<RunContext> {
        &self.inner.run
    }

    /// The step's name.
    pub fn step(&self) -> &StepName {
        &self.inner.step
    }

    /// Whether somebody asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.inner.run.is_stopping() && !self.inner.ignores_stop
    }

    /// Whether somebody asked to stop, as an element asks it: one that was told so and returns has
    /// stopped, while one that never asked has done all its work.
    pub fn observe_stop(&self) -> bool {
        let is_stopping = self.is_stopping();
        if is_stopping {
            self.inner.has_observed_stop.store(true, Ordering::Relaxed);
        }
        is_stopping
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

    /// Adds to a named counter, which replaces a text of that name.
    pub fn increment_summary(&self, name: &str, by: u64) {
        self.report_summary(name, SummaryChange::Add(by));
    }

    /// Sets a named text.
    pub fn set_summary(&self, name: &str, text: &str) {
        let text = SummaryValue::Text(cut(text, TEXT_BYTES_MAX).to_owned());
        self.report_summary(name, SummaryChange::Set(text));
    }

    fn report_summary(&self, name: &str, change: SummaryChange) {
        match &self.slip {
            Some(slip) if lock(slip).change_summary(name, &change) => {}
            Some(_) => self.log_dropped_summary(name),
            None => {
                let mut findings = lock(&self.inner.findings);
                if !self.gate.is_closed() {
                    self.change_summary(&mut findings, name, change);
                }
            }
        }
    }

    fn change_summary(&self, findings: &mut Findings, name: &str, change: SummaryChange) {
        let before = findings.summary.get(name);
        if name.len() > NAME_BYTES_MAX || (before.is_none() && findings.summary.len() >= SUMMARY_NAMES_MAX) {
            return self.log_dropped_summary(name);
        }
        let value = change.onto(before);
        findings.summary.insert(name.to_owned(), value);
    }

    fn log_dropped_summary(&self, name: &str) {
        let name = cut(name, NAME_BYTES_MAX);
        self.log(
            LogLevel::Warning,
            &format!("summary `{name}` dropped: at most {SUMMARY_NAMES_MAX} names of {NAME_BYTES_MAX} bytes"),
        );
    }

    /// Records a warning; counted always, kept up to the cap.
    pub fn add_warning(&self, code: &str, reason: &str, place: &str, item: &str) {
        let warning = || Warning {
            step: self.inner.step.clone(),
            code: cut(code, NAME_BYTES_MAX).to_owned(),
            reason: cut(reason, TEXT_BYTES_MAX).to_owned(),
            place: place.to_owned(),
            item: cut_with_mark(item, ITEM_BYTES_MAX).into_owned(),
        };
        if let Some(slip) = &self.slip {
            let mut reports = lock(slip);
            reports.warning_count += 1;
            if reports.warning_count <= WARNINGS_STORED_MAX {
                reports.warnings.push(warning());
            }
            return;
        }
        let mut findings = lock(&self.inner.findings);
        if self.gate.is_closed() {
            return;
        }
        findings.warning_count += 1;
        if findings.warning_count <= WARNINGS_STORED_MAX {
            findings.unsaved_warnings.push(warning());
        }
    }

    /// Whether the next warning would still be stored; saves making one that would not.
    pub fn keeps_warnings(&self) -> bool {
        lock(&self.inner.findings).warning_count < WARNINGS_STORED_MAX
    }

    /// Counts warnings that are beyond the cap, or stored elsewhere.
    pub fn count_warnings(&self, count: u64) {
        let mut findings = lock(&self.inner.findings);
        if !self.gate.is_closed() {
            findings.warning_count += count;
        }
    }

    /// Records an error that does not end the step.
    pub fn add_error(&self, message: &str) {
        let mut findings = lock(&self.inner.findings);
        if self.gate.is_closed() {
            return;
        }
        if findings.errors.len() < ERRORS_MAX {
            findings.errors.push(cut(message, TEXT_BYTES_MAX).to_owned());
        }
        drop(findings);
        self.log(LogLevel::Error, cut(message, TEXT_BYTES_MAX));
    }

    /// A value of the execution context.
    pub fn get(&self, key: &str) -> Option<Value> {
        let reported = self.slip.as_ref().and_then(|slip| lock(slip).context.get(key).cloned());
        reported.or_else(|| lock(&self.inner.run.context).now().0.get(key).cloned())
    }

    /// A value of the execution context, as JSON text.
    pub fn get_text(&self, key: &str) -> Option<String> {
        let reported = self.slip.as_ref().and_then(|slip| lock(slip).context.get(key).map(Value::to_string));
        reported.or_else(|| lock(&self.inner.run.context).now().0.get(key).map(Value::to_string))
    }

    /// Keeps a value for later steps and a restart; refuses what does not fit, saying why.
    pub fn put(&self, key: &str, value: Value) -> Result<(), String> {
        if key.is_empty() || key.len() > CONTEXT_KEY_BYTES_MAX {
            return Err(format!("a key has 1 to {CONTEXT_KEY_BYTES_MAX} bytes, this one {}", key.len()));
        }
        if is_too_deep(&value) {
            return Err(format!("a value nests at most {DEPTH_MAX} levels deep, this one deeper"));
        }
        let mut context = lock(&self.inner.run.context);
        if self.gate.is_closed() {
            return Err("the step has ended without this element".to_owned());
        }
        let mut slip = self.slip.as_ref().map(|slip| lock(slip));
        // What this element has reported stands in place of what the run has.
        let reported = |other: &str| slip.as_ref().is_some_and(|slip| slip.context.contains_key(other));
        let of_run = context.now().0.iter().filter(|(other, _)| !reported(other));
        let of_slip = slip.iter().flat_map(|slip| &slip.context);
        let others = of_run.chain(of_slip).filter(|(other, _)| *other != key);
        let bytes =
            entry_bytes(key, &value) + others.map(|(other, value)| entry_bytes(other, value)).sum::<usize>();
        if bytes > CONTEXT_BYTES_MAX {
            return Err(format!("the execution context would take {bytes} of {CONTEXT_BYTES_MAX} bytes"));
        }
        match &mut slip {
            Some(slip) => {
                slip.context.insert(key.to_owned(), value);
            }
            None if self.inner.has_items => context.put(key.to_owned(), value),
            None => {
                context.change(&self.inner.step, key.to_owned(), value);
                self.mark_point();
            }
        }
        Ok(())
    }

    /// Logs a message about this step.
    pub fn log(&self, level: LogLevel, message: &str) {
        if self.gate.is_closed() {
            return;
        }
        self.inner.run.log.log(level, Some(self.inner.step.as_str()), message);
    }

    /// What was reported so far.
    pub fn findings(&self) -> Findings {
        Findings { usage: self.metering().usage(), ..lock(&self.inner.findings).clone() }
    }

    /// Where elements count what they use.
    pub fn metering(&self) -> &Metering {
        &self.inner.metering
    }

    /// What is to be saved: all of it.
    pub(crate) fn to_save(&self) -> Snapshot {
        self.snapshot(|findings, _, _| findings)
    }

    /// The same of a tasklet as of the moment from which it would go on.
    fn to_save_at_point(&self) -> Snapshot {
        self.snapshot(|findings, point, saved| {
            let TaskletPoint { summary, warning_count, .. } = point.cloned().unwrap_or_default();
            let mut unsaved_warnings = findings.unsaved_warnings;
            unsaved_warnings.truncate(stored_between(saved.warning_count, warning_count));
            Findings { summary, warning_count, unsaved_warnings, ..findings }
        })
    }

    fn snapshot(&self, as_of: impl FnOnce(Findings, Option<&TaskletPoint>, &Saved) -> Findings) -> Snapshot {
        let mut shared = lock(&self.inner.run.context);
        let findings = self.findings();
        let mut point = lock(&self.inner.point);
        point.1 = false;
        let findings = as_of(findings, point.0.as_ref(), &lock(&self.inner.saved));
        let values = shared.to_save(&self.inner.step);
        let changes = shared.take(&self.inner.step);
        Snapshot { step: self.clone(), findings, values, point: point.0.clone(), changes, is_saved: false }
    }

    /// Goes back to what was saved last, since the chunks that came after will run again. Errors stay.
    pub fn go_back_to_saved(&self) {
        lock(&self.inner.run.context).go_back(&self.inner.step);
        let (summary, warning_count, point) = {
            let saved = lock(&self.inner.saved);
            (saved.summary.clone(), saved.warning_count, saved.point.clone())
        };
        let mut findings = lock(&self.inner.findings);
        findings.summary = summary;
        findings.warning_count = warning_count;
        findings.unsaved_warnings.clear();
        drop(findings);
        if !self.inner.has_items {
            self.set_tracking(point.as_ref().map(|point| point.tracking).unwrap_or_default());
            *lock(&self.inner.point) = (point, false);
        }
    }

    /// Begins a tasklet with what it had counted when it ended; `None` if it begins anew.
    pub fn go_on_from(&self, point: Option<TaskletPoint>) {
        let TaskletPoint { tracking, summary, warning_count } = point.clone().unwrap_or_default();
        self.set_tracking(tracking);
        let mut findings = lock(&self.inner.findings);
        (findings.summary, findings.warning_count) = (summary.clone(), warning_count);
        *lock(&self.inner.point) = (point.clone(), false);
        *lock(&self.inner.saved) = Saved { summary, warning_count, point };
    }

    /// Goes back to where a tasklet goes on when it runs again. Errors stay.
    pub fn go_back_to_point(&self) {
        let mut findings = lock(&self.inner.findings);
        let point = lock(&self.inner.point).0.clone().unwrap_or_default();
        let saved = lock(&self.inner.saved).warning_count;
        findings.unsaved_warnings.truncate(stored_between(saved, point.warning_count));
        (findings.summary, findings.warning_count) = (point.summary, point.warning_count);
        drop(findings);
        self.set_tracking(point.tracking);
    }

    /// Remembers what a tasklet has counted so far: what it keeps now belongs to that.
    fn mark_point(&self) {
        let findings = lock(&self.inner.findings);
        let (summary, warning_count) = (findings.summary.clone(), findings.warning_count);
        let point = TaskletPoint { tracking: self.tracking(), summary, warning_count };
        *lock(&self.inner.point) = (Some(point), true);
    }

    /// Where a tasklet goes on; `None` if it begins anew, and for item steps, which have checkpoints.
    pub fn point(&self) -> Option<TaskletPoint> {
        lock(&self.inner.point).0.clone()
    }

    /// Lets a tasklet be saved while it runs.
    pub fn saves_by(&self, recorder: Recorder, row: StepExecution) {
        // There is one for each step that runs.
        let _ = self.inner.saver.set((recorder, row));
    }

    /// Makes durable, for a tasklet, what it has kept and counted until now. In an item step this does nothing:
    /// there, what was kept is stored with the checkpoint of its chunk.
    pub async fn save(&self) -> Result<(), RepositoryError> {
        if self.inner.has_items {
            return Ok(());
        }
        if !self.gate.is_closed() {
            self.mark_point();
        }
        self.save_at_point().await
    }

    /// Stores what a tasklet has kept since it was saved, if there is something. Returns whether there was.
    pub async fn save_if_changed(&self) -> Result<bool, RepositoryError> {
        let is_changed = lock(&self.inner.point).1;
        if is_changed {
            self.save_at_point().await?;
        }
        Ok(is_changed)
    }

    async fn save_at_point(&self) -> Result<(), RepositoryError> {
        let Some((recorder, row)) = self.inner.saver.get() else { return Ok(()) };
        recorder.save_at_point(row.clone(), self, || self.to_save_at_point()).await
    }
}

/// How many of the warnings that came from one count to another are stored.
fn stored_between(before: u64, after: u64) -> usize {
    (after.min(WARNINGS_STORED_MAX).saturating_sub(before.min(WARNINGS_STORED_MAX))) as usize
}

/// What is being saved of a step. If it is dropped before it was, everything in it still waits to be saved.
pub(crate) struct Snapshot {
    step: StepContext,
    pub(crate) findings: Findings,
    /// The values that the steps of the run share, as far as this step may save them.
    pub(crate) values: ExecutionContext,
    /// Of a tasklet.
    pub(crate) point: Option<TaskletPoint>,
    changes: Changes,
    is_saved: bool,
}

impl Snapshot {
    /// It is stored.
    pub(crate) fn saved(mut self) {
        self.is_saved = true;
        let Inner { findings, saved, .. } = &*self.step.inner;
        lock(findings).unsaved_warnings.drain(..self.findings.unsaved_warnings.len());
        let (summary, warning_count) = (self.findings.summary.clone(), self.findings.warning_count);
        *lock(saved) = Saved { summary, warning_count, point: self.point.clone() };
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.is_saved {
            return;
        }
        let Inner { run, step, point, .. } = &*self.step.inner;
        lock(&run.context).put_back(step, std::mem::take(&mut self.changes));
        let mut point = lock(point);
        point.1 |= point.0.is_some();
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

/// A panic of one holder must not take the others down: the values are whole between calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of a text, at most `max` bytes, cut at a character.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The same with a mark where something is missing, so that nobody takes the beginning for all of it.
pub fn cut_with_mark(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let mark = format!(" … (cut: {} bytes in all)", text.len());
    Cow::Owned(format!("{}{mark}", cut(text, max.saturating_sub(mark.len()))))
}

#[cfg(test)]
mod tests;
