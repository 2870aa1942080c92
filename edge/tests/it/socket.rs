//! The same over real sockets: hyper on both sides, and a client that sees bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge::server::{Server, ServerConfig};
use edge::{
    Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig, Member, MemberKind, Pool, PoolConfig,
};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use media::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::origin::{OriginBody, Pieces, get, response, send, text, within};

/// An origin on a socket. Its tasks end with it.
pub(crate) struct SocketOrigin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Breaks the body that waits to be broken.
    lose: Arc<Notify>,
    _tasks: JoinSet<()>,
}

pub(crate) async fn origin() -> SocketOrigin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let lose = Arc::new(Notify::new());
    let lost = Arc::clone(&lose);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let lost = Arc::clone(&lost);
            serving.spawn(async move {
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let lost = Arc::clone(&lost);
                    async move {
                        match request.uri().path() {
                            "/echo" => echo(request).await,
                            path => answer(path, lost).await,
                        }
                    }
                });
                // It fails where a test makes a body fail.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    SocketOrigin {
        address,
        connections,
        lose,
        _tasks: tasks,
    }
}

async fn answer(
    path: &str,
    lost: Arc<Notify>,
) -> Result<http::Response<OriginBody>, std::convert::Infallible> {
    let fresh = ("cache-control", "max-age=60");
    let (pieces, body) = OriginBody::open();
    send(&pieces, "0123");
    let lose = |pieces: Pieces| async move {
        lost.notified().await;
        pieces.send(Err("lost".to_owned()))
    };
    Ok(match path {
        "/short" => {
            tokio::spawn(lose(pieces));
            response(200, &[fresh, ("content-length", "10")], body)
        }
        "/short-chunked" => {
            tokio::spawn(lose(pieces));
            response(200, &[fresh], body)
        }
        "/chunked" => response(200, &[fresh], body),
        "/silent" => std::future::pending().await,
        _ => response(200, &[fresh, ("content-length", "4")], body),
    })
}

/// Answers with method, length and body of the request.
async fn echo(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<OriginBody>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get("content-length").cloned();
    let body = body.collect().await.unwrap().to_bytes();
    let text = format!("{} {length:?} {}", parts.method, body.escape_ascii());
    Ok(response(200, &[], OriginBody::whole(text.leak())))
}

/// An edge on a socket in front of `origin`.
pub(crate) async fn edge(origin: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    edge_of(origin, EdgeConfig::default()).await
}

async fn edge_of(origin: SocketAddr, config: EdgeConfig) -> (SocketAddr, JoinSet<()>) {
    let upstream = HttpUpstreamConfig::new(format!("http://{origin}"));
    let upstream = HttpUpstream::new(&upstream).unwrap();
    let config = EdgeConfig {
        head_timeout: Duration::from_millis(200),
        ..config
    };
    let edge = Edge::new(config, upstream, Arc::new(SystemClock));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind("test", any, ServerConfig::default());
    let server = server.await.unwrap();
    let address = server.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(edge, CancellationToken::new()));
    (address, tasks)
}

/// Sends `request` as it stands and reads until the server closes.
async fn raw(edge: SocketAddr, request: &str) -> String {
    raw_until(edge, request, None, || {}).await
}

/// The same; calls `seen` once when `text` has been read.
async fn raw_until(
    edge: SocketAddr,
    request: &str,
    text: Option<&str>,
    seen: impl FnOnce(),
) -> String {
    let mut stream = TcpStream::connect(edge).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let contains =
        |all: &[u8]| text.is_some_and(|text| String::from_utf8_lossy(all).contains(text));
    let mut seen = Some(seen);
    // A reset after the bytes is an end as well.
    while within(stream.read_buf(&mut all)).await.unwrap_or(0) > 0 {
        if contains(&all)
            && let Some(seen) = seen.take()
        {
            seen();
        }
    }
    String::from_utf8(all).unwrap()
}

fn plain_get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
}

async fn raw_get(edge: SocketAddr, path: &str) -> String {
    raw(edge, &plain_get(path)).await
}

#[tokio::test]
async fn e04_a_truncated_body_is_cut_and_never_ended_cleanly() {
    let origin = origin().await;
    let (edge, _tasks) = edge(origin.address).await;
    let cut = async |path| {
        let lose = || origin.lose.notify_one();
        let answer = raw_until(edge, &plain_get(path), Some("0123"), lose).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        // Not from memory the second time either.
        assert!(head.contains("nova; fwd=miss"), "{head}");
        (head.to_owned(), body.to_owned())
    };
    for _ in 0..2 {
        let (head, body) = cut("/short").await;
        assert!(head.contains("content-length: 10"), "{head}");
        assert_eq!(body, "0123");

        let (head, body) = cut("/short-chunked").await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(body, "4\r\n0123\r\n");
    }
}

#[tokio::test]
async fn answers_pass_whole_over_one_kept_connection() {
    let origin = origin().await;
    let (edge, _tasks) = edge(origin.address).await;
    for path in ["/a", "/b", "/c", "/a"] {
        let answer = raw_get(edge, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n0123"), "{answer}");
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

/// An origin that answers the first request of each connection, and closes it at the second.
/// It counts what is lost so.
async fn forgetful() -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lost = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&lost);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            serving.spawn(async move {
                let mut requests = vec![0; 4_096];
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0123";
                if stream.read(&mut requests).await.is_ok_and(|read| read > 0)
                    && stream.write_all(answer).await.is_ok()
                    && stream.read(&mut requests).await.is_ok_and(|read| read > 0)
                {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (address, lost, tasks)
}

/// Members that forget, as an edge asks them.
struct Forgetful {
    edge: Edge<Pool<HttpUpstream>>,
    lost: Vec<Arc<AtomicUsize>>,
    asked: usize,
    _tasks: Vec<JoinSet<()>>,
}

impl Forgetful {
    async fn new(count: u32, retries_per_second: u32) -> Self {
        let (mut members, mut lost, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let (address, counted, serving) = forgetful().await;
            let upstream = HttpUpstreamConfig {
                // So that what is sent again has a new connection.
                max_idle: 1,
                ..HttpUpstreamConfig::new(format!("http://{address}"))
            };
            let member = Member {
                name: address.to_string(),
                kind: MemberKind::Origin,
                group: 0,
                weight: 1,
            };
            members.push((member, HttpUpstream::new(&upstream).unwrap()));
            lost.push(counted);
            tasks.push(serving);
        }
        let pool = Pool::new(PoolConfig {
            checks: None,
            retry_percent: 0,
            retries_per_second,
            ..PoolConfig::default()
        });
        pool.set_members(members);
        let edge = Edge::new(EdgeConfig::default(), pool, Arc::new(SystemClock));
        Self {
            edge,
            lost,
            asked: 0,
            _tasks: tasks,
        }
    }

    fn lost(&self) -> usize {
        let counts = self.lost.iter().map(|lost| lost.load(Ordering::SeqCst));
        counts.sum()
    }

    /// Asks until a request is lost, and says what became of that one. A connection is kept a
    /// little after its answer has ended.
    async fn lose(&mut self) -> u16 {
        let before = self.lost();
        within(async {
            loop {
                self.asked += 1;
                let answer = self.edge.call(get(&format!("/vod/v/{}", self.asked))).await;
                let status = answer.as_ref().unwrap().status().as_u16();
                text(answer.unwrap()).await;
                if self.lost() > before {
                    return status;
                }
                assert_eq!(status, 200);
            }
        })
        .await
    }
}

#[tokio::test]
async fn a_request_lost_on_a_kept_connection_is_sent_again_within_the_budget_of_retries() {
    for (retries_per_second, then) in [(1, 200), (0, 502)] {
        let mut members = Forgetful::new(1, retries_per_second).await;
        assert_eq!(members.lose().await, then);
    }
}

#[tokio::test]
async fn what_another_member_could_be_asked_needs_no_budget_to_be_sent_again() {
    let mut members = Forgetful::new(2, 0).await;
    for _ in 0..4 {
        assert_eq!(members.lose().await, 200);
    }
}

#[tokio::test]
async fn an_origin_that_refuses_is_a_502_and_a_silent_one_a_504() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (refused, _tasks) = edge(address).await;
    let answer = raw_get(refused, "/a").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("detail=origin-unreachable"), "{answer}");
    assert!(
        answer.ends_with("The origin cannot be reached.\n"),
        "{answer}"
    );

    let origin = origin().await;
    let (silent, _tasks) = edge(origin.address).await;
    let answer = raw_get(silent, "/silent").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(
        answer.ends_with("The origin did not answer in time.\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn e12_an_unread_request_body_is_never_taken_for_a_request() {
    let origin = origin().await;
    let (edge, _tasks) = edge(origin.address).await;
    assert!(raw_get(edge, "/a").await.ends_with("0123"));
    let inner = "GET /smuggled HTTP/1.1\r\nHost: edge\r\n\r\n";
    let outer = format!(
        "GET /a HTTP/1.1\r\nHost: edge\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let answer = raw(edge, &outer).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn e10_head_over_a_socket_has_the_length_and_no_body() {
    let origin = origin().await;
    let (edge, _tasks) = edge(origin.address).await;
    let request = "HEAD /a HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    let answer = raw(edge, request).await;
    assert!(answer.contains("content-length: 4\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = raw(edge, &request.replace("/a", "/chunked")).await;
    assert!(!answer.contains("content-length"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn bodies_of_requests_reach_a_general_origin() {
    let origin = origin().await;
    let (edge, _tasks) = edge_of(origin.address, EdgeConfig::general()).await;
    let head = "/echo HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n";
    let sized = format!("PUT {head}Content-Length: 5\r\n\r\nhello");
    let answer = raw(edge, &sized).await;
    assert!(answer.contains("PUT Some(\"5\") hello"), "{answer}");
    let chunked =
        format!("POST {head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    let answer = raw(edge, &chunked).await;
    assert!(answer.contains("POST None hello"), "{answer}");
    let none = format!("DELETE {head}\r\n");
    let answer = raw(edge, &none).await;
    assert!(answer.contains("DELETE None "), "{answer}");
}
