//! Listens at an address, and serves pages within limits.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection_slots::{ConnectionSlot, ConnectionSlots};
use super::error::ServerError;

/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a client may take for the head of a request, in milliseconds, while there are free slots.
const HEAD_MS_MAX: u64 = 2_000;
/// How long a connection lasts at most, in milliseconds. It serves one request.
const CONNECTION_MS_MAX: u64 = 15_000;
/// How long to wait after a connection could not be accepted, in milliseconds. There may be no free descriptors.
const ACCEPT_AGAIN_MS: u64 = 100;

/// An address that is taken. Clients may connect, and wait until `serve` is called.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Serves pages at an address until it is closed or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Takes an address of this machine, `127.0.0.1:9464` or `localhost:9464`. Port 0 is any free one.
    pub async fn open(address: &str) -> Result<Self, ServerError> {
        let bad = |source| ServerError::BadAddress { address: address.to_owned(), source };
        // Resolved separately, so that the two kinds of failure can be distinguished.
        let addresses: Vec<_> = lookup_host(address).await.map_err(bad)?.collect();
        let cannot = |source| ServerError::CannotListen { address: address.to_owned(), source };
        let listener = TcpListener::bind(&addresses[..]).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these pages to every client.
    pub fn serve(self, pages: Router) -> Server {
        Server { address: self.address, task: tokio::spawn(accept(self.listener, pages)) }
    }
}

impl Server {
    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and closes all connections.
    pub async fn close(mut self) {
        self.task.abort();
        // The error is the cancellation.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, pages: Router) {
    let slots = ConnectionSlots::default();
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let slot = slots.take().await;
                connections.spawn(answer(stream, pages.clone(), slot));
            }
            Err(_) => {
                // There may be no free descriptors.
                slots.close_oldest();
                sleep(Duration::from_millis(ACCEPT_AGAIN_MS)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one request. Closes the connection if the client sends something else, or sends too slowly.
async fn answer(stream: TcpStream, pages: Router, slot: ConnectionSlot) {
    let over = slot.over();
    let pages = Pages { pages: TowerToHyperService::new(pages), slot };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), pages);
    let served = timeout(Duration::from_millis(CONNECTION_MS_MAX), connection);
    tokio::select! {
        // If the head has arrived by now, answer it: a busy machine may not have looked earlier.
        biased;
        _ = served => {}
        () = over => {}
    }
}

/// The pages, for the connection in one slot.
struct Pages {
    pages: TowerToHyperService<Router>,
    slot: ConnectionSlot,
}

impl Service<Request<Incoming>> for Pages {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.slot.answered();
        self.pages.call(request)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use std::time::Instant;

    use super::super::connection_slots::CONNECTIONS_MAX;
    use super::*;

    async fn hello() -> Server {
        let pages = Router::new().route("/hello", get(|| async { "hello" }));
        Listener::open("127.0.0.1:0").await.unwrap().serve(pages)
    }

    async fn ask(server: &Server, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn answers_what_it_knows_and_nothing_else() {
        let server = hello().await;
        let long = format!("GET /hello HTTP/1.1\r\nhost: a\r\nlong: {}\r\n\r\n", "x".repeat(64 << 10));
        let rows: [(&str, &str); 7] = [
            ("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK"),
            ("HEAD /hello HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK"),
            (
                "POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 405 Method Not Allowed",
            ),
            ("GET /../hello HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 404 Not Found"),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 404 Not Found"),
            ("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            (&long, "HTTP/1.1 431 Request Header Fields Too Large"),
        ];
        for (request, expected) in rows {
            let answer = ask(&server, request.as_bytes()).await;
            let first = answer.lines().next().unwrap_or_default();
            assert_eq!(first, expected, "{request:.80}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_is_hung_up_on() {
        let server = hello().await;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"GET /hello HT").await.unwrap();
        let began_at = tokio::time::Instant::now();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(began_at.elapsed().as_secs(), HEAD_MS_MAX / 1000, "{}", String::from_utf8_lossy(&answer));
    }

    /// A way to obstruct the server.
    #[derive(Debug, Clone, Copy)]
    enum Manner {
        /// Connects and sends nothing.
        Silent,
        /// Begins a head and then sends nothing.
        Begins,
        /// Sends a byte of a head now and then.
        Drips,
        /// Asks for a page that never ends.
        Hangs,
        /// Asks for a long page, and reads none of it.
        NeverReads,
    }

    /// Obstructs the server until its connection is closed, and then connects again.
    async fn be_in_the_way(address: SocketAddr, manner: Manner) {
        loop {
            let Ok(mut stream) = TcpStream::connect(address).await else { continue };
            let head: &[u8] = match manner {
                Manner::Silent => b"",
                Manner::Begins | Manner::Drips => b"GET /hello HTTP/1.1\r\nhost: ",
                Manner::Hangs => b"GET /hangs HTTP/1.1\r\nhost: a\r\n\r\n",
                Manner::NeverReads => b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n",
            };
            let _ = stream.write_all(head).await;
            match manner {
                Manner::Drips => {
                    while stream.write_all(b"a").await.is_ok() {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
                // This client does not notice that its connection was closed.
                Manner::NeverReads => sleep(Duration::from_millis(300)).await,
                _ => {
                    let _ = stream.read(&mut [0; 64]).await;
                }
            }
        }
    }

    const PROBE: &[u8] = b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";

    /// The number of open descriptors of this process.
    fn descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_in_the_way_delays_a_probe() {
        let long = axum::body::Bytes::from("x".repeat(64 << 20));
        for (manner, count) in [
            (Manner::Silent, 128),
            (Manner::Silent, 400),
            (Manner::Begins, 128),
            (Manner::Begins, 400),
            (Manner::Drips, 128),
            (Manner::Drips, 400),
            (Manner::Hangs, 400),
            (Manner::NeverReads, 300),
        ] {
            let long = long.clone();
            let pages = Router::new()
                .route("/hello", get(|| async { "hello" }))
                .route("/hangs", get(std::future::pending::<()>))
                .route("/long", get(move || async move { long }));
            let server = Listener::open("127.0.0.1:0").await.unwrap().serve(pages);
            // On a busy machine everything takes longer. If the clients could delay the probe, it would wait for
            // ever, or until their connections are closed.
            let mut undisturbed = Duration::ZERO;
            for _ in 0..5 {
                let began_at = Instant::now();
                assert!(ask(&server, PROBE).await.starts_with("HTTP/1.1 200 OK"));
                undisturbed = undisturbed.max(began_at.elapsed());
            }
            let limit = Duration::from_secs(5) + 20 * undisturbed;
            let mut others = JoinSet::new();
            for _ in 0..count {
                others.spawn(be_in_the_way(server.address(), manner));
            }
            for probe in 1..=6 {
                // By then all clients are connected, and some connections have been closed.
                sleep(Duration::from_millis(150)).await;
                let answer = timeout(limit, ask(&server, PROBE)).await;
                let answer = answer.unwrap_or_else(|_| format!("none within {limit:?}"));
                assert!(answer.starts_with("HTTP/1.1 200 OK"), "{count} × {manner:?}, {probe}: {answer}");
            }
            // The clients' ends, the served connections, and what a test has open besides.
            assert!(descriptors() < count + CONNECTIONS_MAX + 64, "{count} × {manner:?}: {}", descriptors());
            others.shutdown().await;
            server.close().await;
        }
    }

    #[tokio::test]
    async fn an_address_is_free_again_after_each_of_many_servers() {
        let first = hello().await;
        let address = first.address();
        first.close().await;
        for _ in 0..200 {
            let listener = Listener::open(&address.to_string()).await.unwrap();
            let server = listener.serve(Router::new().route("/hello", get(|| async { "hello" })));
            let mut kept = TcpStream::connect(address).await.unwrap();
            kept.write_all(b"GET").await.unwrap();
            server.close().await;
            let mut rest = Vec::new();
            let _ = kept.read_to_end(&mut rest).await;
            assert!(rest.is_empty());
        }
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_had_is_told() {
        let server = Listener::open("127.0.0.1:0").await.unwrap();
        let busy = server.address().to_string();
        let rows = [
            (busy.as_str(), "listen-failed", "something else listens there"),
            ("203.0.113.1:0", "listen-failed", "choose an address that this machine has"),
            ("127.0.0.1", "listen-address", "write an address"),
            ("127.0.0.1:99999", "listen-address", "write an address"),
            ("", "listen-address", "write an address"),
        ];
        for (address, code, help) in rows {
            let error = Listener::open(address).await.unwrap_err();
            assert_eq!(error.code(), code, "{address}");
            assert!(error.help().starts_with(help), "{address}: {}", error.help());
        }
    }
}
