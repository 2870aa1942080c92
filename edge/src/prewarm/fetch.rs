//! One object: asked of the edge as a viewer would, until it is stored.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};

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
    #[error("the playlist is longer than 16 MiB")]
    LongPlaylist,
    #[error("the edge is shutting down")]
    ShuttingDown,
}

impl Fault {
    /// Is the origin, or the way there, to blame?
    pub(super) fn is_the_origins(&self) -> bool {
        matches!(self, Self::Origin(_) | Self::Busy(_))
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

    /// Waits while those who wait for an answer need the room.
    pub(super) async fn give_way(&self) -> Result<(), Fault> {
        let mut has_waited = false;
        while !self.shared.closing.is_cancelled() && !self.shared.is_at_ease() {
            if !std::mem::replace(&mut has_waited, true) {
                metrics::counter!("nova_edge_prewarm_pauses_total").increment(1);
            }
            sleep(LOOK).await;
        }
        match self.shared.closing.is_cancelled() {
            true => Err(Fault::ShuttingDown),
            false => Ok(()),
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
            while !self.shared.disk_is_at_ease() {
                sleep(LOOK).await;
            }
        }
        let body = kept.freeze();
        Ok(Fetched { bytes, body })
    }
}

fn count(outcome: &'static str, bytes: u64) {
    metrics::counter!("nova_edge_prewarm_objects_total", "outcome" => outcome).increment(1);
    metrics::counter!("nova_edge_prewarm_bytes_total").increment(bytes);
}
