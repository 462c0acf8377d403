//! A short version of `cargo xtask crash`, for every day.

use std::process::Command;

#[test]
fn killed_jobs_end_like_undisturbed_ones() {
    let mut crash = Command::new(env!("CARGO_BIN_EXE_stepbox-crash"));
    let output = crash.args(["--rows", "20000", "--kills", "120"]).output().expect("it was built");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.ends_with("every output identical\n"), "{told}");
}
