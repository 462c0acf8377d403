//! Recorded sessions on a data folder and through a server, with the same outputs but for `differences.txt`.

use std::process::Command;

use super::differences::Differences;
use super::session::{Folder, recorded, told};
use crate::support::served::Served;

/// Plays a session that is about a data folder, and makes sense there alone.
pub(super) fn play_here(name: &str, folder: &Folder) {
    assert!(Differences::read().is_only_here(name), "`{name}` is played twice: see differences.txt");
    folder.play(name);
}

/// Plays a session in a folder, and through a server in another one. `prepare` makes each of the folders.
pub(super) fn play_twice(name: &str, prepare: impl Fn() -> Folder) {
    assert!(
        !Differences::read().is_only_here(name),
        "differences.txt says that `{name}` is played here alone"
    );
    prepare().play(name);
    play_there(name, &prepare());
}

/// What a token may be used for at all.
const SCOPES: &str = "executions:read,executions:launch,instances:read,instances:write,connectors:read,\
    connectors:write,steps:read,steps:write,files:read,files:write,audit:read,administer,operate";

/// The one who sends the commands, as the operating system names the user of a session on a data folder.
const USER: &str = "julia";

/// Makes the user who sends the commands, and writes a token of theirs to a file in the folder.
///
/// A session that shows users, tokens or the audit trail begins with this on a data folder, too: then both have the same.
pub(super) fn sign_in(folder: &Folder) {
    if !folder.path("there/token").exists() {
        folder.write("there/token", "");
        folder.run(&format!("stepbox users add {USER} --operator"));
        folder.run(&format!(
            "stepbox tokens create session --owner {USER} --installation --days 366 --scopes {SCOPES} >there/token"
        ));
    }
}

/// A server on the data folder in a session's folder, and with what it is reached.
struct Server {
    process: Served,
    token: String,
}

impl Server {
    /// A server with the rights that a session's user has.
    fn start(folder: &Folder) -> Self {
        sign_in(folder);
        let token = std::fs::read_to_string(folder.path("there/token")).expect("a token");
        let line = "exec unprivileged stepbox serve --listen 127.0.0.1:0";
        Self { process: Served::start(&mut folder.shell(line)), token: token.trim().to_owned() }
    }

    /// A command line for a shell in the folder, whose commands go to the server.
    fn shell(&self, folder: &Folder, line: &str) -> Command {
        let mut shell = folder.shell(line);
        shell.env("STEPBOX_SERVER", format!("http://{}", self.process.address));
        shell.env("STEPBOX_TOKEN", &self.token);
        shell
    }
}

/// Plays a session through a server, and compares it with what is recorded.
fn play_there(name: &str, folder: &Folder) {
    let (differences, mut server) = (Differences::read(), Server::start(folder));
    let (mut played, mut expected) = (String::new(), String::new());
    for command in recorded(name) {
        let mut answer = told(server.shell(folder, &command.line));
        if differences.is_of_machine(name, &command) {
            assert!(answer.contains("docs: errors#not-on-a-server"), "{name}: {}: {answer}", command.line);
            answer = told(folder.shell(&command.line));
        }
        if command.line.contains("> .stepbox/policy.yaml") {
            // The server says that it has read the operator's file, or why it cannot use it.
            server.process.hears_next(" policy ");
        }
        played.push_str(&command.with(&answer));
        expected.push_str(&command.with(&differences.there(name, &command)));
    }
    folder.assert().eq(played, expected);
    assert_eq!(server.process.end(), Some(0), "{name}");
}
