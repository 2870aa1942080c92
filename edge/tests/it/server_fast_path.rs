//! Requests that are answered below hyper, among those that hyper reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edge::server::{FastAnswer, FastPath, PlainRequest, Rate, Receipt, ServerConfig};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listening::{BIG, Listening, get, read_until, rest};
use crate::origin::{eventually, within};

/// Answers what begins with `/fast`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fast {
    answered: Arc<AtomicUsize>,
    taken: Arc<AtomicU64>,
}

impl Fast {
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

impl Receipt for Fast {
    fn taken(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::SeqCst);
    }
}

impl FastPath for Fast {
    fn is_indifferent(&self, field: &str) -> bool {
        field.eq_ignore_ascii_case("accept")
    }

    fn answer(&self, request: &PlainRequest<'_>) -> Option<FastAnswer> {
        let body: Arc<[Bytes]> = match request.path {
            "/fast/big" => (0..BIG >> 20)
                .map(|_| Bytes::from_static(MEGABYTE))
                .collect(),
            "/fast/empty" => Arc::new([]),
            path if path.starts_with("/fast") => {
                Arc::new(["he", "", "l", "lo"].map(|piece| Bytes::from_static(piece.as_bytes())))
            }
            _ => return None,
        };
        self.answered.fetch_add(1, Ordering::SeqCst);
        let length: usize = body.iter().map(Bytes::len).sum();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nfast: yes\r\n\r\n");
        Some(FastAnswer {
            head: head.into(),
            body,
            receipt: Arc::new(self.clone()),
        })
    }
}

static MEGABYTE: &[u8] = &[b'x'; 1 << 20];

async fn listening(change: impl FnOnce(&mut ServerConfig)) -> (Listening, Fast) {
    let fast = Fast::default();
    let path = Arc::new(fast.clone());
    let listening = Listening::start_with(change, |server| server.with_fast_path(path)).await;
    (listening, fast)
}

#[tokio::test]
async fn both_ways_alternate_on_one_connection() {
    let (listening, fast) = listening(|_| {}).await;
    let mut stream = listening.connect().await;
    let head = |fields: &str| format!("GET /fast HTTP/1.1\r\nHost: edge\r\n{fields}\r\n");
    let mut counts = (0, 0);
    for (request, is_fast) in [
        (get("/fast"), true),
        (get("/a"), false),
        (get("/fast"), true),
        (get("/fast?a=b"), false),
        (head("Range: bytes=0-1\r\n"), false),
        (head("If-None-Match: *\r\n"), false),
        (head("Authorization: Basic eA==\r\n"), false),
        (head("Cookie: a=b\r\n"), false),
        (head("CDN-Loop: nova\r\n"), false),
        (head("CMCD-Session: sid=\"a\"\r\n"), false),
        (head("Unheard-Of: a\r\n"), false),
        (head("User-Agent: a\r\nACCEPT: */*\r\n"), true),
        (head("Connection: Keep-Alive\r\n"), true),
        (get("/fast"), true),
        (get("http://edge/fast"), false),
        (get("/fast"), true),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "hello").await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        match is_fast {
            true => counts.0 += 1,
            false => counts.1 += 1,
        }
        let seen = listening.answers.seen.load(Ordering::SeqCst);
        assert_eq!((fast.answered(), seen), counts, "{request}");
        assert_eq!(answer.contains("fast: yes"), is_fast, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_without_bytes_is_whole() {
    let (listening, _) = listening(|_| {}).await;
    let last = "GET /request HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    let answer = listening.raw(&(get("/fast/empty") + last)).await;
    assert!(
        answer.contains("fast: yes\r\n\r\nHTTP/1.1 200 OK"),
        "{answer}"
    );
    assert!(answer.contains("/request from 127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn where_the_next_request_begins_is_hypers_to_say() {
    let (listening, fast) = listening(|_| {}).await;
    let smuggled = get("/fast");
    let length = smuggled.len();
    for before in [
        format!("POST /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: {length}\r\n\r\n"),
        format!("GET /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: {length}\r\n\r\n"),
        format!(
            "PUT /echo HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
        ),
    ] {
        let mut stream = listening.connect().await;
        stream.write_all(before.as_bytes()).await.unwrap();
        let end = match before.contains("chunked") {
            true => "\r\n0\r\n\r\n",
            false => "",
        };
        let body = format!("{smuggled}{end}");
        stream.write_all(body.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, " bytes").await;
        assert!(answer.ends_with(&format!("{length} bytes")), "{answer}");
        stream.write_all(get("/fast").as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "hello").await;
        assert!(!answer.contains("fast: yes"), "{answer}");
    }
    assert_eq!(fast.answered(), 0);
}

#[tokio::test]
async fn what_the_server_refuses_the_fast_path_does_not_answer() {
    let (listening, fast) = listening(|_| {}).await;
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a/b\r\n",
        "Host: edge\r\nFolded: one\r\n two\r\n",
        "Host: edge\r\nSpaced : one\r\n",
    ] {
        let request = format!("GET /fast HTTP/1.1\r\n{fields}\r\n{}", get("/b"));
        let answer = listening.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(fast.answered(), 0);
}

#[tokio::test]
async fn where_a_rate_is_kept_there_is_no_fast_path() {
    let (listening, fast) = listening(|config| {
        config.requests_per_address = Rate {
            per_second: 1,
            burst: 1,
        };
    })
    .await;
    let both = get("/fast") + "GET /fast HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    let answer = listening.raw(&both).await;
    assert!(answer.contains("HTTP/1.1 429 "), "{answer}");
    assert_eq!(fast.answered(), 0);
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut() {
    let (listening, fast) = listening(|config| {
        config.pace_window = Duration::from_millis(200);
        config.least_pace = 1_000_000;
    })
    .await;
    let mut stream = listening.connect_narrow().await;
    stream.write_all(get("/fast/big").as_bytes()).await.unwrap();
    eventually(|| fast.answered() == 1).await;
    eventually(|| listening.ended("slow-reader") == 1).await;
    let taken = fast.taken.load(Ordering::SeqCst);
    assert!(0 < taken && taken < BIG as u64, "{taken}");
    assert!(rest(&mut stream).await.len() < BIG);
}

#[tokio::test]
async fn what_is_under_way_when_the_server_stops_is_sent() {
    let (mut listening, fast) = listening(|config| {
        config.drain_timeout = Duration::from_secs(3_600);
    })
    .await;
    let mut reads = listening.connect_narrow().await;
    reads.write_all(get("/fast/big").as_bytes()).await.unwrap();
    eventually(|| fast.answered() == 1).await;
    let mut idle = listening.connect().await;
    idle.write_all(get("/fast").as_bytes()).await.unwrap();
    read_until(&mut idle, "hello").await;
    listening.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match within(reads.read(&mut buffer)).await.unwrap() {
            0 => break,
            read => bytes += read,
        }
    }
    assert!(bytes > BIG, "{bytes}");
    listening.stopped().await;
    assert_eq!(listening.ended("shutdown"), 2);
}

#[tokio::test]
async fn a_connection_that_only_the_fast_path_has_answered_is_idle_afterwards() {
    let (listening, _) = listening(|config| {
        config.idle_timeout = Duration::from_millis(100);
    })
    .await;
    let mut stream = listening.connect().await;
    stream.write_all(get("/fast").as_bytes()).await.unwrap();
    read_until(&mut stream, "hello").await;
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(listening.ended("idle"), 1);
}

/// What `Answers` gives for `/fast`, and what the fast path does, are the same but for a field.
fn any_request() -> impl Strategy<Value = String> {
    let body = |method: &str, body: &str| {
        let length = body.len();
        format!("{method} /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    prop_oneof![
        8 => Just(get("/fast")),
        4 => Just(get("/a")),
        3 => Just(get("/request")),
        2 => Just(get("/fast").replace("GET", "HEAD")),
        2 => Just(get("/fast").replace("GET", "OPTIONS")),
        1 => Just(format!("\r\n{}", get("/fast"))),
        1 => Just(get("/fast").replace("\r\n", "\n")),
        1 => Just(body("POST", "hello")),
        1 => Just(body("GET", &get("/fast"))),
    ]
}

/// How a request is sent.
#[derive(Debug, Clone, Copy)]
enum Sending {
    /// Once the answer to the one before has come.
    Waits,
    /// With the one before, without waiting.
    Follows,
    /// As it follows, cut in two somewhere.
    Cut(prop::sample::Index),
}

fn any_sending() -> impl Strategy<Value = Sending> {
    prop_oneof![
        8 => Just(Sending::Waits),
        1 => Just(Sending::Follows),
        1 => any::<prop::sample::Index>().prop_map(Sending::Cut),
    ]
}

const LAST: &str = "GET /fast HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";

/// All that a client gets that sends `requests` so.
async fn talk(listening: &Listening, requests: &[(String, Sending)]) -> String {
    let mut stream = listening.connect().await;
    let mut all = Vec::new();
    // Each answer has one head, and all of them are good.
    let heads = |all: &[u8]| {
        String::from_utf8_lossy(all)
            .matches("HTTP/1.1 200 OK")
            .count()
    };
    for (asked, (request, sending)) in requests.iter().enumerate() {
        let cut = match sending {
            Sending::Waits => {
                while heads(&all) < asked {
                    assert!(within(stream.read_buf(&mut all)).await.unwrap() > 0);
                }
                0
            }
            Sending::Follows => 0,
            Sending::Cut(at) => at.index(request.len()),
        };
        let (first, second) = request.split_at(cut);
        stream.write_all(first.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(second.as_bytes()).await.unwrap();
    }
    stream.write_all(LAST.as_bytes()).await.unwrap();
    while within(stream.read_buf(&mut all)).await.unwrap() > 0 {}
    String::from_utf8(all).unwrap()
}

#[test]
fn a_client_notices_nothing() {
    let ways = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let requests = proptest::collection::vec((any_request(), any_sending()), 0..12);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(256));
    let run = runner.run(&requests, |requests| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (with, without) = runtime.block_on(async {
            let (fast, path) = listening(|_| {}).await;
            let with = talk(&fast, &requests).await;
            ways.0.fetch_add(path.answered(), Ordering::Relaxed);
            let seen = fast.answers.seen.load(Ordering::SeqCst);
            ways.1.fetch_add(seen, Ordering::Relaxed);
            let slow = Listening::with(|_| {}).await;
            (with, talk(&slow, &requests).await)
        });
        prop_assert_eq!(told(&with), told(&without));
        Ok(())
    });
    run.unwrap();
    // Both ways were gone, and often.
    for way in [&ways.0, &ways.1] {
        let count = way.load(Ordering::Relaxed);
        assert!(count > 50, "{ways:?}");
    }
}

/// What answers say, but for when, and by which way.
fn told(answers: &str) -> Vec<&str> {
    let lines = answers.split("\r\n");
    lines
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("fast: "))
        .collect()
}
