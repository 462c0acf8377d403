//! Servers that answer too slowly, send too much, or never end.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use url::Url;

use super::client::Outside;
use super::{AnswerBody, Egress, EgressError, RequestBody, Timeouts};
use crate::budget::{Budget, Usage};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::memory::Charge;
use crate::share::ShareLimits;
use crate::testing::{account, setup, share};
use stepbox_net::Resolver;

const BODY_BYTES_MAX: u64 = 1000;

/// A server that takes a request, writes `begin`, and then repeats `again` as long as the client reads.
/// Without `again` it keeps the connection open and writes nothing more.
async fn server(scheme: &str, begin: &'static str, again: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A client drops an answer that comes before its request.
            let _ = stream.read_buf(&mut Vec::new()).await;
            let _ = stream.write_all(begin.as_bytes()).await;
            while !again.is_empty() && stream.write_all(again.as_bytes()).await.is_ok() {}
            if again.is_empty() {
                pending::<()>().await;
            }
        }
    });
    url
}

/// The charge of a request that takes almost no memory.
fn unsent() -> Charge {
    account().charge(0).unwrap()
}

/// Sends a body to any host and waits for the answer's head.
async fn send(
    url: &str,
    body: Bytes,
    limits: &Limits,
    usage: &Usage,
) -> Result<Response<AnswerBody>, EgressError> {
    let grants = Arc::new(Grants::none().with_http(&format!("* {url}")).unwrap());
    let (setup, budget) = (setup(limits.clone()), Budget::new(limits, usage));
    let egress = Egress::new(&setup, Arc::default(), grants, budget, account());
    let url = Url::parse(url).unwrap();
    let unsent = egress.check(&Method::POST, &url, &HeaderMap::new())?;
    let request = Request::post("/").body(RequestBody::Whole(body)).unwrap();
    egress.send(request, &url, Timeouts::default(), unsent).await
}

/// Reads an answer to its end, with short time limits.
async fn read(url: &str, outside: Outside) -> Result<usize, EgressError> {
    let grants = Arc::new(Grants::none().with_http(&format!("* {url}")).unwrap());
    let limits = Limits { http_body_bytes_max: BODY_BYTES_MAX, ..Limits::default() };
    let budget = Budget::new(&limits, &Usage::default());
    let egress = Egress::new(&setup(limits), Arc::new(outside), grants, budget, account());
    let url = Url::parse(url).unwrap();
    let unsent = egress.check(&Method::GET, &url, &HeaderMap::new())?;
    let body = RequestBody::Whole(Bytes::new());
    let patience = Duration::from_millis(300);
    let timeouts = Timeouts { head: patience, between_bytes: patience };
    let answer = egress.send(Request::new(body), &url, timeouts, unsent).await?;
    Ok(answer.into_body().collect().await?.to_bytes().len())
}

#[tokio::test]
async fn answers_without_an_end_are_cut_off() {
    let slow_head = "no answer within 300 ms";
    let slow_body = "no further byte of the answer within 300 ms";
    let over = "over the limit of 1000 bytes in the body of an answer";
    let too_large = "message head is too large";
    let rows = [
        ("http", "", "", slow_head),
        ("http", "HTTP/1.1 200 OK\r\nx: ", "", slow_head),
        ("http", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "", slow_body),
        ("http", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", "", slow_body),
        ("http", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\na\r\n", over),
        ("http", "HTTP/1.1 200 OK\r\n\r\n", "without an end ", over),
        ("http", "HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n", "long ", over),
        // The answer says that it is compressed, but nothing here decompresses it.
        ("http", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", "packed ", over),
        ("http", "HTTP/1.1 200 OK\r\nx: ", "a header without an end ", too_large),
        ("http", "HTTP/1.1 200 OK\r\n", "x: y\r\n", too_large),
        ("http", "", "HTTP/1.1 103 Early Hints\r\n\r\n", slow_head),
        // A TLS handshake that is never answered, and one that is malformed.
        ("https", "", "", slow_head),
        ("https", "HTTP/1.1 200 OK\r\n\r\n", "", "received corrupt message"),
    ];
    for (scheme, begin, again, expected) in rows {
        let url = server(scheme, begin, again).await;
        let found = read(&url, Outside::default()).await.map_err(|error| error.to_string());
        let found = found.expect_err(begin);
        assert!(found.contains(expected), "{begin:?} {again:?}: {found}");
    }
}

#[tokio::test]
async fn the_requests_and_answers_of_a_step_count_together() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";
    let ask = async |url: &str, http_bytes_max: u64, body: &'static str, usage: &Usage| {
        let limits = Limits { http_bytes_max, ..Limits::default() };
        let answer = send(url, Bytes::from(body), &limits, usage).await?;
        answer.into_body().collect().await
    };
    let head = |url: &str| {
        let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        let agent = concat!("stepbox/", env!("CARGO_PKG_VERSION"));
        format!("POST / HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n\r\n").len() as u64
    };
    // The server's reason phrase, `OK`, does not count.
    let answer = ANSWER.len() as u64 - 2;
    for (more, body, is_enough) in [
        (answer, "ask", true),
        (answer - 1, "ask", false),
        (2, "ask", false),
        (3, "ask", false),
        (0, "", false),
    ] {
        let (url, usage) = (server("http", ANSWER, "").await, Usage::default());
        let max = head(&url) + if is_enough { 3 } else { 0 } + more;
        let found = ask(&url, max, body, &usage).await.map_err(|error| error.to_string());
        let over = format!("over the limit of {max} bytes in requests and answers (`limits.http_bytes_max`)");
        assert_eq!(found.err(), (!is_enough).then_some(over), "{more} bytes more than the head of {body:?}");
        // A further request shares the rest of the budget.
        assert!(ask(&url, max, body, &usage).await.is_err());
    }
}

/// A resolver that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        pending().await
    }
}

#[tokio::test]
async fn a_name_server_that_keeps_still_is_not_waited_for() {
    let error = read("http://name.example/", Outside::new(Arc::new(Silent))).await.unwrap_err();
    assert_eq!(error, EgressError::TimedOut("no answer within 300 ms".to_owned()));
}

/// The server's queue stays full, so a new connection gets no answer at all.
#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_accept_is_waited_for_10_seconds() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = std::net::TcpStream::connect(address).unwrap();
    let egress = Egress::new(
        &setup(Limits::default()),
        Arc::default(),
        Arc::new(Grants::none()),
        Budget::new(&Limits::default(), &Usage::default()),
        account(),
    );
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = Request::new(RequestBody::Whole(Bytes::new()));
    let begun = Instant::now();
    let error = egress.send(request, &url, Timeouts::default(), unsent()).await.err().unwrap();
    assert_eq!(error, EgressError::TimedOut("no connection within 10 s".to_owned()));
    assert_eq!(begun.elapsed().as_secs(), 10, "not by the 30 s of the answer");
}

/// Two components of one tenant: a connection that one of them has open is not available to the other.
#[tokio::test]
async fn a_tenants_connections_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let mut setup = setup(Limits::default());
    setup.share = share(ShareLimits { http_connections_max: 1, ..ShareLimits::default() });
    let component = || {
        let budget = Budget::new(&setup.limits, &setup.usage);
        let grants = Arc::new(Grants::none());
        Egress::new(&setup, Arc::default(), grants, budget, account())
    };
    let (one, other) = (component(), component());
    let request = || Request::new(RequestBody::Whole(Bytes::new()));
    let mut first = Box::pin(one.send(request(), &url, Timeouts::default(), unsent()));
    let mut taken = tokio::select! {
        taken = async {
            let mut taken = listener.accept().await.unwrap().0;
            taken.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
            taken
        } => taken,
        _ = &mut first => panic!("nobody answers"),
    };
    let error = other.send(request(), &url, Timeouts::default(), unsent()).await.err().unwrap();
    let expected = "over the tenant's quota of 1 open connections (`http_connections_max`)";
    assert_eq!(error, EgressError::OverLimit(expected.to_owned()));

    // After an answer is read, its connection stays open for a further request of the same component.
    taken.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    drop(first.await.unwrap());
    assert!(other.send(request(), &url, Timeouts::default(), unsent()).await.is_err());
    drop(one);
    let gone = async {
        while setup.share.connections.count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the connection is given back");
    let mut third = Box::pin(other.send(request(), &url, Timeouts::default(), unsent()));
    tokio::select! {
        taken = listener.accept() => { taken.unwrap(); }
        _ = &mut third => panic!("nobody answers"),
    }
}

/// A resolver that answers differently every time.
#[derive(Debug)]
struct Turning(Mutex<Vec<&'static str>>);

#[async_trait]
impl Resolver for Turning {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let next = self.0.lock().unwrap().pop().expect("nobody asks once more");
        Ok(vec![next.parse().unwrap()])
    }
}

/// A new address for a name does not affect a connection that is open.
#[tokio::test]
async fn a_connection_that_is_kept_leads_where_it_was_judged() {
    let judged = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = judged.local_addr().unwrap().port();
    let _other = TcpListener::bind(("127.0.0.3", port)).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = judged.accept().await.unwrap();
        while stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap_or(0) > 0 {
            let answer = b"HTTP/1.1 200 OK\r\nx-from: 127.0.0.2\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let names = Arc::new(Turning(Mutex::new(vec!["127.0.0.3", "127.0.0.2"])));
    let limits = Limits::default();
    let budget = Budget::new(&limits, &Usage::default());
    let (outside, grants) = (Arc::new(Outside::new(names.clone())), Arc::new(Grants::none()));
    let egress = Egress::new(&setup(limits), outside, grants, budget, account());
    let url = Url::parse(&format!("http://turning.example:{port}/")).unwrap();
    for _ in 0..3 {
        let request = Request::new(RequestBody::Whole(Bytes::new()));
        let answer = egress.send(request, &url, Timeouts::default(), unsent()).await.unwrap();
        assert_eq!(answer.headers()["x-from"], "127.0.0.2");
        drop(answer);
        // The task of the connection runs on this one thread, and gives it back there.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(*names.0.lock().unwrap(), ["127.0.0.3"], "it was asked once");
}
