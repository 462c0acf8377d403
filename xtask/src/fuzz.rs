//! `cargo xtask fuzz`: runs the targets of the crate `stepbox-fuzz` one after the other, guided by coverage.
//!
//! Only our own crates are instrumented for libFuzzer, by this program in place of the compiler
//! (`RUSTC_WORKSPACE_WRAPPER`). So most dependencies are those of any other build and need not be compiled again, and
//! no flag stays in the environment.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use crate::{process, repository};

/// Set if this program runs in place of the compiler.
const AS_COMPILER: &str = "STEPBOX_FUZZ_COMPILES";

/// Records which edges of the code an input takes, and the values that are compared there.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One target, a folder of `xtask/fuzz/corpus`; all targets by default
    target: Option<String>,

    /// How long each target runs
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let known = targets()?;
    let targets = match &arguments.target {
        None => known,
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!("there is no target `{target}`; there are {}", known.join(", ")),
    };
    build()?;
    let mut findings = 0;
    for target in targets {
        findings += u32::from(!fuzz(&target, arguments.seconds)?);
    }
    match findings {
        0 => Ok(()),
        _ => bail!("{findings} of the targets ended with a finding"),
    }
}

fn corpus() -> PathBuf {
    repository::root().join("xtask/fuzz/corpus")
}

fn targets() -> anyhow::Result<Vec<String>> {
    let folders = fs::read_dir(corpus())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut targets = folders.collect::<std::io::Result<Vec<_>>>()?;
    targets.sort();
    Ok(targets)
}

/// With the features of the whole workspace, so that dependencies are those of other builds.
fn build() -> anyhow::Result<()> {
    let mut cargo = process::cargo(&repository::root())?;
    cargo.args(["build", "--workspace", "--bin", "stepbox-fuzz", "--features", "stepbox-fuzz/coverage"]);
    cargo.env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?).env(AS_COMPILER, "1");
    process::run(&mut cargo)
}

/// Runs a target until its time is up. Returns false if it found something.
fn fuzz(target: &str, seconds: u64) -> anyhow::Result<bool> {
    let folder = repository::target_dir()?.join("fuzz").join(target);
    let inputs = folder.join("inputs");
    fs::create_dir_all(&inputs)?;
    let log = folder.join("log");
    let mut fuzzer = Command::new(repository::target_dir()?.join("debug/stepbox-fuzz"));
    fuzzer.env("STEPBOX_FUZZ_TARGET", target).env("STEPBOX_FUZZ_SEEDS", &inputs);
    fuzzer.arg(&inputs).arg(corpus().join(target));
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", folder.display()));
    // Seconds for one input, and MiB of memory.
    fuzzer.args(["-timeout=10", "-rss_limit_mb=4096", "-detect_leaks=0", "-print_final_stats=1"]);
    fuzzer.stderr(File::create(&log).with_context(|| format!("`{}` cannot be written", log.display()))?);
    println!("{target}: {seconds} s …");
    let status =
        fuzzer.status().with_context(|| format!("`{}` cannot be started", process::shown(&fuzzer)))?;
    let inputs = inputs_tried(&log)?;
    if status.success() {
        println!("{target}: {inputs} inputs, no finding");
    } else {
        println!("{target}: a finding after {inputs} inputs; it lies in {}, see `log`", folder.display());
    }
    Ok(status.success())
}

/// The number in libFuzzer's last lines.
fn inputs_tried(log: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let number = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(number.unwrap_or("?").trim().to_owned())
}

/// The exit code of this program in place of the compiler; `None` if it is not in that place.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    env::var_os(AS_COMPILER)?;
    let mut arguments = env::args_os().skip(1);
    let mut compiler = Command::new(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    // A build script runs by itself, without libFuzzer to receive the counts.
    if !arguments.iter().any(|argument| argument == "build_script_build") {
        compiler.args(COVERAGE);
    }
    let status = compiler.args(arguments).status().ok()?;
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
