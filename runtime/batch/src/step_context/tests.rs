//! What a running step keeps and counts, and what it does not.

use serde_json::Value;

use super::*;
use crate::clock::Timestamp;
use crate::execution::{CONTEXT_BYTES_MAX, ExecutionContext, SummaryValue};
use crate::findings::WARNINGS_STORED_MAX;
use crate::log::NoLog;
use crate::name::JobExecutionId;
use crate::run_context::RunInfo;

fn step(has_items: bool) -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, serde_json::json!({}), ExecutionContext::default(), Arc::new(NoLog));
    StepContext::new(run, StepName::new("s").unwrap(), has_items, Findings::default())
}

#[test]
fn more_processed_than_total_raises_the_total() {
    let step = step(false);
    assert_eq!(step.tracking().total, None);
    step.set_total_items(2);
    step.increment_processed_items(3);
    assert_eq!(step.tracking(), Tracking { processed: 3, total: Some(3), is_estimate: false });
}

#[test]
fn elements_do_not_count_where_the_engine_does() {
    let step = step(true);
    step.increment_processed_items(3);
    step.set_total_items(9);
    assert_eq!(step.tracking(), Tracking::default());
}

#[test]
fn counts_all_warnings_and_stores_the_first_thousand() {
    let step = step(true);
    for _ in 0..WARNINGS_STORED_MAX + 5 {
        step.add_warning("c", "r", "", "i");
    }
    let findings = step.findings();
    assert_eq!(findings.warning_count, WARNINGS_STORED_MAX + 5);
    assert_eq!(findings.unsaved_warnings.len() as u64, WARNINGS_STORED_MAX);
}

#[test]
fn goes_back_to_what_was_saved_but_keeps_errors() {
    let step = step(true);
    step.increment_summary("done", 2);
    step.add_warning("c", "first", "", "");
    step.to_save().saved();
    step.increment_summary("done", 2);
    step.set_summary("note", "x");
    step.add_warning("c", "second", "", "");
    step.add_error("e");
    step.go_back_to_saved();
    let findings = step.findings();
    assert_eq!(findings.summary, Summary::from([("done".to_owned(), SummaryValue::Count(2))]));
    assert_eq!((findings.warning_count, findings.unsaved_warnings.len()), (1, 0));
    assert_eq!(findings.errors, ["e"]);
}

/// Regression: a thread that was left behind continued to report to the step.
#[tokio::test]
async fn what_is_left_behind_changes_nothing() {
    let step = step(false);
    let gate = Gate::default();
    let left = step.behind(&gate);
    left.increment_summary("done", 1);
    left.put("k", Value::from(1)).unwrap();
    gate.close().await;
    let report = |element: &StepContext| {
        element.increment_summary("done", 1);
        element.set_summary("note", "x");
        element.add_warning("c", "r", "", "");
        element.count_warnings(1);
        element.add_error("e");
        element.increment_processed_items(7);
        element.set_total_items(9);
        assert!(element.put("k", Value::from(2)).is_err());
        step.behind(&gate).accept(element.take_reports());
    };
    report(&left);
    report(&left.for_element());
    let findings = step.findings();
    assert_eq!(findings.summary, Summary::from([("done".to_owned(), SummaryValue::Count(1))]));
    assert_eq!((findings.warning_count, findings.errors.len()), (0, 0));
    assert_eq!((step.get("k"), step.tracking().processed), (Some(Value::from(1)), 0));
    step.add_error("told by whoever left it");
    assert_eq!(step.findings().errors.len(), 1);
}

#[test]
fn the_context_refuses_what_does_not_fit() {
    let step = step(false);
    assert!(step.put("k", Value::from(1)).is_ok());
    assert_eq!(step.get("k"), Some(Value::from(1)));
    assert!(step.put("", Value::Null).is_err());
    assert!(step.put("k", Value::from("x".repeat(CONTEXT_BYTES_MAX))).is_err());
    assert_eq!(step.get("k"), Some(Value::from(1)), "a refused value changes nothing");
}
