//! A house with a few keys, and a server in it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ingest::{
    BoxFuture, Feed, Grant, Host, Publication, PublishClient, PublishRequest, PublishUrl, Refusal,
    Registry, RegistryLimits, Server, ServerConfig, Subscription, TakeoverPolicy,
};
use media::timeline::{Numbering, WireFrame};
use media::{
    AacConfig, AvcConfig, Codec, EpochNumber, Frame, SegmentNumber, StreamId, StreamKeyId,
    Timestamp, TrackKind,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::peer::{ASC, AVCC};

/// What any wait of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("waited too long")
}

/// Knows the keys `take` (takeover), `keep` (reject) and `never`, about which it never
/// decides.
pub(crate) struct House {
    grants: HashMap<&'static str, Grant>,
    begun: AtomicU32,
    /// A feed that has to be over when the next publication begins.
    pub(crate) must_be_over: Mutex<Option<Subscription>>,
}

impl House {
    fn new() -> Self {
        let grant = |name: &str, policy| Grant {
            stream: StreamId::new(),
            key: StreamKeyId::new(),
            name: name.parse().unwrap(),
            policy,
        };
        Self {
            grants: HashMap::from([
                ("take", grant("take", TakeoverPolicy::Takeover)),
                ("keep", grant("keep", TakeoverPolicy::Reject)),
            ]),
            begun: AtomicU32::new(0),
            must_be_over: Mutex::default(),
        }
    }

    pub(crate) fn grant(&self, key: &str) -> Grant {
        self.grants[key].clone()
    }
}

impl Host for House {
    fn authorize(&self, request: PublishRequest) -> BoxFuture<'_, Result<Grant, Refusal>> {
        Box::pin(async move {
            match request.key.expose() {
                "never" => std::future::pending().await,
                "banned" => Err(Refusal::Forbidden("this account may not publish".into())),
                key => self.grants.get(key).cloned().ok_or(Refusal::BadKey),
            }
        })
    }

    fn begin<'a>(&'a self, _: &'a Grant) -> BoxFuture<'a, Result<Numbering, Refusal>> {
        Box::pin(async move {
            let feed = self.must_be_over.lock().unwrap().take();
            if let Some(mut feed) = feed {
                // Everything is there already: nothing has to be waited for.
                let instant = Duration::from_millis(100);
                while let Ok(Some(_)) = timeout(instant, feed.recv()).await {}
                let over = timeout(instant, feed.recv()).await == Ok(None);
                assert!(over, "the feed before is not over");
            }
            let epoch = self.begun.fetch_add(1, Ordering::Relaxed);
            Ok(Numbering {
                epoch: EpochNumber(epoch),
                segment: SegmentNumber(u64::from(epoch) * 1_000),
                not_before: Timestamp::default(),
            })
        })
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) house: Arc<House>,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    publications: mpsc::Receiver<Publication>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        let (registry, publications) = Registry::new(RegistryLimits::default());
        let house = Arc::new(House::new());
        let any_port = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(any_port, house.clone(), registry.clone(), config);
        let server = server.await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            address: server.local_addr(),
            house,
            registry,
            publications,
            task: tokio::spawn(server.run(shutdown.clone())),
            shutdown,
        }
    }

    pub(crate) fn url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.address)
    }

    pub(crate) async fn client(&self, key: &str) -> Result<PublishClient, ingest::ClientError> {
        let url: PublishUrl = self.url(key).parse().unwrap();
        within(PublishClient::connect(&url)).await
    }

    pub(crate) async fn publication(&mut self) -> Publication {
        within(self.publications.recv()).await.unwrap()
    }

    /// Stops the server: every connection's task is joined.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within(self.task).await.unwrap();
        assert_eq!(self.registry.live(), 0, "no stream is held");
    }
}

/// The sequence headers of the test stream.
pub(crate) fn codecs() -> [Codec; 2] {
    let avc = AvcConfig::parse(Bytes::from_static(AVCC)).unwrap();
    let aac = AacConfig::parse(Bytes::from_static(ASC)).unwrap();
    [Codec::Avc(avc), Codec::Aac(aac)]
}

/// Pictures at 25 per second with a key frame every second, and their sound, from
/// `start` milliseconds on the wire.
pub(crate) fn frames(start: u32, seconds: u32) -> Vec<WireFrame> {
    let mut frames = Vec::new();
    for n in 0..seconds * 25 {
        let key = n % 25 == 0;
        let nal_unit = vec![if key { 0x65 } else { 0x41 }; 600];
        let length = (nal_unit.len() as u32).to_be_bytes();
        frames.push(WireFrame {
            track: TrackKind::Video,
            timestamp: start.wrapping_add(n * 40),
            composition_offset: 80,
            key,
            data: [&length[..], &nal_unit].concat().into(),
        });
    }
    for n in 0..(seconds * 44_100).div_ceil(1_024) {
        frames.push(WireFrame {
            track: TrackKind::Audio,
            timestamp: start.wrapping_add((u64::from(n) * 1_024_000 / 44_100) as u32),
            composition_offset: 0,
            key: true,
            data: Bytes::from_static(&[0x21, 0x10, 0x05]),
        });
    }
    frames.sort_by_key(|frame| frame.timestamp.wrapping_sub(start));
    frames
}

/// Publishes the test stream.
pub(crate) async fn send(client: &mut PublishClient, start: u32, seconds: u32) {
    for codec in codecs() {
        within(client.send_config(&codec)).await.unwrap();
    }
    for frame in frames(start, seconds) {
        within(client.send(&frame)).await.unwrap();
    }
}

/// What a feed delivered up to its end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) epochs: Vec<EpochNumber>,
    pub(crate) epochs_ended: usize,
    pub(crate) video: Vec<Frame>,
    pub(crate) audio: Vec<Frame>,
}

/// Reads a feed to its end.
pub(crate) async fn read(mut feed: Subscription) -> Seen {
    let mut seen = Seen::default();
    while let Some(item) = within(feed.recv()).await {
        match item {
            Feed::EpochStarted(epoch) => seen.epochs.push(epoch.number),
            Feed::EpochEnded => seen.epochs_ended += 1,
            Feed::Frame(frame) => match frame.track {
                TrackKind::Video => seen.video.push(frame),
                TrackKind::Audio => seen.audio.push(frame),
            },
        }
    }
    assert_eq!(feed.lost(), 0);
    seen
}
