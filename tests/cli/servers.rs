//! The command line on a server: where the token is, what is sent, and how a run there is followed. The server is a few
//! lines of this file, so that it says exactly what a test needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use super::runs::RunningCommand;
use super::session::Folder;
use super::twice::play_here;

/// A failed execution, as an API answers it.
const EXECUTION: &str = include_str!("../../runtime/api/tests/execution.json");

/// A request: its method with its path and query, its token, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    line: String,
    token: Option<String>,
    body: String,
}

/// What the server answers to a line; `None` keeps the connection open without an end.
type Answers = fn(&str) -> (u16, &'static str, String);

struct FakeServer {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeServer {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let known = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = known.clone();
                thread::spawn(move || serve(&stream, answers, &known));
            }
        });
        Self { address, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }
}

/// Answers one request. A stream of events that has no end stays open until the client has gone.
fn serve(mut stream: &TcpStream, answers: Answers, known: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    while let Some(Ok(line)) =
        reader.by_ref().lines().next().filter(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
    {
        head.push(line);
    }
    let Some(line) = head.first().and_then(|line| line.strip_suffix(" HTTP/1.1")) else { return };
    let header =
        |name: &str| head.iter().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
    let length = header("content-length: ").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let token = header("authorization: bearer ");
    let body = String::from_utf8_lossy(&body).into_owned();
    known.lock().unwrap().push(Asked { line: line.to_owned(), token, body });
    let (status, kind, text) = answers(line);
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nConnection: close\r\n");
    if kind == "text/event-stream" {
        let _ = stream.write_all(format!("{head}\r\n{text}").as_bytes());
        if !text.contains("event: end") {
            let _ = stream.read(&mut [0]);
        }
        return;
    }
    let length = text.len();
    let _ = stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{text}").as_bytes());
}

const JSON: &str = "application/json";

fn problem(status: u16, code: &str, detail: &str) -> (u16, &'static str, String) {
    let text = format!(
        r#"{{"type":"/errors/{code}","title":"x","status":{status},"code":"{code}","detail":"{detail}"}}"#
    );
    (status, "application/problem+json", text)
}

/// A server that knows who asks, and has no instances.
fn empty(line: &str) -> (u16, &'static str, String) {
    match line {
        "GET /api/v1/session" => (200, JSON, r#"{"user":"julia"}"#.to_owned()),
        _ if line.contains("/instances?") => (200, JSON, r#"{"items":[],"next":null}"#.to_owned()),
        _ => problem(404, "no-route", "there is nothing at this address"),
    }
}

/// The standard error of a command, and its exit code.
fn told(folder: &Folder, line: &str) -> (String, Option<i32>) {
    let output = folder.shell(line).output().expect("`sh` runs");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[test]
fn the_answers_without_a_server_are_recorded() {
    let folder = Folder::new();
    folder.write("token", "sbx_secret\n");
    play_here("servers", &folder);
}

#[test]
fn a_token_is_kept_for_its_owner_and_sent_to_its_server() {
    let (folder, server) = (Folder::new(), FakeServer::start(empty));
    let address = &server.address;
    let (said, code) =
        told(&folder, &format!("echo sbx_secret | stepbox login --server {address}/ --tenant acme"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("signed in to {address} as `julia`")), "{said}");
    let path = folder.path("config/stepbox/servers.json");
    let mode = std::fs::metadata(&path).expect("the file").mode();
    assert_eq!(mode & 0o777, 0o600);

    // In the tenant of the login, unless the command names one.
    folder.run(&format!("stepbox instances list --server {address}"));
    folder.run(&format!("STEPBOX_SERVER={address} stepbox instances list --tenant other"));
    folder.run(&format!("STEPBOX_TOKEN=sbx_other stepbox instances list --server {address}"));
    folder.write("token", "sbx_file\n");
    folder.run(&format!(
        "STEPBOX_TOKEN=sbx_other stepbox instances list --server {address} --token-file token"
    ));
    let asked: Vec<_> =
        server.asked.lock().unwrap().iter().map(|a| (a.line.clone(), a.token.clone().unwrap())).collect();
    let list = |tenant: &str, token: &str| {
        (format!("GET /api/v1/tenants/{tenant}/instances?limit=200"), token.to_owned())
    };
    let expected = [
        ("GET /api/v1/session".to_owned(), "sbx_secret".to_owned()),
        list("acme", "sbx_secret"),
        list("other", "sbx_secret"),
        list("acme", "sbx_other"),
        list("acme", "sbx_file"),
    ];
    assert_eq!(asked, expected);

    // A file that others can read is not used.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let (said, code) = told(&folder, &format!("stepbox instances list --server {address}"));
    assert!(said.contains("docs: errors#servers-file-open") && code == Some(2), "{said}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");

    folder.run(&format!("stepbox logout --server {address}"));
    assert!(!std::fs::read_to_string(&path).expect("the file").contains("secret"));
    let (said, code) = told(&folder, &format!("stepbox instances list --server {address}"));
    assert!(said.contains("docs: errors#not-signed-in") && code == Some(12), "{said}");
    assert_eq!(server.lines().len(), 5);
}

#[test]
fn a_token_is_not_shown_while_it_is_typed() {
    let (folder, server) = (Folder::new(), FakeServer::start(empty));
    let mut terminal = folder.shell(
        "script --quiet --echo always --return --command \"stepbox login --server $ADDRESS\" /dev/null",
    );
    terminal
        .env("ADDRESS", &server.address)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().expect("`script` runs");
    let (mut said, mut screen) = (Vec::new(), terminal.stdout.take().expect("it is piped"));
    while !String::from_utf8_lossy(&said).contains("token for") {
        let mut byte = [0];
        screen.read_exact(&mut byte).expect("the question");
        said.extend(byte);
    }
    let mut keys = terminal.stdin.take().expect("it is piped");
    keys.write_all(b"sbx_typed\n").expect("the terminal reads");
    screen.read_to_end(&mut said).expect("the rest");
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(terminal.wait().expect("it ends").success(), "{said}");
    assert!(said.contains("signed in to") && !said.contains("sbx_typed"), "{said}");
    assert_eq!(server.asked.lock().unwrap()[0].token.as_deref(), Some("sbx_typed"));
}

#[test]
fn a_token_that_the_server_does_not_know_is_not_kept() {
    let refuse: Answers = |_| problem(401, "unauthenticated", "the token is of no use");
    let (folder, server) = (Folder::new(), FakeServer::start(refuse));
    let (said, code) = told(&folder, &format!("echo sbx_secret | stepbox login --server {}", server.address));
    assert!(said.starts_with("error: the token is of no use") && code == Some(12), "{said}");
    assert!(!folder.path("config/stepbox/servers.json").exists());
}

/// Without TLS, a proxy would read the token.
#[test]
fn no_proxy_of_the_environment_sees_a_token() {
    let (folder, server, proxy) = (Folder::new(), FakeServer::start(empty), FakeServer::start(empty));
    let mut list = folder.shell(&format!("stepbox instances list --server {}", server.address));
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        list.env(name, &proxy.address);
    }
    let output =
        list.env("STEPBOX_TOKEN", "sbx_secret").env_remove("NO_PROXY").env_remove("no_proxy").output();
    assert!(output.expect("`sh` runs").status.success());
    assert_eq!((server.lines().len(), proxy.lines().len()), (1, 0));
}

/// An event of a stream.
fn event(kind: &str, data: &str) -> String {
    let data: String = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("event: {kind}\n{data}\n")
}

#[test]
fn a_run_is_published_and_followed_to_its_end() {
    let answers: Answers = |line| match line {
        _ if line.ends_with("/launch") => (202, JSON, r#"{"id":118,"was_there":false}"#.to_owned()),
        _ if line.contains("/events") => {
            let log = r#"{"first":1,"lines":[{"at":"2026-11-24T04:12:31.870Z","level":"info","step":null,"message":"hello"}]}"#;
            let text = [event("execution", EXECUTION), event("log", log), event("end", EXECUTION)].concat();
            (200, "text/event-stream", text)
        }
        _ => (200, JSON, EXECUTION.to_owned()),
    };
    let (folder, server) = (Folder::new(), FakeServer::start(answers));
    let run = format!(
        "STEPBOX_TOKEN=sbx_secret stepbox run export -v -c '{{\"a\":1}}' --server {}",
        server.address
    );
    let output = folder.shell(&run).output().expect("`sh` runs");
    let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("info    hello"), "{said}");
    assert!(text.starts_with("execution 118 of `") && text.contains("is FAILED"), "{text}");
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked[0].line, "POST /api/v1/tenants/default/instances/export/launch");
    assert_eq!(asked[0].body, r#"{"overrides":{"a":1}}"#);
    assert_eq!(asked[1].line, "GET /api/v1/tenants/default/executions/118/events?log_after=0");
}

#[test]
fn an_interrupt_asks_the_server_to_stop() {
    let answers: Answers = |line| match line {
        _ if line.ends_with("/launch") => (202, JSON, r#"{"id":118,"was_there":false}"#.to_owned()),
        _ if line.contains("/events") => {
            let progress = r#"{"execution":118,"position":0,"step":"import","at":"2026-11-24T04:12:31.870Z",
                "counts":{"read":1,"written":1,"filtered":0,"skipped":0},
                "tracking":{"processed":1,"total":null,"is_estimate":false}}"#;
            let execution = event("execution", &EXECUTION.replace("FAILED", "STARTED"));
            (200, "text/event-stream", execution + &event("progress", progress))
        }
        _ if line.ends_with("/stop") => (200, JSON, r#"{"id":118,"is_stopped":false}"#.to_owned()),
        _ => (200, JSON, EXECUTION.replace("FAILED", "STARTED")),
    };
    let (folder, server) = (Folder::new(), FakeServer::start(answers));
    let run = format!("env STEPBOX_TOKEN=sbx_secret stepbox run export --server {}", server.address);
    let mut run = RunningCommand::start(&folder, &run);
    run.wait_for("starting");
    run.interrupt();
    run.wait_for("stopping execution 118");
    assert!(server.lines().contains(&"POST /api/v1/tenants/default/executions/118/stop".to_owned()));
    run.interrupt();
    assert_eq!(run.end().0, Some(130));
}
