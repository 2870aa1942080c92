//! Whom an edge trusts when it asks over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Certificate authorities. Clones share them.
#[derive(Debug, Clone)]
pub struct UpstreamTls(Arc<ClientConfig>);

/// Why there are no certificate authorities.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of them cannot be read, or is not PEM.
    #[error("cannot read certificates from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Something in it is no certificate authority.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The file has none.
    #[error("{} has no certificates: expected PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The system has none that can be read.
    #[error("the system has no certificate authorities: name a file of them")]
    NoneInSystem,
    /// TLS itself.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl UpstreamTls {
    /// Those of the system.
    pub fn of_the_system() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        // What the system has beside them and cannot be read is no fault while some can.
        let (added, _) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        match added {
            0 => Err(TlsError::NoneInSystem),
            _ => Self::trusting(roots).map_err(TlsError::Setup),
        }
    }

    /// Those of a PEM file, and no others.
    pub fn of_file(path: &Path) -> Result<Self, TlsError> {
        let read = |source| TlsError::Read {
            path: path.to_owned(),
            source,
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
            roots
                .add(certificate.map_err(read)?)
                .map_err(|source| TlsError::Invalid {
                    path: path.to_owned(),
                    source,
                })?;
        }
        match roots.is_empty() {
            true => Err(TlsError::Empty {
                path: path.to_owned(),
            }),
            false => Self::trusting(roots).map_err(TlsError::Setup),
        }
    }

    pub(crate) fn trusting(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }
}
