//! Components of a few instructions each, which no compiler would generate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepbox_batch::element::{ItemProcessor, Opening, Tasklet};
use stepbox_batch::error::Halt;
use stepbox_batch::rows::Rows;
use stepbox_sandbox::Limits;
use wasm_encoder::{Component, InstanceSection, Module, ModuleArg, ModuleSection};
use wasmparser::{Parser, Payload};

use crate::support::{Place, component, context, outcome, tasklet};

const LOG: &str = r#"(import "stepbox:step/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
const OPEN: &str = r#"(import "stepbox:step/files@0.1.0" "open-reader" (func $open (param i32 i32 i32)))
    (import "stepbox:step/files@0.1.0" "[resource-drop]reader" (func $close (param i32)))
    (import "stepbox:step/files@0.1.0" "[method]reader.read" (func $read (param i32 i32 i32)))"#;
const SEND: &str = r#"(import "stepbox:step/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;

async fn run(imports: &str, functions: &str, run: &str, limits: Limits) -> String {
    let place = Place::new();
    place.run(&tasklet(imports, functions, run), place.setup(limits), &context(Arc::default())).await
}

/// One instruction writes 250 MiB, and can be interrupted only before it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_instruction_holds_up_nobody_for_long() {
    let place = Place::new();
    let fills = "(drop (memory.grow (i32.const 4000)))
        (loop (memory.fill (i32.const 65536) (i32.const 1) (i32.const 262144000)) (br 0))";
    let fills = place.program(&tasklet("", "", fills)).await.unwrap();
    let works = place.program(&tasklet("", "", "")).await.unwrap();
    let limits = Limits { tasklet_ms_max: 500, ..Limits::default() };
    let mut fills = fills.tasklet(place.setup(limits));
    let began_at = Instant::now();
    let filling =
        tokio::spawn(async move { (outcome(fills.run(&context(Arc::default())).await), began_at.elapsed()) });
    let mut works = works.tasklet(place.setup(Limits::default()));
    assert_eq!(outcome(works.run(&context(Arc::default())).await), "ok");
    let (ended, after) = filling.await.unwrap();
    assert_eq!(ended, "step-time-limit: ran longer than 500 ms");
    assert!(after < Duration::from_secs(10), "{after:?}");
}

#[tokio::test]
async fn tables_are_memory_as_well() {
    let limits = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
    let table = "(table $t 1 funcref)";
    let grow = |elements: u32| {
        format!(
            "(if (i32.eq (table.grow $t (ref.null func) (i32.const {})) (i32.const -1)) (then unreachable))",
            elements as i32
        )
    };
    let rows = [(1000, "ok"), (100_000, "step-memory-limit: "), (1 << 31, "step-memory-limit: ")];
    for (elements, expected) in rows {
        let found = run("", table, &grow(elements), limits.clone()).await;
        assert!(found.starts_with(expected), "{elements}: {found}");
    }
}

#[tokio::test]
async fn tables_that_begin_large_are_refused_at_upload() {
    let place = Place::new();
    let rows = [
        (10_000_000, "out of memory: asked for 160131072 of 67108864 bytes"),
        (u32::MAX, "out of memory: asked for 68719607792 of 67108864 bytes"),
    ];
    for (elements, words) in rows {
        let bytes = tasklet("", &format!("(table {elements} funcref)"), "");
        let error = place.sandbox.inspect(&bytes).await.unwrap_err();
        assert_eq!(error.code(), "component-describe-failed", "{elements}: {error}");
        assert!(error.to_string().contains(words), "{elements}: {error}");
    }
}

/// A tasklet with `count` instances of an empty module in the same component.
fn with_instances(count: u32) -> Vec<u8> {
    let bytes = tasklet("", "", "");
    let (mut depth, mut modules) = (0, 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => {
                modules += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    let mut more = Component::new();
    more.section(&ModuleSection(&Module::new()));
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        instances.instantiate::<Vec<(&str, ModuleArg)>, &str>(modules, Vec::new());
    }
    more.section(&instances);
    // The second component without its preamble.
    [&bytes[..], &more.finish()[8..]].concat()
}

#[tokio::test]
async fn thousands_of_instances_are_refused_at_upload() {
    let place = Place::new();
    let fine = place.sandbox.inspect(&with_instances(100)).await;
    assert!(fine.is_ok(), "{fine:?}");
    let rows = [(300, "component-describe-failed", "instance"), (4096, "component-malformed", "instances")];
    for (count, code, words) in rows {
        let error = place.sandbox.inspect(&with_instances(count)).await.unwrap_err();
        assert_eq!(error.code(), code, "{count}: {error}");
        assert!(error.to_string().contains(words), "{count}: {error}");
    }
}

#[tokio::test]
async fn impossible_arguments_end_the_step_and_nothing_of_them_is_used() {
    let grow = "(drop (memory.grow (i32.const 1700)))";
    let log = |at: u32, bytes: u32| format!("(call $log (i32.const 2) (i32.const {at}) (i32.const {bytes}))");
    // Sends `GET`, a URL, and `headers` headers. Their list begins at 65536, where a batch of 32 MiB has room
    // for it.
    let send = |headers: u32| {
        format!(
            "(call $send (i32.const 4096) (i32.const 3) (i32.const 4099) (i32.const 13) (i32.const 65536)
                (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 640))",
            headers as i32
        )
    };
    let texts = r#"(data (i32.const 4096) "GEThttp://a.test/\ff\fe\ed\a0\80")"#;
    let rows = [
        (LOG, log(4096, 17), "ok"),
        (LOG, log(4113, 1), "step-trapped: was ended: invalid utf-8"),
        (LOG, log(4115, 3), "step-trapped: was ended: invalid utf-8"),
        (LOG, log(0, u32::MAX), "step-trapped: was ended: string pointer/length out of bounds"),
        (LOG, log(4096, 100 << 20), "step-trapped: was ended: string pointer/length out of bounds"),
        (LOG, format!("{grow} {}", log(65536, 100 << 20)), "step-trapped: was ended: too much data"),
        (
            LOG,
            "(call $log (i32.const 4) (i32.const 0) (i32.const 0))".to_owned(),
            "step-trapped: was ended: unexpected",
        ),
        (SEND, send(0), "ok"),
        (SEND, send(u32::MAX), "step-trapped: "),
        (SEND, format!("{grow} {}", send(6 << 20)), "step-trapped: "),
    ];
    for (imports, call, expected) in rows {
        let found = run(imports, texts, &call, Limits::default()).await;
        assert!(found.starts_with(expected), "{call}: {found}");
    }
}

#[tokio::test]
async fn handles_that_are_none_end_the_step() {
    let close = |handle: &str| format!("(call $close {handle})");
    let read = |handle: &str| format!("(call $read {handle} (i32.const 10) (i32.const 600))");
    let open = "(call $open (i32.const 4096) (i32.const 9) (i32.const 600))
        (local.set $n (i32.load (i32.const 604)))";
    let path = r#"(data (i32.const 4096) "work/file")"#;
    let place = Place::new();
    std::fs::write(place.folder.path().join("work/file"), "text").unwrap();
    let opened = "(local.get $n)";
    let rows = [
        (format!("{open} {} {}", read(opened), close(opened)), "ok"),
        (close("(i32.const 7)"), "step-trapped: was ended: unknown handle index 7"),
        (read("(i32.const -1)"), "step-trapped: was ended: unknown handle index 4294967295"),
        (
            format!("{open} {} {}", close(opened), read(opened)),
            "step-trapped: was ended: unknown handle index",
        ),
        (
            format!("{open} {} {}", close(opened), close(opened)),
            "step-trapped: was ended: unknown handle index",
        ),
        // This row opens files and closes none.
        (format!("(loop {open} (br_if 0 (i32.eqz (i32.load8_u (i32.const 600)))))"), "ok"),
    ];
    for (calls, expected) in rows {
        let bytes = tasklet(OPEN, path, &calls);
        let setup = place.setup(Limits { open_handles_max: 8, ..Limits::default() });
        let found = place.run(&bytes, setup, &context(Arc::default())).await;
        assert!(found.starts_with(expected), "{calls}: {found}");
    }
}

/// After a trap the component is never called again.
#[tokio::test]
async fn after_a_trap_nothing_is_called() {
    let bytes = component(
        "item-processor",
        "",
        r#"(func (export "stepbox:step/processor@0.1.0#open") (param $at i32) (param $count i32)
            (param i32 i32 i32 i32 i32) (result i32)
            (i32.store offset=516 (i32.const 0) (local.get $at))
            (i32.store offset=520 (i32.const 0) (local.get $count))
            i32.const 512)
        (func (export "stepbox:step/processor@0.1.0#process") (param i32 i32 i32 i32 i32 i32) (result i32)
            unreachable)
        (func (export "stepbox:step/processor@0.1.0#checkpoint") (result i32) i32.const 512)
        (func (export "stepbox:step/processor@0.1.0#close") (result i32) i32.const 512)"#,
    );
    let place = Place::new();
    let program = place.program(&bytes).await.unwrap();
    let mut processor = program.processor(place.setup(Limits::default()));
    let (header, context) = (["a".to_owned()], context(Arc::default()));
    processor
        .open(Opening { header: &header, state: None, context: &context, fragment: None })
        .await
        .unwrap();
    let mut rows = Rows::new(1);
    rows.push("1");
    let mut output = Rows::new(1);
    let codes = [
        code(processor.process(&rows, &mut output).await),
        code(processor.process(&rows, &mut output).await),
        code(processor.state().await),
    ];
    assert_eq!(codes, ["step-panicked", "step-not-open", "step-not-open"]);
}

fn code<T>(result: Result<T, Halt>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Halt::Stopped) => "stopped".to_owned(),
        Err(Halt::Failed(error)) => error.code.into_owned(),
    }
}
