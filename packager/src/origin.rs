//! The origin: answers requests for what is live, from the window or the object store, and
//! for videos, from rows and the object store.

mod answer;
mod directives;
mod feed;
mod hold;
mod pictures;
mod route;
mod shot;
mod video;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use media::{Clock, RenditionName, StreamName, VideoId};
use storage::{Database, ObjectError, ObjectStore};
use tower_service::Service;

use crate::live::{LiveStream, LiveStreams, PartState, ReloadState, ReloadTarget, SegmentState};
use crate::object_key;
use crate::pictures::PictureMaker;
use crate::playlist::MediaPlaylist;
use crate::storyboard::Bounds;
use answer::{Answer, Freshness, Refusal};
use directives::Directives;
use feed::Feeds;
pub use feed::{FeedBody, OriginBody};
use hold::Holds;
use pictures::Pictures;
use route::{LiveResource, Route, VodResource};

/// What answers are of, for who purges caches: `stream:NAME` or `video:ID`, and
/// `rendition:NAME`.
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// Who may have an answer: [`SIGNED`], or it is not there. It stays with what a cache stores, so
/// that every edge knows, whatever rows it has.
const NOVA_ACCESS: HeaderName = HeaderName::from_static("nova-access");
/// Whoever has a token for it.
const SIGNED: HeaderValue = HeaderValue::from_static("signed");

/// What bounds an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OriginLimits {
    /// Requests held at one time, over all streams. An edge in front makes one of all that
    /// ask for the same.
    pub held_requests: usize,
    /// Feeds at one time, over all streams: one of each rendition for each edge that follows
    /// it.
    pub feeds: usize,
    /// Requests for pictures at one time. A quarter of them is kept back for what is live.
    pub pictures: usize,
    /// How long a request for a picture may take: less than an edge in front waits.
    pub picture_time: Duration,
}

impl Default for OriginLimits {
    fn default() -> Self {
        Self {
            held_requests: 4_096,
            feeds: 4_096,
            pictures: 64,
            picture_time: Duration::from_secs(10),
        }
    }
}

/// What an origin answers from.
#[derive(Clone, Debug)]
pub struct OriginParts {
    /// What is live.
    pub streams: Arc<LiveStreams>,
    /// Where older segments are, and those of videos.
    pub objects: Arc<dyn ObjectStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What knows of videos, and of what has left the live windows; `None`: there are none.
    pub database: Option<Database>,
    /// What makes pictures; `None`: none are made.
    pub pictures: Option<Arc<dyn PictureMaker>>,
    /// What bounds it.
    pub limits: OriginLimits,
}

/// Answers `GET` and `HEAD` of `/live/{stream}/...` and `/vod/{video}/...`. Holds blocking playlist reloads,
/// requests for hinted parts, and requests for manifests that are not complete yet, for
/// three target durations at most; and requests for streams that are coming, for two seconds.
///
/// Knows nothing of ranges, conditions, CORS and tokens: that is the edge's.
#[derive(Clone, Debug)]
pub struct Origin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    streams: Arc<LiveStreams>,
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    holds: Holds,
    feeds: Feeds,
    database: Option<Database>,
    pictures: Option<Pictures>,
}

impl Origin {
    /// An origin of these parts.
    pub fn new(parts: OriginParts) -> Self {
        let OriginParts {
            streams,
            objects,
            clock,
            database,
            pictures,
            limits,
        } = parts;
        Self(Arc::new(Inner {
            streams,
            objects,
            clock,
            holds: Holds::new(limits.held_requests),
            feeds: Feeds::new(limits.feeds),
            database,
            pictures: pictures.map(|maker| Pictures::new(maker, limits)),
        }))
    }
}

impl Service<Request<()>> for Origin {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let route = Route::parse(request.uri().path());
            let tags = route.as_ref().and_then(Route::tags);
            let named = route.as_ref().and_then(Route::stream).cloned();
            let live = || named.as_ref().and_then(|name| inner.streams.get(name));
            let awaited = match &named {
                _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                    Err(Refusal::MethodNotAllowed)
                }
                // Players of a stream that has just been taken over come before its window is here.
                Some(name) => inner.holds.stream(&inner.streams, name).await,
                None => Ok(None),
            };
            let mut response = match awaited {
                Ok(stream) => {
                    let was_signed = is_signed(stream.as_ref());
                    let mut response = inner.respond(&request, route).await;
                    // Also afterwards: what was held until now is for whom it is now. Also the stream
                    // as it was: one that has ended meanwhile, or has another in its place, is not found.
                    if was_signed || is_signed(stream.as_ref()) || is_signed(live().as_ref()) {
                        response.headers_mut().insert(NOVA_ACCESS, SIGNED);
                    }
                    response
                }
                Err(refusal) => refused(refusal),
            };
            if let Some(tags) = tags {
                response.headers_mut().append(CACHE_TAG, tags);
            }
            Ok(match *request.method() {
                Method::HEAD => response.map(|_| OriginBody::Whole(Full::default())),
                _ => response,
            })
        })
    }
}

fn refused(refusal: Refusal) -> Response<OriginBody> {
    refusal.into_response().map(OriginBody::Whole)
}

fn is_signed(stream: Option<&Arc<LiveStream>>) -> bool {
    stream.is_some_and(|stream| stream.is_signed())
}

impl Inner {
    async fn respond(&self, request: &Request<()>, route: Option<Route>) -> Response<OriginBody> {
        let answer = match route {
            Some(Route::Vod(video, resource)) => {
                return self.video_of_whom(video, resource).await;
            }
            Some(Route::Live(name, LiveResource::Feed(rendition)))
                if request.method() == Method::GET =>
            {
                match self.feed(&name, rendition) {
                    Ok(response) => return response,
                    Err(refusal) => Err(refusal),
                }
            }
            route => self.answer(request, route).await,
        };
        let response = match answer {
            Ok(answer) => answer.into_response(),
            Err(refusal) => refusal.into_response(),
        };
        response.map(OriginBody::Whole)
    }

    fn feed(
        &self,
        name: &StreamName,
        rendition: RenditionName,
    ) -> Result<Response<OriginBody>, Refusal> {
        let stream = self.streams.get(name).ok_or(Refusal::UnknownStream)?;
        self.feeds.subscribe(&stream, rendition)
    }

    /// A video, as whoever may see the stream that it is the recording of may have it.
    async fn video_of_whom(&self, video: VideoId, resource: VodResource) -> Response<OriginBody> {
        let audience = match self.audience(video).await {
            Ok(audience) => audience,
            Err(refusal) => return refused(refusal),
        };
        let mut response = match self.video(video, resource).await {
            Ok(answer) => answer.into_response().map(OriginBody::Whole),
            Err(refusal) => refused(refusal),
        };
        if let Some(stream) = audience.recording_of
            && let Ok(tag) = HeaderValue::try_from(format!("stream:{stream}"))
        {
            response.headers_mut().insert(CACHE_TAG, tag);
        }
        if audience.is_signed {
            response.headers_mut().insert(NOVA_ACCESS, SIGNED);
        }
        response
    }

    async fn answer(&self, request: &Request<()>, route: Option<Route>) -> Result<Answer, Refusal> {
        let uri = request.uri();
        match route.ok_or(Refusal::NoSuchPath)? {
            // Answered before, with whom it is for.
            Route::Vod(..) => Err(Refusal::NoSuchPath),
            Route::Time => Ok(Answer::time(self.clock.now())),
            Route::Live(name, resource) => {
                let directives = Directives::parse(uri.query().unwrap_or_default())?;
                self.live(&name, resource, directives).await
            }
        }
    }

    async fn live(
        &self,
        name: &StreamName,
        resource: LiveResource,
        directives: Directives,
    ) -> Result<Answer, Refusal> {
        let stream = self.streams.get(name).ok_or(Refusal::UnknownStream)?;
        match resource {
            LiveResource::Multivariant => self.multivariant(&stream).await,
            LiveResource::Mpd => self.mpd(&stream).await,
            LiveResource::MediaPlaylist(rendition) => {
                self.media_playlist(&stream, &rendition, directives).await
            }
            // It has no end, so that there is nothing to say of it beforehand.
            LiveResource::Feed(_) => Err(Refusal::NoSuchMedia),
            LiveResource::Init(epoch, rendition) => match stream.init(epoch, &rendition) {
                Some(bytes) => Ok(Answer::init(bytes)),
                None => {
                    let key = object_key::init(stream.id(), epoch, &rendition);
                    self.stored(&key).await.map(Answer::init)
                }
            },
            LiveResource::Segment(epoch, rendition, number) => {
                match stream.segment(epoch, &rendition, number) {
                    SegmentState::Ready(bytes) => Ok(Answer::segment(bytes)),
                    SegmentState::Missing => Err(Refusal::NoSuchMedia),
                    SegmentState::Stored => {
                        let key = object_key::segment(stream.id(), epoch, &rendition, number);
                        self.stored(&key).await.map(Answer::segment)
                    }
                }
            }
            LiveResource::Part(epoch, rendition, number, index) => {
                let part = || match stream.part(epoch, &rendition, number, index) {
                    PartState::Ready(bytes) => Some(Ok(Answer::segment(bytes))),
                    PartState::Missing => Some(Err(Refusal::NoSuchMedia)),
                    PartState::Hinted => None,
                };
                let held = self.holds.until(&stream, part).await?;
                held.unwrap_or(Err(Refusal::NotInTime))
            }
            LiveResource::Poster => self.live_poster(&stream, Bounds::POSTER).await,
            LiveResource::Thumbnail => self.live_poster(&stream, Bounds::THUMBNAIL).await,
            LiveResource::Storyboard => self.live_storyboard(&stream),
            LiveResource::ThumbnailOf(epoch, number) => {
                self.live_thumbnail(&stream, epoch, number).await
            }
        }
    }

    async fn multivariant(&self, stream: &LiveStream) -> Result<Answer, Refusal> {
        let complete = || match stream.multivariant() {
            None if stream.has_ended() => Some(Err(Refusal::NoSuchMedia)),
            playlist => playlist.map(Ok),
        };
        let held = self.holds.until(stream, complete).await?;
        let playlist = held.unwrap_or(Err(Refusal::NotInTime))?;
        Ok(Answer::hls(playlist.render(), polled(stream)))
    }

    async fn mpd(&self, stream: &LiveStream) -> Result<Answer, Refusal> {
        let complete = || match stream.mpd(self.clock.now()) {
            None if stream.has_ended() => Some(Err(Refusal::NoSuchMedia)),
            mpd => mpd.map(Ok),
        };
        let held = self.holds.until(stream, complete).await?;
        let mpd = held.unwrap_or(Err(Refusal::NotInTime))?;
        let text = mpd.render().ok_or(Refusal::Unrenderable)?;
        Ok(Answer::dash(text, polled(stream)))
    }

    async fn media_playlist(
        &self,
        stream: &LiveStream,
        rendition: &RenditionName,
        directives: Directives,
    ) -> Result<Answer, Refusal> {
        let ready = || match stream.reload_state(rendition, directives.target) {
            ReloadState::Ready => Some(Ok(())),
            ReloadState::TooFarAhead => Some(Err(Refusal::TooFarAhead)),
            ReloadState::Unknown => Some(Err(Refusal::UnknownRendition)),
            ReloadState::Wait => None,
        };
        let held = self.holds.until(stream, ready).await?;
        let in_time = held.transpose()?.is_some();
        let Some(playlist) = stream.media_playlist(rendition) else {
            return Err(if stream.has_ended() {
                Refusal::NoSuchMedia
            } else {
                Refusal::NotInTime
            });
        };
        let freshness = match directives.target {
            _ if playlist.ended => polled(stream),
            Some(target) if in_time && is_near_the_end(target, &playlist) => {
                Freshness::TargetDurations(6, playlist.target_duration)
            }
            Some(_) => Freshness::NoStore,
            None => polled(stream),
        };
        let text = if directives.skip {
            playlist.render_delta()
        } else {
            playlist.render()
        };
        Ok(Answer::hls(text, freshness))
    }

    async fn stored(&self, key: &str) -> Result<Bytes, Refusal> {
        self.objects.get(key).await.map_err(|error| match error {
            ObjectError::NotFound(_) => Refusal::NoSuchMedia,
            error => {
                tracing::warn!(key, %error, "object store");
                Refusal::ObjectStore
            }
        })
    }
}

/// Whether a player that follows the stream may ask for this now. Older targets are without
/// number, and all name the current playlist: kept under each name it would fill a cache,
/// and be old when it is asked for again.
fn is_near_the_end(target: ReloadTarget, playlist: &MediaPlaylist) -> bool {
    let last = playlist.segments.last();
    last.is_none_or(|last| target.segment.0 >= last.number.0.saturating_sub(1))
}

/// A manifest that a player asks for again and again.
fn polled(stream: &LiveStream) -> Freshness {
    Freshness::Polled(stream.target_duration())
}
