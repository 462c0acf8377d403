//! Data folders with a bit of everything, and servers on them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::run_folder::RunFolder;
use crate::{process, repository};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who sends requests.
pub(super) struct Role {
    /// Also the name of the user, and of the file with the token.
    pub(super) name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Sends no credentials.
    Nobody,
    /// Has the role of that name in the tenant.
    Member,
    /// Operates the installation.
    Operator,
}

pub(super) static ROLES: [Role; 6] = [
    Role { name: "none", kind: Kind::Nobody },
    Role { name: "viewer", kind: Kind::Member },
    Role { name: "operator", kind: Kind::Member },
    Role { name: "author", kind: Kind::Member },
    Role { name: "administrator", kind: Kind::Member },
    Role { name: "root", kind: Kind::Operator },
];

/// All scopes of a token in a tenant.
const SCOPES: &str = "executions:read,executions:launch,instances:read,instances:write,connectors:read,\
    connectors:write,steps:read,steps:write,files:read,files:write,audit:read,administer";

const PRODUCTS: &str = "sku,name,price\n1,Chair,10.5\n2,Table,20\n3,Lamp,7\n4,broken\n";

const PARAMETERS: &str = r#"{
    "source": { "type": "local", "file_path": "products.csv" },
    "storage": { "type": "local", "file_path": "products_out.csv" }
}"#;

/// An export whose file is not there.
const FAILS: &str = r#"{ "source": { "type": "local", "file_path": "missing.csv" } }"#;

/// A prepared installation, of which each server gets a copy.
pub(super) struct Place<'a> {
    run: &'a RunFolder,
    program: PathBuf,
    folder: PathBuf,
}

impl<'a> Place<'a> {
    /// Makes an installation with an instance, a connector with components, executions that have completed, have failed
    /// and wait, and a token for each role.
    pub(super) fn prepare(run: &'a RunFolder) -> anyhow::Result<Self> {
        let target = repository::target_dir()?;
        let program = target.join("debug").join(format!("stepbox{}", std::env::consts::EXE_SUFFIX));
        let place = Self { run, program, folder: run.path().join("schemathesis") };
        let connector = place.folder.join("csv-notify");
        fs::create_dir_all(connector.join("steps"))?;
        let example = repository::root().join("examples/csv-notify/connector.yaml");
        copy(&example, &connector.join("connector.yaml"))?;
        for step in ["normalise.wasm", "notify.wasm"] {
            copy(&target.join("guests/steps").join(step), &connector.join("steps").join(step))?;
        }
        for file in ["schemathesis.toml", "hooks.py"] {
            copy(&repository::root().join("xtask/schemathesis").join(file), &place.folder.join(file))?;
        }
        fs::write(place.folder.join("products.csv"), PRODUCTS)?;
        place.stepbox(&["connectors", "add", "csv-notify"])?;
        place.stepbox(&["instances", "create", "stepbox", "csv_export", "export", "products", PARAMETERS])?;
        place.stepbox(&["run", "products"])?;
        let failed = place.command(&["run", "products", "-c", FAILS]).output()?;
        ensure!(failed.status.code() == Some(3), "an export without its file does not fail");
        place.stepbox(&["publish", "products", "--delay", "24h"])?;
        for role in &ROLES {
            place.add(role)?;
        }
        Ok(place)
    }

    fn add(&self, Role { name, kind }: &Role) -> anyhow::Result<()> {
        let token = match kind {
            Kind::Nobody => return Ok(()),
            Kind::Member => {
                self.stepbox(&["users", "add", name])?;
                self.stepbox(&["members", "set", name, name])?;
                self.stepbox(&["tokens", "create", "all", "--owner", name, "--scopes", SCOPES])?
            }
            Kind::Operator => {
                self.stepbox(&["users", "add", name, "--operator"])?;
                let scopes = format!("{SCOPES},operate");
                self.stepbox(&[
                    "tokens",
                    "create",
                    "all",
                    "--owner",
                    name,
                    "--installation",
                    "--scopes",
                    &scopes,
                ])?
            }
        };
        fs::write(self.folder.join(name), token.trim())?;
        Ok(())
    }

    /// Runs `stepbox`, and returns what it writes to standard output.
    fn stepbox(&self, arguments: &[&str]) -> anyhow::Result<String> {
        process::output(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        stepbox(self.run, &self.program, &self.folder, arguments)
    }

    /// A server on a copy of the installation.
    pub(super) fn serve(&self, role: &'static Role) -> anyhow::Result<Server<'a>> {
        let folder = self.run.path().join(format!("schemathesis-{}", role.name));
        process::run(Command::new("cp").arg("-R").arg(&self.folder).arg(&folder))?;
        let token = match role.kind {
            Kind::Nobody => None,
            Kind::Member | Kind::Operator => Some(fs::read_to_string(folder.join(role.name))?),
        };
        let mut serve = stepbox(self.run, &self.program, &folder, &["serve", "--listen", "127.0.0.1:0"]);
        let log = folder.join("log");
        serve.stdout(Stdio::null()).stderr(File::create(&log)?);
        let process = Running(serve.spawn().with_context(|| format!("`{}` starts", self.program.display()))?);
        let server =
            Server { run: self.run, folder, role, address: address(&log)?, token, _process: process };
        server.knows_its_role(&self.program)?;
        Ok(server)
    }
}

/// A command with its files in a folder, and without settings of the person who runs this.
fn stepbox(run: &RunFolder, program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STEPBOX_")) {
        command.env_remove(name);
    }
    run.give(&mut command);
    command
}

/// The address at which a server listens, once its log has it.
fn address(log: &Path) -> anyhow::Result<String> {
    let began_at = Instant::now();
    while began_at.elapsed() < PATIENCE {
        let text = fs::read_to_string(log)?;
        let rest = text.split_once("the API is at http://").and_then(|(_, rest)| rest.split_once("/api/v1"));
        if let Some((address, _)) = rest {
            return Ok(address.to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("the server does not listen:\n{}", fs::read_to_string(log)?)
}

/// A server for the requests of one role.
pub(super) struct Server<'a> {
    run: &'a RunFolder,
    folder: PathBuf,
    role: &'static Role,
    address: String,
    token: Option<String>,
    _process: Running,
}

impl Server<'_> {
    /// Makes a program that sends requests run in the folder.
    pub(super) fn give(&self, command: &mut Command) {
        command.current_dir(&self.folder).env("STEPBOX_ROLE", self.role.name);
        self.run.give(command);
    }

    /// The address of the API's document.
    pub(super) fn document(&self) -> String {
        format!("http://{}/api/v1/openapi.json", self.address)
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Fails if the token is of no use: every request would be answered alike, and nothing tested.
    fn knows_its_role(&self, program: &Path) -> anyhow::Result<()> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut list = stepbox(self.run, program, &self.folder, &["instances", "list", "--format", "json"]);
        list.env("STEPBOX_SERVER", format!("http://{}", self.address)).env("STEPBOX_TOKEN", token);
        let listed = process::output(&mut list)?;
        ensure!(listed.contains("\"products\""), "the role {} sees no instance", self.role.name);
        Ok(())
    }
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("`{}` cannot be copied", from.display()))?;
    Ok(())
}
