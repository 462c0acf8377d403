//! The reports of elements: summary, warnings, errors, and values of the execution context.

use serde_json::Value;

use super::StepContext;
use crate::cut::{cut, cut_with_mark};
use crate::depth::{DEPTH_MAX, is_too_deep};
use crate::execution::{CONTEXT_BYTES_MAX, SummaryValue, Warning, entry_bytes};
use crate::findings::{
    CONTEXT_KEY_BYTES_MAX, ERRORS_MAX, ITEM_BYTES_MAX, NAME_BYTES_MAX, Reports, SUMMARY_NAMES_MAX,
    SummaryChange, TEXT_BYTES_MAX, WARNINGS_STORED_MAX,
};
use crate::lock::lock;
use crate::log::LogLevel;

impl StepContext {
    /// Takes the reports of this element since the last call.
    pub(crate) fn take_reports(&self) -> Reports {
        self.slip.as_ref().map(|slip| std::mem::take(&mut *lock(slip))).unwrap_or_default()
    }

    /// Counts the reports of an element.
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
            if !findings.change_summary(&name, change) {
                self.log_dropped_summary(&name);
            }
        }
        let room = WARNINGS_STORED_MAX.saturating_sub(findings.warning_count);
        findings.unsaved_warnings.extend(warnings.into_iter().take(room as usize));
        findings.warning_count += warning_count;
        drop(findings);
        let mut shared = self.inner.run.values();
        if self.gate.is_closed() {
            return;
        }
        for (key, value) in context {
            shared.change(&self.inner.step, key, value);
        }
    }

    /// Adds to a named counter; a text of that name is replaced by the counter.
    pub fn increment_summary(&self, name: &str, by: u64) {
        self.report_summary(name, SummaryChange::Add(by));
    }

    /// Sets a named text.
    pub fn set_summary(&self, name: &str, text: &str) {
        let text = SummaryValue::Text(cut(text, TEXT_BYTES_MAX).to_owned());
        self.report_summary(name, SummaryChange::Set(text));
    }

    fn report_summary(&self, name: &str, change: SummaryChange) {
        let has_room = match &self.slip {
            Some(slip) => lock(slip).change_summary(name, &change),
            None => {
                let mut findings = lock(&self.inner.findings);
                self.gate.is_closed() || findings.change_summary(name, change)
            }
        };
        if !has_room {
            self.log_dropped_summary(name);
        }
    }

    fn log_dropped_summary(&self, name: &str) {
        let name = cut(name, NAME_BYTES_MAX);
        self.log(
            LogLevel::Warning,
            &format!("summary `{name}` dropped: at most {SUMMARY_NAMES_MAX} names of {NAME_BYTES_MAX} bytes"),
        );
    }

    /// Records a warning.
    ///
    /// All warnings are counted; they are kept up to the limit.
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

    /// Whether the next warning would still be stored.
    ///
    /// If not, a caller need not make its text.
    pub fn keeps_warnings(&self) -> bool {
        lock(&self.inner.findings).warning_count < WARNINGS_STORED_MAX
    }

    /// Counts warnings that are above the limit, or that are stored elsewhere.
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
        reported.or_else(|| self.inner.run.values().now().0.get(key).cloned())
    }

    /// A value of the execution context, as JSON text.
    pub fn get_text(&self, key: &str) -> Option<String> {
        let reported = self.slip.as_ref().and_then(|slip| lock(slip).context.get(key).map(Value::to_string));
        reported.or_else(|| self.inner.run.values().now().0.get(key).map(Value::to_string))
    }

    /// Keeps a value for later steps and a restart.
    ///
    /// Refuses a value that does not fit, and returns the reason.
    pub fn put(&self, key: &str, value: Value) -> Result<(), String> {
        if key.is_empty() || key.len() > CONTEXT_KEY_BYTES_MAX {
            return Err(format!("a key has 1 to {CONTEXT_KEY_BYTES_MAX} bytes, this one {}", key.len()));
        }
        if is_too_deep(&value) {
            return Err(format!("a value nests at most {DEPTH_MAX} levels deep, this one deeper"));
        }
        let mut context = self.inner.run.values();
        if self.gate.is_closed() {
            return Err("the step has ended without this element".to_owned());
        }
        let mut slip = self.slip.as_ref().map(|slip| lock(slip));
        // A value that this element has reported replaces the value of the run.
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
}
