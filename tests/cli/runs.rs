//! Runs that are ended by Ctrl-C or by another command. A recorded session cannot show this, since two things happen
//! at once.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;
use stepbox_guest_artifacts::steps;

use super::session::Folder;
use crate::support::PATIENCE;

/// Two jobs that run for longer than any test: one can be stopped, the other cannot.
const CONNECTOR: &str = "\
connector: waiting
components: { stoppable: stoppable.wasm }
jobs:
  wait:
    type: test
    parameters: &long
      properties: { items: { type: integer, default: 1000000 }, workMs: { type: integer, default: 5 } }
    steps:
      - { name: wait, tasklet: stoppable }
  wait_on:
    type: test
    stoppable: false
    parameters: *long
    steps:
      - { name: wait, tasklet: stoppable }
";

pub(super) fn with_waiting_jobs() -> Folder {
    let folder = Folder::new();
    folder.write("waiting/connector.yaml", CONNECTOR);
    folder.write("waiting/stoppable.wasm", std::fs::read(steps::STOPPABLE).expect("the guest was built"));
    folder.run("stepbox connectors add waiting");
    folder.run("stepbox instances create waiting wait test wait");
    folder.run("stepbox instances create waiting wait_on test wait_on");
    folder
}

/// A command in a process of its own. It ends with the test.
pub(super) struct RunningCommand {
    process: Child,
    /// Its lines on standard error.
    talk: Receiver<String>,
}

impl RunningCommand {
    pub(super) fn start(folder: &Folder, line: &str) -> Self {
        let mut shell = folder.shell(&format!("exec {line}"));
        let mut process = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("`sh` runs");
        let said = BufReader::new(process.stderr.take().expect("it is piped"));
        let (tell, talk) = channel();
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                // The receiver may be gone; the command must still be able to continue.
                let _ = tell.send(line + "\n");
            }
        });
        Self { process, talk }
    }

    /// Waits for a line with these words on standard error, and returns the line.
    pub(super) fn wait_for(&mut self, words: &str) -> String {
        let (began_at, mut before) = (Instant::now(), String::new());
        loop {
            let said = self.talk.recv_timeout(PATIENCE.saturating_sub(began_at.elapsed()));
            match said {
                Ok(said) if said.contains(words) => return said,
                Ok(said) => before.push_str(&said),
                Err(why) => panic!("it never said ({why}): {words}\nbut:\n{before}"),
            }
        }
    }

    pub(super) fn interrupt(&self) {
        self.signal("INT");
    }

    pub(super) fn terminate(&self) {
        self.signal("TERM");
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`: a machine may have no program of that name.
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.id())]).status();
        assert!(kill.expect("`sh` runs").success());
    }

    /// Waits for the end. Returns the exit code and the standard output.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let mut answer = String::new();
        self.process.stdout.take().expect("it is piped").read_to_string(&mut answer).expect("it is text");
        (self.process.wait().expect("it ends").code(), answer)
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        // It has ended already if the test succeeded.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(folder: &Folder, line: &str) -> String {
    let output = folder.shell(line).output().expect("`sh` runs");
    String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned()
}

#[test]
fn ctrl_c_stops_a_run_and_a_restart_goes_on_from_there() {
    let folder = with_waiting_jobs();
    let mut run = RunningCommand::start(&folder, "stepbox run wait");
    run.wait_for("step 1/1 `wait` starting");
    run.interrupt();
    run.wait_for("stopping execution 1: what is done stays done");
    let (exit_code, answer_of_run) = run.end();
    assert_eq!(exit_code, Some(130), "{answer_of_run}");
    assert!(answer_of_run.starts_with("execution 1 of `wait` is STOPPED after "), "{answer_of_run}");
    assert!(
        answer_of_run.ends_with("to continue from here: `stepbox executions restart 1`\n"),
        "{answer_of_run}"
    );

    let mut restart = RunningCommand::start(&folder, "stepbox executions restart 1");
    restart.wait_for("step 1/1 `wait` starting");
    restart.interrupt();
    assert_eq!(restart.end().0, Some(130));
    let details = answer(&folder, "stepbox executions show 2");
    assert!(details.contains("restart of   1\n"), "{details}");
}

#[test]
fn a_run_is_stopped_from_another_process() {
    let folder = with_waiting_jobs();
    let mut run = RunningCommand::start(&folder, "stepbox run wait -v");
    run.wait_for("Step execution starting: wait");
    let listed = answer(&folder, "stepbox executions list --instance wait");
    assert!(listed.contains(" 1  wait      wait  START"), "STARTING or STARTED: {listed}");
    assert_eq!(answer(&folder, "stepbox executions stop 1"), "execution 1 was asked to stop\n");
    run.wait_for("Stop requested");
    run.wait_for("Step execution complete: wait, status=STOPPED, exitCode=STOPPED");
    let (exit_code, answer_of_run) = run.end();
    assert_eq!(exit_code, Some(4), "{answer_of_run}");
}

#[test]
fn a_second_ctrl_c_leaves_a_run_that_cannot_be_stopped() {
    let folder = with_waiting_jobs();
    let mut run = RunningCommand::start(&folder, "stepbox run wait_on");
    run.wait_for("step 1/1 `wait` starting");
    let refused = answer(&folder, "stepbox executions stop 1");
    assert!(refused.contains(": its job is not stoppable\n"), "{refused}");
    run.interrupt();
    run.wait_for(
        "execution 1 continues: its job is not stoppable; press Ctrl-C again to end this command at once",
    );
    run.interrupt();
    run.wait_for("error: interrupted before execution 1 had stopped");
    assert_eq!(run.end(), (Some(130), String::new()));
}

/// A job that takes some seconds, with a checkpoint after every few of its items.
const LONG_JOB: &str = r#"
connector: long
jobs:
  long:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 1
        checkpoint: { items: 100 }
"#;

const ROWS: i64 = 200_000;

/// A long run that has made its first checkpoint, its input, and its store.
fn in_the_middle_of_a_run() -> (Folder, RunningCommand, String, Connection) {
    let folder = Folder::new();
    folder.write("long/connector.yaml", LONG_JOB);
    let rows: String = (0..ROWS).map(|row| format!("{row},item {row}\n")).collect();
    let input = format!("sku,name\n{rows}");
    folder.write("in.csv", &input);
    let local = |path: &str| json!({ "type": "local", "file_path": path });
    let parameters = json!({ "source": local("in.csv"), "storage": local("out.csv") });
    folder.write("parameters.json", parameters.to_string());
    folder.run("stepbox connectors add long");
    folder.run("stepbox instances create long long export long @parameters.json");
    let run = RunningCommand::start(&folder, "stepbox run long");
    let store = Connection::open(folder.path(".stepbox/stepbox.db")).expect("the store is there");
    let began_at = Instant::now();
    while written(&store) == 0 {
        assert!(began_at.elapsed() < PATIENCE, "no checkpoint within {PATIENCE:?}");
        thread::yield_now();
    }
    (folder, run, input, store)
}

/// How many items of the latest execution are written and committed.
fn written(store: &Connection) -> i64 {
    let sql = "SELECT written_count FROM step_executions ORDER BY execution_id DESC LIMIT 1";
    store.query_row(sql, [], |row| row.get(0)).optional().expect("the store can be read").unwrap_or(0)
}

fn assert_goes_on_to_the_same_output(folder: &Folder, line: &str, input: &str) {
    let execution = answer(folder, line);
    assert!(execution.contains(" is COMPLETED after "), "{execution}");
    let output = std::fs::read_to_string(folder.path("out.csv")).expect("it is complete");
    assert!(output == input, "the output is that of an undisturbed run");
}

/// A folder with a long run that is paused in its middle.
pub(super) fn with_paused_run() -> Folder {
    let (folder, run, ..) = in_the_middle_of_a_run();
    run.terminate();
    assert_eq!(run.end().0, Some(11));
    folder
}

#[test]
fn sigterm_pauses_a_run_and_the_same_execution_goes_on() {
    let (folder, mut run, input, store) = in_the_middle_of_a_run();
    run.terminate();
    run.wait_for("pausing execution 1 at its next checkpoint");
    let (exit_code, answer_of_run) = run.end();
    assert_eq!(exit_code, Some(11), "{answer_of_run}");
    assert!(answer_of_run.starts_with("execution 1 of `long` is PAUSED"), "{answer_of_run}");
    let next = "to continue from here: `stepbox executions resume 1`\n";
    assert!(answer_of_run.ends_with(next), "{answer_of_run}");
    let committed = written(&store);
    assert!(committed > 0 && committed < ROWS, "{committed}");
    assert!(!folder.path("out.csv").exists(), "nothing half-written has the final name");
    assert_goes_on_to_the_same_output(&folder, "stepbox executions resume 1", &input);
}

#[test]
fn a_second_sigterm_ends_a_run_at_once_and_a_restart_goes_on() {
    let (folder, mut run, input, store) = in_the_middle_of_a_run();
    // A run that cannot save cannot pause.
    store.execute_batch("BEGIN IMMEDIATE").expect("the store can be locked");
    run.terminate();
    run.wait_for("pausing execution 1 at its next checkpoint");
    run.terminate();
    run.wait_for("error: interrupted before execution 1 had stopped");
    assert_eq!(run.end(), (Some(130), String::new()));
    store.execute_batch("ROLLBACK").expect("it was locked");
    let committed = written(&store);
    assert!(committed > 0 && committed < ROWS, "{committed}");
    assert_goes_on_to_the_same_output(&folder, "stepbox executions restart 1", &input);
}
