//! The address of a database, the way to it, and its name in errors, which never has the password.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use stepbox_batch::ports::{RepositoryError, Result};
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use super::PostgresOptions;
use super::door::{Door, Doors, Encryption};

/// The address of the database, and its name in errors.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    doors: Doors,
    /// `PostgreSQL at db.example.com:5432/stepbox`.
    pub(super) name: String,
    /// How many connections a process may have at most; `None` if the URL does not set it.
    pub(super) connections_max: Option<usize>,
}

/// The task that carries a connection's bytes.
pub(super) type Line = Connection<Socket, Door>;

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// The supported values of `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Disable,
    /// Encrypted if the server supports it; the server's identity is not checked.
    Prefer,
    /// Encrypted; the server's identity is not checked.
    Require,
    /// Encrypted, with a certificate for that host from a trusted authority.
    VerifyFull,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`.
    pub(super) fn parse(url: &str, options: &PostgresOptions) -> Result<Self> {
        // A parser's message could quote a piece of the password, so the message is not passed on.
        let mut parsed = Url::parse(url).map_err(|_| unreadable())?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(unreadable());
        }
        refuse_twice(&parsed)?;
        let Asked { tls: mode, certificates, connections_max } = take_ours(&mut parsed)?;
        let mut config: Config = parsed.as_str().parse().map_err(|_| unreadable())?;
        // The host that is dialled must be the host that is checked.
        if !config.get_hostaddrs().is_empty() {
            return Err(failed("PostgreSQL", "`hostaddr` in its URL is not supported; name its host"));
        }
        let sockets = config.get_hosts().iter().filter(|host| matches!(host, Host::Unix(_))).count();
        let is_local = match (config.get_hosts().len(), sockets) {
            (0, _) => return Err(unreadable()),
            (hosts, sockets) if sockets > 0 && sockets < hosts => {
                return Err(failed(
                    "PostgreSQL",
                    "its URL names both hosts and sockets; name one or the other",
                ));
            }
            (_, sockets) => sockets > 0,
        };
        let name = name(&config);
        let mode = mode.unwrap_or(if is_local { Tls::Disable } else { Tls::Prefer });
        if is_local && matches!(mode, Tls::Require | Tls::VerifyFull) {
            let detail =
                "its URL asks for encryption, and a socket of this machine has none; leave `sslmode` out";
            return Err(failed(&name, detail));
        }
        let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let encryption = match (mode, is_direct) {
            // A caller that asks for encryption from the first byte must not get less.
            (Tls::Disable | Tls::Prefer, true) => return Err(failed(&name, DIRECT)),
            (Tls::Disable, false) => Encryption::None,
            (Tls::Prefer, false) => Encryption::IfOffered,
            (Tls::Require | Tls::VerifyFull, true) => Encryption::AtOnce,
            (Tls::Require | Tls::VerifyFull, false) => Encryption::Required,
        };
        // The library leaves all encryption to the door, and must not ask the server whether it supports
        // encryption.
        config.ssl_mode(if is_local { SslMode::Disable } else { SslMode::Require });
        config.ssl_negotiation(SslNegotiation::Direct);
        let patience = Duration::from_millis(options.connect_timeout_ms);
        config.connect_timeout(patience).tcp_user_timeout(Duration::from_millis(options.response_timeout_ms));
        config.keepalives(true).keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("stepbox");
        }
        let tls = tls(mode, certificates.as_deref()).map_err(|detail| failed(&name, detail))?;
        let doors = Doors { tls: MakeRustlsConnect::new(tls), encryption };
        Ok(Self { config, doors, name, connections_max })
    }

    /// A connection, and its line, which the caller must run.
    pub(super) async fn connect(&self) -> std::result::Result<(Client, Line), tokio_postgres::Error> {
        self.config.connect(self.doors.clone()).await
    }
}

fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("PostgreSQL at {host}:{port}/{database}")
}

/// Refuses an option that appears twice: of two hosts, passwords or modes, the user might mean the ignored one.
fn refuse_twice(url: &Url) -> Result<()> {
    let mut said: Vec<String> = Vec::new();
    let of_authority = [
        ("host", url.host_str().is_some_and(|host| !host.is_empty())),
        ("port", url.port().is_some()),
        ("user", !url.username().is_empty()),
        ("password", url.password().is_some()),
        ("dbname", url.path().len() > 1),
    ];
    let names = of_authority.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name.to_owned());
    for name in names.chain(url.query_pairs().map(|(name, _)| name.into_owned())) {
        if said.contains(&name) {
            // An unknown name may be a piece of the password, so it is not shown.
            let known = KNOWN.iter().find(|known| **known == name).copied().unwrap_or("an option");
            return Err(failed("PostgreSQL", format!("its URL says `{known}` twice")));
        }
        said.push(name);
    }
    Ok(())
}

/// The options that errors name.
const KNOWN: [&str; 11] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "options",
    "pool_max",
];

/// The URL's options for encryption and for the pool.
#[derive(Debug, Default)]
struct Asked {
    tls: Option<Tls>,
    certificates: Option<String>,
    connections_max: Option<usize>,
}

/// Takes those options out of the URL that the library does not know, or knows only in part.
fn take_ours(url: &mut Url) -> Result<Asked> {
    let (mut asked, mut others) = (Asked::default(), Vec::new());
    for (key, value) in url.query_pairs().into_owned() {
        match key.as_str() {
            "sslmode" => {
                asked.tls = Some(match value.as_str() {
                    "disable" => Tls::Disable,
                    "prefer" => Tls::Prefer,
                    "require" => Tls::Require,
                    "verify-full" => Tls::VerifyFull,
                    _ => return Err(failed("PostgreSQL", MODES)),
                });
            }
            "sslrootcert" => asked.certificates = Some(value),
            "pool_max" => {
                let number = value.parse().ok().filter(|max| (1..=POOL_MAX).contains(max));
                asked.connections_max = Some(number.ok_or_else(|| failed("PostgreSQL", POOL))?);
            }
            _ => others.push((key, value)),
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    Ok(asked)
}

const MODES: &str = "`sslmode` in its URL is `disable`, `prefer`, `require` (which looks at no certificate) or \
                     `verify-full`";

/// The most connections that a URL may ask for: as many as a server has in all by default.
const POOL_MAX: usize = 100;

const POOL: &str =
    "`pool_max` in its URL is a number from 1 to 100: how many connections a process has at most";

const DIRECT: &str = "`sslnegotiation=direct` in its URL needs `sslmode=require` or `sslmode=verify-full` beside it: \
                      without them a connection may be without encryption";

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

/// How long a file with certificates may be, in bytes. The certificates of all known authorities take a quarter of
/// it.
const ROOTS_BYTES_MAX: u64 = 1 << 20;

/// Reads a file with certificates, at most one byte more than it may have. A pipe would block, and a device never
/// ends.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(ROOTS_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn roots(path: &Path) -> std::result::Result<RootCertStore, String> {
    let refuse = |detail: String| format!("`sslrootcert` `{}` {detail}", path.display());
    let bytes = read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > ROOTS_BYTES_MAX {
        return Err(refuse(format!("is longer than {ROOTS_BYTES_MAX} bytes")));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| refuse("is no PEM file".to_owned()))?;
        roots.add(certificate).map_err(|error| refuse(format!("has an invalid certificate: {error}")))?;
    }
    if roots.is_empty() { Err(refuse("has no certificate".to_owned())) } else { Ok(roots) }
}

/// Accepts any certificate, as `prefer` and `require` do in all programs: they protect against listeners, not
/// against impostors.
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
            Ok(address) => {
                let max = address.connections_max.map(|max| format!(" {max}")).unwrap_or_default();
                format!("{} {:?}{max}", address.name, address.doors.encryption)
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn takes_urls_as_everybody_writes_them() {
        let rows = [
            ("postgres://u:p@db.example.com/stepbox", "PostgreSQL at db.example.com:5432/stepbox IfOffered"),
            ("postgresql://u@[::1]:6000/s?sslmode=disable", "PostgreSQL at ::1:6000/s None"),
            ("postgres://u:p@h/d?sslmode=require&connect_timeout=3", "PostgreSQL at h:5432/d Required"),
            ("postgres://u@h/d?sslmode=verify-full", "PostgreSQL at h:5432/d Required"),
            ("postgres://u@h/d?sslmode=require&sslnegotiation=direct", "PostgreSQL at h:5432/d AtOnce"),
            ("postgres://u@%2Frun%2Fpg:6000/d?sslmode=disable", "PostgreSQL at /run/pg:6000/d None"),
            ("postgres:///d?host=/run/pg", "PostgreSQL at /run/pg:5432/d None"),
            ("postgres://u@a,b/d?sslmode=verify-full", "PostgreSQL at a:5432/d Required"),
            ("postgres://u@h/d?pool_max=1&sslmode=disable", "PostgreSQL at h:5432/d None 1"),
            ("postgres://u@h/d?pool_max=100", "PostgreSQL at h:5432/d IfOffered 100"),
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
            ("postgres:///d?sslmode=verify-full", "its URL cannot be read"),
            // The dialled host decides.
            ("postgres:///d?hostaddr=127.0.0.1&user=u&password=hunter2&sslmode=verify-full", "`hostaddr`"),
            ("postgres://h/d?hostaddr=127.0.0.1&sslmode=verify-full", "`hostaddr`"),
            ("postgres:///d?host=%2Ftmp&hostaddr=127.0.0.1&sslmode=verify-full", "`hostaddr`"),
            ("postgres:///d?host=%2Ftmp&sslmode=verify-full", "asks for encryption"),
            ("postgres://u@%2Frun%2Fpg/d?sslmode=require", "asks for encryption"),
            ("postgres://u@h,%2Ftmp/d?sslmode=verify-full", "both hosts and sockets"),
            ("postgres://u:hunter2@h/d?sslmode=prefer&sslnegotiation=direct", "`sslnegotiation=direct`"),
            ("postgres://u:hunter2@h/d?sslnegotiation=direct", "`sslnegotiation=direct`"),
            ("postgres://u:hunter2@h/d?sslmode=disable&sslnegotiation=direct", "`sslnegotiation=direct`"),
            ("postgres://u@%2Frun%2Fpg/d?sslnegotiation=direct", "`sslnegotiation=direct`"),
            ("postgres://u:hunter2@h/d?sslmode=verify-full&sslmode=disable", "`sslmode` twice"),
            ("postgres://u:hunter2@h/d?ssl%6dode=verify-full&sslmode=disable", "`sslmode` twice"),
            ("postgres://u:hunter2@h/d?host=other", "`host` twice"),
            ("postgres://u:hunter2@h/d?password=ter2", "`password` twice"),
            ("postgres://u@h:1/d?port=2", "`port` twice"),
            ("postgres://u@h/d?pool_max=1&pool_max=2", "`pool_max` twice"),
            ("postgres://u@h/d?pool_max=0", "a number from 1 to 100"),
            ("postgres://u@h/d?pool_max=101", "a number from 1 to 100"),
            ("postgres://u@h/d?pool_max=-1", "a number from 1 to 100"),
            ("postgres://u@h/d?pool_max=", "a number from 1 to 100"),
            ("postgres://u@h/d?pool_max=hunter2", "a number from 1 to 100"),
            ("postgres://u@h/d?ter2=1&ter2=2", "`an option` twice"),
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
