//! Where a token goes, and where it does not.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use stepbox_client::{Client, Token};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{Server, json, serve};

const EMPTY: &str = r#"{"items":[],"next":null}"#;

fn token() -> Token {
    Token::new("sbx_secret").unwrap()
}

#[tokio::test]
async fn a_token_is_in_one_header_and_nowhere_else() {
    let server = Server::start([json(EMPTY)]).await;
    server.tenant().jobs().all().await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), Some("Bearer sbx_secret"));
    assert_eq!(asked.headers.iter().filter(|(_, value)| value.contains("secret")).count(), 1);
    assert!(!asked.line.contains("secret"));
    assert!(asked.header("cookie").is_none() && asked.header("referer").is_none());
    assert!(asked.header("accept-encoding").is_none(), "no answer is compressed");
    let without = Client::builder(&server.address).build().unwrap();
    without.tenant("acme").jobs().all().await.unwrap();
    assert!(server.asked()[1].header("authorization").is_none());
    assert!(!format!("{:?}", server.client()).contains("secret"));
}

#[tokio::test]
async fn a_token_stays_on_this_machine_without_tls() {
    for address in ["http://stepbox.example.com", "http://10.0.0.1:8080", "http://localhost.example.com"] {
        let refused = Client::builder(address).token(token()).build().unwrap_err();
        assert_eq!(refused.code(), "token-over-plain-http", "{address}");
        assert!(Client::builder(address).token(token()).allow_plain_http().build().is_ok());
        assert!(Client::builder(address).build().is_ok(), "without a token, nothing is given away");
    }
    for address in
        ["https://stepbox.example.com", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
    {
        assert!(Client::builder(address).token(token()).build().is_ok(), "{address}");
    }
}

#[tokio::test]
async fn a_server_without_a_trusted_certificate_gets_nothing() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::default();
    let known = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, vec![json(EMPTY)], Arc::clone(&known)).await;
            }
        }
    });
    let address = format!("https://localhost:{port}");
    let error =
        Client::builder(&address).token(token()).build().unwrap().tenant("a").jobs().all().await.unwrap_err();
    assert_eq!(error.code(), "server-unreachable");
    assert!(asked.lock().unwrap().is_empty());
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = Client::builder(&address).token(token()).trusting(roots).build().unwrap();
    client.tenant("a").jobs().all().await.unwrap();
    assert_eq!(asked.lock().unwrap()[0].header("authorization"), Some("Bearer sbx_secret"));
}
