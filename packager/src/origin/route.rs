//! Paths.

use std::str::FromStr;

use http::HeaderValue;
use media::{EpochNumber, PartIndex, RenditionName, SegmentNumber, StreamName, VideoId};

/// What a path names. Names are of the media crate's types, so nothing in a path leads
/// anywhere else; each thing has one spelling, so a cache keeps it once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// `/live/{stream}/...`
    Live(StreamName, LiveResource),
    /// `/live/{stream}/time`, the same for all streams.
    Time,
    /// `/vod/{video}/...`
    Vod(VideoId, VodResource),
}

/// What is below `/vod/{video}/`: as below `/live/{stream}/`, without parts, and sprites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum VodResource {
    /// `index.m3u8`
    Multivariant,
    /// `manifest.mpd`
    Mpd,
    /// `{rendition}.m3u8`
    MediaPlaylist(RenditionName),
    /// `{epoch}/{rendition}/init.mp4`
    Init(EpochNumber, RenditionName),
    /// `{epoch}/{rendition}/{n}.m4s`
    Segment(EpochNumber, RenditionName, SegmentNumber),
    /// `poster.jpg`
    Poster,
    /// `storyboard.vtt`
    Storyboard,
    /// `{epoch}/storyboard/{first}-{step}.jpg`
    Sprite(EpochNumber, SegmentNumber, u64),
}

/// What is below `/live/{stream}/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LiveResource {
    /// `index.m3u8`
    Multivariant,
    /// `manifest.mpd`
    Mpd,
    /// `{rendition}.m3u8`
    MediaPlaylist(RenditionName),
    /// `{rendition}.feed`
    Feed(RenditionName),
    /// `{epoch}/{rendition}/init.mp4`
    Init(EpochNumber, RenditionName),
    /// `{epoch}/{rendition}/{n}.m4s`
    Segment(EpochNumber, RenditionName, SegmentNumber),
    /// `{epoch}/{rendition}/{n}.{k}.m4s`
    Part(EpochNumber, RenditionName, SegmentNumber, PartIndex),
    /// `poster.jpg`
    Poster,
    /// `thumbnail.jpg`
    Thumbnail,
    /// `storyboard.vtt`
    Storyboard,
    /// `{epoch}/thumbnails/{n}.jpg`
    ThumbnailOf(EpochNumber, SegmentNumber),
}

impl Route {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/vod/") {
            let (text, rest) = rest.split_once('/')?;
            let video: VideoId = text.parse().ok()?;
            // An id can be spelled in several ways; URLs are not.
            let resource = VodResource::parse(rest).filter(|_| video.to_string() == text)?;
            return Some(Self::Vod(video, resource));
        }
        let (stream, rest) = path.strip_prefix("/live/")?.split_once('/')?;
        let stream = stream.parse().ok()?;
        Some(match rest {
            "time" => Self::Time,
            rest => Self::Live(stream, LiveResource::parse(rest)?),
        })
    }
}

impl Route {
    /// The stream that is live.
    pub(crate) fn stream(&self) -> Option<&StreamName> {
        match self {
            Self::Live(stream, _) => Some(stream),
            Self::Vod(..) | Self::Time => None,
        }
    }

    /// What an answer is of, as a list of tags. None: of nothing that could be purged.
    pub(crate) fn tags(&self) -> Option<HeaderValue> {
        let (of, rendition) = match self {
            Self::Live(stream, resource) => (format!("stream:{stream}"), resource.rendition()),
            Self::Vod(video, resource) => (format!("video:{video}"), resource.rendition()),
            Self::Time => return None,
        };
        let tags = match rendition {
            Some(rendition) => format!("{of}, rendition:{rendition}"),
            None => of,
        };
        HeaderValue::try_from(tags).ok()
    }
}

impl VodResource {
    fn rendition(&self) -> Option<&RenditionName> {
        match self {
            Self::MediaPlaylist(name) | Self::Init(_, name) | Self::Segment(_, name, _) => {
                Some(name)
            }
            _ => None,
        }
    }

    fn parse(path: &str) -> Option<Self> {
        if let Some((epoch, file)) = path.split_once("/storyboard/")
            && let Some(name) = file.strip_suffix(".jpg")
        {
            let (first, step) = name.split_once('-')?;
            return Some(Self::Sprite(number(epoch)?, number(first)?, number(step)?));
        }
        Some(match LiveResource::parse(path)? {
            LiveResource::Multivariant => Self::Multivariant,
            LiveResource::Mpd => Self::Mpd,
            LiveResource::MediaPlaylist(rendition) => Self::MediaPlaylist(rendition),
            LiveResource::Init(epoch, rendition) => Self::Init(epoch, rendition),
            LiveResource::Segment(epoch, rendition, number) => {
                Self::Segment(epoch, rendition, number)
            }
            LiveResource::Poster => Self::Poster,
            LiveResource::Storyboard => Self::Storyboard,
            LiveResource::Feed(..)
            | LiveResource::Part(..)
            | LiveResource::Thumbnail
            | LiveResource::ThumbnailOf(..) => return None,
        })
    }
}

impl LiveResource {
    fn rendition(&self) -> Option<&RenditionName> {
        match self {
            Self::MediaPlaylist(name)
            | Self::Feed(name)
            | Self::Init(_, name)
            | Self::Segment(_, name, _)
            | Self::Part(_, name, _, _) => Some(name),
            _ => None,
        }
    }

    fn parse(path: &str) -> Option<Self> {
        match path {
            "index.m3u8" => return Some(Self::Multivariant),
            "manifest.mpd" => return Some(Self::Mpd),
            "poster.jpg" => return Some(Self::Poster),
            "thumbnail.jpg" => return Some(Self::Thumbnail),
            "storyboard.vtt" => return Some(Self::Storyboard),
            _ => {}
        }
        let Some((epoch, rest)) = path.split_once('/') else {
            if let Some(rendition) = path.strip_suffix(".feed") {
                return Some(Self::Feed(rendition.parse().ok()?));
            }
            let rendition = path.strip_suffix(".m3u8")?;
            return Some(Self::MediaPlaylist(rendition.parse().ok()?));
        };
        let (rendition, file) = rest.split_once('/')?;
        if let ("thumbnails", Some(name)) = (rendition, file.strip_suffix(".jpg")) {
            return Some(Self::ThumbnailOf(number(epoch)?, number(name)?));
        }
        let (epoch, rendition) = (number(epoch)?, rendition.parse().ok()?);
        if file == "init.mp4" {
            return Some(Self::Init(epoch, rendition));
        }
        let name = file.strip_suffix(".m4s")?;
        Some(match name.split_once('.') {
            None => Self::Segment(epoch, rendition, number(name)?),
            Some((segment, part)) => Self::Part(epoch, rendition, number(segment)?, number(part)?),
        })
    }
}

/// A decimal number without sign or leading zeros, which `parse` alone would take.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_tagged_with_what_it_is_of() {
        for (path, tags) in [
            ("/live/demo/index.m3u8", Some("stream:demo")),
            ("/live/demo/720p.m3u8", Some("stream:demo, rendition:720p")),
            (
                "/live/demo/3/720p/12.0.m4s",
                Some("stream:demo, rendition:720p"),
            ),
            (
                "/live/demo/source.feed",
                Some("stream:demo, rendition:source"),
            ),
            ("/live/demo/time", None),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/3/audio/1.m4s",
                Some("video:0193c0de-0000-7000-8000-00000000000a, rendition:audio"),
            ),
        ] {
            let told = Route::parse(path).unwrap().tags();
            assert_eq!(
                told.as_ref().map(|tags| tags.to_str().unwrap()),
                tags,
                "{path}"
            );
        }
    }

    #[test]
    fn each_thing_has_one_spelling() {
        let live = |resource| Some(Route::Live("demo".parse().unwrap(), resource));
        let video = "0193c0de-0000-7000-8000-00000000000a".parse().unwrap();
        let vod = |resource| Some(Route::Vod(video, resource));
        let source = RenditionName::SOURCE;
        for (path, route) in [
            ("/live/demo/index.m3u8", live(LiveResource::Multivariant)),
            ("/live/demo/manifest.mpd", live(LiveResource::Mpd)),
            ("/live/demo/time", Some(Route::Time)),
            (
                "/live/demo/source.m3u8",
                live(LiveResource::MediaPlaylist(source.clone())),
            ),
            (
                "/live/demo/source.feed",
                live(LiveResource::Feed(source.clone())),
            ),
            (
                "/live/demo/3/source/init.mp4",
                live(LiveResource::Init(EpochNumber(3), source.clone())),
            ),
            (
                "/live/demo/3/source/12.m4s",
                live(LiveResource::Segment(
                    EpochNumber(3),
                    source.clone(),
                    SegmentNumber(12),
                )),
            ),
            (
                "/live/demo/3/source/12.0.m4s",
                live(LiveResource::Part(
                    EpochNumber(3),
                    source,
                    SegmentNumber(12),
                    PartIndex(0),
                )),
            ),
            ("/live/demo/poster.jpg", live(LiveResource::Poster)),
            ("/live/demo/thumbnail.jpg", live(LiveResource::Thumbnail)),
            ("/live/demo/storyboard.vtt", live(LiveResource::Storyboard)),
            (
                "/live/demo/3/thumbnails/12.jpg",
                live(LiveResource::ThumbnailOf(EpochNumber(3), SegmentNumber(12))),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/index.m3u8",
                vod(VodResource::Multivariant),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/poster.jpg",
                vod(VodResource::Poster),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/storyboard.vtt",
                vod(VodResource::Storyboard),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/50-2.jpg",
                vod(VodResource::Sprite(EpochNumber(0), SegmentNumber(50), 2)),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/2.m4s",
                vod(VodResource::Segment(
                    EpochNumber(0),
                    "storyboard".parse().unwrap(),
                    SegmentNumber(2),
                )),
            ),
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/3/source/12.m4s",
                vod(VodResource::Segment(
                    EpochNumber(3),
                    RenditionName::SOURCE,
                    SegmentNumber(12),
                )),
            ),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
        for path in [
            "",
            "/",
            "/live",
            "/live/",
            "/live/demo",
            "/live/demo/",
            "/live/Demo/index.m3u8",
            "/live/Demo/time",
            "/live/../index.m3u8",
            "/live/demo/../../etc/passwd",
            "/live/demo/%2e%2e/init.mp4",
            "/live/demo/.m3u8",
            "/live/demo/3/source/",
            "/live/demo/3/source/init.mp4/",
            "/live/demo/03/source/12.m4s",
            "/live/demo/3/source/+12.m4s",
            "/live/demo/3/source/012.m4s",
            "/live/demo/3/source/12.00.m4s",
            "/live/demo/3/source/12.0.0.m4s",
            "/live/demo/3/source/99999999999999999999999.m4s",
            "/live/demo/3/source/.m4s",
            "/live/demo/3/source/1/2.m4s",
            "/live/demo//source/1.m4s",
            "/live/demo/Poster.jpg",
            "/live/demo/poster.jpeg",
            "/live/demo/thumbnails/12.jpg",
            "/live/demo/3/thumbnails/012.jpg",
            "/live/demo/03/thumbnails/12.jpg",
            "/live/demo/3/thumbnails/12.png",
            "/live/demo/3/thumbnail/12.jpg",
            "/live/demo/3/thumbnails/",
            "/live/demo/3/storyboard/0-2.jpg",
            "/live/demo/.feed",
            "/live/demo/3/source.feed",
            "/vod/0193c0de-0000-7000-8000-00000000000a/source.feed",
            "/vod/abc/index.m3u8",
            "/vod/0193c0de-0000-7000-8000-00000000000a/thumbnail.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/thumbnails/7.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/0.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/0-02.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/00-2.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/storyboard/0-2-2.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/0/0/storyboard/0-2.jpg",
            "/vod/0193c0de-0000-7000-8000-00000000000a/storyboard/0-2.jpg",
            "/vod/0193C0DE-0000-7000-8000-00000000000A/index.m3u8",
            "/vod/0193c0de00007000800000000000000a/index.m3u8",
            "/vod/0193c0de-0000-7000-8000-00000000000a/3/source/12.0.m4s",
            "/vod/0193c0de-0000-7000-8000-00000000000a",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
