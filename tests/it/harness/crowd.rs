//! Many low-latency players without pictures, in one process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::history::hash;
use super::playlist::Part;
use super::{MediaPlaylist, cmaf, wait_for};

/// Longer than a server holds any request.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// A player that has had no answer for this long gives up.
const PATIENCE: Duration = Duration::from_secs(40);
/// Until a request that failed is made again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Below the server's, or requests would meet connections that are being closed.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Until players that leave are gone.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// What every player plays.
const RENDITIONS: [&str; 2] = ["source", "audio"];

/// Players of one stream. Every second one plays parts, with requests that are held for
/// the next playlist and for the part that it announces; the others play whole segments,
/// with requests that are held for the next playlist. Each has connections of its own.
pub(crate) struct Crowd {
    seen: Arc<Seen>,
    players: Vec<Arc<AtomicU64>>,
    runtime: Runtime,
}

/// What a crowd got.
#[derive(Default)]
struct Seen {
    /// A digest of each segment, part and init segment.
    media: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Vec<String>>,
}

impl Seen {
    fn fault(&self, text: String) {
        lock(&self.faults).push(text);
    }
}

impl Crowd {
    /// `count` players of the live stream `stream`, by turns at one of `edges`.
    pub(crate) fn start(stream: &str, edges: &[SocketAddr], count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let seen = Arc::<Seen>::default();
        let mut players = Vec::new();
        for (index, edge) in (0..count).zip(edges.iter().cycle()) {
            let client = client();
            for rendition in RENDITIONS {
                let played = Arc::<AtomicU64>::default();
                let player = Player {
                    client: client.clone(),
                    edge: *edge,
                    playlist: format!("/live/{stream}/{rendition}.m3u8"),
                    seen: seen.clone(),
                    played: played.clone(),
                };
                players.push(played);
                // One edge has players of both kinds.
                let follows_parts = (index / edges.len()).is_multiple_of(2);
                runtime.spawn(player.play(follows_parts));
            }
        }
        Self {
            seen,
            players,
            runtime,
        }
    }

    /// Waits until every player has begun. The newest segment that one of them has all of.
    #[track_caller]
    pub(crate) fn wait_begun(&self, limit: Duration) -> u64 {
        self.wait_played(1, limit);
        self.fastest()
    }

    /// Waits until every player has all of segment `number`.
    #[track_caller]
    pub(crate) fn wait_played(&self, number: u64, limit: Duration) {
        let what = format!("segment {number} at every player");
        wait_for(&what, limit, || {
            let slowest = self.played().min().unwrap_or_default();
            let faults = || format!("the slowest has {slowest}; {:#?}", lock(&self.seen.faults));
            (slowest >= number).then_some(()).ok_or_else(faults)
        });
    }

    /// The newest segment that one of the players has all of.
    pub(crate) fn fastest(&self) -> u64 {
        self.played().max().unwrap_or_default()
    }

    fn played(&self) -> impl Iterator<Item = u64> {
        self.players.iter().map(|one| one.load(Ordering::Relaxed))
    }

    /// Every segment and part that one of the players got.
    pub(crate) fn media(&self) -> BTreeSet<String> {
        lock(&self.seen.media).keys().cloned().collect()
    }

    /// All players leave. What went wrong: requests that failed and were made again, answers
    /// that differ from what another player got, media that was passed over.
    pub(crate) fn finish(self) -> Vec<String> {
        self.runtime.shutdown_timeout(LEAVE_LIMIT);
        std::mem::take(&mut *lock(&self.seen.faults))
    }
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_LIMIT)
        .build(connector)
}

/// A player of one rendition.
struct Player {
    client: HttpClient,
    edge: SocketAddr,
    playlist: String,
    seen: Arc<Seen>,
    /// The newest segment that it has all of.
    played: Arc<AtomicU64>,
}

/// It got no answer for so long that it gave up.
struct GaveUp;

impl Player {
    async fn play(self, follows_parts: bool) {
        let played = match follows_parts {
            true => self.play_parts().await,
            false => self.play_segments().await,
        };
        if let Err(GaveUp) = played {
            self.seen.fault(format!("{}: gave up", self.playlist));
        }
    }

    async fn play_segments(&self) -> Result<(), GaveUp> {
        let mut next = self.begin().await?.open_number();
        loop {
            let playlist = self.reload(&format!("?_HLS_msn={next}")).await?;
            for segment in &playlist.segments {
                if segment.number >= next {
                    self.media(&segment.uri).await?;
                }
            }
            next = playlist.open_number();
            self.has_played(next - 1);
        }
    }

    async fn play_parts(&self) -> Result<(), GaveUp> {
        let mut playlist = self.begin().await?;
        let mut next = (playlist.open_number(), 0);
        let mut hinted = None;
        loop {
            for (at, part) in parts_from(&playlist, next) {
                if at != next && at != (next.0 + 1, 0) {
                    self.seen
                        .fault(format!("{}: {at:?} after {next:?}", part.uri));
                }
                if hinted.as_ref() != Some(&part.uri) {
                    self.media(&part.uri).await?;
                }
                next = (at.0, at.1 + 1);
            }
            if next.0 < playlist.open_number() {
                next = (playlist.open_number(), 0);
            }
            self.has_played(next.0 - 1);
            let (number, part) = next;
            let directives = format!("?_HLS_msn={number}&_HLS_part={part}");
            let hint = playlist.preload_hint.take();
            let (reloaded, came) =
                tokio::join!(self.reload(&directives), self.hint(hint.as_deref()));
            playlist = reloaded?;
            hinted = hint.filter(|_| came.is_some());
            came.transpose()?;
        }
    }

    /// What a player asks for first: a playlist, the init segment and the newest segment.
    async fn begin(&self) -> Result<MediaPlaylist, GaveUp> {
        let playlist = self.reload("").await?;
        if let Some(segment) = playlist.segments.last() {
            if let Some(init) = &segment.map {
                self.media(init).await?;
            }
            self.media(&segment.uri).await?;
            self.has_played(segment.number);
        }
        Ok(playlist)
    }

    fn has_played(&self, number: u64) {
        self.played.fetch_max(number, Ordering::Relaxed);
    }

    /// Asks for the part that is announced, if one is. None: it did not come to be, since the
    /// segment has ended before it.
    async fn hint(&self, part: Option<&str>) -> Option<Result<(), GaveUp>> {
        let part = part?;
        let answer = timeout(REQUEST_LIMIT, self.get(part)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
        match answer.and_then(|bytes| digest(part, &bytes)) {
            Ok(digest) => {
                self.got(part, digest);
                Some(Ok(()))
            }
            Err(error) if error == StatusCode::NOT_FOUND.to_string() => None,
            Err(error) => {
                self.seen
                    .fault(format!("{} {part}: {error}", self.edge.ip()));
                Some(self.media(part).await)
            }
        }
    }

    async fn reload(&self, directives: &str) -> Result<MediaPlaylist, GaveUp> {
        let target = format!("{}{directives}", self.playlist);
        let parse = |bytes: &[u8]| -> Result<MediaPlaylist, String> {
            let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
            MediaPlaylist::parse(&self.playlist, text)
        };
        self.fetch(&target, parse).await
    }

    async fn media(&self, path: &str) -> Result<(), GaveUp> {
        let digest = self.fetch(path, |bytes| digest(path, bytes)).await?;
        self.got(path, digest);
        Ok(())
    }

    fn got(&self, path: &str, digest: u64) {
        let known = *lock(&self.seen.media)
            .entry(path.to_owned())
            .or_insert(digest);
        if known != digest {
            self.seen.fault(format!("{path} is not what others got"));
        }
    }

    /// What `read` makes of the answer; a request that fails is made again.
    async fn fetch<T>(
        &self,
        target: &str,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, GaveUp> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = timeout(REQUEST_LIMIT, self.get(target)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
            match answer.and_then(|bytes| read(&bytes)) {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let edge = self.edge.ip();
                    self.seen.fault(format!("{edge} {target}: {error}"));
                }
            }
            if Instant::now() >= deadline {
                return Err(GaveUp);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn get(&self, target: &str) -> Result<Bytes, String> {
        let url = format!("http://{}{target}", self.edge);
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let response = self.client.get(uri).await.map_err(told)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(told)?;
        match status {
            StatusCode::OK => Ok(body.to_bytes()),
            status => Err(status.to_string()),
        }
    }
}

/// What media are told apart by, if they are whole.
fn digest(path: &str, bytes: &[u8]) -> Result<u64, String> {
    match path.ends_with(".mp4") {
        true => cmaf::check_init(bytes)?,
        false => drop(cmaf::check_segment(bytes)?),
    }
    Ok(hash(bytes))
}

/// The error with its causes.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The parts listed from `next` on, segment and index, with where they stand.
fn parts_from(playlist: &MediaPlaylist, next: (u64, u64)) -> Vec<((u64, u64), Part)> {
    let closed = playlist.segments.iter();
    let closed = closed.map(|segment| (segment.number, &segment.parts));
    let all = closed.chain([(playlist.open_number(), &playlist.open_parts)]);
    let all = all.flat_map(|(number, parts)| {
        let placed = (0..).zip(parts);
        placed.map(move |(index, part)| ((number, index), part.clone()))
    });
    all.filter(|(at, _)| *at >= next).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
