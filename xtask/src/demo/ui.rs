//! `cargo xtask demo --ui`: the worked example in the web UI, with executions that have completed, failed, stopped, and one
//! that runs. The server goes on until Ctrl-C.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::INSTANCE;
use super::installation::Installation;

const CONNECTOR: &str = "Acme CSV Notify Connector";
const JOB: &str = "csv_product_export_notify";
/// The profile that always runs, and the file that it exports.
const LONG: &str = "whole_catalogue";
const LONG_FILE: &str = "whole_catalogue.csv";
/// How many lines of the example's catalogue the long file has.
const LONG_LINES: usize = 4_000_000;
/// How often the demo looks whether the long one still runs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Fills the installation, starts the server, says where it is, and waits for its end.
pub(super) fn show(installation: &Installation, url: &str) -> anyhow::Result<()> {
    installation.stepbox(&["run", INSTANCE])?;
    create(
        installation,
        "closed_application",
        "examples/csv-notify/data/catalogue.csv",
        "http://127.0.0.1:9/",
    )?;
    // Nobody listens there: its second step fails, which is what this profile is for.
    let _ = installation.stepbox(&["run", "closed_application"]);
    long_file(&installation.folder().join(LONG_FILE))?;
    create(installation, LONG, LONG_FILE, url)?;
    let (mut server, links) = serve(installation)?;
    let link = links.recv_timeout(Duration::from_secs(30)).context("the server names no link")?;
    installation.stepbox(&["publish", LONG])?;
    stop_when_it_runs(installation)?;
    println!("\nCreate the first operator, and look around:\n\n  {link}\n\nCtrl-C ends the server.");
    loop {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended ({status})");
        }
        if status_of_long(installation)? != "STARTED" {
            installation.quietly(&["publish", LONG, "--unique"])?;
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn create(installation: &Installation, code: &str, source: &str, url: &str) -> anyhow::Result<()> {
    let parameters = json!({ "source": { "type": "local", "file_path": source }, "urlToNotify": url });
    installation.stepbox(&["instances", "create", CONNECTOR, JOB, "export", code, &parameters.to_string()])
}

/// A file that takes a while: the lines of the example's catalogue again and again.
fn long_file(path: &Path) -> anyhow::Result<()> {
    let catalogue = include_str!("../../../examples/csv-notify/data/catalogue.csv");
    let (header, lines) = catalogue.split_once('\n').context("the catalogue has lines")?;
    let mut file = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
    writeln!(file, "{header}")?;
    for line in lines.lines().cycle().take(LONG_LINES) {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// Starts the server. What it says is shown; the link for the first operator is sent.
fn serve(installation: &Installation) -> anyhow::Result<(Child, mpsc::Receiver<String>)> {
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.stderr(Stdio::piped()).spawn().context("the server starts")?;
    let said = BufReader::new(server.stderr.take().context("the server speaks")?);
    let (send, links) = mpsc::channel();
    thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if let Some(link) = line.split_whitespace().find(|word| word.contains("/one-time-links/")) {
                let _ = send.send(link.to_owned());
            }
        }
    });
    Ok((server, links))
}

/// Waits until the long one runs, and asks it to stop.
fn stop_when_it_runs(installation: &Installation) -> anyhow::Result<()> {
    for _ in 0..60 {
        if status_of_long(installation)? == "STARTED" {
            let id = installation.latest_execution(LONG)?["id"].to_string();
            return installation.stepbox(&["executions", "stop", &id]);
        }
        thread::sleep(Duration::from_millis(500));
    }
    bail!("the long execution does not start")
}

fn status_of_long(installation: &Installation) -> anyhow::Result<String> {
    let latest = installation.latest_execution(LONG)?;
    Ok(latest["status"].as_str().unwrap_or_default().to_owned())
}
