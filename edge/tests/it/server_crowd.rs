//! E13: a crowd of slow clients beside one that is not.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::listening::{Listening, get, read_until};

/// Of each kind; there are three.
const SLOW: usize = 1_667;
/// Of the crowd and of the server, with some to spare.
const DESCRIPTORS: u64 = 12_000;

/// What a slow client begins with, and what it sends now and then.
async fn drips(mut stream: TcpStream, beginning: String, drop: &'static [u8]) {
    if stream.write_all(beginning.as_bytes()).await.is_err() {
        return;
    }
    loop {
        sleep(Duration::from_millis(500)).await;
        if stream.write_all(drop).await.is_err() {
            return;
        }
    }
}

/// The time that 99 of 100 answers took no longer than.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

#[tokio::test]
async fn e13_five_thousand_slow_clients_are_cut_by_name_while_another_is_served() {
    let limit = rlimit::increase_nofile_limit(DESCRIPTORS).unwrap();
    assert!(limit >= DESCRIPTORS, "{limit} files may be open");
    let listening = Listening::with(|config| {
        config.max_connections_per_address = 5_001;
        config.header_timeout = Duration::from_secs(3);
        config.pace_window = Duration::from_secs(3);
    })
    .await;
    let mut healthy = listening.connect_from(2).await;
    let mut crowd = JoinSet::new();
    let ask = async |healthy: &mut TcpStream| {
        let asked = Instant::now();
        healthy.write_all(get("/a").as_bytes()).await.unwrap();
        let answer = read_until(healthy, "hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        asked.elapsed()
    };
    let mut alone = Vec::new();
    for _ in 0..SLOW {
        alone.push(ask(&mut healthy).await);
    }
    let mut times = Vec::new();
    for _ in 0..SLOW {
        let head = "GET / HTTP/1.1\r\nHost: edge\r\nX: ".to_owned();
        crowd.spawn(drips(listening.connect().await, head, b"x"));
        let length = "POST /echo HTTP/1.1\r\nHost: edge\r\nContent-Length: 9999\r\n\r\n";
        crowd.spawn(drips(listening.connect().await, length.to_owned(), b"x"));
        // It reads nothing at all.
        let stream = listening.connect_narrow().await;
        crowd.spawn(drips(stream, get("/big"), b""));
        times.push(ask(&mut healthy).await);
    }
    let cut = || {
        [
            listening.ended("slow-header"),
            listening.refused("slow-body"),
            listening.ended("slow-reader"),
        ]
    };
    let all = [SLOW as u64; 3];
    tokio::time::timeout(Duration::from_secs(60), async {
        while cut() != all {
            times.push(ask(&mut healthy).await);
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap_or_else(|_| {
        let others = ["closed", "lost", "idle"].map(|reason| listening.ended(reason));
        panic!("not all are cut: {:?}, others {others:?}", cut())
    });
    // That it is served at all is asserted; how fast is told.
    println!("p99 alone {:?}, in the crowd {:?}", p99(alone), p99(times));
}
