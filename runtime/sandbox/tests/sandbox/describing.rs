//! The calls that a component may make while it describes itself.

use crate::support::{Place, component_describing};

/// A tasklet whose `describe` calls an import first.
fn describing(import: &str, call: &str) -> Vec<u8> {
    let signature = "(param i32 i32 i32 i32 i32 i32 i32) (result i32)";
    let task = format!(r#"(func (export "stepbox:step/task@0.1.0#run") {signature} i32.const 512)"#);
    component_describing("tasklet", import, &task, call)
}

#[tokio::test]
async fn describe_gets_no_import_that_can_do_work() {
    let place = Place::new();
    let execution = |name: &str, signature: &str| {
        format!(r#"(import "stepbox:step/execution@0.1.0" "{name}" (func $f {signature}))"#)
    };
    let text = "(i32.const 128) (i32.const 8)";
    let none = "(i32.const 0) (i32.const 0)";
    let rows = [
        (
            execution("context-put", "(param i32 i32 i32 i32 i32)"),
            format!("(call $f {text} {text} (i32.const 600))"),
            "context-put",
        ),
        (execution("parameters", "(param i32)"), "(call $f (i32.const 600))".to_owned(), "parameters"),
        (
            execution("increment-processed-items", "(param i32)"),
            "(loop (call $f (i32.const 1)) (br 0))".to_owned(),
            "increment-processed-items",
        ),
        (
            r#"(import "stepbox:step/files@0.1.0" "list" (func $f (param i32 i32 i32)))"#.to_owned(),
            format!("(call $f {text} (i32.const 600))"),
            "list",
        ),
        (
            r#"(import "stepbox:step/http@0.1.0" "send"
                (func $f (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#
                .to_owned(),
            format!("(call $f {text} {text} {} {} {text} (i32.const 600))", none, none),
            "send",
        ),
    ];
    for (import, call, name) in rows {
        let error = place.sandbox.inspect(&describing(&import, &call)).await.unwrap_err();
        assert_eq!(error.code(), "component-describe-failed", "{name}: {error}");
        let words = format!("`describe` called `{name}` of `stepbox:step/");
        assert!(error.to_string().contains(&words), "{error}");
    }
    let log = r#"(import "stepbox:step/log@0.1.0" "log" (func $f (param i32 i32 i32)))"#;
    let logs = describing(log, &format!("(call $f (i32.const 2) {text})"));
    assert!(place.sandbox.inspect(&logs).await.is_ok());
}
