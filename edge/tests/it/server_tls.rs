//! TLS: what is agreed on, the change of a certificate, and handshakes that do not end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge::server::{Tls, TlsError};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::listening::{Listening, get, rest};
use crate::origin::{eventually, within};
use crate::server_fast_path::Fast;

/// A certificate and its key in files.
struct Pair {
    directory: TempDir,
    certificate: CertificateDer<'static>,
}

fn made() -> (CertificateDer<'static>, String, String) {
    let made = rcgen::generate_simple_self_signed(["edge.test".to_owned()]).unwrap();
    let (certificate, key) = (&made.cert, &made.signing_key);
    (
        certificate.der().clone(),
        certificate.pem(),
        key.serialize_pem(),
    )
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            directory: tempfile::tempdir().unwrap(),
            certificate: CertificateDer::from(Vec::new()),
        };
        pair.replace();
        pair
    }

    /// Writes another pair into the files.
    fn replace(&mut self) {
        let (der, certificate, key) = made();
        fs::write(self.certificate_file(), certificate).unwrap();
        fs::write(self.key_file(), key).unwrap();
        self.certificate = der;
    }

    fn certificate_file(&self) -> PathBuf {
        self.directory.path().join("chain.pem")
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    fn load(&self) -> Result<Tls, TlsError> {
        Tls::load(&self.certificate_file(), &self.key_file())
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn client(
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

async fn connect(
    listening: &Listening,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = listening.connect().await;
    let name = ServerName::try_from("edge.test").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn listening(pair: &Pair) -> Listening {
    let every = Duration::from_millis(10);
    let change = |config: &mut edge::server::ServerConfig| config.certificate_interval = every;
    Listening::start(change, Some(pair.load().unwrap())).await
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_agreed_on() {
    let pair = Pair::new();
    let listening = listening(&pair).await;
    for version in BOTH {
        let config = client(&pair.certificate, &[version], &["http/1.1"]);
        let mut stream = connect(&listening, config).await.unwrap();
        let agreed = stream.get_ref().1.protocol_version();
        assert_eq!(agreed, Some(version.version));
        let request = "GET /request HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("from 127.0.0.1 tls=true"), "{answer}");
    }
    assert_eq!(BOTH[1].version, ProtocolVersion::TLSv1_2);

    let config = client(&pair.certificate, BOTH, &["h2", "http/1.1"]);
    let stream = connect(&listening, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (version, text) = crate::server_http2::get(stream, "https://edge.test/request").await;
    assert_eq!(version, http::Version::HTTP_2);
    let expected = "HTTP/2.0 https://edge.test/request from 127.0.0.1 tls=true";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn the_fast_path_answers_over_tls_and_who_stops_reading_is_cut() {
    let pair = Pair::new();
    let fast = Fast::default();
    let (path, tls) = (Arc::new(fast.clone()), pair.load().unwrap());
    let change = |config: &mut edge::server::ServerConfig| {
        config.pace_window = Duration::from_millis(400);
        config.idle_timeout = Duration::from_millis(400);
        config.least_pace = 1_000_000;
    };
    let add = |server: edge::server::Server| server.with_tls(tls).with_fast_path(path);
    let listening = Listening::start_with(change, add).await;
    let config = || client(&pair.certificate, BOTH, &["http/1.1"]);
    let mut stream = connect(&listening, config()).await.unwrap();
    for path in ["/fast", "/a", "/fast", "/fast"] {
        stream.write_all(get(path).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert!(within(stream.read_buf(&mut answer)).await.unwrap() > 0);
        }
    }
    assert_eq!(fast.answered(), 3);
    drop(stream);
    // What is small fits into the buffers of TLS, what is large does not.
    for path in ["/fast", "/fast/big"] {
        let name = ServerName::try_from("edge.test").unwrap();
        let narrow = listening.connect_narrow().await;
        let narrow = TlsConnector::from(Arc::new(config())).connect(name, narrow);
        let mut narrow = within(narrow).await.unwrap();
        let before = listening.ended("slow-reader") + listening.ended("idle");
        narrow
            .write_all(get(path).repeat(500).as_bytes())
            .await
            .unwrap();
        eventually(|| listening.ended("slow-reader") + listening.ended("idle") > before).await;
    }
}

#[tokio::test]
async fn what_is_no_handshake_ends_in_time_and_without_an_answer() {
    let pair = Pair::new();
    let change = |config: &mut edge::server::ServerConfig| {
        config.handshake_timeout = Duration::from_millis(50);
        config.max_handshakes = 1;
    };
    let listening = Listening::start(change, Some(pair.load().unwrap())).await;
    let mut first = listening.connect().await;
    assert_eq!(rest(&mut first).await, "");
    assert_eq!(listening.ended("slow-handshake"), 1);
    let plain = listening.raw(&get("/a")).await;
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    assert_eq!(listening.ended("handshake"), 1);
}

#[tokio::test]
async fn handshakes_under_way_have_a_limit() {
    let pair = Pair::new();
    let change = |config: &mut edge::server::ServerConfig| config.max_handshakes = 1;
    let listening = Listening::start(change, Some(pair.load().unwrap())).await;
    let first = listening.connect().await;
    assert_eq!(rest(&mut listening.connect_from(2).await).await, "");
    assert_eq!(listening.ended("handshakes"), 1);
    drop(first);
    eventually(|| listening.ended("handshake") == 1).await;
    let config = client(&pair.certificate, BOTH, &[]);
    connect(&listening, config).await.unwrap();
}

#[tokio::test]
async fn e13_a_crowd_that_does_not_shake_hands_keeps_no_other_address_out() {
    const CROWD: u64 = 40;
    let pair = Pair::new();
    let change = |config: &mut edge::server::ServerConfig| {
        config.max_handshakes = 32;
        config.handshake_timeout = Duration::from_secs(3_600);
    };
    let listening = Listening::start(change, Some(pair.load().unwrap())).await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(listening.connect_from(2).await);
    }
    // A quarter is let in and held; the others are told at once.
    eventually(|| listening.ended("handshakes-per-address") == CROWD - 8).await;
    connect(&listening, client(&pair.certificate, BOTH, &[]))
        .await
        .unwrap();
    assert_eq!(listening.ended("handshakes"), 0);
    drop(crowd);
    eventually(|| listening.ended("handshake") == 8).await;
}

#[tokio::test]
async fn a_certificate_changes_while_connections_go_on() {
    let mut pair = Pair::new();
    let listening = listening(&pair).await;
    let old = pair.certificate.clone();
    let mut kept = connect(&listening, client(&old, BOTH, &[])).await.unwrap();
    let counter = |result| format!("nova_http_tls_reloads_total listener=test result={result}");

    // A key that is none, and one of another certificate: the old pair stays.
    let key = fs::read(pair.key_file()).unwrap();
    let refused = counter("refused");
    for (time, bad) in [(1, "no key".to_owned()), (2, made().2)] {
        fs::write(pair.key_file(), bad).unwrap();
        eventually(|| listening.measured.count(&refused) >= time).await;
        connect(&listening, client(&old, BOTH, &[])).await.unwrap();
    }
    fs::write(pair.key_file(), key).unwrap();

    pair.replace();
    let new = pair.certificate.clone();
    within(async {
        while connect(&listening, client(&new, BOTH, &[])).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(connect(&listening, client(&old, BOTH, &[])).await.is_err());
    assert!(listening.measured.count(&counter("used")) >= 1);
    let request = "GET /a HTTP/1.0\r\n\r\n";
    kept.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(kept.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_reason() {
    let pair = Pair::new();
    let refused = |certificate: &Path, key: &Path| {
        let error = Tls::load(certificate, key).unwrap_err().to_string();
        assert!(!error.contains("PRIVATE"), "{error}");
        error
    };
    let (certificate, key) = (pair.certificate_file(), pair.key_file());
    let missing = pair.directory.path().join("missing.pem");
    let error = refused(&missing, &key);
    assert!(error.starts_with("cannot read "), "{error}");
    assert!(error.contains("missing.pem: No such file"), "{error}");

    let error = refused(&key, &key);
    assert!(
        error.contains("key.pem: expected a chain of cert"),
        "{error}"
    );
    let error = refused(&certificate, &certificate);
    assert!(
        error.contains("chain.pem: expected a private key"),
        "{error}"
    );

    let text = fs::read_to_string(&key).unwrap();
    fs::write(&key, text.replace("-----END", "-----ENDE")).unwrap();
    let error = refused(&certificate, &key);
    assert!(error.contains("does not end"), "{error}");

    fs::write(&key, made().2).unwrap();
    let error = refused(&certificate, &key);
    assert!(error.contains("is not that of the first"), "{error}");
}
