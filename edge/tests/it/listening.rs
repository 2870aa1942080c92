//! A server on a socket in front of a service that answers by path, and raw clients.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge::server::{Peer, ReceivedBody, Server, ServerConfig, Tls};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use measured::Measured;
use metrics::LocalRecorderGuard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::origin::within;

/// Bytes of `/big`: more than sockets buffer.
pub(crate) const BIG: usize = 64 << 20;
const PIECE: usize = 64 << 10;

/// A running server. Its tasks end with it.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) measured: Measured,
    pub(crate) answers: Answers,
    serving: JoinHandle<()>,
    _recording: LocalRecorderGuard<'static>,
}

/// What answers. Clones share what is counted.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    /// Requests that were seen.
    pub(crate) seen: Arc<AtomicUsize>,
    /// Lets one request for `/held` go.
    pub(crate) release: Arc<Notify>,
}

impl Listening {
    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::start(change, None).await
    }

    pub(crate) async fn start(change: impl FnOnce(&mut ServerConfig), tls: Option<Tls>) -> Self {
        Self::start_with(change, |server| match tls {
            Some(tls) => server.with_tls(tls),
            None => server,
        })
        .await
    }

    pub(crate) async fn start_with(
        change: impl FnOnce(&mut ServerConfig),
        add: impl FnOnce(Server) -> Server,
    ) -> Self {
        let measured = Measured::default();
        // The recorder of a thread, which ends with the test's process.
        let recorder: &'static Measured = Box::leak(Box::new(measured.clone()));
        let recording = metrics::set_default_local_recorder(recorder);
        let mut config = ServerConfig::default();
        change(&mut config);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = add(Server::bind("test", any, config).await.unwrap());
        let address = server.address();
        let shutdown = CancellationToken::new();
        let answers = Answers::default();
        let serving = tokio::spawn(server.serve(answers.clone(), shutdown.clone()));
        Self {
            address,
            shutdown,
            measured,
            answers,
            serving,
            _recording: recording,
        }
    }

    /// Stops, and waits until all has ended.
    pub(crate) async fn stopped(&mut self) {
        self.shutdown.cancel();
        within(&mut self.serving).await.unwrap();
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From another address of this machine.
    pub(crate) async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// A client whose sockets hold little, so that what it does not take waits in the server.
    pub(crate) async fn connect_narrow(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket2::SockRef::from(&socket).set_tcp_mss(1_400).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Sends `request` as it stands and reads until the server closes.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // A server may close before it has read all.
        let _ = stream.write_all(request.as_bytes()).await;
        rest(&mut stream).await
    }

    /// Connections that were let in and ended for `reason`.
    pub(crate) fn ended(&self, reason: &str) -> u64 {
        self.counted("connections_ended", reason)
    }

    /// Connections that were not let in for `reason`.
    pub(crate) fn shut_out(&self, reason: &str) -> u64 {
        self.counted("connections_refused", reason)
    }

    /// Requests that the server answered itself for `reason`.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.counted("requests_refused", reason)
    }

    fn counted(&self, name: &str, reason: &str) -> u64 {
        let key = format!("nova_http_{name}_total listener=test reason={reason}");
        self.measured.count(&key)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// All that comes until the connection's end, which may be a reset.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    while within(stream.read_buf(&mut all)).await.unwrap_or(0) > 0 {}
    String::from_utf8_lossy(&all).into_owned()
}

/// What comes until `text` has come.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&all).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        let read = within(stream.read_buf(&mut all)).await.unwrap();
        assert!(read > 0, "{text} is missing: {so_far}");
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n")
}

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

impl Service<Request<ReceivedBody>> for Answers {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReceivedBody>) -> Self::Future {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let release = Arc::clone(&self.release);
        Box::pin(async move {
            let mut request = request;
            if request.uri().path() == "/switch" {
                return Ok(switch(&mut request));
            }
            let body = match request.uri().path() {
                "/big" => big(),
                "/held" => {
                    release.notified().await;
                    text("released".to_owned())
                }
                "/echo" => match request.into_body().collect().await {
                    Ok(body) => text(format!("{} bytes", body.to_bytes().len())),
                    Err(error) => text(error.to_string()),
                },
                "/request" => {
                    let peer = request.extensions().get::<Peer>().unwrap();
                    let ip = peer.address.ip();
                    let is_tls = peer.is_tls;
                    let (version, uri) = (request.version(), request.uri());
                    text(format!("{version:?} {uri} from {ip} tls={is_tls}"))
                }
                _ => text("hello".to_owned()),
            };
            Ok(Response::new(body))
        })
    }
}

/// Agrees to a protocol in which all that comes is said again.
fn switch(request: &mut Request<ReceivedBody>) -> Response<AnswerBody> {
    let switched = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(switched.await.unwrap());
        let mut piece = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            stream.write_all(&piece[..read]).await.unwrap();
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(text(String::new()))
        .unwrap()
}

fn text(text: String) -> AnswerBody {
    Full::from(text).boxed_unsync()
}

fn big() -> AnswerBody {
    let piece = Bytes::from_static(&[b'x'; PIECE]);
    let pieces = (0..BIG / PIECE).map(move |_| Ok(Frame::data(piece.clone())));
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}
