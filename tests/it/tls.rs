//! The HTTP port with a certificate, as `curl` sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Listener, Nova, Site, wait_for};

const LIMIT: Duration = Duration::from_secs(30);
const HOST: &str = "nova.test";

/// The files of a certificate.
struct Pair {
    chain: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn in_directory(directory: &Path) -> Self {
        let pair = Self {
            chain: directory.join("chain.pem"),
            key: directory.join("key.pem"),
        };
        pair.replace();
        pair
    }

    /// Another one in its place.
    fn replace(&self) {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        fs::write(&self.chain, made.cert.pem()).expect("a file");
        fs::write(&self.key, made.signing_key.serialize_pem()).expect("a file");
    }
}

/// Status and HTTP version of a GET of `/`, or why there is none.
fn curl(nova: &Nova, scheme: &str, arguments: &[&str]) -> Result<String, String> {
    let address = nova.address(Listener::Http);
    let port = address.port();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code} %{http_version}"])
        .args(["--resolve", &format!("{HOST}:{port}:{}", address.ip())])
        .args(arguments)
        .arg(format!("{scheme}://{HOST}:{port}/"))
        .output()
        .expect("curl runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn the_http_port_speaks_tls_and_its_certificate_is_renewed_while_it_runs() {
    let site = Site::new();
    let pair = Pair::in_directory(site.data_dir());
    let nova = site
        .serve()
        .variable("NOVA__HTTP__TLS_CERTIFICATE", pair.chain.to_str().unwrap())
        .variable("NOVA__HTTP__TLS_KEY", pair.key.to_str().unwrap())
        .start();
    let old = site.data_dir().join("old.pem");
    fs::copy(&pair.chain, &old).unwrap();
    let ask = |chain: &Path, argument: &str| {
        let chain = chain.to_str().unwrap();
        let arguments = ["--cacert", chain, "--tlsv1.2", argument];
        curl(&nova, "https", &arguments)
    };
    assert_eq!(ask(&old, "--http2"), Ok("200 2".to_owned()));
    assert_eq!(ask(&old, "--http1.1"), Ok("200 1.1".to_owned()));
    assert!(curl(&nova, "http", &[]).is_err());

    // Half of a renewal, or a mistake: the old one stays, and the log says why.
    fs::write(&pair.chain, "no certificate").unwrap();
    let refused = || {
        let events = nova.events("the TLS certificate stays as it was");
        let event = events.first().ok_or("no such event")?;
        Ok::<_, String>(event["error"].to_string())
    };
    let error = wait_for("the refusal", LIMIT, refused);
    assert!(error.contains("chain.pem"), "{error}");
    assert!(
        error.contains("expected a chain of certificates"),
        "{error}"
    );
    let metrics = nova.admin().fetch("/metrics").unwrap().text();
    let counted = "nova_http_tls_reloads_total{listener=\"http\",result=\"refused\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(ask(&old, "--http2"), Ok("200 2".to_owned()));

    pair.replace();
    wait_for("the new certificate", LIMIT, || ask(&pair.chain, "--http2"));
    assert!(ask(&old, "--http2").is_err());
}

#[test]
fn http2_is_spoken_without_tls_too() {
    let site = Site::new();
    let nova = site.serve().start();
    let prior = curl(&nova, "http", &["--http2-prior-knowledge"]);
    assert_eq!(prior, Ok("200 2".to_owned()));
    assert_eq!(curl(&nova, "http", &[]), Ok("200 1.1".to_owned()));
}

#[test]
fn a_certificate_that_cannot_be_used_says_why() {
    let site = Site::new();
    let pair = Pair::in_directory(site.data_dir());
    let check = |certificate: &str, key: &str| {
        let variables = [
            ("NOVA__HTTP__TLS_CERTIFICATE", certificate),
            ("NOVA__HTTP__TLS_KEY", key),
        ];
        site.nova_with(&variables, &["config", "check"])
    };
    let (chain, key) = (pair.chain.to_str().unwrap(), pair.key.to_str().unwrap());
    assert!(check(chain, key).succeeded().contains("chain.pem"));
    for (certificate, key, wanted) in [
        (chain, "", "http.tls_key = \"\": expected a file"),
        ("", key, "http.tls_certificate = \"\": expected a file"),
        ("missing.pem", key, "cannot read missing.pem"),
        (key, key, "expected a chain of certificates"),
        (chain, chain, "expected a private key"),
    ] {
        let sentence = check(certificate, key).failed_with_one_sentence();
        assert!(sentence.contains(wanted), "{sentence}");
    }
}
