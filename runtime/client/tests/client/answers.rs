//! Answers that Stepbox does not give: none of them is believed, followed, waited for or held in memory for ever.

use std::time::Duration;

use stepbox_client::{Client, ClientError};
use tokio::time::timeout;

use super::server::{Answer, OF_JSON, Server, answer, json, open_head, problem, whole};

/// Much longer than any of these answers is waited for.
const LONG: Duration = Duration::from_secs(60);

async fn check(bad: Answer, expected: &str) {
    let server = Server::start([bad]).await;
    let found = timeout(LONG, server.tenant().job("a")).await.expect("it does not take that long");
    let error = found.unwrap_err();
    let told = format!("{}: {error}", error.code());
    assert!(told.starts_with(expected), "{told}\ninstead of {expected}");
    assert!(!told.contains("sbx_secret"));
}

#[tokio::test]
async fn what_is_not_ours_is_not_believed() {
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\n{OF_JSON}\r\n{headers}\r\n").into_bytes();
    let rows = [
        (answer("200 OK", &["Content-Type: text/html"], "<html>"), "server-strange"),
        (answer("200 OK", &[], "{}"), "server-strange"),
        (answer("204 No Content", &[], ""), "server-strange"),
        (json("{"), "server-strange"),
        (json(r#"{"name":"a"}"#), "server-strange"),
        (json(&"[".repeat(10_000)), "server-strange"),
        (answer("200 OK", &[OF_JSON, "Content-Encoding: gzip"], "\u{1f}"), "server-strange"),
        (answer("500 Internal Server Error", &["Content-Type: text/html"], "<html>"), "server-strange"),
        (answer("404 Not Found", &["Content-Type: application/problem+json"], "{}"), "server-strange"),
        (answer("101 Switching Protocols", &["Upgrade: x", "Connection: upgrade"], ""), ""),
        // Lengths that are not true.
        (Answer::Bytes(head("Content-Length: 100\r\n")), "answer-broken-off"),
        (Answer::Bytes(head("Content-Length: 99999999999\r\n")), "answer-too-long"),
        (Answer::Bytes(head("Content-Length: 7\r\nContent-Length: 9\r\n")), "answer-broken-off"),
        (Answer::Bytes(head("Transfer-Encoding: chunked\r\n")), "answer-broken-off"),
        (
            Answer::Bytes([head("Transfer-Encoding: chunked\r\n"), b"zz\r\n".to_vec()].concat()),
            "answer-broken-off",
        ),
        (Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-".to_vec()), "answer-broken-off"),
        (Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "answer-broken-off"),
        // Answers without an end.
        (Answer::Endless(open_head("application/json"), vec![b' '; 4096]), "answer-too-long"),
        (
            Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-A: aaaaaaaaaaaaaaaa\r\n".to_vec()),
            "answer-broken-off",
        ),
        (Answer::Stall(open_head("application/json")), "server-silent"),
        (Answer::Stall(Vec::new()), "server-silent"),
    ];
    for (bad, expected) in rows {
        check(bad, expected).await;
    }
}

#[tokio::test]
async fn a_problem_without_an_end_is_left() {
    let head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\r\n".to_vec();
    check(Answer::Endless(head.clone(), vec![b' '; 4096]), "answer-too-long").await;
    check(Answer::Stall(head), "server-silent").await;
}

#[tokio::test]
async fn a_problem_has_the_status_of_its_answer() {
    let server = Server::start([problem("403 Forbidden", &["X-Request-Id: r-7"], "forbidden")]).await;
    let error = server.tenant().job("a").await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (error.code(), error.status(), error.to_string().as_str()),
        ("forbidden", Some(403), "it is forbidden")
    );
    assert_eq!(problem.request_id.as_deref(), Some("r-7"));
    assert!(!error.is_not_found());
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let other = Server::start([json("{}")]).await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let to = format!("Location: {}/api/v1/tenants/acme/jobs/a", other.address);
        let server = Server::start([answer(status, &[&to], "")]).await;
        let error = server.tenant().job("a").await.unwrap_err();
        assert_eq!(error.code(), "server-strange", "{status}");
        assert!(error.to_string().contains("does not follow"), "{error}");
        // One request, and not another one to the same server.
        assert_eq!(server.asked().len(), 1);
    }
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::builder(&address).build().unwrap().tenant("a").job("b").await.unwrap_err();
    assert_eq!(error.code(), "server-unreachable");
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn lists_come_page_by_page() {
    let row = |code: &str| format!(r#"{{"code":"{code}","label":"","jobs":[]}}"#);
    let page = |rows: &[&str], next: &str| {
        let rows: Vec<_> = rows.iter().map(|code| row(code)).collect();
        json(&format!(r#"{{"items":[{}],"next":{next}}}"#, rows.join(",")))
    };
    let pages =
        [page(&["a", "b"], "\"x&y\""), page(&["c"], "\"z\""), page(&[], "\"q\""), page(&["d"], "null")];
    let server = Server::start(pages).await;
    let mut connectors = server.tenant().connectors();
    let mut codes = String::new();
    while let Some(row) = connectors.next().await.unwrap() {
        codes.push_str(&row.whole().unwrap().code);
    }
    assert_eq!(codes, "abcd");
    assert!(connectors.next().await.unwrap().is_none());
    let lines: Vec<_> = server.asked().iter().map(|asked| asked.line.clone()).collect();
    assert_eq!(lines[0], "GET /api/v1/tenants/acme/connectors?limit=200");
    assert_eq!(lines[1], "GET /api/v1/tenants/acme/connectors?limit=200&after=x%26y");
    assert_eq!(lines.len(), 4);

    // By their number, too, and damaged rows among them.
    let damaged = r#"{"items":[{"kind":"connector","name":"x","damaged":"jobs"}],"next":null}"#;
    let server = Server::start([page(&["a", "b"], "\"x\""), json(damaged)]).await;
    let mut connectors = server.tenant().connectors();
    assert_eq!(connectors.page(1).await.unwrap().len(), 1);
    let rest = connectors.page(5).await.unwrap();
    assert_eq!((rest.len(), rest[1].whole()), (2, None));
    assert!(connectors.page(5).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_that_leads_in_a_circle_has_an_end() {
    let server = Server::start([json(r#"{"items":[],"next":"x"}"#)]).await;
    let error = timeout(LONG, server.tenant().connectors().all()).await.expect("no circle").unwrap_err();
    assert!(matches!(error, ClientError::Strange { .. }), "{error}");
}

#[tokio::test]
async fn versions_come_and_go_as_tags() {
    let details = r#"{"code":"a","label":"","connector":"c","job":"j","type":"t","raw_parameters":{},
        "effective_parameters":null,"violations":[],"version":7,"updated_at":"x"}"#;
    let tagged = Answer::Bytes(whole("200 OK", &[OF_JSON, "ETag: \"7\""], details));
    let server = Server::start([tagged, answer("204 No Content", &[], "")]).await;
    let found = server.tenant().instance_with_version("a").await.unwrap();
    assert_eq!(found.version, Some(7));
    server.tenant().delete_instance("a", 7).await.unwrap();
    assert_eq!(server.asked()[1].header("if-match"), Some("\"7\""));
}
