//! Following a feed: asks for it, reads it, and asks anew when it has ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER, VIA};
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use media::feed::{self, FeedError, SILENCE};
use tokio::time::{Instant, sleep, timeout};
use tower::BoxError;

use super::feed::{Feed, Following, Phase};
use super::feeds::Feeds;
use super::receive::{Receiver, Unreadable};
use crate::key::CacheKey;
use crate::node::CDN_LOOP;
use crate::question::VIA_NOVA;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::upstream::{FillError, Upstream, UpstreamError, ask};

/// How often it is looked whether a feed is wanted.
const LOOK: Duration = Duration::from_secs(1);
/// How long a feed is not asked for that ended with nothing, or at once, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The same, after more and more of these.
const LAST_PAUSE: Duration = Duration::from_secs(8);

/// Why a feed has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("nobody has asked for its rendition lately")]
    Unwanted,
    #[error("the edge is shutting down")]
    Closing,
    #[error("the upstream has ended it")]
    Over,
    #[error("the upstream gives none, but {0}")]
    Refused(StatusCode),
    /// It comes from elsewhere from now on, or whoever gave it was cut off.
    #[error("it broke off in the middle of an object")]
    BrokenOff,
    /// It may be asked again after so long.
    #[error("the upstream gives none now, but {0}")]
    Busy(StatusCode, Duration),
    #[error("the caches that it comes through ask each other in a circle")]
    Loop,
    #[error("nothing has come of it for {SILENCE:?}")]
    Silent,
    #[error("{0}")]
    Failed(FillError),
    #[error("the upstream has what it should have brought")]
    Stuck,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What is to be done about an end.
enum Next {
    Ends,
    AsksAgain,
    Rests,
}

impl End {
    /// The label in the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::Closing => "closing",
            Self::Over => "over",
            Self::BrokenOff => "broken-off",
            Self::Refused(_) => "refused",
            Self::Busy(..) => "busy",
            Self::Loop => "loop",
            Self::Silent => "silent",
            Self::Failed(error) => error.reason(),
            Self::Stuck => "stuck",
            Self::Unreadable(Unreadable::Purged) => "purged",
            Self::Unreadable(_) => "damaged",
        }
    }

    /// `was_live`: what it is about came of its upstream before.
    fn next(&self, was_live: bool) -> Next {
        match self {
            Self::Unwanted | Self::Closing => Next::Ends,
            Self::Unreadable(Unreadable::Purged) => Next::AsksAgain,
            // The origin that its stream moves to does not know the stream before it has
            // rebuilt its window.
            Self::Refused(StatusCode::NOT_FOUND) if was_live => Next::AsksAgain,
            Self::Refused(_) | Self::Loop | Self::Unreadable(_) => Next::Rests,
            Self::Over
            | Self::BrokenOff
            | Self::Busy(..)
            | Self::Failed(_)
            | Self::Stuck
            | Self::Silent => Next::AsksAgain,
        }
    }

    fn tell(&self, feed: &Feed) {
        let feed = &feed.name;
        match self {
            Self::Unreadable(Unreadable::Purged) => {
                tracing::debug!(%feed, reason = %self, "a feed is asked for anew");
            }
            Self::Unreadable(_) | Self::Stuck | Self::Silent | Self::Loop | Self::Failed(_) => {
                tracing::warn!(%feed, reason = %self, "a feed has ended");
            }
            Self::Refused(_) => {
                tracing::info!(%feed, reason = %self, "a feed is not to be had");
            }
            _ => tracing::debug!(%feed, reason = %self, "a feed has ended"),
        }
    }
}

/// `key` was filled for a viewer: sees to it that what comes after it is pushed.
pub(crate) fn follow_viewers<U: Upstream>(key: &CacheKey, upstream: U, shared: &Arc<Shared>) {
    let Some(feeds) = &shared.feeds else { return };
    if let Some(feed) = feeds.wanted(key, shared.clock.now()) {
        start(feed, upstream, shared);
    }
}

/// Runs a feed that is new.
pub(super) fn start<U: Upstream>(feed: Arc<Feed>, upstream: U, shared: &Arc<Shared>) {
    let task = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let Some(feeds) = &task.feeds {
            let following = Following::new(&feed, feeds);
            let phase = run(&feed, upstream, &task, feeds).await;
            following.ends(phase);
        }
    });
}

/// Follows a feed for as long as it is wanted. What becomes of it.
async fn run<U: Upstream>(
    feed: &Arc<Feed>,
    upstream: U,
    shared: &Arc<Shared>,
    feeds: &Feeds,
) -> Phase {
    let (mut pause, mut was_live) = (FIRST_PAUSE, false);
    loop {
        feed.enters(Phase::Asked);
        let (asked, mut came) = (Instant::now(), Came::default());
        let end = tokio::select! {
            end = follow(feed, upstream.clone(), shared, feeds, &mut came) => end,
            end = watch(feed, shared, feeds) => end,
            () = shared.closing.cancelled() => End::Closing,
        };
        end.tell(feed);
        metrics::counter!("nova_edge_push_ended_total", "reason" => end.reason()).increment(1);
        was_live |= came.is_live;
        let has_brought = came.objects > 0;
        if has_brought {
            pause = FIRST_PAUSE;
        }
        let (phase, rest) = match end.next(was_live) {
            Next::Ends => return Phase::Ended,
            // Who subscribed here is told, and comes again if it likes.
            Next::Rests if feed.passed.is_some() => return Phase::Refused,
            Next::Rests => (Phase::Refused, feeds.config.rest),
            Next::AsksAgain if has_brought && asked.elapsed() >= LOOK => {
                (Phase::Ended, Duration::ZERO)
            }
            Next::AsksAgain => {
                let rest = pause;
                pause = LAST_PAUSE.min(pause * 2);
                let asked_for = match end {
                    End::Busy(_, after) => after.min(feeds.config.rest),
                    _ => Duration::ZERO,
                };
                (Phase::Ended, rest.max(asked_for))
            }
        };
        feed.ends(phase);
        tokio::select! {
            () = sleep(rest) => {}
            () = shared.closing.cancelled() => return Phase::Ended,
        }
        if feeds.forget_unwanted(feed, shared.clock.now()) {
            return Phase::Ended;
        }
    }
}

/// Returns when a feed should not be followed on.
async fn watch(feed: &Arc<Feed>, shared: &Shared, feeds: &Feeds) -> End {
    let mut late = None;
    loop {
        sleep(LOOK).await;
        if feeds.forget_unwanted(feed, shared.clock.now()) {
            return End::Unwanted;
        }
        // It may have been about to come when the upstream was asked for it.
        match feed.late_with() {
            Some(point) if late == Some(point) => return End::Stuck,
            point => late = point,
        }
    }
}

/// What came of a feed since it was asked for.
#[derive(Default)]
struct Came {
    /// Its answer.
    is_live: bool,
    objects: u64,
}

/// Asks for a feed and reads it to its end.
async fn follow<U: Upstream>(
    feed: &Arc<Feed>,
    upstream: U,
    shared: &Arc<Shared>,
    feeds: &Feeds,
    came: &mut Came,
) -> End {
    // Before it is asked for: what is purged from now on is not stored when it comes.
    feed.checked.raise(shared.fences.now());
    let body = match subscribe(feed, upstream, shared).await {
        Ok(body) => body,
        Err(end) => return end,
    };
    came.is_live = true;
    feed.enters(Phase::Live);
    let _live = Live::new();
    let mut body = pin!(body);
    let mut receiver = Receiver::new(shared, feeds, feed);
    loop {
        let Ok(frame) = timeout(SILENCE, body.frame()).await else {
            return End::Silent;
        };
        let taken = match frame {
            None => match receiver.finish() {
                Ok(()) => return End::Over,
                // As when its connection breaks off: what came before was no worse for it.
                Err(Unreadable::Form(FeedError::BrokenOff)) => return End::BrokenOff,
                Err(error) => return error.into(),
            },
            Some(Err(error)) => {
                let error: BoxError = error.into();
                return End::Failed(FillError::BodyBroken(error.to_string().into()));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => receiver.take(bytes),
                Err(_trailers) => continue,
            },
        };
        match taken {
            Ok(more) => came.objects += more,
            Err(error) => return error.into(),
        }
    }
}

/// The body of a feed.
async fn subscribe<U: Upstream>(feed: &Feed, upstream: U, shared: &Shared) -> Result<U::Body, End> {
    let mut request = Request::builder()
        .version(Version::HTTP_11)
        .uri(feed.name.as_str())
        .body(RequestBody::empty())
        .map_err(|error| End::Failed(UpstreamError::Protocol(error.to_string()).into()))?;
    let headers = request.headers_mut();
    headers.insert(VIA, VIA_NOVA);
    for passed in feed.passed.iter().flatten() {
        headers.append(CDN_LOOP, passed.clone());
    }
    headers.append(CDN_LOOP, shared.config.node.loop_member());
    let response = timeout(shared.config.head_timeout, ask(upstream, request))
        .await
        .map_err(|_| End::Failed(FillError::HeadTimeout))?
        .map_err(|error| End::Failed(error.into()))?;
    let status = response.status();
    let is_feed = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == feed::CONTENT_TYPE.as_bytes());
    match status {
        StatusCode::OK if is_feed => {
            // What it comes through may have come to follow this one.
            if shared.config.node.is_looped(response.headers()) {
                return Err(End::Loop);
            }
            let chain = response.headers().get_all(CDN_LOOP);
            feed.comes_through(chain.iter().cloned().collect());
            Ok(response.into_body())
        }
        status if status.is_server_error() && status != StatusCode::LOOP_DETECTED => {
            let after = response.headers().get(RETRY_AFTER);
            let seconds = after.and_then(|value| value.to_str().ok()?.parse().ok());
            Err(End::Busy(status, Duration::from_secs(seconds.unwrap_or(0))))
        }
        status => Err(End::Refused(status)),
    }
}

/// A feed that is live, as it is counted.
struct Live;

impl Live {
    fn new() -> Self {
        metrics::gauge!("nova_edge_push_feeds").increment(1.0);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        metrics::gauge!("nova_edge_push_feeds").decrement(1.0);
    }
}
