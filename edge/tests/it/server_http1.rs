//! HTTP/1.1 as clients speak it that make mistakes, or have something in mind.

use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;

use crate::listening::{Listening, get, read_until, rest};

async fn listening() -> Listening {
    Listening::with(|_| {}).await
}

#[tokio::test]
async fn a_request_without_one_good_host_is_refused_and_the_connection_closed() {
    let listening = listening().await;
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
    ] {
        let request = format!("GET /a HTTP/1.1\r\n{fields}\r\n{}", get("/b"));
        let answer = listening.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("A request has one Host.\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(listening.refused("host"), 4);
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 0);
    let old = listening.raw("GET /a HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 "), "{old}");
    assert!(old.ends_with("hello"), "{old}");
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_not_read() {
    let listening = listening().await;
    let head = "POST /echo HTTP/1.1\r\nHost: edge\r\n";
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5, 6\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Transfer-Encoding: gzip\r\n\r\nhello",
        "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "Folded: one\r\n two\r\n\r\n",
        "Spaced : one\r\n\r\n",
        "Control: a\0b\r\n\r\n",
        "no field\r\n\r\n",
    ] {
        let answer = listening.raw(&format!("{head}{fields}{}", get("/b"))).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    let old = "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = listening.raw(old).await;
    assert!(answer.contains(" 400 Bad Request\r\n"), "{answer}");
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 0);
    assert_eq!(listening.ended("malformed"), 10);
}

/// RFC 9112 6.1: the coding counts, and the connection ends.
#[tokio::test]
async fn a_length_beside_a_coding_hides_no_request() {
    let listening = listening().await;
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let head = format!("POST /echo HTTP/1.1\r\nHost: edge\r\n{fields}");
        let answer = listening
            .raw(&format!("{head}\r\n0\r\n\r\n{}", get("/smuggled")))
            .await;
        assert!(answer.ends_with("0 bytes"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let listening = listening().await;
    let head = "HEAD /big HTTP/1.1\r\nHost: edge\r\n\r\n";
    let last = "GET /request HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    let body = "POST /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: 5\r\n\r\nhello";
    let all = [get("/a").as_str(), head, body, last].concat();
    let answer = listening.raw(&all).await;
    let answers: Vec<_> = answer.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    assert_eq!(answers.len(), 4, "{answer}");
    assert!(answers[0].ends_with("\r\n\r\nhello"), "{answer}");
    assert!(answers[1].ends_with("\r\n\r\n"), "{answer}");
    assert!(answers[2].ends_with("5 bytes"), "{answer}");
    let request = "HTTP/1.1 /request from 127.0.0.1 tls=false";
    assert!(answers[3].ends_with(request), "{answer}");
    assert!(answers[3].contains("connection: close\r\n"), "{answer}");
}

/// RFC 9112 3.2.2.
#[tokio::test]
async fn a_whole_uri_is_a_target_too() {
    let listening = listening().await;
    let request = "GET http://other:80/request HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    let answer = listening.raw(request).await;
    assert!(answer.contains("http://other:80/request"), "{answer}");
}

#[tokio::test]
async fn a_body_is_asked_for_by_100_continue_when_it_is_read() {
    let listening = listening().await;
    let mut stream = listening.connect().await;
    let fields = "Host: edge\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let read = format!("POST /echo HTTP/1.1\r\n{fields}");
    stream.write_all(read.as_bytes()).await.unwrap();
    let interim = read_until(&mut stream, "\r\n\r\n").await;
    assert!(
        interim.starts_with("HTTP/1.1 100 Continue\r\n"),
        "{interim}"
    );
    stream.write_all(b"hello").await.unwrap();
    let answer = read_until(&mut stream, "5 bytes").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    // One that is not read ends the connection: nobody knows whether it comes.
    let unread = format!("POST /a HTTP/1.1\r\n{fields}");
    stream.write_all(unread.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_head_has_a_limit_of_bytes_of_fields_and_of_its_target() {
    let listening = Listening::with(|config| {
        config.max_header_bytes = 10 << 10;
        config.max_headers = 5;
    })
    .await;
    let long = "x".repeat(10 << 10);
    let request = format!("GET / HTTP/1.1\r\nHost: edge\r\nLong: {long}\r\n\r\n");
    let answer = listening.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // It need not end to be too long.
    let answer = listening.raw(request.trim_end()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "A: b\r\n".repeat(5);
    let request = format!("GET / HTTP/1.1\r\nHost: edge\r\n{many}\r\n");
    let answer = listening.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(listening.ended("header-too-large"), 3);
    assert_eq!(listening.answers.seen.load(Ordering::SeqCst), 0);
}
