//! Who publishes when two want to.

use std::sync::Arc;

use ingest::{Refusal, Registry, RegistryLimits, ServerConfig};
use media::timeline::{Limits, Numbering};
use media::{EpochNumber, SegmentNumber, SystemClock, Timestamp};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::house::{Running, read, send, within};

#[tokio::test]
async fn r02_takeover_without_fin() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut first = running.client("take").await.unwrap();
    send(&mut first, 0, 3).await;
    let before = running.publication().await;
    // A second subscription lets the house see that the first feed is over in time.
    *running.house.must_be_over.lock().unwrap() = Some(before.subscriptions.subscribe());

    // The first encoder's socket stays open, and it never reads again.
    let mut second = running.client("take").await.unwrap();
    let seen = read(before.feed).await;
    assert_eq!(seen.epochs_ended, 1);
    let after = running.publication().await;
    assert_eq!(after.grant, before.grant);
    send(&mut second, 0, 3).await;
    second.finish().await.unwrap();
    let seen = read(after.feed).await;
    assert_eq!((seen.epochs.len(), seen.video.len()), (1, 75));
    assert!(seen.epochs[0] > before.numbering.epoch);

    drop(first);
    running.stop().await;
}

#[tokio::test]
async fn r02_the_evicted_encoder_is_told() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut first = running.client("take").await.unwrap();
    let _first = running.publication().await;
    let _second = running.client("take").await.unwrap();
    let error = within(async {
        loop {
            let [codec, _] = crate::house::codecs();
            if let Err(error) = first.send_config(&codec).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let text = error.to_string();
    assert!(
        text.contains("another encoder took this stream over"),
        "{text}"
    );
    assert!(text.contains("NetStream.Publish.BadName"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn r02_policy_reject_keeps_the_first() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut first = running.client("keep").await.unwrap();
    let publication = running.publication().await;
    let error = running.client("keep").await.err().unwrap().to_string();
    assert!(
        error.contains("already live from another encoder"),
        "{error}"
    );
    send(&mut first, 0, 3).await;
    first.finish().await.unwrap();
    assert_eq!(read(publication.feed).await.video.len(), 75);
    // And when the first is gone there is room again.
    running.client("keep").await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn r01_stop_and_start_at_once_is_accepted() {
    for key in ["take", "keep"] {
        let running = Running::start(ServerConfig::default()).await;
        for _ in 0..5 {
            let mut client = running.client(key).await.unwrap();
            send(&mut client, 0, 1).await;
            client.finish().await.unwrap();
        }
        running.stop().await;
    }
}

fn numbering() -> Numbering {
    Numbering {
        epoch: EpochNumber(0),
        segment: SegmentNumber(0),
        not_before: Timestamp::default(),
    }
}

#[tokio::test]
async fn r02_of_many_claimants_the_newest_is_seated() {
    let (registry, mut publications) = Registry::new(RegistryLimits::default());
    let house = Running::start(ServerConfig::default()).await;
    let grant = house.house.grant("take");
    let claim = registry.claim(&grant).await.unwrap();
    let clock = Arc::new(SystemClock);
    let begin = |claim| {
        let limits = Limits::default();
        registry.begin(claim, grant.clone(), limits, numbering(), clock.clone())
    };
    let publisher = begin(claim).unwrap();
    let mut feed = publications.recv().await.unwrap().feed;

    let (evicted, middle) = (publisher.evicted().clone(), registry.claim(&grant));
    let (middle, last) = tokio::join!(
        middle,
        // Polled second, so it claims second.
        async {
            let last = registry.claim(&grant);
            tokio::pin!(last);
            let waits = tokio::select! {
                biased;
                _ = &mut last => false,
                () = evicted.cancelled() => true,
            };
            assert!(waits, "the seat is free only when the publisher is gone");
            drop(publisher);
            last.await
        }
    );
    assert_eq!(middle.unwrap_err(), Refusal::TakenOver);
    assert_eq!(within(feed.recv()).await, None);
    let last = last.unwrap();
    assert!(!last.evicted().is_cancelled());
    assert_eq!(registry.live(), 1);
    drop(last);
    assert_eq!(registry.live(), 0);
    house.stop().await;
}

#[tokio::test]
async fn a_registry_has_room_for_so_many() {
    let limits = RegistryLimits {
        publications: 1,
        ..RegistryLimits::default()
    };
    let (registry, _publications) = Registry::new(limits);
    let house = Running::start(ServerConfig::default()).await;
    let claim = registry.claim(&house.house.grant("take")).await.unwrap();
    let other = registry.claim(&house.house.grant("keep")).await;
    assert_eq!(other.unwrap_err(), Refusal::Overloaded);
    drop(claim);
    registry.claim(&house.house.grant("keep")).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn a_stalled_handshake_holds_nobody_up() {
    let running = Running::start(ServerConfig::default()).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    running.client("take").await.unwrap();
    running.stop().await;
    // Nothing was said to one who said nothing.
    let mut answer = Vec::new();
    within(silent.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, []);
}

#[tokio::test]
async fn s05_a_grant_that_is_taken_back_ends_its_publication_and_no_other() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut taken = running.client("take").await.unwrap();
    let ended = running.publication().await;
    let mut kept = running.client("keep").await.unwrap();
    let goes_on = running.publication().await;
    let key = running.house.grant("take").key;
    let grants = running.registry.grants();
    assert!(grants.len() == 2 && grants.contains(&ended.grant));
    assert_eq!(running.registry.withdraw(|grant| grant.key == key), 1);
    // Its feed ends whatever the encoder does, and the encoder is told why.
    read(ended.feed).await;
    let error = within(async {
        loop {
            let [codec, _] = crate::house::codecs();
            if let Err(error) = taken.send_config(&codec).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let text = error.to_string();
    assert!(text.contains("NetStream.Publish.Unauthorized"), "{text}");
    assert!(text.contains("not be published to any more"), "{text}");
    assert_eq!(running.registry.grants(), [goes_on.grant]);
    send(&mut kept, 0, 3).await;
    kept.finish().await.unwrap();
    assert_eq!(read(goes_on.feed).await.video.len(), 75);
    running.stop().await;
}

#[tokio::test]
async fn s05_who_waits_for_a_seat_is_told_that_the_grant_was_taken_back() {
    let (registry, _publications) = Registry::new(RegistryLimits::default());
    let house = Running::start(ServerConfig::default()).await;
    let grant = house.house.grant("take");
    let _claim = registry.claim(&grant).await.unwrap();
    let (waiting, withdrawn) = tokio::join!(
        registry.claim(&grant),
        // Polled second, so it finds who waits.
        async { registry.withdraw(|_| true) }
    );
    assert_eq!(withdrawn, 2);
    assert_eq!(waiting.unwrap_err(), Refusal::Withdrawn);
    house.stop().await;
}
