use serde_json::{from_value, json, to_value};
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::log::LogLevel;
use stepbox_batch::name::StepName;

use super::*;
use crate::testing::{self, NOW, survives};

#[test]
fn an_execution_survives_a_wire() {
    let execution = testing::execution();
    let entry = testing::queue_entry();
    let shown = survives(&Execution::of(&execution).with_queue(Some(&entry)));
    assert_eq!(shown["status"], "STARTED");
    assert_eq!(shown["queue"]["state"], "delayed");
    assert_eq!(shown["warning_count"], 7);
    assert_eq!(shown["steps"][0]["summary"], json!({ "files": 2, "notified": "yes" }));
    assert_eq!(shown["steps"][0]["usage"]["cpu_us"], 5);
}

/// Programs also read the answers of other versions.
#[test]
fn an_older_program_reads_what_a_newer_one_has_added() {
    let mut answer = to_value(Execution::of(&testing::execution())).unwrap();
    answer["added"] = json!({ "by": "a newer version" });
    answer["status"] = "HIBERNATING".into();
    let execution: Execution = from_value(answer).unwrap();
    assert_eq!(execution.status, Status::Unknown);
}

/// The words on the wire are those of the domain.
#[test]
fn every_status_has_its_word() {
    for status in BatchStatus::ALL {
        for has_worker in [true, false] {
            assert_eq!(to_value(Status::of(status, has_worker)).unwrap(), status.shown(has_worker));
        }
        assert_eq!(survives(&Status::from(status)), status.as_str());
    }
}

#[test]
fn warnings_logs_and_remains_survive_a_wire() {
    let step = StepName::new("export").unwrap();
    let text = |text: &str| text.to_owned();
    survives(&Warning::of(&execution::Warning {
        step,
        code: text("bad-price"),
        reason: text("no number"),
        place: text("line 41"),
        item: text("{}"),
    }));
    let line = log::LogLine { at: NOW, level: LogLevel::Warning, step: None, message: text("slow") };
    assert_eq!(survives(&LogLine::of(&line))["level"], "warning");
    let remains =
        execution::Remains { damage: vec![text("status 99")], fields: vec![(text("user"), text("julia"))] };
    survives(&Remains::of(JobExecutionId(7), &remains));
    survives(&Purged::of(&[JobExecutionId(7)]));
}
