//! Requests of a step to servers on loopback with different behaviour.

use std::sync::Arc;

use stepbox_batch::log::NoLog;
use stepbox_net::NetworkPolicy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;

use super::*;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::setup::ComponentSetup;
use crate::testing::{setup, state_with, step_context};
use crate::v0_1::bindings::stepbox::step::http::{Header, Host, HostExchange, HostResponse, Request};

/// A server that takes one request after the other, and answers each with the same bytes.
struct Server {
    url: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = sender.send(read_request(&mut stream).await);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, requests }
    }

    async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

/// Reads a request to the end of its body, or as far as it comes.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.split_once('\r'));
        let length = length.and_then(|(length, _)| length.parse().ok()).unwrap_or(0);
        let is_whole = match text.split_once("\r\n\r\n") {
            Some((head, body)) if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
            Some((_, body)) => body.len() >= length,
            None => false,
        };
        if is_whole || stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

fn state(server: &Server, limits: Limits) -> StepState {
    let grants = Grants::none().with_http(&format!("* {}", server.url)).unwrap();
    state_with(&step_context(Arc::new(NoLog)), grants, limits)
}

fn request(method: &str, url: &str) -> Request {
    Request { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), timeout_ms: Some(10_000) }
}

fn told<T>(outcome: Outcome<T>) -> String {
    match outcome {
        Ok(_) => "an answer".to_owned(),
        Err(HttpFailure::Told(error)) => HttpError::from(error).to_string(),
        Err(HttpFailure::Trap(error)) => format!("trap: {error}"),
    }
}

async fn body(state: &mut StepState, answer: Resource<Answer>) -> Outcome<String> {
    let mut bytes = Vec::new();
    loop {
        match state.read(Resource::new_borrow(answer.rep()), 7).await? {
            piece if piece.is_empty() => return Ok(String::from_utf8(bytes).unwrap()),
            piece => bytes.extend(piece),
        }
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 12\r\n\r\nhello, world";

#[tokio::test]
async fn sends_a_whole_request_and_streams_the_answer() {
    let mut server = Server::start(HELLO).await;
    let mut state = state(&server, Limits::default());
    let mut request = request("POST", &format!("{}/a/../b?c=d#e", server.url));
    request.headers.push(Header { name: "X-Test".to_owned(), value: "yes".to_owned() });
    let answer = Host::send(&mut state, request, b"body".to_vec()).await.unwrap();
    let sent = server.request().await;
    assert!(sent.starts_with("POST /b?c=d HTTP/1.1\r\n"), "{sent}");
    for line in ["x-test: yes\r\n", "host: 127.0.0.1:", "content-length: 4\r\n", "user-agent: stepbox/"] {
        assert!(sent.contains(line), "{sent}");
    }
    assert!(sent.ends_with("\r\n\r\nbody"), "{sent}");
    let borrowed = || Resource::new_borrow(answer.rep());
    assert_eq!(state.status(borrowed()).await.unwrap(), 200);
    let headers = state.headers(borrowed()).await.unwrap();
    let values: Vec<_> = headers.iter().filter(|h| h.name == "x-a").map(|h| h.value.as_str()).collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(body(&mut state, answer).await.unwrap(), "hello, world");
}

#[tokio::test]
async fn streams_a_request_piece_by_piece() {
    let mut server = Server::start(HELLO).await;
    let mut state = state(&server, Limits::default());
    let exchange = state.start(request("PUT", &server.url)).await.unwrap();
    let borrowed = || Resource::new_borrow(exchange.rep());
    for piece in ["one", "", "two"] {
        state.write(borrowed(), piece.into()).await.unwrap();
    }
    let answer = state.finish(borrowed()).await.unwrap();
    assert!(server.request().await.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    assert_eq!(body(&mut state, answer).await.unwrap(), "hello, world");
    let again = told(state.finish(borrowed()).await);
    assert!(again.contains("finished before"), "{again}");
    assert!(told(state.write(borrowed(), vec![1]).await).contains("finished before"));
}

#[tokio::test]
async fn a_request_without_a_body_announces_none() {
    let mut server = Server::start(HELLO).await;
    let mut state = state(&server, Limits::default());
    let exchange = state.start(request("GET", &server.url)).await.unwrap();
    state.finish(exchange).await.unwrap();
    let sent = server.request().await;
    assert!(!sent.contains("transfer-encoding") && !sent.contains("content-length"), "{sent}");
}

#[tokio::test]
async fn a_request_given_up_does_not_look_whole() {
    let mut server = Server::start(HELLO).await;
    let mut state = state(&server, Limits::default());
    let exchange = state.start(request("PUT", &server.url)).await.unwrap();
    state.write(Resource::new_borrow(exchange.rep()), b"half".to_vec()).await.unwrap();
    // The second piece is taken only when the first one is being sent.
    state.write(Resource::new_borrow(exchange.rep()), b"more".to_vec()).await.unwrap();
    HostExchange::drop(&mut state, exchange).await.unwrap();
    let sent = server.request().await;
    assert!(!sent.ends_with("0\r\n\r\n"), "{sent}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let head = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(head).await;
    let mut state = state(&server, Limits::default());
    let answer = Host::send(&mut state, request("GET", &server.url), Vec::new()).await.unwrap();
    assert_eq!(state.status(answer).await.unwrap(), 302);
}

#[tokio::test]
async fn refuses_what_is_not_granted_or_not_sent() {
    let mut server = Server::start(HELLO).await;
    let grants = Grants::none()
        .with_http(&format!("GET {}/granted/*", server.url))
        .unwrap()
        .with_http("GET http://10.0.0.1")
        .unwrap()
        .with_http("GET http://[::ffff:a9fe:a9fe]")
        .unwrap()
        .with_http("GET http://localhost")
        .unwrap();
    let mut state = state_with(&step_context(Arc::new(NoLog)), grants, Limits::default());
    let granted = format!("{}/granted/x", server.url);
    let with_user = granted.replace("http://", "http://me:secret@");
    let rows = [
        ("GET", "nothing", "is no URL: relative URL without a base"),
        ("GET", "file:///etc/passwd", "the scheme `file` is neither http nor https"),
        ("GET", &with_user, "credentials in a URL are not sent"),
        ("get", &granted, "`get` is no method in upper case"),
        ("G T", &granted, "`G T` is no method"),
        ("CONNECT", &granted, "the method `CONNECT` is never sent"),
        ("POST", &granted, "this line under the step's `grants.http` would: `POST http://127.0.0.1:"),
        ("GET", &format!("{}/other?secret", server.url), "/other`; this line"),
        ("GET", "http://10.0.0.1/", "is a private address (10.0.0.1)"),
        ("GET", "http://[::ffff:169.254.169.254]/", "is a cloud metadata address"),
    ];
    for (method, url, expected) in rows {
        let found = told(Host::send(&mut state, request(method, url), Vec::new()).await);
        assert!(found.contains(expected), "{method} {url}: {found}");
        assert!(!found.contains("?secret"), "{found}");
    }
    for (name, value, expected) in [
        ("host", "evil.example", "is set by the runtime alone"),
        ("Content-Length", "5", "is set by the runtime alone"),
        ("transfer-encoding", "chunked", "is set by the runtime alone"),
        ("Proxy-Authorization", "x", "is set by the runtime alone"),
        ("x y", "1", "has no possible name"),
        ("x", "a\r\nhost: evil", "has no possible value"),
    ] {
        let mut request = request("GET", &granted);
        request.headers.push(Header { name: name.to_owned(), value: value.to_owned() });
        let found = told(Host::send(&mut state, request, Vec::new()).await);
        assert!(found.contains(expected), "{name}: {found}");
    }
    assert!(server.requests.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused_where_loopback_is_closed() {
    let grants = Grants::none().with_http("GET http://localhost:9").unwrap();
    let mut state = state_with(&step_context(Arc::new(NoLog)), grants, Limits::default());
    let setup = ComponentSetup { network: NetworkPolicy::default(), ..setup(Limits::default()) };
    let (grants, budget, account) = (state.grants.clone(), state.budget.clone(), state.account.clone());
    state.egress = Arc::new(Egress::new(&setup, Arc::default(), grants, budget, account));
    let found = told(Host::send(&mut state, request("GET", "http://localhost:9/"), Vec::new()).await);
    assert!(found.contains("`localhost` is a loopback address"), "{found}");
}

#[tokio::test]
async fn requests_and_bodies_have_limits() {
    let server = Server::start(HELLO).await;
    let limits = Limits { http_requests_max: 2, http_body_bytes_max: 10, ..Limits::default() };
    let mut state = state(&server, limits);
    let send = |url: &str| request("POST", url);
    let found = told(Host::send(&mut state, send(&server.url), vec![0; 11]).await);
    assert!(found.contains("over the limit of 10 bytes in the body of a request"), "{found}");
    let answer = Host::send(&mut state, send(&server.url), vec![0; 10]).await.unwrap();
    let found = told(body(&mut state, answer).await);
    assert!(found.contains("over the limit of 10 bytes in the body of an answer"), "{found}");
    let found = told(Host::send(&mut state, send(&server.url), Vec::new()).await);
    assert!(found.contains("`limits.http_requests_max`"), "{found}");
    assert_eq!(state.context.metering().usage().http_requests, 1, "those refused were not sent");
}

/// Regression: such a request was metered although it was not sent.
#[tokio::test]
async fn a_request_for_which_no_bytes_are_left_is_not_sent() {
    let server = Server::start(HELLO).await;
    let mut state = state(&server, Limits { http_bytes_max: 10, ..Limits::default() });
    let found = told(Host::send(&mut state, request("GET", &server.url), Vec::new()).await);
    assert!(found.contains("`limits.http_bytes_max`"), "{found}");
    let used = state.context.metering().usage();
    assert_eq!((used.http_requests, used.http_bytes_sent), (0, 0));
}

#[tokio::test]
async fn open_answers_are_counted() {
    let server = Server::start(HELLO).await;
    let mut state = state(&server, Limits { open_handles_max: 1, ..Limits::default() });
    let answer = Host::send(&mut state, request("GET", &server.url), Vec::new()).await.unwrap();
    let found = told(state.start(request("GET", &server.url)).await);
    assert!(found.contains("`limits.open_handles_max`"), "{found}");
    HostResponse::drop(&mut state, answer).await.unwrap();
    assert_eq!(told(state.start(request("GET", &server.url)).await), "an answer");
}

#[tokio::test]
async fn answers_that_are_none_end_as_errors() {
    let rows: [(&[u8], &str); 4] = [
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "unreachable"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort", "breaks off"),
    ];
    for (answer, expected) in rows {
        let server = Server::start(answer).await;
        let mut state = state(&server, Limits::default());
        let found = match Host::send(&mut state, request("GET", &server.url), Vec::new()).await {
            Ok(answer) => told(body(&mut state, answer).await),
            failed => told(failed),
        };
        assert!(found.to_lowercase().contains(expected), "{found}");
    }
    let many = "x: y\r\n".repeat(200);
    let server = Server::start(format!("HTTP/1.1 200 OK\r\n{many}\r\n")).await;
    let mut state = state(&server, Limits::default());
    let found = told(Host::send(&mut state, request("GET", &server.url), Vec::new()).await);
    assert!(found.contains("head is too large"), "{found}");
}

#[tokio::test]
async fn a_server_that_keeps_still_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        url: format!("http://{}", listener.local_addr().unwrap()),
        requests: mpsc::unbounded_channel().1,
    };
    let mut state = state(&server, Limits::default());
    let mut request = request("GET", &server.url);
    request.timeout_ms = Some(20);
    let found = told(Host::send(&mut state, request, Vec::new()).await);
    assert!(found.contains("no answer within 20 ms"), "{found}");
}

/// A head is judged before any of it is kept, and it counts among the bytes that were sent.
#[tokio::test]
async fn heads_are_bounded_counted_and_charged() {
    let mut server = Server::start(HELLO).await;
    let mut state = state(&server, Limits::default());
    let with_header = |bytes: usize| {
        let mut request = request("GET", &server.url);
        request.headers.push(Header { name: "x".to_owned(), value: "v".repeat(bytes) });
        request
    };
    let url = Url::parse(&server.url).unwrap().as_str().len();
    let most = (64 << 10) - url - "x".len() - 32;
    let over = "over the limit of 65536 bytes in the head of a request";
    for bytes in [most + 1, 4 << 20] {
        let found = told(Host::send(&mut state, with_header(bytes), Vec::new()).await);
        assert!(found.contains(over), "{bytes}: {found}");
    }
    let many = Request {
        headers: (0..3000).map(|_| Header { name: "x".to_owned(), value: String::new() }).collect(),
        ..request("GET", &server.url)
    };
    assert!(told(Host::send(&mut state, many, Vec::new()).await).contains(over));
    let found = told(Host::send(&mut state, request("GET", &"x".repeat(4 << 20)), Vec::new()).await);
    assert!(found.contains(over), "{}", found.len());
    let used = |state: &StepState| state.context.metering().usage();
    assert_eq!((used(&state).http_requests, used(&state).http_bytes_sent), (0, 0));

    Host::send(&mut state, with_header(most), b"body".to_vec()).await.unwrap();
    let sent = server.request().await;
    // The HTTP client adds the header with the body's length itself.
    let expected = sent.len() - "content-length: 4\r\n".len();
    assert_eq!(used(&state).http_bytes_sent, expected as u64);
    assert_eq!(used(&state).http_bytes_received, HELLO.len() as u64 - 2 - "hello, world".len() as u64);
}

/// The memory of heads, pieces of bodies and answers that the host keeps counts for the step.
#[tokio::test]
async fn what_is_on_its_way_is_memory_of_the_step() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let grants = Grants::none().with_http(&format!("* {url}")).unwrap();
    let limits = Limits { memory_bytes_max: 3 << 20, open_handles_max: 1000, ..Limits::default() };
    let mut state = state_with(&step_context(Arc::new(NoLog)), grants, limits);
    let large = || Request {
        headers: vec![Header { name: "x".to_owned(), value: "v".repeat(60_000) }],
        ..request("POST", &url)
    };
    let mut started = Vec::new();
    let refused = loop {
        match state.start(large()).await {
            Ok(exchange) => started.push(exchange),
            Err(refused) => break told::<()>(Err(refused)),
        }
    };
    assert!(refused.contains("out of memory: asked for"), "{refused}");
    assert!((20..70).contains(&started.len()), "{}", started.len());
    for exchange in started.split_off(1) {
        HostExchange::drop(&mut state, exchange).await.unwrap();
    }
    // The server takes nothing that is written. The first piece is being sent, another one waits, and a third
    // is too much.
    let borrowed = || Resource::new_borrow(started[0].rep());
    let piece = || vec![0; 1 << 20];
    // Bytes in the buffers of sockets belong to the system, and are not counted.
    let refused = loop {
        if let Err(refused) = state.write(borrowed(), piece()).await {
            break told::<()>(Err(refused));
        }
    };
    assert!(refused.contains("out of memory: asked for"), "{refused}");
    assert!(
        told(state.write(borrowed(), vec![0; (4 << 20) + 1]).await).contains("at most 4194304 are taken")
    );
    drop(state);
}
