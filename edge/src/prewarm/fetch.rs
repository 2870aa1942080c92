//! One object: asked of the edge as a viewer would, until it is stored.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep, timeout};

use super::Inner;
use super::kept::Tier;
use super::playlist::MAX_PLAYLIST_BYTES;
use super::wanted::Wanting;
use crate::body::EdgeBody;
use crate::cache_status::Outcome;
use crate::config::OriginKind;
use crate::request::{Aside, Asked};

/// How often room is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// An origin that fails is asked so often.
const TRIES: u32 = 3;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What is stored now.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Bytes of its body.
    pub(super) bytes: u64,
    /// The body, where that was asked for.
    pub(super) body: Bytes,
}

/// Why it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the path is not valid: {0}")]
    Path(&'static str),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the origin failed: {0}")]
    Origin(&'static str),
    #[error("the origin has no room for it: {0}")]
    Busy(&'static str),
    #[error("there was no room for it here: {0}")]
    Full(&'static str),
    #[error("the answer may not be stored: {0}")]
    NotStored(&'static str),
    #[error("it was purged while it came")]
    Purged,
    #[error("the answer was not kept: {0}")]
    NotKept(&'static str),
    #[error("the disk did not take it in time")]
    Stalled,
    #[error("the playlist is longer than 16 MiB")]
    LongPlaylist,
    #[error("the edge is shutting down")]
    ShuttingDown,
}

impl Fault {
    /// What is told of an order that meets with nothing else and is given up for it.
    pub(super) fn gives_up(&self) -> Option<&'static str> {
        match self {
            Self::Origin(_) | Self::Busy(_) => Some("given up: the origin fails again and again"),
            Self::Stalled => Some("given up: the disk takes nothing"),
            _ => None,
        }
    }
}

/// What is done with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Nobody needs it.
    Nothing,
    Playlist,
}

impl Inner {
    /// Has what is under `key` stored.
    pub(super) async fn fetch(&self, key: &str, read: Read) -> Result<Fetched, Fault> {
        let asked = self.asked(key)?;
        let wanting = self.shared.wanted.want(&asked.key);
        if self.shared.config.origin == OriginKind::General {
            self.shared.store.favour(&asked.key);
        }
        let patience = Instant::now() + self.config.patience;
        let (mut pause, mut tries) = (self.config.pause, 0);
        loop {
            self.give_way().await?;
            let attempt = {
                // Not held in the pauses: another order may have something that comes.
                let Ok(_permit) = self.room.acquire().await else {
                    return Err(Fault::ShuttingDown);
                };
                self.attempt(&asked, &wanting, read).await
            };
            let fault = match attempt {
                Ok(fetched) => return Ok(fetched),
                Err(fault) => fault,
            };
            tries += 1;
            let again = match fault {
                Fault::Busy(_) | Fault::Full(_) => Instant::now() < patience,
                Fault::Origin(_) | Fault::Purged => tries < TRIES,
                _ => false,
            };
            if !again {
                return Err(fault);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn asked(&self, key: &str) -> Result<Asked, Fault> {
        let request = Request::get(key).body(());
        let (parts, ()) = request.map_err(|_| Fault::Path("not-a-path"))?.into_parts();
        let asked = Asked::read(self.shared.config.origin, parts, false).map_err(|aside| {
            Fault::Path(match aside {
                Aside::Refused(refusal) => refusal.reason(),
                Aside::Preflight | Aside::LastHop => "method",
            })
        })?;
        Ok(Asked {
            prewarms: true,
            ..asked
        })
    }

    /// Waits while those who wait for an answer need the room: for as long as they come, but no
    /// longer than it has patience for a disk, which may never take anything again.
    pub(super) async fn give_way(&self) -> Result<(), Fault> {
        let mut has_waited = false;
        while !self.shared.closing.is_cancelled() && !self.shared.is_at_ease() {
            if !std::mem::replace(&mut has_waited, true) {
                metrics::counter!("nova_edge_prewarm_pauses_total").increment(1);
            }
            self.disk_at_ease().await?;
            sleep(LOOK).await;
        }
        match self.shared.closing.is_cancelled() {
            true => Err(Fault::ShuttingDown),
            false => Ok(()),
        }
    }

    /// Waits until half of the room for what waits to be written to disk is free.
    async fn disk_at_ease(&self) -> Result<(), Fault> {
        let at_ease = async {
            while !self.shared.disk_is_at_ease() {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            waited = timeout(self.config.patience, at_ease) => waited.map_err(|_| Fault::Stalled),
            () = self.shared.closing.cancelled() => Err(Fault::ShuttingDown),
        }
    }

    async fn attempt(
        &self,
        asked: &Asked,
        wanting: &Wanting,
        read: Read,
    ) -> Result<Fetched, Fault> {
        let response = (self.ask)(asked.clone()).await;
        let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
        let was_there = self.judge(parts.status, body.outcome())?;
        let behind = body.behind();
        let was_in_memory = matches!(body.outcome(), Some(Outcome::Hit));
        let is_hit = was_in_memory || matches!(body.outcome(), Some(Outcome::HitOnDisk));
        let fetched = match is_hit && read == Read::Nothing {
            true => Fetched {
                bytes: http_body::Body::size_hint(&body).lower(),
                body: Bytes::new(),
            },
            false => self.drain(body, read).await?,
        };
        let tier = self.check_kept(asked, wanting, &behind).await?;
        if tier == Tier::Disk && !was_in_memory {
            self.spare_memory(asked);
        }
        match was_there {
            true => count("stored", 0),
            false => count("fetched", fetched.bytes),
        }
        Ok(fetched)
    }

    /// Is what is answered so stored already? An error says that it will not be.
    fn judge(&self, status: StatusCode, outcome: Option<Outcome>) -> Result<bool, Fault> {
        let failed = |detail| match status {
            _ if self.shared.closing.is_cancelled() => Fault::ShuttingDown,
            StatusCode::SERVICE_UNAVAILABLE => Fault::Busy(detail),
            _ if status.is_server_error() => Fault::Origin(detail),
            _ => Fault::Status(status),
        };
        match outcome {
            Some(Outcome::Refused { detail }) => match failed(detail) {
                Fault::Busy(detail) => Err(Fault::Full(detail)),
                fault => Err(fault),
            },
            Some(Outcome::Failed { detail, .. }) => Err(failed(detail)),
            Some(Outcome::StaleOnError { detail }) => Err(Fault::Origin(detail)),
            _ if status.is_server_error() => Err(failed(
                status.canonical_reason().unwrap_or("its answer says so"),
            )),
            _ if !status.is_success() => Err(Fault::Status(status)),
            Some(Outcome::Forwarded {
                stored: Err(reason),
                ..
            }) => Err(Fault::NotStored(reason)),
            Some(Outcome::Hit | Outcome::HitOnDisk | Outcome::Revalidated) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Reads the body, no faster than what comes of it gets to the disk.
    async fn drain(&self, mut body: EdgeBody, read: Read) -> Result<Fetched, Fault> {
        let (mut bytes, mut kept) = (0, BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Fault::Origin(error.reason()))?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            bytes += chunk.len() as u64;
            if read == Read::Playlist {
                if kept.len() + chunk.len() > MAX_PLAYLIST_BYTES {
                    return Err(Fault::LongPlaylist);
                }
                kept.extend_from_slice(&chunk);
            }
            self.disk_at_ease().await?;
        }
        let body = kept.freeze();
        Ok(Fetched { bytes, body })
    }
}

fn count(outcome: &'static str, bytes: u64) {
    metrics::counter!("nova_edge_prewarm_objects_total", "outcome" => outcome).increment(1);
    metrics::counter!("nova_edge_prewarm_bytes_total").increment(bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use http::Response;
    use http_body_util::Full;
    use media::{ManualClock, Timestamp};
    use tempfile::TempDir;

    use super::super::{PrewarmConfig, PrewarmEnd, PrewarmOrder, PrewarmProgress, Prewarmer};
    use super::*;
    use crate::config::EdgeConfig;
    use crate::disk::{Disk, DiskConfig};
    use crate::request_body::RequestBody;
    use crate::service::Edge;
    use crate::upstream::UpstreamError;

    /// What prewarms an edge whose disk takes nothing once `hangs` has a prewarmer and its
    /// origin is asked.
    fn prewarmer(directory: &TempDir, hangs: Arc<OnceLock<Prewarmer>>) -> Prewarmer {
        let upstream = tower::service_fn(move |_: Request<RequestBody>| {
            if let Some(prewarmer) = hangs.get() {
                hang(prewarmer);
            }
            let answer = Response::builder()
                .header("cache-control", "max-age=600")
                .body(Full::new(Bytes::from_static(b"a")));
            async move { answer.map_err(|error| UpstreamError::Protocol(error.to_string())) }
        });
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let disk = DiskConfig::new(directory.path().to_owned(), 64 << 20);
        let disk = Disk::open(disk, now).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let edge = Edge::with_disk(EdgeConfig::default(), upstream, clock, disk);
        edge.prewarmer(PrewarmConfig::default())
    }

    fn hang(prewarmer: &Prewarmer) {
        prewarmer.0.shared.disk.as_ref().unwrap().disk.hang();
    }

    /// The first two errors of an order of so many paths, and how many have failed.
    async fn errors(prewarmer: &Prewarmer, paths: usize) -> (Vec<String>, u64) {
        let paths: Vec<_> = (0..paths).map(|n| format!("/{n}")).collect();
        let kind = OriginKind::Media;
        let order = PrewarmOrder::parse(kind, "urls", &paths.join("\n"), None, &[]);
        let progress = PrewarmProgress::default();
        tokio::time::pause();
        let order = order.unwrap();
        let running = prewarmer.run(&order, &progress);
        let end = timeout(Duration::from_secs(3_600), running).await;
        assert_eq!(end, Ok(PrewarmEnd::Failed));
        let mut errors = progress.errors();
        errors.truncate(2);
        (errors, progress.figures().failed)
    }

    #[tokio::test]
    async fn an_order_is_given_up_where_a_disk_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let prewarmer = prewarmer(&directory, Arc::default());
        hang(&prewarmer);
        let (errors, failed) = errors(&prewarmer, 1_000).await;
        assert_eq!(errors[0], "given up: the disk takes nothing");
        assert!(errors[1].ends_with(": the disk did not take it in time"));
        assert!(failed < 20, "{failed}");
    }

    #[tokio::test]
    async fn a_body_is_not_waited_for_where_a_disk_takes_nothing_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let hangs = Arc::new(OnceLock::new());
        let prewarmer = prewarmer(&directory, Arc::clone(&hangs));
        hangs.set(prewarmer.clone()).unwrap();
        let (errors, failed) = errors(&prewarmer, 1).await;
        assert_eq!(errors, ["/0: the disk did not take it in time"]);
        assert_eq!(failed, 1);
    }
}
