//! A listener that the system has no descriptor for. Alone in its process, whose limit it
//! lowers.

use std::convert::Infallible;
use std::fs::File;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge::server::{ReceivedBody, Server, ServerConfig};
use http::{Request, Response};
use http_body_util::Full;
use measured::Measured;
use rlimit::Resource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

const LIMIT: Duration = Duration::from_secs(20);
const FILES: u64 = 64;

#[derive(Clone)]
struct Hello;

impl Service<Request<ReceivedBody>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<ReceivedBody>) -> Self::Future {
        ready(Ok(Response::new(Full::from("hello"))))
    }
}

#[tokio::test]
async fn want_of_descriptors_pauses_a_listener_and_does_not_end_it() {
    let measured = Measured::default();
    let _recording = metrics::set_default_local_recorder(&measured);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind("test", any, ServerConfig::default());
    let server = server.await.unwrap();
    let address = server.address();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.serve(Hello, shutdown.clone()));

    let (_, most) = rlimit::getrlimit(Resource::NOFILE).unwrap();
    rlimit::setrlimit(Resource::NOFILE, FILES, most).unwrap();
    let mut open: Vec<File> = (0..FILES)
        .map_while(|_| File::open("/dev/null").ok())
        .collect();
    assert!(open.len() < FILES as usize);
    // One for the client, and none for the server.
    open.pop();
    let mut client = TcpStream::connect(address).await.unwrap();
    let failed = "nova_http_accept_errors_total listener=test";
    let counted = async {
        while measured.count(failed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, counted).await.unwrap();

    open.clear();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = timeout(LIMIT, client.read_to_string(&mut answer));
    read.await.unwrap().unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    shutdown.cancel();
    timeout(LIMIT, serving).await.unwrap().unwrap();
}
