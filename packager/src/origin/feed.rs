//! Feeds: a rendition's new media, pushed to who subscribes to it.
//!
//! A feed takes what is next out of the live window when its subscriber has taken what was
//! before. So it holds no more than one object, and one that is slow finds the window gone on
//! and ends: its subscriber can ask for what it has missed, and subscribe anew.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use media::feed::{self, Content, FeedError, ObjectHead};
use media::{RenditionName, StreamName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

use super::answer::{Answer, Refusal};
use super::route::LiveResource;
use super::{CACHE_TAG, NOVA_ACCESS, Route, SIGNED};
use crate::live::{FeedCursor, FeedStep, LiveStream, Published};

/// The body of an answer: whole, or a feed.
#[derive(Debug)]
pub enum OriginBody {
    /// All of it.
    Whole(Full<Bytes>),
    /// What will be published.
    Feed(FeedBody),
}

impl Body for OriginBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Feed(body) => body
                .poll_next(context)
                .map(|next| next.map(Frame::data).map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Feed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Feed(_) => SizeHint::default(),
        }
    }
}

/// All feeds of an origin.
#[derive(Debug)]
pub(super) struct Feeds(Arc<Semaphore>);

impl Feeds {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))))
    }

    /// A feed of what is published of a rendition from now on.
    pub(super) fn subscribe(
        &self,
        stream: &Arc<LiveStream>,
        rendition: RenditionName,
    ) -> Result<Response<OriginBody>, Refusal> {
        // Before the cursor: no change falls between the two.
        let changes = stream.changes();
        let cursor = match stream.feed_start(&rendition) {
            Some(cursor) => cursor,
            None if stream.has_ended() => return Err(Refusal::NoSuchMedia),
            None => return Err(Refusal::UnknownRendition),
        };
        let permit = Arc::clone(&self.0).try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::TooManyFeeds)?;
        metrics::gauge!("nova_origin_feeds").increment(1.0);
        let feed = Feed {
            name: stream.name().clone(),
            stream: Arc::downgrade(stream),
            changes,
            rendition,
            cursor,
            _slot: Slot { _permit: permit },
        };
        let mut response = Response::new(OriginBody::Feed(FeedBody::new(feed)));
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(feed::CONTENT_TYPE);
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// One feed; gone when it has ended or its subscriber leaves.
#[derive(Debug)]
struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        metrics::gauge!("nova_origin_feeds").decrement(1.0);
    }
}

#[derive(Debug)]
struct Feed {
    name: StreamName,
    /// A feed keeps no stream that is gone.
    stream: Weak<LiveStream>,
    changes: watch::Receiver<u64>,
    rendition: RenditionName,
    cursor: FeedCursor,
    _slot: Slot,
}

/// An object as it is sent: its head, and its bytes, if they follow.
type Sent = (Bytes, Option<Bytes>);
/// The wait for what is next. None at the end.
type Waiting = Pin<Box<dyn Future<Output = Option<(Feed, Sent)>> + Send>>;

/// What is published, as it is published.
pub struct FeedBody {
    /// None at the end.
    waiting: Option<Waiting>,
    /// The bytes of the object whose head was sent last.
    bytes: Option<Bytes>,
    /// When it is told to live, if nothing is published before.
    alive: Pin<Box<Sleep>>,
}

impl FeedBody {
    fn new(feed: Feed) -> Self {
        Self {
            waiting: Some(Box::pin(feed.next())),
            bytes: None,
            alive: Box::pin(sleep(feed::KEEP_ALIVE)),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(bytes));
        }
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(None);
        };
        let Poll::Ready(next) = waiting.as_mut().poll(context) else {
            ready!(self.alive.as_mut().poll(context));
            self.alive.set(sleep(feed::KEEP_ALIVE));
            return Poll::Ready(Some(Bytes::from_static(&feed::ALIVE)));
        };
        self.alive.set(sleep(feed::KEEP_ALIVE));
        self.waiting = None;
        Poll::Ready(next.map(|(feed, (head, bytes))| {
            self.waiting = Some(Box::pin(feed.next()));
            self.bytes = bytes;
            head
        }))
    }
}

impl std::fmt::Debug for FeedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedBody").finish_non_exhaustive()
    }
}

impl Feed {
    /// The next object, once it is published.
    async fn next(mut self) -> Option<(Self, Sent)> {
        loop {
            let stream = self.stream.upgrade()?;
            match stream.feed_next(&self.rendition, &mut self.cursor) {
                FeedStep::Next(published) => match self.object(published, stream.is_signed()) {
                    Ok(sent) => return Some((self, sent)),
                    Err(error) => {
                        tracing::error!(stream = %self.name, %error, "an object cannot be pushed");
                        return None;
                    }
                },
                FeedStep::Wait => {}
                FeedStep::Behind => {
                    metrics::counter!("nova_origin_feeds_dropped_total").increment(1);
                    tracing::warn!(stream = %self.name, rendition = %self.rendition, "a subscriber is too slow for its feed, which ends");
                    return None;
                }
                FeedStep::Over => return None,
            }
            drop(stream);
            self.changes.changed().await.ok()?;
        }
    }

    /// What is published, with the head that the answer to a GET of it has.
    fn object(&self, published: Published, is_signed: bool) -> Result<Sent, FeedError> {
        let name = self.rendition.clone();
        let (resource, answer, file, bytes, parts) = match published {
            Published::Init(epoch, bytes) => {
                let answer = Answer::init(bytes.clone());
                let resource = LiveResource::Init(epoch, name);
                (resource, answer, (epoch, "init.mp4".to_owned()), bytes, 0)
            }
            Published::Part(epoch, number, index, bytes) => {
                let answer = Answer::segment(bytes.clone());
                let file = format!("{}.{}.m4s", number.0, index.0);
                let resource = LiveResource::Part(epoch, name, number, index);
                (resource, answer, (epoch, file), bytes, 0)
            }
            Published::Segment {
                epoch,
                number,
                bytes,
                parts,
            } => {
                let answer = Answer::segment(bytes.clone());
                let file = format!("{}.m4s", number.0);
                let resource = LiveResource::Segment(epoch, name, number);
                (resource, answer, (epoch, file), bytes, parts)
            }
        };
        let (epoch, file) = file;
        let path = format!("/live/{}/{}/{}/{file}", self.name, epoch.0, self.rendition);
        let mut response = answer.into_response();
        if let Some(tags) = Route::Live(self.name.clone(), resource).tags() {
            response.headers_mut().insert(CACHE_TAG, tags);
        }
        if is_signed {
            response.headers_mut().insert(NOVA_ACCESS, SIGNED);
        }
        let fields = response.headers().iter().map(|(name, value)| {
            let value = Bytes::copy_from_slice(value.as_bytes());
            (name.as_str().to_owned(), value)
        });
        let head = ObjectHead {
            path,
            status: response.status().as_u16(),
            fields: fields.collect(),
        };
        Ok(match parts {
            0 => {
                let content = Content::bytes(bytes.len())?;
                (feed::encode(&head, content)?, Some(bytes))
            }
            count => (feed::encode(&head, Content::Joined(count))?, None),
        })
    }
}
