//! Each limit of a listener: it is kept, and counted by its name.

use std::time::Duration;

use edge::server::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::listening::{Listening, get, read_until, rest};
use crate::origin::{eventually, within};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn connections_have_a_limit_and_one_that_ends_makes_room() {
    let listening = Listening::with(|config| config.max_connections = 2).await;
    let mut first = listening.connect().await;
    let mut second = listening.connect_from(2).await;
    for stream in [&mut first, &mut second] {
        stream.write_all(get("/a").as_bytes()).await.unwrap();
        read_until(stream, "hello").await;
    }
    assert_eq!(rest(&mut listening.connect_from(3).await).await, "");
    assert_eq!(listening.shut_out("connections"), 1);
    drop(first);
    eventually(|| listening.ended("closed") == 1).await;
    let mut third = listening.connect().await;
    third.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut third, "hello").await;
}

#[tokio::test]
async fn an_address_has_a_limit_of_its_own() {
    let listening = Listening::with(|config| config.max_connections_per_address = 1).await;
    let mut first = listening.connect().await;
    first.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut first, "hello").await;
    assert_eq!(rest(&mut listening.connect().await).await, "");
    assert_eq!(listening.shut_out("connections-per-address"), 1);
    let mut other = listening.connect_from(2).await;
    other.write_all(get("/request").as_bytes()).await.unwrap();
    read_until(&mut other, "from 127.0.0.2").await;
}

#[tokio::test]
async fn requests_of_an_address_have_a_rate_over_all_its_connections() {
    let listening = Listening::with(|config| {
        config.requests_per_address = Rate {
            per_second: 1,
            burst: 3,
        };
    })
    .await;
    let ask = "GET / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    // Far more than come back meanwhile on any machine.
    let mut refused = Vec::new();
    for _ in 0..50 {
        let answer = listening.raw(ask).await;
        if !answer.starts_with("HTTP/1.1 200 ") {
            refused.push(answer);
        }
    }
    assert!(refused.len() > 20, "{}", refused.len());
    assert!(refused[0].starts_with("HTTP/1.1 429 "), "{}", refused[0]);
    assert!(refused[0].contains("retry-after: 1\r\n"), "{}", refused[0]);
    let counted = listening.refused("requests-per-address");
    assert_eq!(counted, refused.len() as u64);
    let mut other = listening.connect_from(2).await;
    other.write_all(ask.as_bytes()).await.unwrap();
    assert!(rest(&mut other).await.ends_with("hello"));
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let listening = Listening::with(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = LONG;
    })
    .await;
    // Nothing at all, the beginning of a head, one of the preface of HTTP/2.
    for text in ["", "GET / HT", "PRI * HTTP/2.0\r\n"] {
        assert_eq!(listening.raw(text).await, "", "{text}");
    }
    assert_eq!(listening.ended("slow-header"), 3);
    // Drop by drop, and behind a request that was good.
    let mut stream = listening.connect().await;
    stream.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut stream, "hello").await;
    within(async {
        while stream.write_all(b"X").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(listening.ended("slow-header"), 4);
    // Half of it came together with a request that was good.
    let answer = listening.raw(&(get("/a") + "GET / HT")).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(listening.ended("slow-header"), 5);
    // And a request before that had a body.
    let post = "POST /a HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\nx";
    let all = post.to_owned() + &get("/a") + "GET / HT";
    let answers = listening.raw(&all).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2);
    assert_eq!(listening.ended("slow-header"), 6);
}

#[tokio::test]
async fn the_body_of_a_request_that_was_refused_is_no_half_head() {
    let listening = Listening::with(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = LONG;
        config.requests_per_address = Rate {
            per_second: 1,
            burst: 1,
        };
    })
    .await;
    let post = "POST /a HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\nx";
    let mut refused = loop {
        let mut stream = listening.connect().await;
        stream.write_all(get("/a").as_bytes()).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(post.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        if answer.contains("HTTP/1.1 429 ") {
            break stream;
        }
    };
    // It has waited for longer than one that is cut for its half head.
    let mut half = listening.connect_from(2).await;
    let half_head = get("/a") + "GET / HT";
    half.write_all(half_head.as_bytes()).await.unwrap();
    assert!(rest(&mut half).await.ends_with("hello"));
    assert_eq!(listening.ended("slow-header"), 1);
    refused.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut refused, "HTTP/1.1 ").await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_held_request_is_not() {
    let listening = Listening::with(|config| config.idle_timeout = SHORT).await;
    let mut held = listening.connect().await;
    held.write_all(get("/held").as_bytes()).await.unwrap();
    let mut idle = listening.connect().await;
    idle.write_all(get("/a").as_bytes()).await.unwrap();
    let answer = rest(&mut idle).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(listening.ended("idle"), 1);
    listening.answers.release.notify_one();
    read_until(&mut held, "released").await;
}

#[tokio::test]
async fn a_body_has_a_limit_of_bytes_however_it_is_sent() {
    let listening = Listening::with(|config| config.max_body_bytes = 10).await;
    let head = "POST /echo HTTP/1.1\r\nHost: edge\r\n";
    let by_length = format!("{head}Content-Length: 11\r\n\r\n");
    let by_chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n");
    for request in [by_length, by_chunks] {
        let answer = listening.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    assert_eq!(listening.refused("body-too-large"), 2);
    let whole = format!("{head}Connection: close\r\nContent-Length: 10\r\n\r\n0123456789");
    assert!(listening.raw(&whole).await.ends_with("10 bytes"));
}

#[tokio::test]
async fn a_body_below_the_pace_is_refused() {
    let listening = Listening::with(|config| {
        config.pace_window = SHORT;
        config.least_pace = 1_000_000;
    })
    .await;
    let head = "POST /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: 1000\r\n\r\n";
    let stalled = listening.raw(&format!("{head}hello")).await;
    assert!(stalled.starts_with("HTTP/1.1 408 "), "{stalled}");
    // Drop by drop.
    let mut stream = listening.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    within(async {
        for _ in 0..999 {
            if listening.refused("slow-body") == 2 || stream.write_all(b"x").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    eventually(|| listening.refused("slow-body") == 2).await;
}

#[tokio::test]
async fn a_reader_below_the_pace_is_cut() {
    let listening = Listening::with(|config| {
        config.pace_window = SHORT;
        config.least_pace = 10_000_000;
        config.idle_timeout = LONG;
    })
    .await;
    // One that reads nothing, and one that reads now and then.
    let mut stalls = listening.connect_narrow().await;
    stalls.write_all(get("/big").as_bytes()).await.unwrap();
    let mut sips = listening.connect_narrow().await;
    sips.write_all(get("/big").as_bytes()).await.unwrap();
    let mut sip = [0; 1_000];
    within(async {
        while sips.read(&mut sip).await.is_ok_and(|read| read > 0) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    eventually(|| listening.ended("slow-reader") == 2).await;
    // A client at full speed gets all of it.
    let mut stream = listening.connect().await;
    let request = "GET /big HTTP/1.0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.len() > crate::listening::BIG);
    assert_eq!(listening.ended("slow-reader"), 2);
}

#[tokio::test]
async fn a_slow_origin_is_not_a_slow_reader() {
    let listening = Listening::with(|config| {
        config.pace_window = SHORT / 4;
        config.least_pace = 1_000_000;
        config.idle_timeout = SHORT;
        config.header_timeout = SHORT;
    })
    .await;
    let mut held = listening.connect().await;
    held.write_all(get("/held").as_bytes()).await.unwrap();
    // What is idle for as long is gone: so much time has passed.
    assert_eq!(listening.raw("").await, "");
    listening.answers.release.notify_one();
    read_until(&mut held, "released").await;
}
