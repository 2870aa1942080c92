//! Responses: what is in them, and how long they may be kept.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use media::Timestamp;

use super::directives::DirectiveError;

/// How long an answer may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Freshness {
    /// Its name never means anything else.
    Immutable,
    /// So many target durations of so many seconds.
    TargetDurations(u32, u32),
    /// A manifest that changes under one name: a second, but not more than half a target
    /// duration, and in a shared cache only. Every cache on the way would add its own.
    Polled(Duration),
    /// Of a video, what stays as it is until its stream lets some of it go, as manifests do,
    /// or until what hinders is over.
    Video,
    /// A moment, so that a crowd asks once.
    Moment,
    /// So many seconds.
    Seconds(u32),
    /// Not at all.
    NoStore,
}

impl Freshness {
    fn header(self) -> HeaderValue {
        let seconds = match self {
            Self::Immutable => {
                return HeaderValue::from_static("public, max-age=31536000, immutable");
            }
            Self::NoStore => return HeaderValue::from_static("no-store"),
            Self::TargetDurations(count, seconds) => u64::from(count) * u64::from(seconds),
            // `s-maxage` forbids stale answers that are not granted (RFC 9111 5.2.2.10).
            Self::Polled(target_duration) => {
                return HeaderValue::from_static(match target_duration.as_secs() {
                    0 | 1 => "public, max-age=0, s-maxage=0, stale-if-error=6",
                    _ => "public, max-age=0, s-maxage=1, stale-if-error=6",
                });
            }
            Self::Video => 60,
            Self::Moment => 1,
            Self::Seconds(seconds) => seconds.into(),
        };
        HeaderValue::try_from(format!("public, max-age={seconds}"))
            .unwrap_or(HeaderValue::from_static("no-store"))
    }
}

/// A found resource.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Bytes,
    content_type: &'static str,
    freshness: Freshness,
}

impl Answer {
    pub(crate) fn hls(text: String, freshness: Freshness) -> Self {
        Self {
            body: text.into(),
            content_type: "application/vnd.apple.mpegurl",
            freshness,
        }
    }

    pub(crate) fn dash(text: String, freshness: Freshness) -> Self {
        Self {
            body: text.into(),
            content_type: "application/dash+xml",
            freshness,
        }
    }

    /// The handler type in it tells sound from pictures, wherever it comes from.
    pub(crate) fn init(body: Bytes) -> Self {
        let sound = body.windows(4).any(|kind| kind == b"soun");
        Self {
            body,
            content_type: if sound { "audio/mp4" } else { "video/mp4" },
            freshness: Freshness::Immutable,
        }
    }

    /// Also a part.
    pub(crate) fn segment(body: Bytes) -> Self {
        Self {
            body,
            content_type: "video/iso.segment",
            freshness: Freshness::Immutable,
        }
    }

    /// A JPEG.
    pub(crate) fn picture(body: Bytes, freshness: Freshness) -> Self {
        Self {
            body,
            content_type: "image/jpeg",
            freshness,
        }
    }

    pub(crate) fn web_vtt(text: String, freshness: Freshness) -> Self {
        Self {
            body: text.into(),
            content_type: "text/vtt; charset=utf-8",
            freshness,
        }
    }

    /// `urn:mpeg:dash:utc:http-xsdate:2014`.
    pub(crate) fn time(now: Timestamp) -> Self {
        Self {
            body: now.to_rfc3339().into(),
            content_type: "text/plain; charset=utf-8",
            freshness: Freshness::NoStore,
        }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        response(StatusCode::OK, self.content_type, self.freshness, self.body)
    }
}

/// Why there is no answer. A client is told in one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not `GET` or `HEAD`.
    #[error("only GET and HEAD are answered here")]
    MethodNotAllowed,
    /// The path names nothing of ours.
    #[error("there is nothing under this path")]
    NoSuchPath,
    /// This origin has no rows to find videos in.
    #[error("there is no video on demand here")]
    NoVideos,
    /// No such video.
    #[error("there is no such video")]
    UnknownVideo,
    /// Its segments are being made, or could not be.
    #[error("this video is not ready")]
    VideoNotReady,
    /// The rows cannot be read.
    #[error("the database does not answer")]
    Database,
    /// No such stream is live.
    #[error("this stream is not live")]
    UnknownStream,
    /// The stream has no such rendition.
    #[error("this stream has no such rendition")]
    UnknownRendition,
    /// Gone, a gap, or not announced.
    #[error("this is not available, or not any more, or not yet")]
    NoSuchMedia,
    /// A delivery directive that cannot be.
    #[error("bad request: {0}")]
    Directive(#[from] DirectiveError),
    /// RFC 8216bis 6.2.5.2.
    #[error("this is too far ahead of the live edge")]
    TooFarAhead,
    /// Held, or begun, but it did not come in time.
    #[error("this is not ready yet")]
    NotInTime,
    /// A limit with a name.
    #[error("too many requests are waiting")]
    TooManyHeld,
    /// A limit with a name.
    #[error("too many feeds are followed")]
    TooManyFeeds,
    /// The object store failed.
    #[error("the object store does not answer")]
    ObjectStore,
    /// A manifest could not be written.
    #[error("the manifest cannot be written")]
    Unrenderable,
    /// There is sound only.
    #[error("there are no pictures in this")]
    NoPictures,
    /// This server does not transcode.
    #[error("no pictures are made here")]
    NoPictureMaker,
    /// A limit with a name.
    #[error("too many pictures are being made")]
    TooManyPictures,
    /// It died, or hung.
    #[error("the picture could not be made")]
    PictureMaker,
    /// The key frame is damaged, or of a kind that nobody here decodes.
    #[error("this picture cannot be decoded")]
    Undecodable,
}

impl Refusal {
    /// As a metric label.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NoSuchPath => "no_such_path",
            Self::NoVideos => "no_videos",
            Self::UnknownVideo => "unknown_video",
            Self::VideoNotReady => "video_not_ready",
            Self::Database => "database",
            Self::UnknownStream => "unknown_stream",
            Self::UnknownRendition => "unknown_rendition",
            Self::NoSuchMedia => "no_such_media",
            Self::Directive(_) => "directive",
            Self::TooFarAhead => "too_far_ahead",
            Self::NotInTime => "not_in_time",
            Self::TooManyHeld => "too_many_held",
            Self::TooManyFeeds => "too_many_feeds",
            Self::ObjectStore => "object_store",
            Self::Unrenderable => "unrenderable",
            Self::NoPictures => "no_pictures",
            Self::NoPictureMaker => "no_picture_maker",
            Self::TooManyPictures => "too_many_pictures",
            Self::PictureMaker => "picture_maker",
            Self::Undecodable => "undecodable",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoSuchPath
            | Self::NoVideos
            | Self::UnknownVideo
            | Self::VideoNotReady
            | Self::UnknownStream
            | Self::UnknownRendition
            | Self::NoSuchMedia
            | Self::NoPictures
            | Self::NoPictureMaker
            | Self::Undecodable => StatusCode::NOT_FOUND,
            Self::Directive(_) | Self::TooFarAhead => StatusCode::BAD_REQUEST,
            Self::NotInTime
            | Self::TooManyHeld
            | Self::TooManyFeeds
            | Self::ObjectStore
            | Self::Database
            | Self::TooManyPictures
            | Self::PictureMaker => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unrenderable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        metrics::counter!("nova_origin_refused_total", "reason" => self.reason()).increment(1);
        // What is not there now may be there in a moment, under the same name. What cannot be
        // decoded need not be tried for every viewer.
        let freshness = match self {
            Self::UnknownStream
            | Self::UnknownVideo
            | Self::VideoNotReady
            | Self::NoPictures
            | Self::NoPictureMaker
            | Self::Undecodable => Freshness::Moment,
            _ => Freshness::NoStore,
        };
        let status = self.status();
        let text = format!("{self}\n");
        let mut response = response(status, "text/plain; charset=utf-8", freshness, text.into());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // There will be as many feeds in a second, and an edge does well without.
            let seconds = if self == Self::TooManyFeeds {
                "30"
            } else {
                "1"
            };
            let seconds = HeaderValue::from_static(seconds);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    freshness: Freshness,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, freshness.header());
    response
}
