//! The tests of the web UI in a real browser: Node.js runs them, Chromium is the browser. Where one of the two cannot be
//! had, they are skipped, and the reason is said.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::run_folder::RunFolder;
use crate::{guests, process, repository};

/// Where Debian and others put Chromium.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// Builds the program and the guests, and runs the tests in `tests/ui`.
pub(crate) fn run() -> anyhow::Result<()> {
    let folder = RunFolder::begin()?;
    let components = repository::target_dir()?.join("guests/steps");
    guests::build_steps(&guests::toolchain(None)?, &components)?;
    let mut cargo = process::cargo(&repository::root())?;
    // With a test, cargo chooses the features that all tests have, and compiles no dependency twice.
    cargo.args(["build", "--workspace", "--bins", "--test", "client"]);
    process::run(&mut cargo)?;
    let place = repository::root().join("tests/ui");
    if let Some(reason) = missing(&place) {
        println!("SKIPPED: the tests of the web UI: {reason}");
        return Ok(());
    }
    let mut node = Command::new("node");
    folder.give(&mut node);
    node.current_dir(&place).args(["--test", "--test-concurrency=1"]);
    node.env("STEPBOX_COMPONENTS", repository::target_dir()?.join("guests/steps"));
    println!("$ {}", process::shown(&node));
    process::run(&mut node)
}

/// Why the tests cannot run here; `None` if they can. Fetches what can be fetched.
fn missing(place: &Path) -> Option<String> {
    if !works(Command::new("node").arg("--version")) || !works(Command::new("npm").arg("--version")) {
        return Some("Node.js with npm was not found".to_owned());
    }
    if std::env::var_os("STEPBOX_CHROMIUM").is_none() && !has_browser() {
        // As root, Debian's package can be installed; otherwise this fails at once.
        let mut install = Command::new("apt-get");
        works(install.args(["install", "--yes", "--no-install-recommends", "chromium"]));
        if !has_browser() {
            return Some(
                "no Chromium was found, and Debian's package `chromium` could not be installed".to_owned(),
            );
        }
    }
    if !place.join("node_modules/playwright-core").is_dir()
        && !works(
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(place),
        )
    {
        return Some("npm could not fetch the packages in tests/ui/package.json".to_owned());
    }
    None
}

fn has_browser() -> bool {
    BROWSERS.iter().any(|browser| Path::new(browser).is_file())
}

fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
