//! A request that waits for a fill.

use std::sync::Arc;

use http::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::body::EdgeBody;
use crate::cache_status::{Forward, Outcome};
use crate::config::OriginKind;
use crate::head::{Head, Source};
use crate::large::LargeObject;
use crate::lookup::Found;
use crate::range::Extent;
use crate::reader::Reader;
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::shared::Shared;
use crate::upstream::FillError;

/// A request that waits for a fill.
pub(crate) struct Waiter {
    pub(crate) reader: Reader,
    pub(crate) why: Forward,
    pub(crate) collapsed: bool,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// What waiting for a head came to.
pub(crate) enum Waited {
    Head(Arc<Head>),
    /// The origin fails, and something stale will do.
    Stale(Box<Response<EdgeBody>>),
    Failed(FillError),
}

impl Waiter {
    /// The head of the answer; or something stale, where the origin fails, or of media is
    /// slow.
    pub(crate) async fn head(
        &mut self,
        shared: &Arc<Shared>,
        asked: &Asked,
        found: &Found,
    ) -> Waited {
        // What is on disk is in memory once the fill has found it there.
        let known = || match found.answer() {
            Some(stored) => Some(Arc::clone(stored)),
            None => shared.look_up(asked).answer().cloned(),
        };
        // RFC 9111 4.2.4: that a general origin is slow is no reason to give something stale.
        let hurries =
            asked.kind == OriginKind::Media && (found.answer().is_some() || shared.disk.is_some());
        let answer = match hurries {
            false => self.reader.head().await,
            true => match timeout(shared.config.stale_wait, self.reader.head()).await {
                Ok(answer) => answer,
                Err(_) => {
                    let slow = FillError::HeadTimeout.reason();
                    if let Some(response) = shared.stale(asked, known().as_ref(), slow) {
                        return Waited::Stale(Box::new(response));
                    }
                    self.reader.head().await
                }
            },
        };
        let failed = match &answer {
            Err(error) => Some(error.reason()),
            // RFC 5861 4 counts these four as errors.
            Ok(head) if matches!(head.status.as_u16(), 500 | 502 | 503 | 504) => {
                Some("origin-error")
            }
            Ok(_) => None,
        };
        if let Some(detail) = failed
            && let Some(response) = shared.stale(asked, known().as_ref(), detail)
        {
            return Waited::Stale(Box::new(response));
        }
        match answer {
            Ok(head) => Waited::Head(head),
            Err(error) => Waited::Failed(error),
        }
    }

    /// The answer, out of the fill. An error is one of before its first byte.
    pub(crate) async fn serve(
        mut self,
        shared: &Arc<Shared>,
        asked: &Asked,
        head: &Head,
    ) -> Result<Response<EdgeBody>, FillError> {
        let kind = shared.config.origin;
        if let Some(object) = &head.large {
            return self.serve_large(shared, asked, head, object).await;
        }
        let mut extent = head.length.map(Extent::Known);
        if extent.is_none()
            && let Some(range) = asked.range
            && respond::wants_range(asked, head)
        {
            extent = Some(self.reader.extent_for(range).await?);
        }
        let outcome = match head.source {
            Source::Disk => Outcome::HitOnDisk,
            Source::Feed => Outcome::Hit,
            Source::Upstream => self.forwarded(head),
        };
        let content = Content::Fill(self.reader);
        let now = shared.clock.now();
        Ok(respond::with_content(
            kind, asked, head, content, extent, outcome, now,
        ))
    }

    /// A large object: out of the fill, if that passes what is asked for from the first byte
    /// on; otherwise out of slices.
    async fn serve_large(
        self,
        shared: &Arc<Shared>,
        asked: &Asked,
        head: &Head,
        object: &Arc<LargeObject>,
    ) -> Result<Response<EdgeBody>, FillError> {
        let kind = shared.config.origin;
        let passes = head.forwarded.is_none() && head.source == Source::Upstream;
        let outcome = match head.source {
            Source::Upstream => self.forwarded(head),
            _ => shared.outcome_of_slices(asked, head, object),
        };
        let slices = shared.slices(asked, object);
        let extent = Some(Extent::Known(object.whole));
        let now = shared.clock.now();
        let content = if passes && !respond::wants_range(asked, head) {
            Content::Pass(self.reader, slices)
        } else {
            // Without it a fill that nobody else reads ends.
            drop(self.reader);
            Content::Slices(slices)
        };
        let mut response = respond::with_content(kind, asked, head, content, extent, outcome, now);
        response.body_mut().prime().await?;
        Ok(response)
    }

    fn forwarded(&self, head: &Head) -> Outcome {
        Outcome::Forwarded {
            why: self.why,
            collapsed: self.collapsed,
            stored: head.storage.map(|_| ()).map_err(|reason| reason.as_str()),
            status: head.forwarded,
        }
    }
}
