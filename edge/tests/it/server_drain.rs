//! The end of a listener.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::listening::{Listening, get, read_until, rest};
use crate::origin::eventually;

#[tokio::test]
async fn requests_under_way_finish_and_the_rest_is_closed() {
    let mut listening = Listening::with(|config| {
        config.drain_timeout = Duration::from_secs(3_600);
    })
    .await;
    let mut held = listening.connect().await;
    held.write_all(get("/held").as_bytes()).await.unwrap();
    let mut idle = listening.connect().await;
    idle.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut idle, "hello").await;
    let mut silent = listening.connect().await;
    let connections = "nova_http_connections_total listener=test";
    let seen = listening.answers.seen.clone();
    eventually(|| seen.load(Ordering::SeqCst) == 2).await;
    eventually(|| listening.measured.count(connections) == 3).await;

    listening.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
    let refused = TcpStream::connect(listening.address).await;
    assert!(refused.is_err(), "it still listens");
    listening.answers.release.notify_one();
    let answer = rest(&mut held).await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("released"), "{answer}");
    listening.stopped().await;
    assert_eq!(listening.ended("shutdown"), 3);
}

#[tokio::test]
async fn what_does_not_finish_is_cut() {
    let mut listening = Listening::with(|config| {
        config.drain_timeout = Duration::from_millis(50);
    })
    .await;
    let mut held = listening.connect().await;
    held.write_all(get("/held").as_bytes()).await.unwrap();
    let mut reads = listening.connect_narrow().await;
    reads.write_all(get("/big").as_bytes()).await.unwrap();
    read_until(&mut reads, "xxx").await;
    let seen = listening.answers.seen.clone();
    eventually(|| seen.load(Ordering::SeqCst) == 2).await;
    listening.stopped().await;
    assert_eq!(rest(&mut held).await, "");
    assert!(rest(&mut reads).await.len() < crate::listening::BIG);
    assert_eq!(listening.ended("shutdown"), 2);
}
