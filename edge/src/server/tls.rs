//! The certificate of a listener, and its change while the listener runs.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// As ALPN calls them (RFC 9113 3.1, RFC 7301 6).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: expected {expected} in PEM form: {why}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong, without what is in the file.
        why: String,
    },
    /// The files do not belong together.
    #[error(
        "the key in {} is not that of the first certificate in {}: {why}", key.display(), certificate.display()
    )]
    Pair {
        /// The file of the chain.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What was said of them.
        why: rustls::Error,
    },
    /// The TLS library refuses its settings.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 with a certificate chain and a key from two PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Files,
    /// Of the files when they were last read.
    stamps: Stamps,
    certificate: Arc<Current>,
    settings: Arc<rustls::ServerConfig>,
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate that new handshakes get.
struct Current(RwLock<Arc<CertifiedKey>>);

/// What changes when a file is written or replaced; None where there is none.
type Stamps = [Option<Stamp>; 2];

/// A file's number, its length, and when it and what is told of it were changed: a file that is
/// put in the place of another may have the times of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    number: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Tls {
    /// Reads both files. The chain begins with the server's own certificate.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let stamps = files.stamps();
        let provider = Arc::new(ring::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read(&provider)?))));
        let mut settings = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        settings.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        // Viewers come back: RFC 8446 2.2. Keys of tickets change by themselves.
        settings.ticketer = ring::Ticketer::new()?;
        Ok(Self {
            files,
            stamps,
            certificate: current,
            settings: Arc::new(settings),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.settings))
    }

    /// Reads the files again when they have changed, until `shutdown`. A pair that cannot be
    /// used changes nothing.
    pub(super) async fn follow(
        mut self,
        listener: &'static str,
        every: Duration,
        shutdown: CancellationToken,
    ) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // Files may be on a disk that hangs.
            let files = self.files.clone();
            let known = self.stamps;
            let read = spawn_blocking(move || {
                // Taken before the files are read: a change meanwhile is one to come.
                let stamps = files.stamps();
                (stamps != known).then(|| (stamps, files.read(&Arc::new(ring::default_provider()))))
            });
            let Ok(Some((stamps, read))) = read.await else {
                continue;
            };
            // What could not be read at all is tried again, also if it does not change.
            if !matches!(read, Err(TlsError::Read { .. })) {
                self.stamps = stamps;
            }
            let result = match read {
                Ok(certificate) => {
                    self.certificate.set(certificate);
                    let file = self.files.certificate.display();
                    tracing::info!(listener, %file, "the TLS certificate was read again");
                    "used"
                }
                Err(error) => {
                    tracing::error!(listener, %error, "the TLS certificate stays as it was");
                    "refused"
                }
            };
            metrics::counter!("nova_http_tls_reloads_total", "listener" => listener, "result" => result)
                .increment(1);
        }
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        let stamp = |file: &Path| {
            let of = |file: Metadata| Stamp {
                number: file.ino(),
                length: file.len(),
                modified: (file.mtime(), file.mtime_nsec()),
                changed: (file.ctime(), file.ctime_nsec()),
            };
            std::fs::metadata(file).map(of).ok()
        };
        [stamp(&self.certificate), stamp(&self.key)]
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let file = &self.certificate;
        let format = |file: &Path, expected, why: String| TlsError::Format {
            file: file.to_owned(),
            expected,
            why,
        };
        let expected = "a chain of certificates";
        let chain = CertificateDer::pem_slice_iter(&bytes_of(file)?)
            .collect::<Result<Vec<_>, pem::Error>>()
            .map_err(|error| format(file, expected, said(error)))?;
        if chain.is_empty() {
            return Err(format(file, expected, "there is none".to_owned()));
        }
        let file = &self.key;
        let expected = "a private key";
        let key = PrivateKeyDer::from_pem_slice(&bytes_of(file)?)
            .map_err(|error| format(file, expected, said(error)))?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| format(file, expected, error.to_string()))?;
        let pair = CertifiedKey::new(chain, key);
        pair.keys_match().map_err(|why| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            why,
        })?;
        Ok(pair)
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read {
        file: file.to_owned(),
        source,
    })
}

/// What is wrong with a file, without a line of it: it may be one of a key.
fn said(error: pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "there is none",
        pem::Error::MissingSectionEnd { .. } => "a section does not end",
        pem::Error::IllegalSectionStart { .. } => "a section begins with a line that is none",
        pem::Error::Base64Decode(_) => "a section is not Base64",
        _ => "it cannot be parsed",
    }
    .to_owned()
}

impl Current {
    fn set(&self, certificate: CertifiedKey) {
        *self.0.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(|e| e.into_inner());
        Some(Arc::clone(&current))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}
