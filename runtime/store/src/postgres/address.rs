//! Where a database is, how one gets there, and what may be said of it: never its password.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use stepbox_batch::repository::{RepositoryError, Result};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use super::PostgresOptions;

/// How the machine of the database is reached, and what an error calls it.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    /// `PostgreSQL at db.example.com:5432/stepbox`.
    pub(super) name: String,
}

/// What carries a connection.
pub(super) type Line = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// What `sslmode` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Disable,
    /// Encrypted where the server can do it; nobody looks who it is.
    Prefer,
    /// Encrypted; nobody looks who it is.
    Require,
    /// Encrypted, with a certificate for that host from somebody whom we trust.
    VerifyFull,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`.
    pub(super) fn parse(url: &str, options: &PostgresOptions) -> Result<Self> {
        // What a parser complains of could be a piece of the password, so nothing it says is passed on.
        let mut parsed = Url::parse(url).map_err(|_| unreadable())?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(unreadable());
        }
        let (mode, certificates) = take_tls(&mut parsed)?;
        let mut config: Config = parsed.as_str().parse().map_err(|_| unreadable())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(unreadable());
        }
        let name = name(&config);
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        config.ssl_mode(match mode {
            // A socket of this machine needs no encryption, and servers offer none there.
            _ if is_local => SslMode::Disable,
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::VerifyFull => SslMode::Require,
        });
        let patience = Duration::from_millis(options.connect_timeout_ms);
        config.connect_timeout(patience).tcp_user_timeout(Duration::from_millis(options.response_timeout_ms));
        config.keepalives(true).keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("stepbox");
        }
        let tls = tls(mode, certificates.as_deref()).map_err(|detail| failed(&name, detail))?;
        Ok(Self { config, tls: MakeRustlsConnect::new(tls), name })
    }

    /// A connection, and the line that somebody has to keep alive for it.
    pub(super) async fn connect(&self) -> std::result::Result<(Client, Line), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}

fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("PostgreSQL at {host}:{port}/{database}")
}

/// Takes what is about encryption out of the URL: the library knows only some of it.
fn take_tls(url: &mut Url) -> Result<(Tls, Option<String>)> {
    let (mut mode, mut certificates, mut others) = (Tls::Prefer, None, Vec::new());
    for (key, value) in url.query_pairs().into_owned() {
        match key.as_str() {
            "sslmode" => {
                mode = match value.as_str() {
                    "disable" => Tls::Disable,
                    "prefer" => Tls::Prefer,
                    "require" => Tls::Require,
                    "verify-full" => Tls::VerifyFull,
                    _ => return Err(failed("PostgreSQL", MODES)),
                }
            }
            "sslrootcert" => certificates = Some(value),
            _ => others.push((key, value)),
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    Ok((mode, certificates))
}

const MODES: &str = "`sslmode` in its URL is `disable`, `prefer`, `require` (which looks at no certificate) or \
                     `verify-full`";

fn unreadable() -> RepositoryError {
    let detail = "its URL cannot be read; it has the form \
                  `postgres://user:password@host:5432/database?sslmode=verify-full`, with `%40` for `@` and \
                  `%2F` for `/` in the password";
    failed("PostgreSQL", detail)
}

fn failed(store: &str, detail: impl Into<String>) -> RepositoryError {
    RepositoryError::Unavailable { store: store.to_owned(), detail: detail.into() }
}

fn tls(mode: Tls, certificates: Option<&str>) -> std::result::Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let config = match (mode, certificates) {
        (Tls::VerifyFull, None) => builder
            .with_platform_verifier()
            .map_err(|error| format!("this machine's certificates cannot be used: {error}"))?
            .with_no_client_auth(),
        (Tls::VerifyFull, Some(path)) => {
            builder.with_root_certificates(roots(Path::new(path))?).with_no_client_auth()
        }
        (Tls::Disable | Tls::Prefer | Tls::Require, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
    };
    Ok(config)
}

fn roots(path: &Path) -> std::result::Result<RootCertStore, String> {
    let refuse = |detail: String| format!("`sslrootcert` `{}` {detail}", path.display());
    let bytes = fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| refuse("is no PEM file".to_owned()))?;
        roots.add(certificate).map_err(|error| refuse(format!("has a certificate that is none: {error}")))?;
    }
    if roots.is_empty() { Err(refuse("has no certificate".to_owned())) } else { Ok(roots) }
}

/// Takes any certificate, as `prefer` and `require` do everywhere: they are against listeners, not against
/// impostors.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> String {
        match Address::parse(url, &PostgresOptions::default()) {
            Ok(address) => format!("{} {:?}", address.name, address.config.get_ssl_mode()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn takes_urls_as_everybody_writes_them() {
        let rows = [
            ("postgres://u:p@db.example.com/stepbox", "PostgreSQL at db.example.com:5432/stepbox Prefer"),
            ("postgresql://u@[::1]:6000/s?sslmode=disable", "PostgreSQL at ::1:6000/s Disable"),
            ("postgres://u:p@h/d?sslmode=require&connect_timeout=3", "PostgreSQL at h:5432/d Require"),
            ("postgres://u@h/d?sslmode=verify-full", "PostgreSQL at h:5432/d Require"),
            ("postgres://u@%2Frun%2Fpg:6000/d?sslmode=require", "PostgreSQL at /run/pg:6000/d Disable"),
            ("postgres:///d?host=/run/pg", "PostgreSQL at /run/pg:5432/d Disable"),
        ];
        for (url, expected) in rows {
            assert_eq!(read(url), expected, "{url}");
        }
    }

    #[test]
    fn refuses_others_without_telling_the_password() {
        let rows = [
            ("mysql://u:hunter2@h/d", "its URL cannot be read"),
            ("host=h password=hunter2", "its URL cannot be read"),
            ("postgres://u:hun?ter2@h/d", "its URL cannot be read"),
            ("postgres://u:hun#ter2@h/d", "its URL cannot be read"),
            ("postgres:///d", "its URL cannot be read"),
            ("postgres://u:hunter2@h/d?hunter2=1", "its URL cannot be read"),
            ("postgres://u:hunter2@h/d?sslmode=verify-ca", "`sslmode` in its URL is"),
            (
                "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/none",
                "`sslrootcert` `/none` cannot",
            ),
        ];
        for (url, expected) in rows {
            let told = read(url);
            assert!(told.contains(expected) && !told.contains("ter2"), "{url}: {told}");
        }
        let url = "postgres://u:hunter2@h/d";
        let address = Address::parse(url, &PostgresOptions::default()).unwrap();
        assert_eq!(format!("{address:?}"), "PostgreSQL at h:5432/d");
    }
}
