//! `cargo xtask demo`: the worked example, from sources to a notified application, with the commands in the
//! documentation.

mod installation;
mod outcome;
mod receiver;
mod ui;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::stages::Stages;
use crate::{guests, process, repository};
use installation::Installation;
use receiver::Receiver;

const INSTANCE: &str = "my_app_product_export";

/// All files of the demo are in `target/demo`, which is emptied first. You can repeat any of its commands there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Export this CSV file instead of the example's own
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// The character between the cells of that file [default: ,]
    #[arg(long, value_name = "CHARACTER", requires = "input")]
    delimiter: Option<String>,

    /// Start the server with the web UI instead, with executions to look at, until Ctrl-C
    #[arg(long, conflicts_with_all = ["input", "delimiter"])]
    ui: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let catalogue = Catalogue::of(arguments)?;
    let mut stages = Stages::begin();
    let components = stages.stage("Find a toolchain and build the steps, as components", build_components)?;
    let stepbox = stages.stage("Build `stepbox` (minutes, the first time)", build_stepbox)?;
    let place = repository::target_dir()?.join("demo");
    let installation = stages.stage("Make a fresh data folder and install the connector", || {
        let installation = Installation::fresh(&place, stepbox, &components)?;
        installation.stepbox(&["connectors", "add", "examples/csv-notify"])?;
        Ok(installation)
    })?;
    let receiver = stages.stage("Start the application that wants to be notified", || {
        let receiver = Receiver::start()?;
        println!("it listens at {}", receiver.url());
        installation.open_loopback()?;
        Ok(receiver)
    })?;
    stages.stage("Create the instance", || {
        let parameters = catalogue.parameters(receiver.url()).to_string();
        let connector = ["instances", "create", "Acme CSV Notify Connector"];
        let job = ["csv_product_export_notify", "export", INSTANCE, &parameters];
        installation.stepbox(&[&connector[..], &job].concat())?;
        installation.stepbox(&["instances", "list"])
    })?;
    if arguments.ui {
        return stages
            .stage("Run some executions, and start the server", || ui::show(&installation, receiver.url()));
    }
    stages.stage("Run it", || installation.stepbox(&["run", INSTANCE, "-v"]))?;
    stages.stage("See what became of it", || show(&installation, &receiver, &catalogue))?;
    stages.end("the demo ran to its end");
    println!("everything lies in {}", place.display());
    Ok(())
}

/// The file to export.
struct Catalogue {
    /// Its name in the instance: relative to the demo's folder, or absolute.
    name: String,
    /// The character between its cells.
    delimiter: String,
    /// Whether it is the user's own file.
    is_own: bool,
}

impl Catalogue {
    fn of(arguments: &Arguments) -> anyhow::Result<Self> {
        let Some(input) = &arguments.input else {
            let name = "examples/csv-notify/data/catalogue.csv".to_owned();
            return Ok(Self { name, delimiter: ",".to_owned(), is_own: false });
        };
        let absolute =
            input.canonicalize().with_context(|| format!("`{}` cannot be read", input.display()))?;
        ensure!(absolute.is_file(), "`{}` is not a file", input.display());
        let Some(name) = absolute.to_str() else {
            bail!("the path of `{}` is not UTF-8, which a parameter must be", absolute.display());
        };
        let delimiter = match arguments.delimiter.as_deref() {
            None => ",",
            Some(r"\t" | "tab") => "\t",
            Some(delimiter) => delimiter,
        };
        ensure!(delimiter.len() == 1, "`--delimiter {delimiter}` is not one ASCII character");
        Ok(Self { name: name.to_owned(), delimiter: delimiter.to_owned(), is_own: true })
    }

    /// The instance's parameters, as a person would write them.
    fn parameters(&self, url: &str) -> Value {
        let mut parameters = json!({ "source": { "type": "local", "file_path": self.name } });
        if self.is_own {
            parameters["sourceDelimiter"] = json!(self.delimiter);
        }
        parameters["decimalSeparator"] = json!(",");
        parameters["dateFormat"] = json!("dd.MM.yyyy");
        parameters["urlToNotify"] = json!(url);
        parameters
    }
}

/// Returns the folder with the components.
fn build_components() -> anyhow::Result<PathBuf> {
    let components = repository::target_dir()?.join("guests/steps");
    guests::build_steps(&guests::toolchain(None)?, &components)?;
    Ok(components)
}

/// Returns the program.
fn build_stepbox() -> anyhow::Result<PathBuf> {
    let mut cargo = process::cargo(&repository::root())?;
    cargo.args(["build", "--release", "--package", "stepbox-cli"]);
    println!("$ {}", process::shown(&cargo));
    process::run(&mut cargo)?;
    Ok(repository::target_dir()?.join("release").join(format!("stepbox{}", std::env::consts::EXE_SUFFIX)))
}

fn show(installation: &Installation, receiver: &Receiver, catalogue: &Catalogue) -> anyhow::Result<()> {
    let exported = installation.exported_file()?;
    println!("The exported file, its first lines:");
    outcome::show_first_lines(&installation.folder().join(&exported))?;

    let notification = receiver.notification()?;
    println!(
        "\nThe notification that arrived:\n  {} {}\n  {}",
        notification.method, notification.path, notification.body
    );
    ensure!(notification.body.starts_with("directory="), "the notification does not name a directory");

    println!("\nThe execution, as stored:");
    let execution = installation.latest_execution(INSTANCE)?;
    let id = execution["id"].to_string();
    installation.stepbox(&["executions", "show", &id])?;
    println!();
    installation.stepbox(&["executions", "warnings", &id])?;

    let columns =
        outcome::columns(&installation.folder().join(Path::new(&catalogue.name)), &catalogue.delimiter)?;
    println!("\n{}", outcome::account(&execution, columns)?);
    Ok(())
}
