//! Components that answer questions about forms, and what ends them.

use std::sync::Arc;

use serde_json::{Map, json};
use stepbox_batch::form_answer::{FormFailure, FormQuestion};
use stepbox_sandbox::{Program, ShareLimits};

use crate::support::{Place, describer, tasklet};

fn question(parameters: &[(&str, &str)]) -> FormQuestion {
    let entries = parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    FormQuestion {
        what: "mapping".to_owned(),
        parameters: Map::from_iter(entries),
        header: vec!["sku".to_owned(), "name".to_owned()],
        language: "en".to_owned(),
    }
}

/// How a question ended, on one line.
fn told(result: Result<String, FormFailure>) -> String {
    match result {
        Ok(answer) => format!("ok {answer}"),
        Err(FormFailure::Ended { code, message }) => format!("ended {code}: {message}"),
        Err(FormFailure::Refused { code, message }) => format!("refused {code}: {message}"),
        Err(failure) => format!("{}: {failure}", failure.code()),
    }
}

async fn ask(place: &Place, program: &Program) -> String {
    let share = place.sandbox.share(ShareLimits::default());
    told(program.describe_form(share, &question(&[("a", "b")])).await)
}

/// The end of a loop. On a machine that has no time for it, the clock is first.
#[track_caller]
fn assert_too_slow(found: &str) {
    let expected = [
        "ended step-cpu-limit: computed longer than 500 ms",
        "ended step-time-limit: ran longer than 5000 ms",
    ];
    assert!(expected.contains(&found), "{found}");
}

/// Answers with the bytes at `at`.
fn answers(at: u32, bytes: u32) -> String {
    format!(
        "(i32.store offset=644 (i32.const 0) (i32.const {at})) (i32.store offset=648 (i32.const 0) (i32.const {bytes}))"
    )
}

#[tokio::test]
async fn a_describer_answers_what_it_is_asked() {
    let place = Place::new();
    let echo = "(i32.store offset=644 (i32.const 0) (local.get $parameters))
        (i32.store offset=648 (i32.const 0) (local.get $length))";
    let error = format!(
        "(i32.store8 offset=640 (i32.const 0) (i32.const 1)) {} (i32.store offset=652 (i32.const 0) (i32.const 4104))
         (i32.store offset=656 (i32.const 0) (i32.const 8))",
        answers(4096, 8)
    );
    let texts = r#"(data (i32.const 4096) "no-paperno \1b[2J!")"#;
    let rows =
        [("", echo, r#"ok {"a":"b"}"#), ("", "", "ok "), (texts, &error, r"refused no-paper: no \u{1b}[2J!")];
    for (functions, code, expected) in rows {
        let bytes = describer("", functions, code);
        assert!(place.sandbox.inspect(&bytes).await.unwrap().description.describes_forms);
        let program = place.program(&bytes).await.unwrap();
        assert!(program.describes_forms());
        assert_eq!(ask(&place, &program).await, expected, "{code}");
    }
    let none = tasklet("", "", "");
    assert!(!place.sandbox.inspect(&none).await.unwrap().description.describes_forms);
    let program = place.program(&none).await.unwrap();
    assert!(!program.describes_forms());
    assert_eq!(ask(&place, &program).await, "form-describer-unfit: it does not describe forms");
}

#[tokio::test]
async fn a_describer_that_does_too_much_is_ended() {
    let place = Place::new();
    let grow = |pages: u32| {
        format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))")
    };
    let long = |bytes: u32| format!("{} {}", grow(900), answers(65536, bytes));
    let rows = [
        (grow(1100), "ended step-memory-limit: out of memory: asked for 72220672 of 67108864 bytes"),
        ("unreachable".to_owned(), "ended step-panicked: panicked, and printed nothing about it"),
        (long(256 << 10), "ok "),
        (long((256 << 10) + 1), "form-answer-too-long: its answer has 262145 bytes; at most 262144 are read"),
        (long(1 << 20), "form-answer-too-long: its answer has 1048576 bytes"),
        (long(50 << 20), "ended step-trapped: was ended: "),
        (answers(0, u32::MAX), "ended step-trapped: was ended: "),
    ];
    let spins = place.program(&describer("", "", "(loop (br 0))")).await.unwrap();
    assert_too_slow(&ask(&place, &spins).await);
    for (code, expected) in rows {
        let program = place.program(&describer("", "", &code)).await.unwrap();
        let found = ask(&place, &program).await;
        assert!(found.starts_with(expected), "{code}: {found:.300}");
    }
}

/// The same imports as in `describing.rs`: none of them does any work.
#[tokio::test]
async fn a_describer_gets_no_import_that_can_do_work() {
    let place = Place::new();
    let (text, none) = ("(i32.const 128) (i32.const 8)", "(i32.const 0) (i32.const 0)");
    let rows = [
        (
            r#"(import "stepbox:step/execution@0.1.0" "parameters" (func $f (param i32)))"#,
            "(call $f (i32.const 600))".to_owned(),
            "parameters",
        ),
        (
            r#"(import "stepbox:step/files@0.1.0" "list" (func $f (param i32 i32 i32)))"#,
            format!("(call $f {text} (i32.const 600))"),
            "list",
        ),
        (
            r#"(import "stepbox:step/http@0.1.0" "send"
                (func $f (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
            format!("(call $f {text} {text} {none} {none} {text} (i32.const 600))"),
            "send",
        ),
    ];
    for (import, call, name) in rows {
        let program = place.program(&describer(import, "", &call)).await.unwrap();
        let found = ask(&place, &program).await;
        assert!(found.starts_with("ended step-trapped: "), "{found}");
        assert!(found.contains(&format!("`describe` called `{name}` of `stepbox:step/")), "{found}");
    }
}

/// Three that spin for one tenant do not take another tenant's turn.
#[tokio::test]
async fn describers_of_one_tenant_leave_another_its_turn() {
    let place = Place::new();
    let spins = Arc::new(place.program(&describer("", "", "(loop (br 0))")).await.unwrap());
    let answers = place.program(&describer("", "", "")).await.unwrap();
    let (one, other) =
        (place.sandbox.share(ShareLimits::default()), place.sandbox.share(ShareLimits::default()));
    let spinning: Vec<_> = std::iter::repeat_with(|| (spins.clone(), one.clone()))
        .take(3)
        .map(|(spins, one)| tokio::spawn(async move { told(spins.describe_form(one, &question(&[])).await) }))
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(told(answers.describe_form(other, &question(&[])).await), "ok ");
    assert!(spinning.iter().any(|spinning| !spinning.is_finished()), "they still spin");
    for spinning in spinning {
        assert_too_slow(&spinning.await.unwrap());
    }
}
