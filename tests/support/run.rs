//! What is left of a run of these tests: nothing, however it ends.
//!
//! A run has a folder that all its temporary folders lie in, and the processes that it starts are marked with that
//! folder. A guard, a process that reads from us, ends what is marked and removes the folder when we end. A run that is
//! killed tells nobody, but the guard's input ends then as well.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// What marks a process of a run, in its environment and in those of all that it starts. Its value is the folder.
const MARK: &str = "STEPBOX_TESTS_RUN";

/// Ends what is marked, and what it started meanwhile, and removes the folder `$2`.
const GUARD: &str = r#"
cat >/dev/null
trap '' HUP INT TERM
for again in 1 2 3 4 5 6 7 8 9 10; do
    marked=$(grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n')
    [ -n "$marked" ] || break
    kill -KILL $marked 2>/dev/null
done
rm -rf "$2"
"#;

struct Run {
    folder: PathBuf,
    /// Its input is open for as long as we live.
    _guard: Child,
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| Run::begin().expect("a folder and a guard for this run"))
}

impl Run {
    fn begin() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("stepbox-tests-").tempdir()?.keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(format!("{MARK}={}", folder.display())).arg(&folder);
        guard.env_remove(MARK).current_dir("/");
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for us.
        let guard = guard.process_group(0).spawn()?;
        Ok(Self { folder, _guard: guard })
    }
}

/// A temporary folder, which goes with its holder, or else with this run.
pub fn tempdir() -> io::Result<TempDir> {
    tempfile::tempdir_in(&run().folder)
}

/// Has a process, and all that it starts, end with this run.
pub fn mark(command: &mut Command) -> &mut Command {
    command.env(MARK, &run().folder)
}

/// The processes of the run with that folder.
fn marked(folder: &Path) -> Vec<String> {
    let mark = format!("{MARK}={}", folder.display());
    let is_marked = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let processes = processes.map(|entry| entry.path()).filter(|process| is_marked(process));
    processes.map(|process| process.display().to_string()).collect()
}

mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use stepbox_test_postgres::Server;

    use super::*;
    use crate::cli::Folder;
    use crate::support::PATIENCE;

    #[test]
    fn nothing_is_left_of_a_run_that_is_killed() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "support::run::tests::starts_a_lot_and_waits", "--ignored", "--nocapture"]);
        let mut killed = mark(&mut command).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(killed.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told: Vec<_> = lines
            .filter_map(|line| line.split_once("there is ").map(|(_, what)| what.to_owned()))
            .take(4)
            .collect();
        let [folder, address, postgres, server] = &told[..] else { panic!("it ended too soon: {told:?}") };
        let (folder, postgres) = (Path::new(folder), Path::new(postgres));
        let left = || {
            let mut left = marked(folder);
            left.extend(
                [folder, postgres].iter().filter(|at| at.exists()).map(|at| at.display().to_string()),
            );
            let answers = |address: &&String| TcpStream::connect(address.as_str()).is_ok();
            left.extend([address, server].into_iter().filter(answers).cloned());
            left
        };
        // The shell, its child, the worker, the two folders and the two addresses.
        assert!(left().len() >= 7, "{:?}", left());
        killed.kill().unwrap();
        killed.wait().unwrap();
        let began_at = Instant::now();
        while !left().is_empty() {
            assert!(began_at.elapsed() < PATIENCE, "{:?} are left", left());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    #[ignore = "what the test above starts as a process of its own"]
    fn starts_a_lot_and_waits() {
        let folder = Folder::new();
        let _sleeping = folder.shell("sleep 600 & exec sleep 600").spawn().unwrap();
        let mut worker = folder.shell("exec stepbox worker --listen 127.0.0.1:0");
        let mut worker = worker.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(worker.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = said.filter_map(|line| line.split_once("http://").map(|(_, at)| at.to_owned())).next();
        let server = Server::shared();
        let postgres = server.data();
        let told = [
            run().folder.display().to_string(),
            address.expect("it listens"),
            postgres.parent().expect("a folder of its own").display().to_string(),
            server.address(),
        ];
        for what in told {
            // The harness catches what is printed otherwise.
            io::Write::write_all(&mut io::stdout(), format!("\nthere is {what}\n").as_bytes()).unwrap();
        }
        std::thread::park_timeout(Duration::from_secs(600));
    }
}
