//! HTTP/2 of clients that behave, and frames of those that do not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use edge::server::Rate;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::listening::{Listening, rest};
use crate::origin::{eventually, within};
use crate::socket;

type Sender = http2::SendRequest<Full<Bytes>>;

async fn client<I>(stream: I) -> Sender
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    // Ends with the server or with the sender.
    tokio::spawn(connection);
    sender
}

/// Version and text of the answer to one request.
pub(crate) async fn get<I>(stream: I, uri: &str) -> (Version, String)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut sender = client(stream).await;
    let request = Request::get(uri).body(Full::default()).unwrap();
    let response = within(sender.send_request(request)).await.unwrap();
    let version = response.version();
    let body = within(response.into_body().collect()).await.unwrap();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    (version, text)
}

#[tokio::test]
async fn both_protocols_are_spoken_on_one_port_without_tls() {
    let listening = Listening::with(|_| {}).await;
    let stream = listening.connect().await;
    let (version, text) = get(stream, "http://edge/request").await;
    assert_eq!(version, Version::HTTP_2);
    let expected = "HTTP/2.0 http://edge/request from 127.0.0.1 tls=false";
    assert_eq!(text, expected);
    let old = listening.raw("GET /request HTTP/1.0\r\n\r\n").await;
    assert!(old.contains("HTTP/1.0 /request"), "{old}");
}

#[tokio::test]
async fn an_edge_answers_http2_by_its_authority_and_without_connection() {
    let origin = socket::origin().await;
    let (edge, _tasks) = socket::edge(origin.address).await;
    let mut sender = client(TcpStream::connect(edge).await.unwrap()).await;
    let mut ask = async |method: &str| {
        let body = match method {
            "POST" => Full::from("hello"),
            _ => Full::default(),
        };
        let request = Request::builder().method(method).uri("http://edge/a");
        let request = request.body(body).unwrap();
        within(sender.send_request(request)).await.unwrap()
    };
    for (method, status, body) in [
        ("GET", 200, "0123"),
        ("HEAD", 200, ""),
        (
            "POST",
            405,
            "Only GET, HEAD and OPTIONS are answered here.\n",
        ),
    ] {
        let response = ask(method).await;
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("connection"));
        let read = within(response.into_body().collect()).await.unwrap();
        assert_eq!(read.to_bytes(), body, "{method}");
    }
}

/// RFC 9110 9.3.2, whoever answers: a service, an edge that refuses, the server itself.
#[tokio::test]
async fn a_head_is_answered_without_a_body() {
    let listening = Listening::with(|_| {}).await;
    let origin = socket::origin().await;
    let (edge, _tasks) = socket::edge(origin.address).await;
    for (server, uri, host, status) in [
        (listening.address, "http://edge/a", "edge", 200),
        (edge, "http://edge/live/%00/a", "edge", 400),
        (listening.address, "http://edge/a", "other", 400),
    ] {
        let mut sender = client(TcpStream::connect(server).await.unwrap()).await;
        let mut ask = async |method: &str| {
            let request = Request::builder().method(method).uri(uri);
            let request = request.header("host", host).body(Full::default());
            let response = within(sender.send_request(request.unwrap())).await.unwrap();
            assert_eq!(response.status(), status, "{uri}");
            let length = response.headers().get("content-length").cloned();
            let body = within(response.into_body().collect()).await.unwrap();
            (length, body.to_bytes())
        };
        let (expected, body) = ask("GET").await;
        assert!(!body.is_empty());
        let (length, body) = ask("HEAD").await;
        assert_eq!((length, body.len()), (expected, 0), "{uri}");
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_streams_finish() {
    let mut listening = Listening::with(|config| {
        config.drain_timeout = Duration::from_secs(3_600);
    })
    .await;
    let mut sender = client(listening.connect().await).await;
    let held = Request::get("http://edge/held")
        .body(Full::default())
        .unwrap();
    let answer = tokio::spawn(sender.send_request(held));
    let seen = listening.answers.seen.clone();
    eventually(|| seen.load(Ordering::SeqCst) == 1).await;
    listening.shutdown.cancel();
    within(async { while TcpStream::connect(listening.address).await.is_ok() {} }).await;
    listening.answers.release.notify_one();
    let response = within(answer).await.unwrap().unwrap();
    let body = within(response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "released");
    // It is the server that ends the connection: the client would keep it.
    listening.stopped().await;
    assert_eq!(listening.ended("shutdown"), 1);
    drop(sender);
}

#[tokio::test]
async fn an_idle_connection_is_told_goodbye() {
    let listening = Listening::with(|config| {
        config.idle_timeout = Duration::from_millis(100);
    })
    .await;
    let mut sender = client(listening.connect().await).await;
    let request = Request::get("http://edge/a").body(Full::default()).unwrap();
    within(sender.send_request(request)).await.unwrap();
    eventually(|| listening.ended("idle") == 1).await;
    assert!(within(sender.ready()).await.is_err());
}

#[tokio::test]
async fn a_reader_that_opens_no_window_is_cut() {
    let listening = Listening::with(|config| {
        config.pace_window = Duration::from_millis(200);
    })
    .await;
    let mut sender = client(listening.connect().await).await;
    let request = Request::get("http://edge/big")
        .body(Full::default())
        .unwrap();
    // Its body is not read, so that its window stays shut.
    let response = within(sender.send_request(request)).await.unwrap();
    eventually(|| listening.ended("slow-reader") == 1).await;
    drop(response);
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// RFC 9113 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET http://edge{path}`, in HPACK without Huffman codes (RFC 7541 6.2.2).
fn request(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x01, "edge"), (0x04, path)] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

async fn raw(listening: &Listening) -> TcpStream {
    let mut stream = listening.connect().await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// Sends until the server ends the connection; so often at most.
async fn flood(mut stream: TcpStream, times: u32, frames: impl Fn(u32) -> Vec<u8>) -> bool {
    let (mut reads, mut writes) = stream.split();
    let reading = async {
        let mut buffer = vec![0; 4_096];
        while reads.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let writing = async {
        for time in 0..times {
            if writes.write_all(&frames(time)).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await
    };
    let ended = async {
        tokio::select! {
            () = reading => true,
            () = writing => false,
        }
    };
    within(ended).await
}

/// CVE-2023-44487.
#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let listening = Listening::with(|config| {
        config.resets = Rate {
            per_second: 1,
            burst: 10,
        };
    })
    .await;
    let block = request("/held");
    let stream = raw(&listening).await;
    let ended = flood(stream, 100_000, |time| {
        let id = 2 * time + 1;
        let mut both = frame(HEADERS, END_HEADERS | END_STREAM, id, &block);
        both.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        both
    })
    .await;
    assert!(ended);
    // By this server's count, or by that of the library in front of it.
    let counted = || listening.ended("resets") + listening.ended("lost");
    eventually(|| counted() == 1).await;
    let seen = listening.answers.seen.load(Ordering::SeqCst);
    assert!(seen < 1_000, "{seen} requests were let in");
}

/// One reset at a time: each request has begun before it is given up.
#[tokio::test]
async fn a_client_that_gives_up_all_it_asks_for_is_cut() {
    let listening = Listening::with(|config| {
        config.resets = Rate {
            per_second: 1,
            burst: 10,
        };
    })
    .await;
    let sender = client(listening.connect().await).await;
    within(async {
        let seen = &listening.answers.seen;
        while listening.ended("resets") == 0 {
            let mut sender = sender.clone();
            let held = Request::get("http://edge/held")
                .body(Full::default())
                .unwrap();
            let before = seen.load(Ordering::SeqCst);
            let asked = tokio::spawn(async move { sender.send_request(held).await.is_ok() });
            eventually(|| seen.load(Ordering::SeqCst) > before || listening.ended("resets") == 1)
                .await;
            asked.abort();
        }
    })
    .await;
    let seen = listening.answers.seen.load(Ordering::SeqCst);
    assert!((11..50).contains(&seen), "{seen}");
}

/// CVE-2024-27316.
#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let listening = Listening::with(|config| config.max_header_bytes = 8 << 10).await;
    let mut stream = raw(&listening).await;
    let begun = frame(HEADERS, END_STREAM, 1, &request("/a"));
    stream.write_all(&begun).await.unwrap();
    // A field of 1,000 bytes each.
    let mut field = vec![0x00, 0x01, b'a', 0x7f, 0xe9, 0x06];
    field.extend([b'x'; 1_000]);
    let ended = flood(stream, 100_000, |_| frame(CONTINUATION, 0, 1, &field)).await;
    assert!(ended);
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn streams_of_a_connection_have_a_limit() {
    let listening = Listening::with(|config| config.max_streams = 3).await;
    let mut stream = raw(&listening).await;
    for id in [1, 3, 5, 7] {
        let held = frame(HEADERS, END_HEADERS | END_STREAM, id, &request("/held"));
        stream.write_all(&held).await.unwrap();
    }
    // The fourth is refused (RFC 9113 5.1.2), and the others are not.
    let refused = frame(RST_STREAM, 0, 7, &7_u32.to_be_bytes());
    let mut all = Vec::new();
    while !all.windows(refused.len()).any(|bytes| bytes == refused) {
        assert!(within(stream.read_buf(&mut all)).await.unwrap() > 0);
    }
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_is_no_http2_ends_the_connection() {
    let listening = Listening::with(|_| {}).await;
    let settings = |id: u16, value: u32| {
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend(value.to_be_bytes());
        frame(SETTINGS, 0, 0, &payload)
    };
    for (what, bytes) in [
        (
            "a frame larger than allowed",
            frame(DATA, 0, 1, &[0; 20_000]),
        ),
        ("a window beyond 2^31-1", settings(4, u32::MAX)),
        ("frames smaller than allowed", settings(5, 1)),
        (
            "a stream of the server's",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &request("/a")),
        ),
        ("bytes of a stream that is none", frame(DATA, 0, 1, b"x")),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &request("/a")),
        ),
        (
            "fields that are no HPACK",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 9]),
        ),
    ] {
        let mut stream = raw(&listening).await;
        stream.write_all(&bytes).await.unwrap();
        rest(&mut stream).await;
        eprintln!("{what} ended the connection");
    }
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 0);
    // A preface that ends otherwise is HTTP/1.1, and none of that either.
    let answer = listening.raw("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    assert!(!answer.contains(" 200 "), "{answer}");
}
