use serde_json::{Value, from_value, json};

use super::*;
use crate::frame::Viewer;
use crate::reader::Theme;

/// What others may have written, wherever they can write something.
const HOSTILE: &str =
    "<script>alert(1)</script>\" onload='x' </textarea>\u{1b}]8;;javascript:x\u{7}\u{202e}\nend";

fn reader() -> Reader {
    Reader::new("Europe/Berlin", "en", Theme::System, "2026-11-30T13:32:07Z".parse().unwrap())
}

fn frame() -> Frame {
    Frame {
        base: "/x".to_owned(),
        reader: reader(),
        viewer: Viewer::default(),
        tenant: Some("acme".to_owned()),
        tenants: vec!["acme".to_owned()],
        running: 1,
        waiting: 0,
    }
}

fn step(name: &str, status: &str) -> Value {
    let ended =
        (!["STARTED", "STARTING", "STOPPING", "PAUSED"].contains(&status)).then_some("2026-11-30T13:32:07Z");
    json!({
        "name": name, "kind": "item", "status": status,
        "exit_status": { "code": status, "description": "" },
        "started_at": "2026-11-30T13:31:44Z", "ended_at": ended, "updated_at": "2026-11-30T13:32:04Z",
        "counts": { "read": 41_000, "written": 40_962, "filtered": 0, "skipped": 38 },
        "tracking": { "processed": 41_000, "total": 96_000, "is_estimate": true },
        "summary": {}, "warning_count": 38, "errors": [], "failures": [], "carried_from": null,
        "starts": 1, "retries": 0, "usage": { "cpu_us": 11_200_000, "memory_bytes_peak": 22_020_096 },
    })
}

fn execution(status: &str, steps: &[Value]) -> Execution {
    let has_ended = ["COMPLETED", "FAILED", "STOPPED", "ABANDONED"].contains(&status);
    from_value(json!({
        "id": 4120, "instance": "my_export", "connector": "csv", "job": "export", "type": "export",
        "status": status, "exit_status": { "code": status, "description": "" }, "user": "julia",
        "created_at": "2026-11-30T13:31:43Z", "started_at": "2026-11-30T13:31:44Z",
        "ended_at": has_ended.then_some("2026-11-30T13:32:07Z"), "updated_at": "2026-11-30T13:32:04Z",
        "worker": "batch-2:4711", "attempt": 1, "stop_requested": false, "set_aside": null,
        "restart_of": null, "queue": null, "folder": null, "parameters": { "delimiter": ",", "date": "dd.MM.yyyy" },
        "components": [], "warning_count": 38, "failures": [], "step_count": 2, "steps": steps,
    }))
    .unwrap()
}

fn job(steps: &[&str]) -> Job {
    let element = |name: &str| json!({ "name": name, "digest": null, "options": null });
    let step = |name: &&str| {
        json!({
            "name": name, "kind": "item", "reader": element("csv"), "processors": [element(name)],
            "writer": element("csv"), "chunk": { "rows": 1000, "bytes": 1, "ms": 1 }, "workers": 1,
            "ordered": true, "checkpoint": { "items": null, "ms": 1 },
            "skip": { "limit": null, "share": null, "on": null }, "partitions": 1,
            "grants": { "http": [], "files": {} }, "secrets": [], "limits": {},
            "retry": { "limit": 0, "on": null, "backoff": { "ms": 1, "ms_max": 1 } },
            "rerun": "unless_completed", "start_limit": null, "on": [], "always": false, "branch": null,
        })
    };
    let steps: Vec<_> = steps.iter().map(step).collect();
    from_value(json!({
        "connector": "csv", "name": "export", "type": "export", "label": "Export", "stoppable": true,
        "concurrency": null, "parameters": {}, "steps": steps,
    }))
    .unwrap()
}

fn shown(status: &str, steps: &[Value]) -> Shown {
    Shown {
        execution: execution(status, steps),
        job: job(&["export", "notify"]),
        instance: Some(
            from_value(json!({
                "code": "my_export", "label": "Product export", "connector": "csv", "job": "export", "type": "export",
                "raw_parameters": { "delimiter": ",", "date": "yyyy-MM-dd" }, "version": 3,
                "updated_at": "2026-11-30T10:00:00Z",
            }))
            .unwrap(),
        ),
        earlier: BTreeMap::new(),
        parts: Vec::new(),
        warnings: Vec::new(),
        rejected: Vec::new(),
        outputs: Vec::new(),
        log: Vec::new(),
        log_lines: 0,
        may: May { launch: true, outputs: true, instance: true },
    }
}

#[test]
fn a_running_execution_says_how_far_how_fast_and_how_long() {
    let shown = shown("STARTED", &[step("export", "STARTED")]);
    let html = page(&frame(), &shown, None).into_string();
    for expected in [
        "~42 % ",
        "41,000 of ~96,000 items",
        "<b>2,050</b>",
        "<b>~27 s</b>",
        "value=\"41000\" max=\"96000\"",
        "<dt>read</dt><dd>41,000</dd>",
        "step <code>",
        "1 of 2",
        "Not begun",
        "class=\"ahead\"",
        "data-title=\"~42 % · 4120 my_export · Stepbox\"",
        "data-said=\"40 % of the items are processed.\"",
        "/x/tenants/acme/executions/4120/stop",
        "1 differs from the profile.",
        "<del><code><bdi>yyyy-MM-dd</bdi></code></del>",
    ] {
        assert!(html.contains(expected), "{expected}\n{html}");
    }
    assert!(title(&shown).starts_with("~42 % · 4120"), "{}", title(&shown));
}

#[test]
fn the_rate_of_a_restart_counts_what_it_has_done_itself() {
    let mut shown = shown("STARTED", &[step("export", "STARTED")]);
    shown.earlier.insert("export".to_owned(), 40_000);
    let html = page(&frame(), &shown, None).into_string();
    assert!(html.contains("<b>50</b>"), "{html}");
}

#[test]
fn what_failed_is_first_and_open_with_what_to_do() {
    let mut failed = step("export", "FAILED");
    failed["failures"] = json!([{
        "code": "step-time-limit", "culprit": "processor `normalise`", "place": "rows 58,001 to 59,000",
        "message": "ran longer than 2000 ms on one chunk", "help": "raise `limits.time_ms_max`",
        "remedies": [{ "kind": "read-log", "execution": 4120 }, { "kind": "of-a-newer-version" }],
    }]);
    let html = page(&frame(), &shown("FAILED", &[failed]), None).into_string();
    for expected in [
        "Step <code><bdi>export</bdi></code> failed",
        "<dd><bdi>processor <code>normalise</code>, rows 58,001 to 59,000: ran longer than 2000 ms on one chunk</bdi></dd>",
        "raise <code>limits.time_ms_max</code>",
        "/x/errors/step-time-limit",
        "up to item 41,000 is kept",
        "Restart from item 41,001",
        "/executions/4120/abandon",
        "instances/my_export/launch?from=4120",
        "<details open",
    ] {
        assert!(html.contains(expected), "{expected}\n{html}");
    }
    for absent in ["/4120/stop", "/4120/pause", "class=\"hero-number\""] {
        assert!(!html.contains(absent), "{absent}");
    }
}

#[test]
fn whoever_may_not_launch_sees_no_buttons() {
    for status in ["QUEUED", "STARTED", "PAUSED", "FAILED", "STOPPED", "COMPLETED"] {
        let mut shown = shown(status, &[step("export", "STARTED")]);
        shown.rejected = vec![Rejected {
            file: RejectedItems { step: "export".to_owned(), file: "export.csv".to_owned(), size_bytes: 9 },
            text: "a\n1\n".to_owned(),
        }];
        shown.may = May::default();
        let html = page(&frame(), &shown, None).into_string();
        assert!(!html.contains("<form method=\"post\""), "{status}: {html}");
        assert!(!html.contains("instances/my_export"), "{status}");
    }
}

#[test]
fn no_part_that_moves_has_a_control() {
    for status in ["QUEUED", "STARTED", "STOPPING", "PAUSED", "FAILED", "STOPPED", "COMPLETED"] {
        let mut shown = shown(status, &[step("export", "STARTED")]);
        shown.execution.set_aside = Some("a damaged row".to_owned());
        for (id, markup) in moving(&frame(), &reader(), &shown) {
            let html = markup.into_string();
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}: {html}");
            for control in ["<button", "<input", "<select", "<textarea", "<form"] {
                assert!(!html.contains(control), "{status} {id}: {html}");
            }
        }
    }
}

/// Puts a text into every text of a value that the names of its fields do not fix.
fn poison(value: &mut Value) {
    const FIXED: [&str; 14] = [
        "status",
        "kind",
        "started_at",
        "ended_at",
        "updated_at",
        "created_at",
        "available_at",
        "at",
        "state",
        "rerun",
        "always",
        "level",
        "size_bytes",
        "remedies",
    ];
    match value {
        Value::String(text) => *text = HOSTILE.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(poison),
        Value::Object(fields) => {
            let poisoned = fields.iter_mut().filter(|(name, _)| !FIXED.contains(&name.as_str()));
            poisoned.for_each(|(_, value)| poison(value));
        }
        _ => {}
    }
}

/// The same thing, with that text in it.
macro_rules! poisoned {
    ($thing:expr) => {{
        let mut value = serde_json::to_value($thing).unwrap();
        poison(&mut value);
        from_value(value).unwrap()
    }};
}

/// Nothing of others becomes markup, an attribute or an effect on the page.
fn check_harmless(html: &str) {
    for effect in ["<script>alert", "\u{1b}", "\u{202e}", "\u{7}", "' onload", "\" onload"] {
        assert!(!html.contains(effect), "{effect:?} in {html}");
    }
    for link in html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(link.starts_with("/x/") || link.starts_with('#'), "{link}");
    }
}

#[test]
fn texts_of_others_come_out_harmless() {
    let mut failed = step("export", "FAILED");
    failed["errors"] = json!(["e"]);
    failed["summary"] = json!({ HOSTILE: "text" });
    failed["exit_status"]["code"] = json!("ODD");
    failed["failures"] = json!([{ "code": "c", "culprit": "c", "place": "p", "message": "m", "help": "h", "remedies": [
        { "kind": "allow-secret", "secret": HOSTILE, "host": HOSTILE },
        { "kind": "show-connector", "connector": HOSTILE },
        { "kind": "allow-requests", "list": HOSTILE, "value": HOSTILE },
    ] }]);
    let warning: Warning =
        from_value(json!({ "step": "s", "code": "c", "reason": "r", "place": "p", "item": "i" })).unwrap();
    let line: stepbox_api::execution::LogLine =
        from_value(json!({ "at": "2026-11-30T13:31:44Z", "level": "info", "step": "s", "message": "m" }))
            .unwrap();
    let line = log::Line { number: 41, line: poisoned!(&line) };
    let output: OutputFile = from_value(
        json!({ "number": 0, "step": "s", "name": "n", "path": "p", "storage": "s", "size_bytes": 1 }),
    )
    .unwrap();
    // Names of steps and what somebody types stand in fields as they are, which have no control characters.
    let plain = HOSTILE.replace(['\u{1b}', '\u{202e}', '\u{7}'], "");
    for status in ["FAILED", "STARTED", "COMPLETED"] {
        let mut shown = shown(status, &[failed.clone()]);
        shown.execution.components = from_value(json!([{ "name": "n", "digest": "d" }])).unwrap();
        shown.execution.folder = Some("f".to_owned());
        shown.execution.set_aside = Some("s".to_owned());
        shown.execution.parameters = json!({ HOSTILE: HOSTILE, "list": [HOSTILE] });
        let shown = Shown {
            execution: poisoned!(&shown.execution),
            job: poisoned!(&shown.job),
            instance: Some(poisoned!(shown.instance.as_ref().unwrap())),
            warnings: vec![Row::Whole(poisoned!(&warning))],
            rejected: vec![Rejected {
                file: RejectedItems { step: plain.clone(), file: HOSTILE.to_owned(), size_bytes: 1 },
                text: plain.clone(),
            }],
            parts: vec![Part { position: 0, number: 0, execution: poisoned!(&shown.execution) }],
            outputs: vec![poisoned!(&output)],
            log: vec![line.clone()],
            ..shown
        };
        check_harmless(&frame().page(&crate::Head::default(), &page(&frame(), &shown, None)).into_string());
        check_harmless(&abandon(&frame(), &shown).into_string());
        let all = warnings::Warnings {
            execution: shown.execution.clone(),
            search: plain.clone(),
            rows: shown.warnings.clone(),
            is_first: false,
            next: Some(HOSTILE.to_owned()),
        };
        check_harmless(&warnings::page(&frame(), &all).into_string());
        let whole = log::Log {
            execution: shown.execution.clone(),
            steps: vec!["export".to_owned()],
            filter: log::Filter { search: "alert".to_owned(), ..log::Filter::default() },
            lines: vec![line.clone()],
            has_earlier: true,
            has_later: true,
            line: Some(41),
        };
        let html = log::page(&frame(), &whole).into_string();
        check_harmless(&html);
        assert!(html.contains("\\u{1b}]8;;javascript:x\\u{7}\\u{202e}\nend"), "{html}");
        assert!(html.contains("<p id=\"L41\" data-level=\"info\" class=\"hit\">"), "{html}");
    }
}
