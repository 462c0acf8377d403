//! The costs of the sandbox. The bounds are wide, because machines are busy. The figures are printed: `cargo
//! test --release -p stepbox-sandbox costs -- --nocapture`.

#![expect(clippy::print_stdout, reason = "the figures are for whoever asks with `--nocapture`")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepbox_batch::element::{ItemProcessor, Opening, Tasklet};
use stepbox_batch::rows::Rows;
use stepbox_sandbox::Limits;

use crate::components::echo;
use crate::support::{Place, context, outcome, tasklet};

#[tokio::test]
async fn a_stop_check_and_an_increment_cost_nanoseconds() {
    const PAIRS: u32 = 1_000_000;
    let imports = r#"
        (import "stepbox:step/execution@0.1.0" "is-stopping" (func $is_stopping (result i32)))
        (import "stepbox:step/execution@0.1.0" "increment-processed-items" (func $increment (param i32)))"#;
    let run = format!(
        "(loop
            (if (call $is_stopping) (then unreachable))
            (call $increment (i32.const 1))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const {PAIRS}))))"
    );
    let place = Place::new();
    let program = place.program(&tasklet(imports, "", &run)).await.unwrap();
    let context = context(Arc::default());
    let mut tasklet = program.tasklet(place.setup(Limits::default()));
    let began_at = Instant::now();
    assert_eq!(outcome(tasklet.run(&context).await), "ok");
    let cost = began_at.elapsed() / PAIRS;
    println!("is-stopping + increment-processed-items: {cost:?}");
    assert_eq!(context.tracking().processed, u64::from(PAIRS));
    assert!(cost < Duration::from_micros(2), "{cost:?}");
}

#[tokio::test]
async fn a_row_costs_two_copies() {
    const ROWS: usize = 1000;
    const BATCHES: u32 = 200;
    let place = Place::new();
    let program = place.program(&echo()).await.unwrap();
    let mut processor = program.processor(place.setup(Limits::default()));
    let context = context(Arc::default());
    let header: Vec<String> = (0..12).map(|column| format!("c{column}")).collect();
    let opening = Opening { header: &header, state: None, context: &context, fragment: None };
    processor.open(opening).await.unwrap();
    let mut rows = Rows::new(header.len());
    for row in 0..ROWS {
        for column in 0..header.len() {
            rows.push(&format!("cell {row} {column} of 20 b"));
        }
    }
    let mut output = Rows::new(header.len());
    let began_at = Instant::now();
    for _ in 0..BATCHES {
        processor.process(&rows, &mut output).await.unwrap();
    }
    let cost = began_at.elapsed() / (BATCHES * ROWS as u32);
    let bytes = rows.data().len() / ROWS;
    println!("a row of 12 cells and {bytes} bytes, in, out and checked: {cost:?}");
    assert_eq!(output, rows);
    assert!(cost < Duration::from_micros(5), "{cost:?}");
}

#[tokio::test]
async fn a_component_starts_in_microseconds() {
    const STARTS: u32 = 200;
    let place = Place::new();
    let program = place.program(&tasklet("", "", "")).await.unwrap();
    let context = context(Arc::default());
    let mut tasklet = program.tasklet(place.setup(Limits::default()));
    let began_at = Instant::now();
    for _ in 0..STARTS {
        assert_eq!(outcome(tasklet.run(&context).await), "ok");
    }
    let cost = began_at.elapsed() / STARTS;
    println!("a store, an instance and one call: {cost:?}");
    assert!(cost < Duration::from_millis(5), "{cost:?}");
}
