//! The server on real sockets, with `rml_rtmp` on the other end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::session::SessionLimits;
use ingest::{ClientError, Feed, PenaltyPolicy, PublishClient, PublishUrl, ServerConfig};
use media::{ManualClock, Micros, Timestamp, TrackKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{Running, codecs, frames, read, send, within};

fn rejected(error: Option<ClientError>) -> (String, String) {
    match error {
        Some(ClientError::Rejected { code, text }) => (code, text),
        other => panic!("{other:?}"),
    }
}

fn with_session(change: impl FnOnce(&mut SessionLimits)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config.session);
    config
}

#[tokio::test]
async fn rml_rtmp_publishes_and_everything_arrives() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut client = running.client("take").await.unwrap();
    let publication = running.publication().await;
    assert_eq!(publication.grant.name.as_str(), "take");
    send(&mut client, 0, 5).await;
    client.finish().await.unwrap();

    let seen = read(publication.feed).await;
    assert_eq!((seen.epochs.len(), seen.epochs_ended), (1, 1));
    let sent = frames(0, 5);
    let of = |track| sent.iter().filter(move |frame| frame.track == track);
    let video: Vec<_> = of(TrackKind::Video).map(|frame| &frame.data).collect();
    assert_eq!(
        seen.video.iter().map(|f| &f.data).collect::<Vec<_>>(),
        video
    );
    // Sound from before the first picture is shown, at 80 ms, has no place.
    assert_eq!(seen.audio.len() + 4, of(TrackKind::Audio).count());
    for pair in seen.video.windows(2) {
        assert_eq!((pair[1].dts - pair[0].dts).as_micros(), 40_000);
        assert_eq!((pair[0].pts - pair[0].dts).as_micros(), 80_000);
    }
    running.stop().await;
}

#[tokio::test]
async fn r08_large_timestamps_from_an_independent_peer() {
    let mut running = Running::start(ServerConfig::default()).await;
    for start in [16_777_000 - 1_000, (1 << 31) - 1_000, u32::MAX - 999] {
        let mut client = running.client("take").await.unwrap();
        let publication = running.publication().await;
        send(&mut client, start, 5).await;
        client.finish().await.unwrap();
        let seen = read(publication.feed).await;
        assert_eq!(seen.epochs.len(), 1, "{start}: one timeline");
        assert_eq!(seen.video.len(), 125, "{start}");
        let span = seen.video[124].dts - seen.video[0].dts;
        assert_eq!(span.as_micros(), 124 * 40_000, "{start}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_late_subscriber_begins_with_a_segment() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut client = running.client("take").await.unwrap();
    let mut publication = running.publication().await;
    send(&mut client, 0, 5).await;
    // The first segments are out when the late one comes.
    let mut starts = 0;
    while starts < 2 {
        match within(publication.feed.recv()).await.unwrap() {
            Feed::Frame(frame) if frame.track == TrackKind::Video => {
                starts += usize::from(frame.starts.is_some());
            }
            _ => {}
        }
    }
    let mut late = publication.subscriptions.subscribe();
    for frame in frames(5_000, 5) {
        within(client.send(&frame)).await.unwrap();
    }
    assert!(matches!(
        within(late.recv()).await,
        Some(Feed::EpochStarted(_))
    ));
    let Some(Feed::Frame(first)) = within(late.recv()).await else {
        panic!("no frame");
    };
    assert!(first.key && first.starts.is_some(), "{first:?}");
    assert_eq!(first.track, TrackKind::Video);
    client.finish().await.unwrap();
    assert_eq!(read(late).await.epochs_ended, 1);
    // One who comes after the end sees nothing.
    let mut too_late = publication.subscriptions.subscribe();
    assert_eq!(within(too_late.recv()).await, None);
    running.stop().await;
}

#[tokio::test]
async fn r03_a_wrong_key_is_refused_with_a_code_and_a_text() {
    let running = Running::start(ServerConfig::default()).await;
    let (code, text) = rejected(running.client("wrong").await.err());
    assert_eq!(code, "NetStream.Publish.BadName");
    assert_eq!(text, "the stream key is not valid");
    let (code, text) = rejected(running.client("banned").await.err());
    assert_eq!(code, "NetStream.Publish.Unauthorized");
    assert_eq!(text, "this account may not publish");
    running.stop().await;
}

#[tokio::test]
async fn r03_repeated_failures_are_slowed_down_and_the_right_key_is_not() {
    let wait = Duration::from_millis(400);
    let config = ServerConfig {
        penalty: PenaltyPolicy {
            free: 1,
            first: wait,
            longest: wait,
            ..PenaltyPolicy::default()
        },
        ..ServerConfig::default()
    };
    let running = Running::start(config).await;
    rejected(running.client("wrong").await.err());
    let start = Instant::now();
    rejected(running.client("wrong").await.err());
    assert!(start.elapsed() >= wait);
    // While the third waits, the right key passes.
    let url: PublishUrl = running.url("wrong").parse().unwrap();
    let third = tokio::spawn(async move { PublishClient::connect(&url).await.err() });
    running.client("take").await.unwrap();
    rejected(within(third).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn r15_a_slow_authorization_delays_only_its_own_publisher() {
    let config = with_session(|session| session.decision = Duration::from_secs(1));
    let mut running = Running::start(config).await;
    let url: PublishUrl = running.url("never").parse().unwrap();
    let slow = tokio::spawn(async move { PublishClient::connect(&url).await.err() });
    let mut client = running.client("take").await.unwrap();
    let publication = running.publication().await;
    send(&mut client, 0, 3).await;
    client.finish().await.unwrap();
    assert_eq!(read(publication.feed).await.video.len(), 75);
    let (code, text) = rejected(within(slow).await.unwrap());
    assert_eq!(code, "NetStream.Failed");
    assert!(text.contains("did not decide in time"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn r16_an_idle_publisher_is_closed_with_a_reason() {
    let config = with_session(|session| session.idle = Duration::from_millis(300));
    let mut running = Running::start(config).await;
    let mut client = running.client("take").await.unwrap();
    let publication = running.publication().await;
    assert_eq!(read(publication.feed).await.epochs.len(), 0);
    let [codec, _] = codecs();
    let error = within(async {
        loop {
            if let Err(error) = client.send_config(&codec).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (code, text) = rejected(Some(error));
    assert_eq!(code, "NetStream.Publish.Rejected");
    assert_eq!(text, "no media for too long");
    running.stop().await;
}

#[tokio::test]
async fn r16_a_publisher_without_a_key_frame_meets_a_limit() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        1_800_000_000_000_000,
    )));
    let config = ServerConfig {
        clock: clock.clone(),
        ..ServerConfig::default()
    };
    let mut running = Running::start(config).await;
    let mut client = running.client("take").await.unwrap();
    let publication = running.publication().await;
    let [video, _] = codecs();
    client.send_config(&video).await.unwrap();
    let mut delta = frames(0, 1).into_iter().find(|frame| !frame.key).unwrap();
    let error = within(async {
        loop {
            clock.advance(Micros::from_millis(40));
            delta.timestamp += 40;
            if let Err(error) = client.send(&delta).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (code, text) = rejected(Some(error));
    assert_eq!(code, "NetStream.Publish.Rejected");
    assert!(text.contains("no key frame within"), "{text}");
    assert_eq!(read(publication.feed).await.video.len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn random_bytes_on_the_socket_break_nothing() {
    let running = Running::start(ServerConfig::default()).await;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for round in 0..60 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let mut bytes: Vec<u8> = (0..6_000).map(|_| random()).collect();
        if round % 3 > 0 {
            // Past the handshake: the rest is taken for chunks.
            bytes[0] = 3;
        }
        if round % 3 > 1 {
            // A command with a random body.
            let header = [3, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0, 0];
            bytes[3_073..3_085].copy_from_slice(&header);
        }
        // The server may close before it has everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 64 << 10);
    }
    let mut client = running.client("take").await.unwrap();
    send(&mut client, 0, 1).await;
    client.finish().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn one_address_has_room_for_so_many_connections() {
    let config = ServerConfig {
        connections_per_address: 2,
        ..ServerConfig::default()
    };
    let running = Running::start(config).await;
    let first = running.client("take").await.unwrap();
    let _second = running.client("keep").await.unwrap();
    let mut third = TcpStream::connect(running.address).await.unwrap();
    let mut answer = Vec::new();
    // Reset or closed, but not served.
    let _ = within(third.read_to_end(&mut answer)).await;
    assert_eq!(answer, []);
    first.finish().await.unwrap();
    within(async {
        let url: PublishUrl = running.url("take").parse().unwrap();
        while PublishClient::connect(&url).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn shutdown_ends_feeds_tells_encoders_and_joins() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut client = running.client("take").await.unwrap();
    let publication = running.publication().await;
    send(&mut client, 0, 3).await;
    running.shutdown.cancel();
    let seen = read(publication.feed).await;
    assert_eq!(seen.epochs.len(), seen.epochs_ended);
    let [codec, _] = codecs();
    let error = within(async {
        loop {
            if let Err(error) = client.send_config(&codec).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rejected(Some(error)).1, "the server is shutting down");
    running.stop().await;
}

#[tokio::test]
async fn a_client_says_why_it_cannot_connect() {
    let running = Running::start(ServerConfig::default()).await;
    let url: PublishUrl = running.url("take").parse().unwrap();
    running.stop().await;
    let error = PublishClient::connect(&url).await.err().unwrap();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("cannot connect to 127.0.0.1:")
    );
}
