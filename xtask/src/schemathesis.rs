//! `cargo xtask schemathesis`: thousands of generated requests to the API, with the credentials of each role. Each answer
//! must be one that the API's document declares, and none an error of the server.
//!
//! [Schemathesis](https://schemathesis.io) makes the requests from the document. What it checks, and what not, is in
//! `xtask/schemathesis/`. It is installed from PyPI into the target folder; where that fails, the check is skipped.

mod place;
mod tool;

use std::sync::Mutex;
use std::thread;

use anyhow::ensure;

use crate::guests;
use crate::run_folder::RunFolder;
use crate::stages::Stages;
use crate::{process, repository};
use place::{Place, ROLES, Role};
use tool::Tool;

/// How many roles are tried at a time.
const AT_A_TIME: usize = 2;

/// Runs against real servers on loopback, each with a data folder of its own.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many requests are made at random for each route, besides those for the limits of each parameter
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: u32,
    /// Another seed gives other requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { examples: 5, seed: 1 }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut stages = Stages::begin();
    let folder = RunFolder::begin()?;
    stages.stage("Build the steps and `stepbox`", || {
        guests::build_steps(&guests::toolchain(None)?, &repository::target_dir()?.join("guests/steps"))?;
        // The same command as in `cargo xtask test`, so that nothing is compiled twice.
        let mut cargo = process::cargo(&repository::root())?;
        process::run(cargo.args(["build", "--workspace", "--all-targets"]))
    })?;
    stages.stage("Send the requests", || check(arguments, &folder))?;
    stages.end("the API keeps what its document promises");
    Ok(())
}

/// Sends the requests, to the `stepbox` that was built before.
fn check(arguments: &Arguments, folder: &RunFolder) -> anyhow::Result<()> {
    let tool = match Tool::installed()? {
        Ok(tool) => tool,
        Err(reason) => {
            println!("SKIPPED: the generated requests: {} cannot be had: {reason}", tool::NAME);
            return Ok(());
        }
    };
    let place = Place::prepare(folder)?;
    let (waiting, ended) = (Mutex::new(ROLES.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                // The lock is free again before a role is tried.
                let next = || waiting.lock().expect("no thread panics with it").next();
                while let Some(role) = next() {
                    let outcome = try_role(arguments, &tool, &place, role);
                    ended.lock().expect("no thread panics with it").push((role, outcome));
                }
            });
        }
    });
    let mut failed = Vec::new();
    for (role, outcome) in ended.into_inner().expect("no thread has panicked") {
        match outcome? {
            Ok(told) => println!("{:>13}: {told}", role.name),
            Err(told) => {
                println!("{:>13}: FAILED\n{told}", role.name);
                failed.push(role.name);
            }
        }
    }
    ensure!(failed.is_empty(), "the API answers otherwise than its document says, to: {}", failed.join(", "));
    Ok(())
}

/// What was sent, or else what was wrong.
fn try_role(
    arguments: &Arguments,
    tool: &Tool,
    place: &Place<'_>,
    role: &'static Role,
) -> anyhow::Result<Result<String, String>> {
    let server = place.serve(role)?;
    tool.run(&server, arguments.examples, arguments.seed)
}
