//! Serves the interface: HTTP/1.1 and HTTP/2, connections that last, TLS, and an end without broken answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, body};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::error::ServerError;
use super::origin::Peer;
use super::places::{Answering, Place, Places, PlacesMax};
use super::tls::{Certificate, TlsFiles};

/// How many connections there are at most. Each takes a descriptor and some 20 KB.
const CONNECTIONS_MAX: usize = 2_048;
/// How many of them one address may have, unless it is a proxy's.
const CONNECTIONS_OF_AN_ADDRESS_MAX: usize = 512;
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How many headers a request may have.
const HEADERS_MAX: usize = 100;
/// How long a client may take for the head of a request, or may wait before it sends another one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How many requests of one HTTP/2 connection are answered at a time.
const H2_STREAMS_MAX: u32 = 100;
/// How long to wait after a connection could not be accepted. There may be no free descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How often to look whether the certificate has changed.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);

/// How what is sent is kept from others.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    /// The certificate; `None` sends everything as it is.
    pub tls: Option<TlsFiles>,
    /// The networks of proxies that encrypt.
    pub proxies: Vec<IpNet>,
}

/// An address that is taken for the interface.
#[derive(Debug)]
pub struct ApiListener {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    proxies: Vec<IpNet>,
}

/// Serves the interface until it is closed or dropped.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    is_secure: bool,
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ApiListener {
    /// Takes an address of this machine. An address that others can reach is refused if nothing encrypts.
    pub async fn open(address: &str, exposure: Exposure) -> Result<Self, ServerError> {
        let bad = |source| ServerError::BadAddress { address: address.to_owned(), source };
        let addresses: Vec<_> = lookup_host(address).await.map_err(bad)?.collect();
        let is_public = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        let is_covered = exposure.tls.is_some() || !exposure.proxies.is_empty();
        if let Some(&address) = addresses.iter().find(is_public).filter(|_| !is_covered) {
            return Err(ServerError::PublicWithoutTls { address });
        }
        let certificate = exposure.tls.map(Certificate::read).transpose()?;
        let cannot = |source| ServerError::CannotListen { address: address.to_owned(), source };
        let listener = TcpListener::bind(&addresses[..]).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { listener, address, certificate, proxies: exposure.proxies })
    }

    /// The address, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these routes to every client.
    pub fn serve(self, routes: Router) -> Result<ApiServer, ServerError> {
        let (closing, closes) = watch::channel(false);
        let acceptor = self.certificate.as_ref().map(Certificate::acceptor).transpose()?;
        let (address, is_secure) = (self.address, acceptor.is_some());
        let task = tokio::spawn(self.accept(routes, acceptor, closes));
        Ok(ApiServer { address, is_secure, closing, task })
    }

    async fn accept(self, routes: Router, acceptor: Option<TlsAcceptor>, mut closes: watch::Receiver<bool>) {
        let all = CONNECTIONS_MAX.min(descriptors() * 3 / 4);
        let places = Places::new(PlacesMax { all, of_an_address: CONNECTIONS_OF_AN_ADDRESS_MAX.min(all) });
        let of_proxies = Places::new(PlacesMax { all, of_an_address: all });
        let (mut connections, mut every) = (JoinSet::new(), interval(CERTIFICATE_EVERY));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = every.tick() => {
                    if let Some(certificate) = &self.certificate {
                        // The earlier certificate stays if the new one cannot be used.
                        let _ = certificate.look_again();
                    }
                    continue;
                }
                _ = closes.wait_for(|closes| *closes) => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((stream, peer)) = accepted else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let is_proxy = self.proxies.iter().any(|net| net.contains(&peer.ip().to_canonical()));
            let places = if is_proxy { &of_proxies } else { &places };
            // Without a place the connection is closed at once: the client has to come again.
            let Some(place) = places.take(peer.ip()) else { continue };
            // Answers are sent as they are written.
            let _ = stream.set_nodelay(true);
            let (routes, acceptor, closes) = (routes.clone(), acceptor.clone(), closes.clone());
            connections.spawn(connected(stream, peer, Arc::new(place), routes, acceptor, closes));
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

impl ApiServer {
    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are encrypted.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Stops listening, lets the answers that have begun end for that time, and closes all connections.
    pub async fn close(mut self, grace: Duration) {
        self.closing.send_replace(true);
        if timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
            // The error is the cancellation.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How many descriptors this process may have open.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX / 4)
}

async fn connected(
    stream: TcpStream,
    address: SocketAddr,
    place: Arc<Place>,
    routes: Router,
    acceptor: Option<TlsAcceptor>,
    closes: watch::Receiver<bool>,
) {
    let over = place.over();
    let peer = Peer { address, is_secure: acceptor.is_some() };
    let serving = async move {
        match acceptor {
            None => serve(stream, peer, place, routes, closes).await,
            Some(acceptor) => {
                let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await else {
                    return;
                };
                serve(stream, peer, place, routes, closes).await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = over => {}
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    peer: Peer,
    place: Arc<Place>,
    routes: Router,
    mut closes: watch::Receiver<bool>,
) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(routes.clone(), peer, place.clone(), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(HEAD_TIME_MAX)
        .keep_alive_timeout(HEAD_TIME_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // What the client did wrong is its own affair.
        _ = connection.as_mut() => return,
        _ = closes.wait_for(|closes| *closes) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Answers one request. It counts as being answered until the last byte is sent.
async fn answer(
    routes: Router,
    peer: Peer,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Result<Response<Answered>, Infallible> {
    let answering = place.answering();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let response = routes.oneshot(request).await?;
    Ok(response.map(|body| Answered { body, _answering: answering }))
}

/// The body of an answer, which keeps the place of its connection.
struct Answered {
    body: Body,
    _answering: Answering,
}

impl body::Body for Answered {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> body::SizeHint {
        self.body.size_hint()
    }
}
