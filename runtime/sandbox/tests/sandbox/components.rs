//! Running tasklets and elements: what they may do, and what ends them.

use std::sync::Arc;

use stepbox_batch::element::{Chunk, ItemProcessor, ItemReader, ItemWriter, Opening, SetAside, Tasklet};
use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::job::ChunkLimit;
use stepbox_batch::rows::Rows;
use stepbox_sandbox::Limits;

use crate::support::{Place, RecordedLog, component, context, outcome, tasklet};

const IS_STOPPING: &str =
    r#"(import "stepbox:step/execution@0.1.0" "is-stopping" (func $is_stopping (result i32)))"#;
const LOG: &str = r#"(import "stepbox:step/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

/// Runs a tasklet and compares how it ends with `expected`.
async fn check(functions: &str, run: &str, limits: Limits, expected: &str) {
    let place = Place::new();
    let found = place.run(&tasklet("", functions, run), place.setup(limits), &context(Arc::default())).await;
    assert!(found.starts_with(expected), "{run}: {found}");
}

#[tokio::test]
async fn what_a_tasklet_returns_is_how_it_ends() {
    check("", "", Limits::default(), "ok").await;
    // Returns `Some("DONE")`; the second row returns an error.
    let done = r#"(data (i32.const 4096) "DONE")"#;
    let returns_done = "(i32.store8 offset=516 (i32.const 0) (i32.const 1))
        (i32.store offset=520 (i32.const 0) (i32.const 4096)) (i32.store offset=524 (i32.const 0) (i32.const 4))";
    check(done, returns_done, Limits::default(), "ok DONE").await;
    let error = r#"(data (i32.const 4096) "no-paperthe printer is empty")"#;
    let returns_error = "(i32.store8 offset=512 (i32.const 0) (i32.const 1))
        (i32.store offset=516 (i32.const 0) (i32.const 4096)) (i32.store offset=520 (i32.const 0) (i32.const 8))
        (i32.store offset=524 (i32.const 0) (i32.const 4104)) (i32.store offset=528 (i32.const 0) (i32.const 20))";
    check(error, returns_error, Limits::default(), "no-paper: the printer is empty").await;
}

#[tokio::test]
async fn what_a_tasklet_does_wrong_is_told_by_a_code() {
    let limits = Limits { tasklet_ms_max: 50, memory_bytes_max: 1 << 20, ..Limits::default() };
    let rows = [
        ("", "unreachable", "step-panicked: panicked, and printed nothing about it"),
        (
            "",
            "(drop (i32.load (i32.const -4)))",
            "step-trapped: trapped: wasm trap: out of bounds memory access",
        ),
        (
            "",
            "(drop (i32.div_u (i32.const 1) (local.get $n)))",
            "step-trapped: trapped: wasm trap: integer divide",
        ),
        ("", "(loop (br 0))", "step-time-limit: ran longer than 50 ms"),
        ("(func $f (call $f) (call $f))", "(call $f)", "step-stack-overflow: the stack overflowed"),
        // A stack in memory that grows downwards to the start of the memory.
        (
            "(func $f (param $top i32) (i32.store (local.get $top) (i32.const 0))
                (call $f (i32.sub (local.get $top) (i32.const 64))) (call $f (local.get $top)))",
            "(call $f (i32.const 65536))",
            "step-stack-overflow: the stack overflowed",
        ),
        (
            "",
            "(drop (memory.grow (i32.const 15))) unreachable",
            "step-memory-limit: out of memory: asked for 1114112 of 1048576 bytes",
        ),
        ("", "(drop (memory.grow (i32.const 15)))", "ok"),
        ("", "(drop (memory.grow (i32.const 14))) unreachable", "step-panicked"),
    ];
    for (functions, run, expected) in rows {
        check(functions, run, limits.clone(), expected).await;
    }
}

#[tokio::test]
async fn many_that_spin_leave_time_for_one_that_works() {
    let place = Place::new();
    let spins = place.program(&tasklet("", "", "(loop (br 0))")).await.unwrap();
    let works = place.program(&tasklet("", "", "")).await.unwrap();
    let limits = Limits { tasklet_ms_max: 500, ..Limits::default() };
    let spinning: Vec<_> = std::iter::repeat_with(|| spins.tasklet(place.setup(limits.clone())))
        .take(50)
        .map(|mut tasklet| tokio::spawn(async move { outcome(tasklet.run(&context(Arc::default())).await) }))
        .collect();
    tokio::task::yield_now().await;
    let mut works = works.tasklet(place.setup(Limits::default()));
    assert_eq!(outcome(works.run(&context(Arc::default())).await), "ok");
    assert!(spinning.iter().any(|spinning| !spinning.is_finished()), "they still spin");
    for spinning in spinning {
        assert_eq!(spinning.await.unwrap(), "step-time-limit: ran longer than 500 ms");
    }
}

#[tokio::test]
async fn a_stop_request_is_heard_or_ends_the_call() {
    let limits = Limits { stop_grace_ms: 50, ..Limits::default() };
    let place = Place::new();
    let heeds = tasklet(IS_STOPPING, "", "(loop (br_if 0 (i32.eqz (call $is_stopping))))");
    let ignores = tasklet("", "", "(loop (br 0))");
    for (bytes, expected) in [(heeds, "ok"), (ignores, "stopped")] {
        let context = context(Arc::default());
        let program = place.program(&bytes).await.unwrap();
        let mut tasklet = program.tasklet(place.setup(limits.clone()));
        let (ran, ()) = tokio::join!(tasklet.run(&context), async { context.run().request_stop() });
        assert_eq!(outcome(ran), expected);
    }
}

#[tokio::test]
async fn a_tasklet_gets_its_options_and_logs() {
    let place = Place::new();
    let log = Arc::new(RecordedLog::default());
    let bytes = tasklet(LOG, "", "(call $log (i32.const 2) (local.get $parameters) (local.get $length))");
    let found = place.run(&bytes, place.setup(Limits::default()), &context(log.clone())).await;
    assert_eq!(found, "ok");
    assert_eq!(log.messages(), [r#"info {"option":1}"#]);

    let all = stepbox_sandbox::ComponentSetup { options: None, ..place.setup(Limits::default()) };
    assert_eq!(place.run(&bytes, all, &context(log.clone())).await, "ok");
    assert_eq!(log.messages()[1], "info {}");
}

#[tokio::test]
async fn every_run_begins_anew() {
    let place = Place::new();
    // The component traps if its memory still has data of another run.
    let bytes = tasklet(
        "",
        "(global $runs (mut i32) (i32.const 0))",
        "(if (i32.or (global.get $runs) (i32.load (i32.const 4096))) (then unreachable))
         (global.set $runs (i32.const 1)) (i32.store (i32.const 4096) (i32.const 1))",
    );
    let program = place.program(&bytes).await.unwrap();
    let mut tasklet = program.tasklet(place.setup(Limits::default()));
    for _ in 0..2 {
        assert_eq!(outcome(tasklet.run(&context(Arc::default())).await), "ok");
    }
}

#[tokio::test]
async fn an_element_of_another_world_does_not_open() {
    let place = Place::new();
    let program = place.program(&tasklet("", "", "")).await.unwrap();
    let context = context(Arc::default());
    let opening = || Opening { header: &[], state: None, context: &context, fragment: None };
    let setup = || place.setup(Limits::default());
    let codes = [
        program.reader(setup()).open(opening()).await.map(drop),
        program.processor(setup()).open(opening()).await.map(drop),
        program.writer(setup()).open(opening()).await,
    ];
    for found in codes {
        let Err(Halt::Failed(ElementError { code, .. })) = found else { panic!("it opened") };
        assert_eq!(code, "step-wrong-world");
    }
}

/// A processor that returns its batch and its header unchanged.
pub(crate) fn echo() -> Vec<u8> {
    component(
        "item-processor",
        "",
        r#"
        ;; setup: header, parameters, checkpoint. Returns the header.
        (func (export "stepbox:step/processor@0.1.0#open") (param $at i32) (param $count i32)
            (param i32 i32 i32 i32 i32) (result i32)
            (i32.store offset=516 (i32.const 0) (local.get $at))
            (i32.store offset=520 (i32.const 0) (local.get $count))
            (drop (memory.grow (i32.const 30)))
            i32.const 512)
        ;; rows: data, ends, nulls. Returns them, and nothing skipped or filtered.
        (func (export "stepbox:step/processor@0.1.0#process") (param $data i32) (param $bytes i32)
            (param $ends i32) (param $cells i32) (param $nulls i32) (param $null_count i32) (result i32)
            (i32.store offset=516 (i32.const 0) (local.get $data))
            (i32.store offset=520 (i32.const 0) (local.get $bytes))
            (i32.store offset=524 (i32.const 0) (local.get $ends))
            (i32.store offset=528 (i32.const 0) (local.get $cells))
            (i32.store offset=532 (i32.const 0) (local.get $nulls))
            (i32.store offset=536 (i32.const 0) (local.get $null_count))
            (global.set $free (i32.const 65536))
            i32.const 512)
        (func (export "stepbox:step/processor@0.1.0#checkpoint") (result i32)
            (i64.store offset=516 (i32.const 0) (i64.const 0))
            i32.const 512)
        (func (export "stepbox:step/processor@0.1.0#close") (result i32)
            i32.const 512)"#,
    )
}

#[tokio::test]
async fn a_batch_comes_back_as_it_went_in() {
    let place = Place::new();
    let program = place.program(&echo()).await.unwrap();
    let mut processor = program.processor(place.setup(Limits::default()));
    let context = context(Arc::default());
    let header = ["a".to_owned(), "ü".to_owned()];
    let opening = Opening { header: &header, state: None, context: &context, fragment: None };
    assert_eq!(processor.open(opening).await.unwrap(), header);
    let mut rows = Rows::new(2);
    for cell in ["1", "größe", "", "x"] {
        rows.push(cell);
    }
    rows.push_null();
    rows.push("end");
    let mut output = Rows::new(2);
    for _ in 0..3 {
        assert_eq!(processor.process(&rows, &mut output).await.unwrap(), SetAside::default());
        assert_eq!(output, rows);
    }
    assert_eq!(processor.state().await.unwrap(), b"");
    processor.close().await.unwrap();
    let error = processor.process(&rows, &mut output).await.unwrap_err();
    assert!(matches!(error, Halt::Failed(ElementError { code, .. }) if code == "step-not-open"));
}

/// The returned batch is in the host's memory until the next one is asked for.
#[tokio::test]
async fn a_batch_that_came_back_is_memory_of_its_component() {
    let place = Place::new();
    let program = place.program(&echo()).await.unwrap();
    // The component has 2 MiB for itself.
    let limits = Limits { memory_bytes_max: (2 << 20) + 200_000, ..Limits::default() };
    let mut processor = program.processor(place.setup(limits));
    let context = context(Arc::default());
    let header = ["a".to_owned()];
    let opening = || Opening { header: &header, state: None, context: &context, fragment: None };
    processor.open(opening()).await.unwrap();
    let rows = |bytes: usize| {
        let mut rows = Rows::new(1);
        rows.push(&"x".repeat(bytes));
        rows
    };
    let mut output = Rows::new(1);
    for bytes in [150_000, 199_000, 1, 199_000] {
        processor.process(&rows(bytes), &mut output).await.unwrap();
        assert_eq!(output, rows(bytes), "each takes the place of the one before");
    }
    let peak = context.metering().usage().memory_bytes_peak;
    assert!((2_296_000..2_297_152).contains(&peak), "{peak}");
    let error = processor.process(&rows(200_000), &mut output).await.unwrap_err();
    assert!(
        matches!(&error, Halt::Failed(ElementError { code, message, help, .. })
            if *code == "step-memory-limit" && message.contains("asked for 2297156 of 2297152 bytes")
            && help.contains("`limits.memory_bytes_max`")),
        "{error:?}"
    );
    processor.open(opening()).await.unwrap();
    processor.process(&rows(199_000), &mut output).await.unwrap();
}

#[tokio::test]
async fn parts_are_believed_as_far_as_they_were_asked_for() {
    let place = Place::new();
    // A partitioner that returns `parts` parts, each with a state of `bytes` bytes.
    let split = |parts: u32, bytes: u32| {
        let (world, end) = ("partitioned-item-reader", 8 * parts);
        let code = format!(
            r#"(func (export "stepbox:step/partitioner@0.1.0#split")
                (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $at i32)
                (i32.store8 offset=512 (i32.const 0) (i32.const 0))
                (i32.store8 offset=516 (i32.const 0) (i32.const 1))
                (i32.store offset=520 (i32.const 0) (i32.const 1024))
                (i32.store offset=524 (i32.const 0) (i32.const {parts}))
                (loop $next
                    (i32.store offset=1024 (local.get $at) (i32.const 4096))
                    (i32.store offset=1028 (local.get $at) (i32.const {bytes}))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))
                i32.const 512)
            (func (export "stepbox:step/reader@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                unreachable)
            (func (export "stepbox:step/reader@0.1.0#read") (param i32 i32) (result i32) unreachable)
            (func (export "stepbox:step/reader@0.1.0#checkpoint") (result i32) unreachable)
            (func (export "stepbox:step/reader@0.1.0#close") (result i32) unreachable)"#
        );
        component(world, "", &code)
    };
    let context = context(Arc::default());
    let rows = [
        (64, 65536, "64 parts"),
        (101, 2, "step-answer-too-large: returned 101 parts where at most 100 were asked for"),
        (65, 65536, "step-answer-too-large: returned parts of 4259840 bytes; at most 4194304 are allowed"),
        (1, 65537, "step-answer-too-large: returned a checkpoint of 65537 bytes; at most 65536 are allowed"),
    ];
    for (parts, bytes, expected) in rows {
        let program = place.program(&split(parts, bytes)).await.unwrap();
        let mut reader = program.reader(place.setup(Limits::default()));
        let opening = Opening { header: &[], state: None, context: &context, fragment: None };
        let found = match reader.split(opening, 100).await {
            Ok(states) => format!("{} parts", states.expect("it can").len()),
            Err(error) => outcome(Err(error)),
        };
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_reader_that_returns_more_than_was_asked_for_lies() {
    let place = Place::new();
    // A reader with one column `a` that returns two rows for every call.
    let bytes = component(
        "item-reader",
        "",
        r#"(data (i32.const 4096) "\00\11\00\00\01\00\00\00") (data (i32.const 4352) "ab")
        (data (i32.const 4360) "\01\00\00\00\02\00\00\00")
        (func (export "stepbox:step/reader@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
            (i32.store offset=516 (i32.const 0) (i32.const 4096))
            (i32.store offset=520 (i32.const 0) (i32.const 1))
            i32.const 512)
        (func (export "stepbox:step/reader@0.1.0#read") (param i32 i32) (result i32)
            (i32.store offset=516 (i32.const 0) (i32.const 4352))
            (i32.store offset=520 (i32.const 0) (i32.const 2))
            (i32.store offset=524 (i32.const 0) (i32.const 4360))
            (i32.store offset=528 (i32.const 0) (i32.const 2))
            i32.const 512)
        (func (export "stepbox:step/reader@0.1.0#checkpoint") (result i32)
            (i32.store offset=516 (i32.const 0) (i32.const 4096))
            (i32.store offset=520 (i32.const 0) (i32.const 65537))
            i32.const 512)
        (func (export "stepbox:step/reader@0.1.0#close") (result i32)
            i32.const 512)"#,
    );
    let program = place.program(&bytes).await.unwrap();
    let mut reader = program.reader(place.setup(Limits::default()));
    let context = context(Arc::default());
    let opening = || Opening { header: &[], state: None, context: &context, fragment: None };
    assert_eq!(reader.open(opening()).await.unwrap(), ["a"]);
    let mut chunk = Chunk::default();
    reader.read(ChunkLimit { rows: 2, bytes: 1000 }, &mut chunk).await.unwrap();
    assert_eq!((chunk.rows.cell(0, 0), chunk.rows.cell(1, 0)), (Some("a"), Some("b")));
    let error = reader.read(ChunkLimit { rows: 1, bytes: 1000 }, &mut chunk).await.unwrap_err();
    assert_eq!(
        outcome(Err(error)),
        "lying-batch: returned an impossible batch: 2 items where at most 1 were asked for"
    );
    reader.open(opening()).await.unwrap();
    let error = reader.state().await.unwrap_err();
    assert_eq!(
        outcome(Err(error)),
        "step-answer-too-large: returned a checkpoint of 65537 bytes; at most 65536 are allowed"
    );
}
