//! PostgreSQL servers for tests: on a private socket and a free port, ended with the process that started them.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let server = stepbox_test_postgres::Server::start(stepbox_test_postgres::Durability::None)?;
//! let url = server.database()?; // a new database
//! server.restart("immediate")?;
//! # drop(url);
//! # Ok(())
//! # }
//! ```
//!
//! A guard, a process that reads from this process, stops the server and removes its files when this process ends, in
//! any way.

mod programs;
mod proxy;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

pub use proxy::Proxy;

use programs::Programs;

/// Whether the server waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Never: as fast as tests need it. Committed data survives the end of a process.
    None,
    /// At each commit, as in production.
    Full,
}

/// The user of the server, with all rights there.
const USER: &str = "stepbox";
/// The password for connections over TCP, with characters that a URL has to escape.
pub const PASSWORD: &str = "p@ss/w:rd?";
/// [`PASSWORD`] in the form of a URL.
pub const PASSWORD_IN_URL: &str = "p%40ss%2Fw%3Ard%3F";

/// A running server.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    guard: Child,
}

impl Server {
    /// The server of this process. The first call starts it, without waits for the disk.
    ///
    /// # Panics
    /// If there is no PostgreSQL and none can be fetched, or it does not start.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(Durability::None).expect("a PostgreSQL server starts"))
    }

    /// Makes an empty cluster and starts it.
    pub fn start(durability: Durability) -> Result<Self> {
        let programs = Programs::find()?;
        let folder = tempfile::Builder::new().prefix("stepbox-pg-").tempdir()?.keep();
        let guard = guard(&programs, &folder)?;
        let server = Self { programs, folder, port: free_port()?, databases: AtomicU32::new(0), guard };
        server.prepare(durability)?;
        server.pg_ctl(&["start"])?;
        Ok(server)
    }

    fn prepare(&self, durability: Durability) -> Result<()> {
        let (data, password) = (self.data(), self.folder.join("password"));
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        fs::write(&password, PASSWORD)?;
        self.programs.give(&self.folder)?;
        self.programs.give(&password)?;
        let mut initdb = self.programs.command("initdb");
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password);
        initdb.args(["-U", USER, "-E", "UTF8", "--locale=C", "--auth-local=trust"]);
        initdb.args(["--auth-host=scram-sha-256", "--no-sync"]);
        run(&mut initdb)?;
        let mut settings = format!(
            "port = {}\nunix_socket_directories = '{}'\nlisten_addresses = '127.0.0.1'\n\
             max_connections = 300\nshared_buffers = 128MB\nmax_wal_size = 4GB\n\
             log_min_messages = warning\n",
            self.port,
            self.folder.display()
        );
        if durability == Durability::None {
            settings
                .push_str("fsync = off\nfull_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n");
        }
        let path = data.join("postgresql.conf");
        let before = fs::read_to_string(&path)?;
        Ok(fs::write(path, before + &settings)?)
    }

    /// A new, empty database, as a URL through the private socket.
    pub fn database(&self) -> Result<String> {
        self.database_like("template0")
    }

    /// A new database, a copy of the one with that name.
    pub fn database_like(&self, template: &str) -> Result<String> {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(self.url(&name))
    }

    /// The URL of a database through the private socket.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{database}", self.port)
    }

    /// The same database at that address over TCP, with the password: the server's own or a [`Proxy`]'s.
    pub fn url_at(&self, address: &str, url: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@{address}/{}", database_of(url))
    }

    /// The address of the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Runs statements with `psql` as the server's user, and returns what they print, unaligned.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String> {
        let mut psql = self.programs.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database]);
        psql.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string()).arg("-c").arg(statements);
        run(&mut psql)
    }

    /// Puts a file into the data folder, readable for the server alone.
    pub fn put_file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.data().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        self.programs.give(&path)
    }

    /// Adds a line to the settings, for the next start.
    pub fn set(&self, line: &str) -> Result<()> {
        let path = self.data().join("postgresql.conf");
        let before = fs::read_to_string(&path)?;
        Ok(fs::write(path, format!("{before}{line}\n"))?)
    }

    /// Stops it and starts it again. `fast` ends sessions and writes everything to disk; `immediate` is like a crash.
    pub fn restart(&self, mode: &str) -> Result<()> {
        self.pg_ctl(&["restart", "-m", mode])
    }

    /// Stops it.
    pub fn stop(&self, mode: &str) -> Result<()> {
        self.pg_ctl(&["stop", "-m", mode])
    }

    /// Starts it after a stop.
    pub fn go_on(&self) -> Result<()> {
        self.pg_ctl(&["start"])
    }

    /// Suspends all its processes, like a machine that swaps or a network that is cut.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Continues them.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Sends a signal to the server and each of its children.
    fn signal(&self, signal: &str) -> Result<()> {
        let pid = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid = pid.lines().next().context("the server's number is in its file")?;
        let script = "kill -s \"$1\" \"$2\" $(ps -o pid= --ppid \"$2\")";
        run(Command::new("sh").args(["-c", script, "sh", signal, pid])).map(drop)
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let mut pg_ctl = self.programs.command("pg_ctl");
        pg_ctl.arg("-D").arg(self.data()).arg("-l").arg(self.log()).args(["-w", "-s"]).args(arguments);
        let done = run(&mut pg_ctl);
        done.map(drop).with_context(|| fs::read_to_string(self.log()).unwrap_or_default())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard sees the end of its input and does the rest.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// The name of the database in one of our URLs.
fn database_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// A process that ends the server when this process ends.
fn guard(programs: &Programs, folder: &Path) -> Result<Child> {
    let script = "cat > /dev/null; trap '' HUP INT TERM; \"$@\" > /dev/null 2>&1; rm -rf \"$FOLDER\"";
    let mut stop = programs.command("pg_ctl");
    stop.arg("-D").arg(folder.join("data")).args(["-m", "immediate", "-s", "stop"]);
    let mut guard = Command::new("sh");
    guard.args(["-c", script, "sh"]).arg(stop.get_program()).args(stop.get_args());
    guard.envs(stop.get_envs().filter_map(|(name, value)| Some((name, value?))));
    guard.env("FOLDER", folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C is for the process that started the server.
    std::os::unix::process::CommandExt::process_group(&mut guard, 0);
    guard.spawn().context("`sh` starts")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Runs a program to its end, and returns its output. The output goes to files, since a server that the program
/// leaves behind would keep a pipe open.
fn run(command: &mut Command) -> Result<String> {
    let (mut out, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(errors.try_clone()?);
    let status = command.status().with_context(|| format!("`{command:?}` starts"))?;
    if !status.success() {
        bail!("`{command:?}` failed: {}", text(&mut errors)?);
    }
    text(&mut out)
}

fn text(file: &mut fs::File) -> Result<String> {
    use std::io::Seek;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text.trim_end().to_owned())
}
