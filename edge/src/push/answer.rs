//! A feed for an edge in front of this one.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, request};
use media::feed::CONTENT_TYPE as FEED_TYPE;
use tokio::time::timeout;

use super::feed::{Phase, Progress};
use super::name::FeedName;
use super::subscriber::Subscriber;
use super::subscription::start;
use crate::access::{ForEverybody, Viewer};
use crate::body::EdgeBody;
use crate::cache_status::Outcome;
use crate::config::OriginKind;
use crate::node::{CDN_LOOP, is_from_edge};
use crate::refusal::Refusal;
use crate::respond;
use crate::server::Peer;
use crate::shared::Shared;
use crate::upstream::Upstream;

/// What a subscriber reads, and the caches that it comes through before this one.
type Subscribed = (Subscriber, Vec<HeaderValue>);

/// Answers a request for a feed.
pub(crate) async fn answer<U: Upstream>(
    parts: request::Parts,
    upstream: U,
    shared: Arc<Shared>,
) -> Response<EdgeBody> {
    match subscribe(&parts, upstream, &shared).await {
        Ok((subscriber, chain)) => {
            let body = EdgeBody::feed(subscriber).come_by(Outcome::Feed);
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(FEED_TYPE));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // Who is in it must not follow: nothing would come, in a circle.
            headers.append(CDN_LOOP, shared.config.node.loop_member());
            for passed in chain {
                headers.append(CDN_LOOP, passed);
            }
            response
        }
        Err(refusal) => {
            let mut response = respond::refuse(OriginKind::Media, refusal, false);
            if let (Refusal::TooManyFeeds, Some(feeds)) = (refusal, &shared.feeds) {
                // There will be as many in a second, and an edge does well without.
                let seconds = feeds.config.rest.as_secs();
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

async fn subscribe<U: Upstream>(
    parts: &request::Parts,
    upstream: U,
    shared: &Arc<Shared>,
) -> Result<Subscribed, Refusal> {
    let feeds = shared.feeds.as_ref().ok_or(Refusal::NoFeed)?;
    let (headers, extensions) = (&parts.headers, &parts.extensions);
    if !feeds.config.for_edges {
        return Err(Refusal::NoFeed);
    }
    // It is for edges. Who has a token is a viewer, and would outlast it.
    if parts.method != Method::GET || !is_from_edge(headers) || extensions.get::<Viewer>().is_some()
    {
        return Err(Refusal::NoFeed);
    }
    if shared.config.node.is_looped(headers) {
        return Err(Refusal::Loop);
    }
    if shared.closing.is_cancelled() {
        return Err(Refusal::ShuttingDown);
    }
    let name = FeedName::of_target(parts.uri.path()).ok_or(Refusal::NoFeed)?;
    let address = extensions.get().map(Peer::ip);
    let seat = feeds.seat(address).ok_or(Refusal::TooManyFeeds)?;
    let passed = || headers.get_all(CDN_LOOP).iter().cloned().collect();
    let (feed, is_new) = feeds
        .followed(name, shared.clock.now(), passed)
        .ok_or(Refusal::TooManyFeeds)?;
    let mut progress = feed.progress();
    if is_new {
        start(Arc::clone(&feed), upstream, shared);
    }
    // One that has ended is asked for again, and who followed it here comes back before.
    let settled = |progress: &Progress| matches!(progress.phase, Phase::Live | Phase::Refused);
    let patience = feeds.config.subscriber_patience;
    let phase = match timeout(patience, progress.wait_for(settled)).await {
        Ok(Ok(progress)) => progress.phase,
        _ => Phase::Ended,
    };
    match phase {
        Phase::Live => feed
            .subscribe(
                seat,
                &feeds.config,
                extensions.get::<ForEverybody>().is_some(),
            )
            .map(|subscriber| (subscriber, feed.chain()))
            .ok_or(Refusal::FeedEnded),
        Phase::Refused => Err(Refusal::NoFeed),
        Phase::Asked | Phase::Ended => Err(Refusal::FeedEnded),
    }
}
