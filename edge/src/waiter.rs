//! A request that waits for a fill.

use std::sync::Arc;

use http::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::body::EdgeBody;
use crate::cache_status::{Forward, Outcome};
use crate::config::OriginKind;
use crate::head::Head;
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
    Stale(Response<EdgeBody>),
    Failed(FillError),
}

impl Waiter {
    /// The head of the answer; or something stale, where the origin fails, or of media is
    /// slow.
    pub(crate) async fn head(&mut self, shared: &Shared, asked: &Asked, found: &Found) -> Waited {
        let known = found.answer();
        // RFC 9111 4.2.4: that a general origin is slow is no reason to give something stale.
        let hurries = known.is_some() && asked.kind == OriginKind::Media;
        let answer = match hurries {
            false => self.reader.head().await,
            true => match timeout(shared.config.stale_wait, self.reader.head()).await {
                Ok(answer) => answer,
                Err(_) => {
                    let slow = FillError::HeadTimeout.reason();
                    if let Some(response) = shared.stale(asked, known, slow) {
                        return Waited::Stale(response);
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
            && let Some(response) = shared.stale(asked, known, detail)
        {
            return Waited::Stale(response);
        }
        match answer {
            Ok(head) => Waited::Head(head),
            Err(error) => Waited::Failed(error),
        }
    }

    /// The answer, out of the fill.
    pub(crate) async fn serve(
        mut self,
        shared: &Shared,
        asked: &Asked,
        head: &Head,
    ) -> Response<EdgeBody> {
        let kind = shared.config.origin;
        let mut extent = head.length.map(Extent::Known);
        if extent.is_none()
            && let Some(range) = asked.range
            && respond::wants_range(asked, head)
        {
            match self.reader.extent_for(range).await {
                Ok(known) => extent = Some(known),
                Err(error) => return respond::fail(kind, &error, self.why, self.collapsed),
            }
        }
        let outcome = Outcome::Forwarded {
            why: self.why,
            collapsed: self.collapsed,
            stored: head.storage.map(|_| ()).map_err(|reason| reason.as_str()),
            status: head.forwarded,
        };
        let content = Content::Fill(self.reader);
        respond::with_content(
            kind,
            asked,
            head,
            content,
            extent,
            outcome,
            shared.clock.now(),
        )
    }
}
