//! Connections on which another protocol goes on (RFC 9110 7.8).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::listening::{Listening, get, read_until, rest};
use crate::origin::eventually;

const SWITCH: &str =
    "GET /switch HTTP/1.1\r\nHost: edge\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

async fn switched(listening: &Listening) -> TcpStream {
    let mut stream = listening.connect().await;
    stream.write_all(SWITCH.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(b"said").await.unwrap();
    assert_eq!(read_until(&mut stream, "said").await, "said");
    stream
}

#[tokio::test]
async fn a_switched_connection_is_neither_idle_nor_a_slow_head() {
    let listening = Listening::with(|config| {
        config.idle_timeout = Duration::from_millis(50);
        config.header_timeout = Duration::from_millis(50);
    })
    .await;
    let mut switched = switched(&listening).await;
    // Another one is cut meanwhile.
    let mut idle = listening.connect().await;
    idle.write_all(get("/a").as_bytes()).await.unwrap();
    rest(&mut idle).await;
    // What looks like a request is none.
    let looks = get("/a");
    switched.write_all(looks.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut switched, "\r\n\r\n").await, looks);
}

#[tokio::test]
async fn a_switched_connection_keeps_its_seat_until_it_ends() {
    let listening = Listening::with(|config| config.max_connections_per_address = 1).await;
    let switched = switched(&listening).await;
    let mut second = listening.connect().await;
    assert_eq!(rest(&mut second).await, "");
    drop(switched);
    eventually(|| listening.ended("closed") == 1).await;
    let mut third = listening.connect().await;
    third.write_all(get("/a").as_bytes()).await.unwrap();
    read_until(&mut third, "hello").await;
}

#[tokio::test]
async fn a_switched_connection_ends_with_the_listener() {
    let mut listening = Listening::with(|config| {
        config.drain_timeout = Duration::from_secs(3_600);
    })
    .await;
    let mut switched = switched(&listening).await;
    listening.shutdown.cancel();
    assert_eq!(rest(&mut switched).await, "");
    listening.stopped().await;
}
