//! Streams of events: nothing is lost and nothing comes twice, also if the connection is.

use std::time::Duration;

use stepbox_api::execution::{Execution, Status};
use stepbox_client::ExecutionEvent;
use tokio::time::timeout;

use super::server::{Answer, Server, open_head, problem};

/// Much longer than any of these streams is waited for.
const LONG: Duration = Duration::from_secs(60);

fn stream(text: &str) -> Answer {
    Answer::Bytes([open_head("text/event-stream"), format!("retry: 10\n\n{text}").into_bytes()].concat())
}

fn execution(status: &str) -> String {
    let answer = include_str!("../../../api/tests/execution.json");
    let mut execution: Execution = serde_json::from_str(answer).unwrap();
    execution.status = serde_json::from_value(status.into()).unwrap();
    serde_json::to_string(&execution).unwrap()
}

fn state(number: u64, kind: &str) -> String {
    let null = "null";
    format!(
        "event: state\nid: {number}\ndata: {{\"number\":{number},\"kind\":\"{kind}\",\"execution\":7,\"instance\":\"a\",\
         \"part_of\":{null},\"at\":\"x\",\"step\":{null},\"status\":{null},\"exit_code\":{null},\"restart_of\":{null}}}\n\n"
    )
}

fn log(first: u64, messages: &[&str]) -> String {
    let line = |message: &&str| format!(r#"{{"at":"x","level":"info","step":null,"message":"{message}"}}"#);
    let lines: Vec<_> = messages.iter().map(line).collect();
    format!("event: log\ndata: {{\"first\":{first},\"lines\":[{}]}}\n\n", lines.join(","))
}

#[tokio::test]
async fn a_stream_continues_where_it_broke_off() {
    let began = format!("event: execution\ndata: {}\n\n", execution("STARTED"));
    let ended = format!("event: end\nid: 9\ndata: {}\n\n", execution("COMPLETED"));
    let server = Server::start([
        stream(&format!(
            "{began}{}{}{}id: 8\ndata: half",
            state(5, "started"),
            log(1, &["a", "b"]),
            state(6, "step-ended")
        )),
        // The server sends a line again that has come before, and kinds that nobody knows.
        stream(&format!(
            "{began}event: future\ndata: x\n\n{}: still here\n\n{}",
            log(2, &["b", "c"]),
            state(8, "step-ended")
        )),
        stream(&format!("{began}{}{ended}{}", log(1, &["a", "b", "c"]), state(10, "started"))),
    ])
    .await;
    let mut events = server.tenant().execution_events(7).with_log(0);
    let (mut seen, mut messages) = (Vec::new(), String::new());
    while let Some(event) = timeout(LONG, events.next()).await.expect("no wait for ever").unwrap() {
        match event {
            ExecutionEvent::State(event) => seen.push(event.number),
            ExecutionEvent::Log(lines) => lines.iter().for_each(|line| messages.push_str(&line.message)),
            ExecutionEvent::Execution(execution) => assert_eq!(execution.status, Status::Started),
            ExecutionEvent::End(execution) => assert_eq!(execution.status, Status::Completed),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((seen.as_slice(), messages.as_str()), ([5, 6, 8].as_slice(), "abc"));
    let asked = server.asked();
    let ids: Vec<_> = asked.iter().map(|asked| asked.header("last-event-id")).collect();
    assert_eq!(ids, [None, Some("6"), Some("8")]);
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.rsplit('?').next().unwrap()).collect();
    assert_eq!(lines, ["log_after=0", "log_after=2", "log_after=3"]);
}

#[tokio::test]
async fn a_gap_and_a_refusal_are_told() {
    let refused = "event: gap\ndata: {\"after\":3,\"next\":9}\n\nevent: end\ndata: {\"reason\":\"not-allowed-any-more\"}\n\n";
    let server = Server::start([stream(refused)]).await;
    let mut events = server.tenant().execution_events(7);
    assert!(matches!(events.next().await.unwrap(), Some(ExecutionEvent::Gap(gap)) if gap.next == 9));
    assert_eq!(events.next().await.unwrap(), Some(ExecutionEvent::Refused));
    assert_eq!(events.next().await.unwrap(), None);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_stream_that_brings_nothing_is_given_up() {
    let rows = [
        (stream(""), "answer-broken-off"),
        (stream("event: state\ndata: {\n\n"), "server-strange"),
        (stream("data: \u{0}"), "answer-broken-off"),
        (Answer::Endless(open_head("text/event-stream"), vec![b'x'; 64 * 1024]), "server-strange"),
        (Answer::Endless(open_head("text/event-stream"), b"data\n".repeat(4096)), "server-strange"),
        (problem("404 Not Found", &[], "not-found"), "not-found"),
        (problem("401 Unauthorized", &[], "unauthenticated"), "unauthenticated"),
        (Answer::Bytes(open_head("text/plain")), "server-strange"),
    ];
    for (bad, code) in rows {
        let server = Server::start([bad]).await;
        let next = timeout(LONG, server.tenant().execution_events(7).next_known()).await;
        assert_eq!(next.expect("no wait for ever"), code);
    }
}

trait NextKnown {
    async fn next_known(self) -> String;
}

impl NextKnown for stepbox_client::ExecutionEvents {
    /// The code of the error with which a stream ends.
    async fn next_known(mut self) -> String {
        loop {
            match self.next().await {
                Err(error) => return error.code().to_owned(),
                Ok(None) => return "end".to_owned(),
                Ok(Some(_)) => {}
            }
        }
    }
}
