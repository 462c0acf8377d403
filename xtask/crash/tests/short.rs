//! A short version of `cargo xtask crash` for every test run: a run, a whole with its parts on two workers, and jobs
//! that are killed during a stop. `cargo xtask crash` has all variants, on both stores.

use std::process::Command;

/// Runs the variants on SQLite with this text in their names, each with a kill at every one of its points.
fn check(variant: &str) {
    let mut crash = Command::new(env!("CARGO_BIN_EXE_stepbox-crash"));
    let arguments = ["--rows", "20000", "--kills", "10", "--store", "sqlite", "--variant", variant];
    let output = crash.args(arguments).output().expect("it was built");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.ends_with("every output identical\n"), "{told}");
}

#[test]
fn killed_runs_end_like_undisturbed_ones() {
    check("native_1");
}

#[test]
fn killed_wholes_and_parts_end_like_undisturbed_ones() {
    check("parts_queued");
}

#[test]
fn jobs_that_are_killed_while_they_stop_end_like_undisturbed_ones() {
    check("stopping");
}
