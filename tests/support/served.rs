//! A `stepbox serve` of its own, and what its log says.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use stepbox_tests::guard::Guarded;

use super::PATIENCE;

/// A server in a process of its own. It ends with the test.
pub struct Served {
    pub process: Guarded,
    /// `127.0.0.1:PORT`.
    pub address: String,
    log: mpsc::Receiver<String>,
    /// What the log has said so far.
    pub said: Vec<String>,
}

impl Served {
    /// Starts it, and waits until it listens. `command` is a whole `stepbox serve --listen 127.0.0.1:0`.
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Guarded::spawn(command).expect("it starts");
        let stderr = process.stderr.take().expect("it is piped");
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut served = Self { process, address: String::new(), log, said: Vec::new() };
        let line = served.hears("the API is at http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        served.address = address.expect("an address follows").to_owned();
        served
    }

    /// Waits until the log has a line with this text.
    pub fn hears(&mut self, text: &str) -> String {
        match self.said.iter().find(|line| line.contains(text)) {
            Some(line) => line.clone(),
            None => self.hears_next(text),
        }
    }

    /// Waits until the log has a further line with this text.
    pub fn hears_next(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.log.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("never said `{text}`: {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends with SIGTERM, and returns the exit code.
    pub fn end(mut self) -> Option<i32> {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().expect("`kill` runs").success());
        self.process.wait().expect("it ends").code()
    }
}
