//! TLS with a certificate from files, which is read again when the files change.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;

use super::error::ServerError;

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// A certificate that can be exchanged while connections last.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsFiles,
    now: RwLock<Arc<CertifiedKey>>,
    read_of: RwLock<Stamp>,
}

/// When the two files were written, and how long they are.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    pub(crate) fn read(files: TlsFiles) -> Result<Arc<Self>, ServerError> {
        let stamp = stamp(&files);
        let key = certified(&files)?;
        Ok(Arc::new(Self { files, now: RwLock::new(key), read_of: RwLock::new(stamp) }))
    }

    /// Reads the files again if they have changed. A pair that cannot be used changes nothing, so the earlier certificate
    /// stays; the next change is read again.
    pub(crate) fn look_again(&self) -> Result<(), ServerError> {
        let stamp = stamp(&self.files);
        if stamp == *self.read_of.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        *self.read_of.write().unwrap_or_else(PoisonError::into_inner) = stamp;
        let key = certified(&self.files)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// What encrypts connections with the certificate as it is then. HTTP/2 is offered first.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, ServerError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|source| unusable(&self.files, source.to_string()))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn certified(files: &TlsFiles) -> Result<Arc<CertifiedKey>, ServerError> {
    let unreadable = |path: &PathBuf, what: String| unusable(files, format!("`{}`: {what}", path.display()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|error| unreadable(&files.certificate, error.to_string()))?
        .collect();
    let chain = chain.map_err(|error| unreadable(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(&files.certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable(&files.key, error.to_string()))?;
    let provider = crypto::ring::default_provider();
    let key =
        CertifiedKey::from_der(chain, key, &provider).map_err(|error| unusable(files, error.to_string()))?;
    Ok(Arc::new(key))
}

fn unusable(files: &TlsFiles, reason: String) -> ServerError {
    ServerError::Certificate { path: files.certificate.clone(), reason }
}
