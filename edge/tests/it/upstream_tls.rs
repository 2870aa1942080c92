//! An origin that speaks TLS.

use std::sync::Arc;

use edge::{
    Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig, InvalidBase, TlsError, UpstreamTls,
};
use http_body_util::Empty;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use media::SystemClock;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tower_service::Service;

use crate::origin::{OriginBody, response, text, within};

/// An origin with a certificate for `localhost`: its address, and the certificate as PEM.
async fn origin() -> (String, String, JoinSet<()>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust the certificate ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = service_fn(|_: http::Request<hyper::body::Incoming>| async {
                let fields = [("cache-control", "max-age=60")];
                Ok::<_, std::convert::Infallible>(response(
                    200,
                    &fields,
                    OriginBody::whole("over TLS"),
                ))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    (base, cert.pem(), tasks)
}

async fn get(base: &str, tls: UpstreamTls) -> (u16, String) {
    let config = HttpUpstreamConfig {
        tls: Some(tls),
        ..HttpUpstreamConfig::new(base)
    };
    let upstream = HttpUpstream::new(&config).unwrap();
    let mut edge = Edge::new(EdgeConfig::default(), upstream, Arc::new(SystemClock));
    let request = http::Request::get("/a")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = within(edge.call(request)).await.unwrap();
    (answer.status().as_u16(), text(answer).await)
}

#[tokio::test]
async fn an_origin_is_trusted_if_its_authority_is() {
    let (base, certificate, _tasks) = origin().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::write(&file, certificate).unwrap();
    let trusted = get(&base, UpstreamTls::of_file(&file).unwrap()).await;
    assert_eq!(trusted, (200, "over TLS".to_owned()));

    let (_, other, _other_tasks) = origin().await;
    std::fs::write(&file, other).unwrap();
    let (status, _) = get(&base, UpstreamTls::of_file(&file).unwrap()).await;
    assert_eq!(status, 502);
}

#[test]
fn whom_to_trust_must_be_known() {
    let missing = HttpUpstreamConfig::new("https://localhost:1");
    assert_eq!(
        HttpUpstream::new(&missing).unwrap_err(),
        InvalidBase::NoAuthorities
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    let error = UpstreamTls::of_file(&file).unwrap_err();
    assert!(matches!(error, TlsError::Read { .. }), "{error}");
    std::fs::write(&file, "nothing").unwrap();
    let error = UpstreamTls::of_file(&file).unwrap_err();
    assert!(matches!(error, TlsError::Empty { .. }), "{error}");
}
