//! `stepbox worker` as a service: its pages, its log, and what it leaves behind.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::runs::{RunningCommand, with_waiting_jobs};
use super::{session::Folder, with_instance};

const PAGE: &str = include_str!("../../docs/cli.md");

/// The answer of a server to a request for a page.
fn get(address: &str, page: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {page} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// A worker that listens at a port of its own, and its address.
fn listening(folder: &Folder, more: &str) -> (RunningCommand, String) {
    let mut worker = RunningCommand::start(folder, &format!("stepbox worker --listen 127.0.0.1:0 {more}"));
    let said = worker.wait_for("`/livez`, `/readyz`, `/health` and `/metrics` are at http://");
    let address = said.rsplit("http://").next().expect("an address follows");
    let address = address.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned();
    (worker, address)
}

/// A run has secrets in its memory.
#[test]
#[cfg(target_os = "linux")]
fn leaves_no_core_file() {
    let folder = with_instance();
    let (worker, _) = listening(&folder, "");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.id())).expect("it runs");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let cores: Vec<_> = cores.split_whitespace().skip(4).take(2).collect();
    assert_eq!(cores, ["0", "0"]);
    worker.terminate();
    assert_eq!(worker.end().0, Some(0));
}

#[test]
fn a_worker_tells_how_it_is_until_it_ends() {
    let folder = with_instance();
    folder.run("stepbox publish products");
    let (mut worker, address) = listening(&folder, "--liveness-file alive");
    worker.wait_for("execution 1 is COMPLETED");
    let health = get(&address, "/health");
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    let health: Value = serde_json::from_str(health.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!((&health["status"], &health["stage"]), (&"ok".into(), &"working".into()), "{health}");
    assert_eq!(health["problems"], Value::Array(Vec::new()), "{health}");
    for (page, expected) in [("/livez", "ok: the process works\n"), ("/readyz", "ok: 0 of ")] {
        let told = get(&address, page);
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(told.split("\r\n\r\n").nth(1).is_some_and(|body| body.starts_with(expected)), "{told}");
    }
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("\r\ncontent-type: application/openmetrics-text;"), "{metrics}");
    assert!(metrics.contains("\nstepbox_items_written_total{tenant=\"default\"} 3\n"), "{metrics}");
    assert!(folder.path("alive").exists());

    let busy = folder.shell(&format!("stepbox worker --listen {address}")).output().expect("`sh` runs");
    let told = String::from_utf8_lossy(&busy.stderr);
    assert!(told.contains("something else listens there") && told.contains("errors#listen-failed"), "{told}");
    assert_eq!(busy.status.code(), Some(2));

    worker.terminate();
    assert_eq!(worker.end().0, Some(0));
    assert!(!folder.path("alive").exists());
    assert!(TcpStream::connect(&address).is_err());
}

/// A program of an older version cannot use a store that a newer one has updated.
#[test]
fn an_older_worker_on_a_newer_store_ends_with_a_clear_word() {
    let folder = with_waiting_jobs();
    folder.run("stepbox publish wait");
    let mut worker = RunningCommand::start(&folder, "stepbox worker --concurrency 1 --liveness-file alive");
    worker.wait_for("execution 1 of `wait` begins");
    let database = rusqlite::Connection::open(folder.path(".stepbox/stepbox.db")).expect("it is there");
    database.pragma_update(None, "user_version", 999).expect("it can be written");
    // The execution may have found the newer store before the worker did, and is not counted then.
    let said = worker.wait_for("the worker ends, and leaves ");
    assert!(said.contains("has schema version 999; this program knows versions up to "), "{said}");
    worker.wait_for("docs: errors#store-newer-version");
    assert_eq!(worker.end().0, Some(8));
    assert!(!folder.path("alive").exists());
}

#[test]
fn a_log_for_programs_is_json_in_each_line() {
    let folder = with_instance();
    folder.run("stepbox publish products");
    let mut worker = RunningCommand::start(&folder, "stepbox worker --log-format json --concurrency 1");
    let ended: Value = serde_json::from_str(&worker.wait_for("execution-ended")).expect("it is JSON");
    let told = (&ended["level"], &ended["tenant"], &ended["execution"], &ended["message"]);
    assert_eq!(told, (&"info".into(), &"default".into(), &1.into(), &"execution 1 is COMPLETED".into()));
    worker.terminate();
    assert_eq!(worker.end().0, Some(0));

    let wrong = "stepbox --data-dir new worker --log-format json --listen nowhere";
    let output = folder.shell(wrong).output().expect("`sh` runs");
    let lines: Vec<Value> = String::from_utf8(output.stderr)
        .expect("it is text")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("it has a name")).collect();
    assert_eq!(events, ["data-folder-made", "error"]);
    assert_eq!(lines[1]["code"], "listen-address");
    for field in lines[1].as_object().expect("an object").keys() {
        assert!(PAGE.contains(&format!("`{field}`")), "docs/cli.md does not describe `{field}`");
    }
}

/// The names of events are a promise to programs that read logs.
#[test]
fn every_event_is_described() {
    let sources = [
        include_str!("../../runtime/cli/src/worker.rs"),
        include_str!("../../runtime/cli/src/worker/entry.rs"),
        include_str!("../../runtime/cli/src/installation.rs"),
        include_str!("../../runtime/cli/src/report.rs"),
    ];
    let mut found = 0;
    for source in sources {
        for rest in source.split("Entry::new(").skip(1) {
            let name = rest.split('"').nth(1).expect("an event has a name");
            assert!(PAGE.contains(&format!("`{name}`")), "docs/cli.md does not describe the event `{name}`");
            found += 1;
        }
    }
    assert!(found > 10, "{found} events found");
}
