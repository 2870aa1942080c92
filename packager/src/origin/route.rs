//! Paths.

use std::str::FromStr;

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

/// What is below `/vod/{video}/`: as below `/live/{stream}/`, without parts.
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
    /// `{epoch}/{rendition}/init.mp4`
    Init(EpochNumber, RenditionName),
    /// `{epoch}/{rendition}/{n}.m4s`
    Segment(EpochNumber, RenditionName, SegmentNumber),
    /// `{epoch}/{rendition}/{n}.{k}.m4s`
    Part(EpochNumber, RenditionName, SegmentNumber, PartIndex),
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

impl VodResource {
    fn parse(path: &str) -> Option<Self> {
        Some(match LiveResource::parse(path)? {
            LiveResource::Multivariant => Self::Multivariant,
            LiveResource::Mpd => Self::Mpd,
            LiveResource::MediaPlaylist(rendition) => Self::MediaPlaylist(rendition),
            LiveResource::Init(epoch, rendition) => Self::Init(epoch, rendition),
            LiveResource::Segment(epoch, rendition, number) => {
                Self::Segment(epoch, rendition, number)
            }
            LiveResource::Part(..) => return None,
        })
    }
}

impl LiveResource {
    fn parse(path: &str) -> Option<Self> {
        match path {
            "index.m3u8" => return Some(Self::Multivariant),
            "manifest.mpd" => return Some(Self::Mpd),
            _ => {}
        }
        let Some((epoch, rest)) = path.split_once('/') else {
            let rendition = path.strip_suffix(".m3u8")?;
            return Some(Self::MediaPlaylist(rendition.parse().ok()?));
        };
        let (rendition, file) = rest.split_once('/')?;
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
            (
                "/vod/0193c0de-0000-7000-8000-00000000000a/index.m3u8",
                vod(VodResource::Multivariant),
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
            "/vod/abc/index.m3u8",
            "/vod/0193C0DE-0000-7000-8000-00000000000A/index.m3u8",
            "/vod/0193c0de00007000800000000000000a/index.m3u8",
            "/vod/0193c0de-0000-7000-8000-00000000000a/3/source/12.0.m4s",
            "/vod/0193c0de-0000-7000-8000-00000000000a",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
