//! A row of `step_executions` and one of `warnings`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{Checkpoint, Counts, StepExecution, Summary, SummaryValue, Tracking, Warning};
use stepbox_batch::name::StepName;
use stepbox_batch::ports::Result;

use super::columns::Columns;
use super::failure::{failures, failures_from};
use super::{Row, checkpoint, ended_at, json, stored, stored_id};

/// A step's row.
#[derive(Debug)]
pub(crate) struct StepRecord {
    pub position: i64,
    pub name: String,
    pub status: i64,
    pub exit_code: String,
    pub exit_description: String,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub updated_at: i64,
    pub read_count: i64,
    pub written_count: i64,
    pub filtered_count: i64,
    pub skipped_count: i64,
    pub tracking: TrackingRecord,
    pub warning_count: i64,
    pub carried_from: Option<i64>,
    pub summary: String,
    pub errors: String,
    pub failures: String,
    pub checkpoint: Option<Vec<u8>>,
    pub starts: i64,
    pub retries: i64,
    pub usage: String,
}

/// A step's progress, which is also saved alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrackingRecord {
    pub processed: i64,
    pub total: Option<i64>,
    pub is_estimate: bool,
}

impl From<Tracking> for TrackingRecord {
    fn from(Tracking { processed, total, is_estimate }: Tracking) -> Self {
        Self { processed: stored(processed), total: total.map(stored), is_estimate }
    }
}

impl TrackingRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            processed: row.number("tracking_processed")?,
            total: row.maybe_number("tracking_total")?,
            is_estimate: row.flag("tracking_is_estimate")?,
        })
    }

    pub(crate) fn into_tracking(self, row: &Row) -> Result<Tracking> {
        Ok(Tracking {
            processed: row.count("tracking_processed", self.processed)?,
            total: self.total.map(|total| row.count("tracking_total", total)).transpose()?,
            is_estimate: self.is_estimate,
        })
    }
}

impl StepRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            position: row.number("position")?,
            name: row.text("name")?,
            status: row.number("status")?,
            exit_code: row.text("exit_code")?,
            exit_description: row.text("exit_description")?,
            started_at: row.number("started_at")?,
            ended_at: row.maybe_number("ended_at")?,
            updated_at: row.number("updated_at")?,
            read_count: row.number("read_count")?,
            written_count: row.number("written_count")?,
            filtered_count: row.number("filtered_count")?,
            skipped_count: row.number("skipped_count")?,
            tracking: TrackingRecord::read(row)?,
            warning_count: row.number("warning_count")?,
            carried_from: row.maybe_number("carried_from")?,
            summary: row.text("summary")?,
            errors: row.text("errors")?,
            failures: row.text("failures")?,
            checkpoint: row.maybe_bytes("checkpoint")?,
            starts: row.number("starts")?,
            retries: row.number("retries")?,
            usage: row.text("usage")?,
        })
    }

    /// The row of a step, with the given checkpoint instead of the step's own.
    pub(crate) fn new(step: &StepExecution, checkpoint: Option<&Checkpoint>) -> Self {
        let ExitStatus { code, description } = &step.exit_status;
        let Counts { read, written, filtered, skipped } = step.counts;
        Self {
            position: step.position.into(),
            name: step.name.to_string(),
            status: step.status.number().into(),
            exit_code: code.clone(),
            exit_description: description.clone(),
            started_at: step.started_at.0,
            ended_at: ended_at(step.status, step.ended_at, step.updated_at),
            updated_at: step.updated_at.0,
            read_count: stored(read),
            written_count: stored(written),
            filtered_count: stored(filtered),
            skipped_count: stored(skipped),
            tracking: step.tracking.into(),
            warning_count: stored(step.warning_count),
            carried_from: step.carried_from.map(stored_id),
            summary: summary(&step.summary),
            errors: json(&step.errors),
            failures: failures(&step.failures),
            checkpoint: checkpoint.map(checkpoint::encode),
            starts: step.starts.into(),
            retries: step.retries.into(),
            usage: json(&step.usage),
        }
    }

    pub(crate) fn into_step(self, execution_id: i64) -> Result<StepExecution> {
        let row = Row(format!("step `{}` of execution {execution_id}", self.name));
        let checkpoint = self.checkpoint.map(|bytes| checkpoint::decode(&bytes)).transpose();
        Ok(StepExecution {
            position: row.count("position", self.position)?,
            name: row.name("name", self.name)?,
            status: row.status(self.status)?,
            exit_status: ExitStatus { code: self.exit_code, description: self.exit_description },
            started_at: Timestamp(self.started_at),
            ended_at: self.ended_at.map(Timestamp),
            updated_at: Timestamp(self.updated_at),
            counts: Counts {
                read: row.count("read_count", self.read_count)?,
                written: row.count("written_count", self.written_count)?,
                filtered: row.count("filtered_count", self.filtered_count)?,
                skipped: row.count("skipped_count", self.skipped_count)?,
            },
            tracking: self.tracking.into_tracking(&row)?,
            summary: summary_from(&row, &self.summary)?,
            warning_count: row.count("warning_count", self.warning_count)?,
            errors: row.json("errors", &self.errors)?,
            failures: failures_from(&row, &self.failures)?,
            checkpoint: checkpoint.map_err(|detail| row.corrupt("checkpoint", detail))?,
            starts: row.count("starts", self.starts)?,
            retries: row.count("retries", self.retries)?,
            usage: row.json("usage", &self.usage)?,
            carried_from: self.carried_from.map(|id| row.id("carried_from", id)).transpose()?,
        })
    }
}

/// A value of the JSON object in `summary`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SummaryForm {
    Count(u64),
    Text(String),
}

fn summary(summary: &Summary) -> String {
    let form = |value: &SummaryValue| match value {
        SummaryValue::Count(count) => SummaryForm::Count(*count),
        SummaryValue::Text(text) => SummaryForm::Text(text.clone()),
    };
    json(&summary.iter().map(|(name, value)| (name, form(value))).collect::<BTreeMap<_, _>>())
}

fn summary_from(row: &Row, text: &str) -> Result<Summary> {
    let forms: BTreeMap<String, SummaryForm> = row.json("summary", text)?;
    let domain = |form| match form {
        SummaryForm::Count(count) => SummaryValue::Count(count),
        SummaryForm::Text(text) => SummaryValue::Text(text),
    };
    Ok(forms.into_iter().map(|(name, form)| (name, domain(form))).collect())
}

/// A warning's row.
#[derive(Debug)]
pub(crate) struct WarningRecord {
    pub step: String,
    pub code: String,
    pub reason: String,
    pub place: String,
    pub item: String,
}

impl From<&Warning> for WarningRecord {
    fn from(warning: &Warning) -> Self {
        let Warning { step, code, reason, place, item } = warning.clone();
        Self { step: step.into(), code, reason, place, item }
    }
}

impl WarningRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            step: row.text("step")?,
            code: row.text("code")?,
            reason: row.text("reason")?,
            place: row.text("place")?,
            item: row.text("item")?,
        })
    }

    pub(crate) fn into_warning(self, execution_id: i64) -> Result<Warning> {
        let Self { step, code, reason, place, item } = self;
        let row = Row(format!("a warning of execution {execution_id}"));
        let step: StepName = row.name("step", step)?;
        Ok(Warning { step, code, reason, place, item })
    }
}
