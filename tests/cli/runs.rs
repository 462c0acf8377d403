//! Runs that somebody ends: by Ctrl-C, or from elsewhere. What a session cannot show, since two things
//! happen at once.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use stepbox_guest_artifacts::steps;

use super::session::Folder;

/// Two jobs that go on for longer than any test: one can be stopped, the other cannot.
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

fn with_waiting_jobs() -> Folder {
    let folder = Folder::new();
    folder.write("waiting/connector.yaml", CONNECTOR);
    folder.write("waiting/stoppable.wasm", std::fs::read(steps::STOPPABLE).expect("the guest was built"));
    folder.run("stepbox connectors add waiting");
    folder.run("stepbox instances create waiting wait test wait");
    folder.run("stepbox instances create waiting wait_on test wait_on");
    folder
}

/// `stepbox run` in a process of its own.
struct RunningCommand {
    process: Child,
    talk: BufReader<ChildStderr>,
}

impl RunningCommand {
    fn start(folder: &Folder, line: &str) -> Self {
        let mut shell = folder.shell(&format!("exec {line}"));
        let mut process = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("`sh` runs");
        let talk = BufReader::new(process.stderr.take().expect("it is piped"));
        Self { process, talk }
    }

    /// Waits until it says so on standard error.
    fn wait_for(&mut self, words: &str) {
        let mut said = String::new();
        while !said.contains(words) {
            said.clear();
            let length = self.talk.read_line(&mut said).expect("it is text");
            assert!(length > 0, "it ended without saying: {words}");
        }
    }

    fn interrupt(&self) {
        // The shell's own `kill`: a machine may have no program of that name.
        let kill = Command::new("sh").args(["-c", &format!("kill -INT {}", self.process.id())]).status();
        assert!(kill.expect("`sh` runs").success());
    }

    /// Waits for its end: the exit code, and what it said on standard output.
    fn end(mut self) -> (Option<i32>, String) {
        let mut answer = String::new();
        self.process.stdout.take().expect("it is piped").read_to_string(&mut answer).expect("it is text");
        (self.process.wait().expect("it ends").code(), answer)
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
        answer_of_run.ends_with("to go on from here: `stepbox executions restart 1`\n"),
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
    run.wait_for("execution 1 goes on: its job is not stoppable; press Ctrl-C again to leave at once");
    run.interrupt();
    run.wait_for("error: interrupted before execution 1 had stopped");
    assert_eq!(run.end(), (Some(130), String::new()));
}
