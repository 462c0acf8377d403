//! The project's own commands: `cargo xtask <command>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands talk to the person who runs them")]

mod bench;
mod browser;
mod chaos;
mod crash;
mod demo;
mod failover;
mod fuzz;
mod guests;
mod process;
mod repository;
mod run_folder;
mod schemathesis;
mod stages;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and run the worked example, on its own catalogue or on yours.
    Demo(demo::Arguments),
    /// Test everything. Needs Rust, a C compiler and the package managers.
    Test(test::Arguments),
    /// Build the guests, as components.
    Guests(guests::Arguments),
    /// Measure what sandboxing costs.
    Bench(bench::Arguments),
    /// Kill jobs in the middle, restart them, and compare the outputs.
    Crash(crash::Arguments),
    /// Kill, stop and cut off workers in the middle of jobs, and check that others continue.
    Failover(failover::Arguments),
    /// Run hundreds of jobs while their workers are killed, stopped and shut down, or have a wrong clock.
    Chaos(chaos::Arguments),
    /// Feed hostile input to every entry for data from outside.
    Fuzz(fuzz::Arguments),
    /// Send thousands of generated requests to the API, with the credentials of each role.
    Schemathesis(schemathesis::Arguments),
    /// Test the web UI in a real browser. Builds the program first.
    Ui,
    /// Check what the compiler does not check: layout, the map, error codes, leftovers.
    Tidy(tidy::Arguments),
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::as_compiler() {
        return code;
    }
    let outcome = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Crash(arguments) => crash::run(&arguments),
        Command::Failover(arguments) => failover::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Schemathesis(arguments) => schemathesis::run(&arguments),
        Command::Ui => browser::run(),
        Command::Tidy(arguments) => tidy::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            process::exit_code(&error)
        }
    }
}
