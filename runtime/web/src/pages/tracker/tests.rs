use serde_json::json;
use stepbox_api::bulk::BulkOutcome;

use super::bulk::{Meant, action_of, ask, result};
use super::*;
use crate::frame::Viewer;
use crate::pages::find;
use crate::reader::{Reader, Theme};

/// What must nowhere come out as it went in.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}gnp\nx";

fn frame() -> Frame {
    Frame {
        base: "/x".to_owned(),
        reader: Reader::new("", "en", Theme::System, "2026-11-30T13:31:44Z".parse().unwrap()),
        viewer: Viewer::default(),
        tenant: Some("acme".to_owned()),
        tenants: Vec::new(),
        running: 3,
        waiting: 0,
    }
}

/// An execution as the interface shows it, with these fields.
fn execution(fields: serde_json::Value) -> Execution {
    let mut whole = json!({
        "id": 41, "instance": "nightly", "connector": "acme", "job": "csv_export", "type": "export",
        "status": "STARTED", "exit_status": { "code": "EXECUTING", "description": "" }, "user": "julia",
        "created_at": "2026-11-30T13:31:21Z", "started_at": "2026-11-30T13:31:24Z", "ended_at": null,
        "updated_at": "2026-11-30T13:31:24Z", "worker": "w", "attempt": 1, "stop_requested": false,
        "set_aside": null, "restart_of": null, "queue": null, "folder": null, "parameters": {},
        "components": [], "warning_count": 0, "failures": [], "step_count": 1, "steps": [],
    });
    for (name, value) in fields.as_object().unwrap() {
        whole[name] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn step(status: &str, processed: u64, total: Option<u64>, is_estimate: bool) -> serde_json::Value {
    json!([{
        "name": "normalise", "kind": "item", "status": status,
        "exit_status": { "code": "EXECUTING", "description": "" }, "started_at": "2026-11-30T13:31:24Z",
        "ended_at": null, "updated_at": "2026-11-30T13:31:24Z",
        "counts": { "read": 1, "written": 1, "filtered": 0, "skipped": 0 },
        "tracking": { "processed": processed, "total": total, "is_estimate": is_estimate },
        "summary": {}, "warning_count": 0, "errors": [], "failures": [], "carried_from": null, "starts": 1,
        "retries": 0, "usage": {},
    }])
}

fn row(execution: Execution) -> Row {
    Row { execution, label: None, may_act: true }
}

fn shown(tracker: &Tracker) -> String {
    page(&frame(), tracker).into_string()
}

/// Fails if any of the hostile text is markup, steers a terminal, or ends a line.
fn assert_harmless(markup: &str, what: &str) {
    for bad in ["<script>alert", "<img", "\u{1b}", "\u{202e}", "javascript:"] {
        assert!(!markup.contains(bad), "{what}: {bad:?} in {markup}");
    }
}

#[test]
fn hostile_texts_are_harmless_everywhere() {
    let hostile = execution(json!({
        "id": 7, "instance": HOSTILE, "user": HOSTILE, "job": HOSTILE, "connector": HOSTILE, "type": HOSTILE,
        "created_at": HOSTILE, "started_at": HOSTILE, "warning_count": 3,
    }));
    let damaged = DamagedRow {
        id: None,
        kind: HOSTILE.to_owned(),
        name: HOSTILE.to_owned(),
        damaged: HOSTILE.to_owned(),
    };
    let plain = "<script>alert(1)</script>\"'>";
    let tracker = Tracker {
        filter: plain.to_owned(),
        rows: vec![Row { label: Some(HOSTILE.to_owned()), ..row(hostile.clone()) }],
        damaged: vec![damaged],
        count: Some(Count { rows: 2, is_more: true }),
        views: Some(vec![View { name: plain.to_owned(), filter: plain.to_owned() }]),
        has_newer: true,
        has_older: true,
        may_act: true,
        ..Tracker::default()
    };
    assert_harmless(&shown(&tracker).replace(HOSTILE, ""), "the tracker");
    let outcome = BulkOutcome {
        id: 7,
        is_done: false,
        execution: None,
        code: Some(HOSTILE.to_owned()),
        detail: Some(HOSTILE.to_owned()),
    };
    let stop = action_of("stop").unwrap();
    let markup = result(&frame(), plain, stop, &[outcome]).into_string();
    assert!(!markup.contains("<script>"), "{markup}");
    let markup = ask(&frame(), plain, &Meant::Matching { count: 2, is_too_many: false }, None, None);
    assert!(!markup.into_string().contains("<script>"));
    let found = find::Found {
        profiles: vec![(plain.to_owned(), HOSTILE.to_owned())],
        executions: vec![hostile],
        steps: vec![(HOSTILE.to_owned(), HOSTILE.to_owned(), plain.to_owned())],
        ..find::Found::default()
    };
    let markup = find::page(&frame(), HOSTILE, &found).into_string();
    assert!(!markup.contains("<script>"), "{markup}");
    let keeping = views::Keeping { name: plain, filter: plain, problem: None };
    let kept = [View { name: plain.to_owned(), filter: plain.to_owned() }];
    assert!(!views::page(&frame(), &kept, &keeping).into_string().contains("<script>"));
}

#[test]
fn a_row_says_how_far_its_execution_is() {
    let rows = [
        (json!({ "status": "QUEUED", "started_at": null }), vec!["waits for a worker", ">–</span>"]),
        (
            json!({ "steps": step("STARTED", 41_000, Some(96_000), true) }),
            vec![r#"<progress value="41000" max="96000""#, ">~42 %</b>", "41,000 of ~96,000, ~26.8 s left"],
        ),
        (json!({ "steps": step("STARTED", 0, Some(10), false) }), vec![">0 %</b>", "0 of 10</span>"]),
        (json!({ "steps": step("STARTED", 12, Some(10), false) }), vec![">100 %</b>"]),
        (json!({ "steps": step("STARTED", 12, None, false) }), vec![r#"<div class="num">12</div>"#]),
        (
            json!({ "status": "FAILED", "ended_at": "2026-11-30T13:31:26Z", "steps": step("FAILED", 57_944, Some(58_000), false) }),
            vec![r#"<div class="num">57,944 of 58,000</div>"#, ">2.0 s</span>"],
        ),
        (
            json!({ "status": "COMPLETED", "steps": step("COMPLETED", 12_940, Some(12_940), false) }),
            vec![r#"<div class="num">12,940</div>"#],
        ),
        (json!({ "warning_count": 1234 }), vec![r#"href="/x/tenants/acme/executions/41/warnings""#, "1,234"]),
    ];
    for (fields, expected) in rows {
        let execution = execution(fields.clone());
        let tracker = Tracker { rows: vec![row(execution)], ..Tracker::default() };
        let markup = shown(&tracker);
        for expected in expected {
            assert!(markup.contains(expected), "{fields}: {expected} in {markup}");
        }
    }
}

#[test]
fn moving_parts_have_ids_of_their_own_and_no_controls() {
    let execution = execution(json!({ "steps": step("STARTED", 1, Some(2), false) }));
    let parts = parts_of_row(&frame(), &execution);
    let ids: Vec<_> = parts.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["status-41", "items-41", "warnings-41", "took-41"]);
    let page = shown(&Tracker { rows: vec![row(execution)], ..Tracker::default() });
    for (id, part) in parts {
        let part = part.into_string();
        assert!(part.contains(&format!("id=\"{id}\"")) && !part.contains("<button"), "{part}");
        assert!(page.contains(&part), "the page has the part as the stream sends it");
    }
}

#[test]
fn who_may_not_act_sees_no_buttons() {
    let rows = vec![Row { may_act: false, ..row(execution(json!({}))) }];
    let markup = shown(&Tracker { rows, ..Tracker::default() });
    for control in ["type=\"checkbox\"", "name=\"stop\"", "class=\"bulk\""] {
        assert!(!markup.contains(control), "{control}");
    }
    let rows = vec![row(execution(json!({})))];
    let markup = shown(&Tracker { rows, may_act: true, ..Tracker::default() });
    for control in ["name=\"id\" value=\"41\"", "name=\"stop\" value=\"41\"", "class=\"bulk\""] {
        assert!(markup.contains(control), "{control} in {markup}");
    }
}

#[test]
fn the_number_of_matches_is_bounded_and_pages_lead_on() {
    let rows = || vec![row(execution(json!({ "id": 9 }))), row(execution(json!({ "id": 4 })))];
    let tracker = Tracker {
        filter: "type:export created:7d".to_owned(),
        rows: rows(),
        count: Some(Count { rows: 10_000, is_more: true }),
        has_newer: true,
        has_older: true,
        ..Tracker::default()
    };
    let markup = shown(&tracker);
    for expected in [
        "10,000+ executions",
        "CSV of 10,000+",
        "executions.csv?filter=type%3Aexport%20created%3A7d",
        "executions?filter=type%3Aexport%20created%3A7d&amp;after=9",
        "executions?filter=type%3Aexport%20created%3A7d&amp;before=4",
        "2 of 10,000+",
    ] {
        assert!(markup.contains(expected), "{expected} in {markup}");
    }
    let markup = shown(&Tracker { rows: rows(), ..Tracker::default() });
    assert!(!markup.contains("after=") && !markup.contains("before="), "{markup}");
}

#[test]
fn an_empty_list_says_what_to_do() {
    assert!(shown(&Tracker::default()).contains("There are no executions yet."));
    let filtered = Tracker { filter: "status:FAILED".to_owned(), ..Tracker::default() };
    assert!(shown(&filtered).contains("No execution matches the filter."));
}

#[test]
fn completions_go_on_from_what_is_typed() {
    let tracker = Tracker {
        filter: "status:FAILED ".to_owned(),
        rows: vec![row(execution(json!({ "user": "token ci" })))],
        ..Tracker::default()
    };
    let found = completions(&tracker);
    for expected in
        ["status:FAILED took:>1m", "status:FAILED profile:nightly", "status:FAILED -user:\"token ci\""]
    {
        assert!(found.iter().any(|found| found == expected), "{expected} in {found:?}");
    }
}

#[test]
fn an_operation_on_many_names_its_number_before_and_tells_each_result() {
    let frame = frame();
    let restart = action_of("restart").unwrap();
    let markup = ask(&frame, "", &Meant::Selected(vec![9, 4]), Some(restart), None).into_string();
    for expected in
        ["Restart 2 executions?", "name=\"expected_count\" value=\"2\"", "name=\"id\" value=\"9\""]
    {
        assert!(markup.contains(expected), "{expected} in {markup}");
    }
    let many = Meant::Matching { count: 1000, is_too_many: true };
    let markup = ask(&frame, "type:export", &many, None, None).into_string();
    assert!(markup.contains("More than 1,000 executions match") && !markup.contains("<button"), "{markup}");
    let nobody = ask(&frame, "", &Meant::Selected(Vec::new()), Some(restart), None).into_string();
    assert!(nobody.contains("No execution is meant"), "{nobody}");

    let done = BulkOutcome { id: 9, is_done: true, execution: Some(12), code: None, detail: None };
    let refused = BulkOutcome {
        id: 4,
        is_done: false,
        execution: None,
        code: Some("wrong-status".to_owned()),
        detail: Some("execution 4 is COMPLETED".to_owned()),
    };
    let markup = result(&frame, "", restart, &[done, refused]).into_string();
    for expected in ["1 of 2 restarted", "executions/12", "errors/wrong-status", "execution 4 is COMPLETED"] {
        assert!(markup.contains(expected), "{expected} in {markup}");
    }
}
