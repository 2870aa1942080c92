//! Bytes that no encoder and no player sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Encoder, Listener, Nova, Site, Stream, resident_peak_kib, wait_until};

/// How long the server is bothered.
const BOTHERED: Duration = Duration::from_secs(6);
/// Attacks by one attacker at the most: a machine has only so many ports to connect from.
const ATTACKS: usize = 500;
/// Connections at once, on each port.
const CONNECTIONS: u64 = 6;
/// How long an attacker listens for an answer.
const PATIENCE: Duration = Duration::from_millis(100);
/// What the server may hold at its worst; a debug build with a small cache.
const MEMORY_LIMIT_KIB: u64 = 400 * 1024;
/// Bytes of a real publication that are recorded.
const RECORDED: usize = 150_000;
/// C0 and C1, and as many again with C2 (Adobe RTMP 1.0, 5.2).
const HELLO: usize = 1 + 1_536;

/// A seeded source of bad ideas (xorshift64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// `original` with some of it changed, left out or said twice.
    fn spoil(&mut self, original: &[u8]) -> Vec<u8> {
        let mut spoiled = original.to_vec();
        for _ in 0..1 + self.below(30) {
            let at = self.below(spoiled.len());
            match self.below(4) {
                0 => spoiled[at] ^= 1 << self.below(8),
                1 => spoiled[at] = [0x00, 0x7f, 0x80, 0xff][self.below(4)],
                2 => {
                    let end = spoiled.len().min(at + 1 + self.below(64));
                    spoiled.drain(at..end);
                }
                _ => {
                    let end = spoiled.len().min(at + 1 + self.below(64));
                    spoiled.extend_from_within(at..end);
                }
            }
            if spoiled.is_empty() {
                return spoiled;
            }
        }
        spoiled
    }
}

/// Everything that an FFmpeg sends to `server`, up to a length.
fn record(server: SocketAddr, key: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!(
        "rtmp://{}/live/{key}",
        listener.local_addr().expect("an address")
    );
    let _publisher = Encoder::small().publish(&url);
    let (mut encoder, _) = listener.accept().expect("the encoder connects");
    let mut upstream = TcpStream::connect(server).expect("the server listens");
    let mut answers = upstream.try_clone().expect("a second handle");
    let mut back = encoder.try_clone().expect("a second handle");
    let answering = thread::spawn(move || drop(std::io::copy(&mut answers, &mut back)));
    let mut recorded = Vec::new();
    let mut buffer = [0; 4_096];
    while recorded.len() < RECORDED {
        let count = encoder.read(&mut buffer).expect("the encoder sends");
        assert_ne!(count, 0, "the encoder left after {} bytes", recorded.len());
        upstream
            .write_all(&buffer[..count])
            .expect("the server reads");
        recorded.extend_from_slice(&buffer[..count]);
    }
    upstream.shutdown(Shutdown::Both).expect("an open socket");
    encoder.shutdown(Shutdown::Both).expect("an open socket");
    answering.join().expect("no panic");
    recorded
}

/// Says `bytes` and listens for a moment. That the server hangs up is fine.
fn say(address: SocketAddr, bytes: &[u8]) {
    let Ok(mut socket) = TcpStream::connect(address) else {
        return;
    };
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let _ = socket.set_write_timeout(Some(Duration::from_secs(2)));
    if socket.write_all(bytes).is_ok() {
        let _ = socket.read(&mut [0; 4_096]);
    }
}

/// A handshake done well, then `bytes`.
fn say_after_handshake(address: SocketAddr, bytes: &[u8]) {
    let mut hello = vec![0; HELLO];
    hello[0] = 3;
    let Ok(mut socket) = TcpStream::connect(address) else {
        return;
    };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
    let _ = socket.set_write_timeout(Some(Duration::from_secs(2)));
    let mut answer = vec![0; HELLO];
    if socket.write_all(&hello).is_ok() && socket.read_exact(&mut answer).is_ok() {
        let _ = socket.write_all(&answer[1..]);
        if socket.write_all(bytes).is_ok() {
            let _ = socket.set_read_timeout(Some(PATIENCE));
            let _ = socket.read(&mut [0; 4_096]);
        }
    }
}

fn attack_rtmp(chance: &mut Chance, address: SocketAddr, recorded: &[u8]) {
    let after_handshake = &recorded[2 * HELLO - 1..];
    match chance.below(6) {
        0 => {
            let count = 1 + chance.below(20_000);
            say(address, &chance.bytes(count));
        }
        1 => {
            let count = 1 + chance.below(20_000);
            say_after_handshake(address, &chance.bytes(count));
        }
        // The commands are at the beginning: a short piece is spoilt more thoroughly.
        2 | 3 => say_after_handshake(address, &chance.spoil(&after_handshake[..1_200])),
        4 => say_after_handshake(address, &chance.spoil(after_handshake)),
        // Type 0 header of a message of 16 MB on chunk stream 3, and then silence.
        _ => say_after_handshake(
            address,
            &[
                0x03, 0, 0, 0, 0xff, 0xff, 0xff, 0x14, 0, 0, 0, 0, 0x02, 0x00,
            ],
        ),
    }
}

fn attack_http(chance: &mut Chance, address: SocketAddr) {
    let targets = [
        "/live/../../../etc/passwd",
        "/live/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/live/garden/source.m3u8?_HLS_msn=18446744073709551615&_HLS_part=18446744073709551615",
        "/live/garden/source.m3u8?_HLS_msn=-1&_HLS_part=x&_HLS_skip=maybe",
        "/live/garden/99999999999999999999/source/1.m4s",
        "/live/garden/0/source/1.99999.m4s",
        "/live//////",
        "/vod/\u{0}/index.m3u8",
        "/api/v1/live?\u{ff}\u{fe}",
        "*",
    ];
    let target = targets[chance.below(targets.len())];
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes=9-1,-0,18446744073709551615-\r\n\
         If-None-Match: \"\u{ff}\r\nContent-Length: 0\r\n\r\n"
    );
    match chance.below(6) {
        0 => {
            let count = 1 + chance.below(10_000);
            say(address, &chance.bytes(count));
        }
        1 | 2 => say(address, request.as_bytes()),
        3 => say(address, &chance.spoil(request.as_bytes())),
        4 => say(
            address,
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)).as_bytes(),
        ),
        _ => say(
            address,
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
              Content-Length: 5\r\n\r\nffffffffffffffff\r\n",
        ),
    }
}

fn assert_sound(nova: &mut Nova) {
    assert!(nova.is_running());
    let panic = nova
        .log()
        .find(|line| line.contains("panicked").then(|| line.clone()));
    assert_eq!(panic, None);
    let peak = resident_peak_kib(nova.pid());
    println!("peak memory: {} MiB", peak / 1024);
    assert!(peak <= MEMORY_LIMIT_KIB, "{peak} KiB");
}

#[test]
fn r09_random_and_corrupt_bytes_are_survived() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let other = site.create_stream("kitchen");
    let mut nova = site
        .serve()
        .variable("NOVA__EDGE__MEMORY_MIB", "32")
        .variable("NOVA__LIVE__GRACE_SECONDS", "1")
        .start();
    let (rtmp, http) = (nova.address(Listener::Rtmp), nova.address(Listener::Http));
    let recorded = record(rtmp, &key);

    let until = Instant::now() + BOTHERED;
    // Attacks until the time or their number is up, and tells how many they were.
    let bother = |seed: u64, attack: &dyn Fn(&mut Chance)| {
        let mut chance = Chance(seed);
        let attacks = (0..ATTACKS).take_while(|_| {
            attack(&mut chance);
            Instant::now() < until
        });
        attacks.count()
    };
    let (on_rtmp, on_http): (usize, usize) = thread::scope(|scope| {
        let attackers: Vec<_> = (1..=CONNECTIONS)
            .map(|seed| {
                let (recorded, bother) = (&recorded, &bother);
                let on_rtmp = scope.spawn(move || {
                    bother(0x9e37_79b9 * seed, &|chance| {
                        attack_rtmp(chance, rtmp, recorded)
                    })
                });
                let on_http = scope
                    .spawn(move || bother(0x85eb_ca6b * seed, &|chance| attack_http(chance, http)));
                (on_rtmp, on_http)
            })
            .collect();
        let counts = attackers.into_iter().map(|(on_rtmp, on_http)| {
            (
                on_rtmp.join().expect("no panic"),
                on_http.join().expect("no panic"),
            )
        });
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    });
    println!("{on_rtmp} attacks by RTMP, {on_http} by HTTP");
    assert!(on_rtmp > 50 && on_http > 50);
    let metrics = nova.admin().fetch("/metrics").unwrap().text();
    let ended = metrics
        .lines()
        .filter(|line| line.starts_with("nova_ingest_connections_ended"));
    let ended: Vec<_> = ended.collect();
    println!("{}", ended.join("\n"));
    assert!(ended.len() >= 4, "the attacks are too much alike");
    let begun = metrics
        .lines()
        .find_map(|line| line.strip_prefix("nova_ingest_publications_total "));
    let begun: u64 = begun
        .and_then(|count| count.parse().ok())
        .expect("a counter");
    assert!(begun >= 2, "no spoilt publication went as far as its media");
    assert_sound(&mut nova);

    // What came of it is nothing to those who behave.
    let _publisher = Encoder::small().publish_for_ever(&nova.rtmp_url(&other));
    let stream = Stream::new(nova.http(), "kitchen");
    stream.wait_live(&["source", "audio"], 2);
    wait_until("health", Duration::from_secs(10), || {
        nova.admin()
            .get("/readyz")
            .is_ok_and(|answer| answer.status == 200)
    });
    assert_sound(&mut nova);
}
