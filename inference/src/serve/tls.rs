//! TLS: who the server says it is, and the handshake before the first request.

use super::secret_file::{self, ReadError};
use arc_swap::ArcSwap;
use contract::config;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A protocol that a listener speaks inside TLS, by its ALPN name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol(&'static [u8]);

/// HTTP/1.1.
pub const HTTP_1: Protocol = Protocol(b"http/1.1");

/// HTTP/2, and so gRPC.
pub const HTTP_2: Protocol = Protocol(b"h2");

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file is no PEM.
    #[error("{path}: {cause}")]
    Pem {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// A file without a certificate.
    #[error("{0} has no certificate")]
    NoCertificate(String),
    /// The key is of a kind that nobody knows, or belongs to another certificate.
    #[error("{certificate} and {key} do not work together: {cause}")]
    Unusable {
        /// File of the certificate.
        certificate: String,
        /// File of the key.
        key: String,
        /// What rustls says.
        cause: rustls::Error,
    },
}

/// A certificate with its key, from files. New handshakes take the newest; connections stay.
#[derive(Debug)]
pub struct Identity {
    files: config::Tls,
    certified: ArcSwap<CertifiedKey>,
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(files: &config::Tls) -> Result<Self, TlsError> {
        Ok(Self {
            certified: ArcSwap::from_pointee(certified(files)?),
            files: files.clone(),
        })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// [`TlsError`]; then the certificate is the one from before.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.certified.store(certified(&self.files)?.into());
        Ok(())
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

fn certified(files: &config::Tls) -> Result<CertifiedKey, TlsError> {
    let chain = chain(&files.certificate)?;
    let key = private_key(&files.key)?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|cause| {
        TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            cause,
        }
    })
}

fn chain(path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = secret_file::read(path)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|cause| malformed(path, cause))?;
    match chain.is_empty() {
        false => Ok(chain),
        true => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = secret_file::read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|cause| malformed(path, cause))
}

fn malformed(path: &str, cause: pem::Error) -> TlsError {
    TlsError::Pem {
        path: path.to_owned(),
        cause,
    }
}

/// Makes TLS connections of TCP connections.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// For a listener that speaks `protocol`, as `identity`.
    ///
    /// # Errors
    /// If the cryptography knows no version of TLS: a fault of the build.
    pub fn new(identity: Arc<Identity>, protocol: Protocol) -> Result<Self, rustls::Error> {
        let cryptography: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(cryptography)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(identity);
        config.alpn_protocols = vec![protocol.0.to_vec()];
        Ok(Self(Arc::new(config).into()))
    }

    /// The connection after its handshake; None if that fails or takes too long. Nothing is
    /// logged by default: whoever scans ports could fill the log.
    pub async fn shake_hands(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match timeout(HANDSHAKE, self.0.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(failure)) => {
                tracing::debug!(%failure, "a handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a handshake took too long");
                None
            }
        }
    }
}
