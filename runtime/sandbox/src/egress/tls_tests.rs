//! Servers with wrong certificates, and what these servers receive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Empty};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use wasmtime_wasi_http::WasiHttpHooks;

use super::Outside;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::secrets::{Secret, StepSecrets};
use crate::setup::ComponentSetup;
use crate::state::StepState;
use crate::testing::{RecordedLog, setup, state_of, step_context};
use crate::v0_1::bindings::stepbox::step::http::{Header, Host, HttpError, Request};
use crate::v0_1::imports::http::failure::HttpFailure;
use crate::wasi::http::HttpDoor;

const VALUE: &str = "S3cr3t-Value";

/// The authority that signs the certificates of these tests.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A network access that trusts this authority and no other.
    fn trusted(&self) -> Outside {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Outside::trusting(roots)
    }

    fn sign(&self, name: &str, is_expired: bool) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }
}

/// A server that counts the requests that it could read, and how many of them had the secret.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    secrets: Arc<AtomicUsize>,
}

impl Server {
    async fn start((certificate, key): (CertificateDer<'static>, KeyPair)) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let [requests, secrets] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let (counted, found) = (requests.clone(), secrets.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0
                {
                }
                counted.fetch_add(1, Ordering::SeqCst);
                found.fetch_add(
                    usize::from(request.windows(VALUE.len()).any(|text| text == VALUE.as_bytes())),
                    Ordering::SeqCst,
                );
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nx-echo: {VALUE}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests, secrets }
    }
}

/// The result of a request with a secret through `http` and `wasi:http`: its status, or why there is none.
async fn through_both_doors(url: &str, outside: Outside) -> [String; 2] {
    let secret = Secret::new("token", VALUE, ["localhost", "127.0.0.1"]).unwrap();
    let secrets = StepSecrets::bind([secret]);
    let placeholder = secrets.placeholders()["token"].clone();
    let log = Arc::new(RecordedLog::default());
    let setup = ComponentSetup { secrets, ..setup(Limits::default()) };
    let grants = Grants::none().with_http(&format!("GET {url}")).unwrap();
    let mut state = state_of(&step_context(log.clone()), &setup, grants, Arc::new(outside));

    let header = Header { name: "authorization".to_owned(), value: placeholder.clone() };
    let (method, url) = ("GET".to_owned(), url.to_owned());
    let request = Request { method, url: url.clone(), headers: vec![header], timeout_ms: Some(10_000) };
    let by_http = match Host::send(&mut state, request, Vec::new()).await {
        Ok(_) => "answered".to_owned(),
        Err(HttpFailure::Told(error)) => HttpError::from(error).to_string(),
        Err(HttpFailure::Trap(error)) => format!("trap: {error}"),
    };
    let by_wasi = match by_wasi(&state, &url, &placeholder).await {
        Ok(echoed) if echoed == placeholder => "answered".to_owned(),
        Ok(echoed) => format!("answered with {echoed}"),
        Err(()) => log.messages().join(" "),
    };
    [by_http, by_wasi]
}

/// The server's echo.
async fn by_wasi(state: &StepState, url: &str, placeholder: &str) -> Result<String, ()> {
    let mut door = HttpDoor::new(state.egress.clone(), state.handles.clone(), state.journal.clone());
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::get(url).header("authorization", placeholder).body(body).unwrap();
    let sending = Pin::from(door.send_request(request, None, Box::new(async { Ok(()) })));
    let (answer, _) = sending.await.map_err(drop)?;
    Ok(answer.headers()["x-echo"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().der().clone(), key)
    };
    let good = |name| authority.sign(name, false);
    // `None` is the access that steps have: it trusts the machine's authorities, and so none of these.
    let rows = [
        (good("127.0.0.1"), "127.0.0.1", Some(&authority), "answered"),
        (good("localhost"), "localhost", Some(&authority), "answered"),
        (good("127.0.0.1"), "127.0.0.1", None, "invalid peer certificate"),
        (good("localhost"), "127.0.0.1", Some(&authority), "certificate not valid for name"),
        (good("other.example"), "localhost", Some(&authority), "certificate not valid for name"),
        (authority.sign("127.0.0.1", true), "127.0.0.1", Some(&authority), "certificate expired"),
        (stranger.sign("127.0.0.1", false), "127.0.0.1", Some(&authority), "BadSignature"),
        (self_signed, "127.0.0.1", Some(&authority), "invalid peer certificate"),
    ];
    for (certificate, host, trusted, expected) in rows {
        let server = Server::start(certificate).await;
        let outside = trusted.map_or_else(Outside::default, Authority::trusted);
        let url = format!("https://{host}:{}/", server.port);
        let outcomes = through_both_doors(&url, outside).await;
        for outcome in &outcomes {
            assert!(outcome.contains(expected), "{host}, {expected}: {outcome}");
        }
        let seen = if expected == "answered" { 2 } else { 0 };
        let [requests, secrets] =
            [&server.requests, &server.secrets].map(|count| count.load(Ordering::SeqCst));
        assert_eq!((requests, secrets), (seen, seen), "{host}, {expected}: a request was sent, or a secret");
    }
}
