//! `stepbox serve`, the real binary: first start, sign-in, tokens, launches, floods, the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use stepbox_tests::guard;

use crate::support::served::Served;
use crate::support::{PATIENCE, stepbox_binary};

/// What a server has answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header by its name in lower case.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A server with its data in that folder.
fn serve(data: &Path, arguments: &[&str]) -> Served {
    let mut command = Command::new(stepbox_binary());
    command.arg("serve").args(["--listen", "127.0.0.1:0"]).args(arguments);
    Served::start(command.arg("--data-dir").arg(data).current_dir(data.parent().unwrap()))
}

impl Served {
    /// Sends one request over a connection of its own.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        if !body.is_empty() {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(&format!("{head}\r\n{body}"))
    }

    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_owned(),
        };
        Answer { status, head: head.to_owned(), body }
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length.trim(), 16) else { break };
        if length == 0 {
            break;
        }
        whole.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    whole
}

/// A server with an operator who has signed in: the header of the session.
fn with_operator(data: &Path, arguments: &[&str]) -> (Served, String) {
    let mut served = serve(data, arguments);
    let line = served.hears("/one-time-links/");
    let secret = line.split("/one-time-links/").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let password = json!({ "user": "root", "password": "four words nobody says" });
    let used = served.ask("POST", &format!("/one-time-links/{secret}"), &[], Some(&password));
    assert_eq!(used.status, 200, "{used:?}");
    let again = served.ask("POST", &format!("/one-time-links/{secret}"), &[], Some(&password));
    assert_eq!(again.status, 404, "a link works once: {again:?}");
    let signed_in = served.ask("POST", "/session", &[], Some(&password));
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    let cookie = signed_in.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    (served, cookie.split(';').next().unwrap().to_owned())
}

fn data_folder() -> tempfile::TempDir {
    let folder = guard::tempdir().unwrap();
    std::fs::write(folder.path().join("in.csv"), "sku;name\n1;chair\n2;table\n").unwrap();
    folder
}

fn instance() -> Value {
    json!({
        "connector": "stepbox", "job": "csv_export", "type": "export", "code": "products",
        "parameters": {
            "source": { "type": "local", "file_path": "in.csv", "delimiter": ";" },
            "storage": { "type": "local", "file_path": "out.csv" },
        },
    })
}

#[test]
fn from_the_first_start_to_a_finished_execution() {
    let folder = data_folder();
    let (served, cookie) = with_operator(&folder.path().join("data"), &[]);
    let session = [("cookie", cookie.as_str())];
    // An operator makes a token, and the token does the work.
    let scopes = ["instances:write", "instances:read", "executions:launch", "executions:read", "files:read"];
    let wish = json!({ "name": "nightly", "scopes": scopes });
    let token = served.ask("POST", "/tenants/default/tokens", &session, Some(&wish));
    assert_eq!(token.status, 201, "{token:?}");
    let token = format!("Bearer {}", token.json()["text"].as_str().unwrap());
    let program = [("authorization", token.as_str())];
    let mut new = instance();
    new["parameters"]["source"] = json!({ "type": "local", "file_path": "in.csv" });
    let created = served.ask("POST", "/tenants/default/instances", &program, Some(&new));
    assert_eq!((created.status, created.header("etag")), (201, Some("\"1\"")), "{created:?}");
    let wait = [program[0], ("prefer", "wait=60")];
    let launched = served.ask("POST", "/tenants/default/instances/products/launch", &wait, Some(&json!({})));
    assert_eq!((launched.status, &launched.json()["status"]), (200, &json!("COMPLETED")), "{launched:?}");
    let id = launched.json()["id"].as_u64().unwrap();
    let files = served.ask("GET", &format!("/tenants/default/executions/{id}/files"), &program, None);
    assert_eq!(files.json()["items"][0]["name"], "out.csv", "{files:?}");
    let file = served.ask("GET", &format!("/tenants/default/executions/{id}/files/0"), &program, None);
    assert!(file.body.contains("chair"), "{file:?}");
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"out.csv\""));
    // After the session ended, the cookie is of no use, and the token still is.
    assert_eq!(served.ask("DELETE", "/session", &session, None).status, 204);
    assert_eq!(served.ask("GET", "/session", &session, None).status, 401);
    assert_eq!(served.ask("GET", "/session", &program, None).status, 200);
    assert_eq!(served.end(), Some(0));
}

#[test]
fn nothing_of_a_request_but_its_template_is_in_the_log() {
    let folder = data_folder();
    let (mut served, cookie) = with_operator(&folder.path().join("data"), &["--no-worker"]);
    let secret = "sbx_ThisLooksLikeATokenAndMustNotBeLogged";
    served.ask(
        "GET",
        &format!("/tenants/default/instances/some_code?token={secret}"),
        &[("cookie", &cookie)],
        None,
    );
    served.ask(
        "GET",
        "/tenants/default/instances/some_code",
        &[("authorization", &format!("Bearer {secret}"))],
        None,
    );
    served.ask("GET", "/tenants/default/instances/some_code", &[("x-request-id", "the-last")], None);
    served.hears("the-last");
    let log = served.said.join("\n");
    for hidden in [secret, "some_code", "four words nobody says", cookie.split('=').nth(1).unwrap()] {
        assert!(!log.contains(hidden), "{hidden} is in the log:\n{log}");
    }
    assert!(log.contains("GET /tenants/{tenant}/instances/{code} 401"), "{log}");
    assert_eq!(served.end(), Some(0));
}

#[test]
fn a_public_address_needs_encryption() {
    let folder = data_folder();
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(stepbox_binary());
        command.arg("serve").args(arguments).arg("--data-dir").arg(folder.path().join("data"));
        let output = guard::mark(&mut command).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for address in ["0.0.0.0:0", "[::]:0", "203.0.113.1:0"] {
        let said = refused(&["--listen", address]);
        assert!(
            said.contains("can be reached by others") && said.contains("errors#listen-public"),
            "{address}: {said}"
        );
    }
    let said = refused(&["--listen", "127.0.0.1:0", "--tls-cert", "missing.pem", "--tls-key", "missing.pem"]);
    assert!(said.contains("errors#tls-certificate"), "{said}");
}

#[test]
fn a_launch_whose_answer_is_lost_is_one_execution() {
    let folder = data_folder();
    let data = folder.path().join("data");
    let (mut served, cookie) = with_operator(&data, &["--no-worker"]);
    let session = [("cookie", cookie.as_str()), ("idempotency-key", "nightly-1")];
    let mut new = instance();
    new["parameters"]["source"] = json!({ "type": "local", "file_path": "in.csv" });
    assert_eq!(served.ask("POST", "/tenants/default/instances", &session[..1], Some(&new)).status, 201);
    // The request is sent, and the server is killed at any moment after that.
    let body = "{}";
    let request = format!(
        "POST /api/v1/tenants/default/instances/products/launch HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\
         idempotency-key: nightly-1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        served.process.end().unwrap();
        drop(stream);
        served = serve(&data, &["--no-worker"]);
    }
    let launched =
        served.ask("POST", "/tenants/default/instances/products/launch", &session, Some(&json!({})));
    assert_eq!(launched.status, 202, "{launched:?}");
    let all = served.ask("GET", "/tenants/default/executions", &session[..1], None);
    assert_eq!(all.json()["items"].as_array().unwrap().len(), 1, "{all:?}");
    assert_eq!(served.end(), Some(0));
}

/// Clients that say nothing, say half of it, or come in thousands take no place from others.
#[test]
fn floods_keep_nobody_out() {
    let folder = data_folder();
    let (served, cookie) = with_operator(&folder.path().join("data"), &["--no-worker"]);
    let session = [("cookie", cookie.as_str())];
    let half: [&str; 4] = [
        "",
        "GET /api/v1/live HTTP/1.1\r\nhost: loc",
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        "POST /api/v1/tenants/default/steps HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/wasm\r\n\
         transfer-encoding: chunked\r\n\r\n",
    ];
    let mut open = Vec::new();
    for number in 0..3_000 {
        let Ok(mut stream) = TcpStream::connect(&served.address) else { continue };
        // The server may have closed it already.
        let _ = stream.write_all(half[number % half.len()].as_bytes());
        open.push(stream);
        if open.len() > 700 {
            open.drain(..200);
        }
        if number % 500 == 0 {
            let began_at = Instant::now();
            while served.try_ask(&session).is_none() {
                assert!(began_at.elapsed() < PATIENCE, "nobody is answered after {number}");
            }
        }
    }
    let long = "x".repeat(64 << 10);
    let flood = format!("GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\n\r\n");
    assert_eq!(served.raw(&flood).status, 431);
    let many = "a: b\r\n".repeat(1_000);
    assert_eq!(
        served.raw(&format!("GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n{many}\r\n")).status,
        431
    );
    assert_eq!(served.ask("GET", "/tenants/default/instances", &session, None).status, 200);
    drop(open);
    assert_eq!(served.end(), Some(0));
}

impl Served {
    /// An answer, if the connection was not closed before it.
    fn try_ask(&self, headers: &[(&str, &str)]) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request =
            format!("GET /api/v1/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.split(' ').nth(1)?.parse().ok().filter(|status| *status == 200)
    }
}
