//! What HLS playlists name (RFC 8216bis 4), read from bytes that anybody may have made.
//!
//! Only what must be fetched to play is read: media playlists, segments, init segments.
//! Parts are not: they are gone before a prewarm is through, or come again as segments.

use url::Url;

use crate::access::hides_token;
use crate::config::OriginKind;
use crate::key::CacheKey;

/// Bytes of the largest playlist that is read: a day of segments of one second has a third.
pub(crate) const MAX_PLAYLIST_BYTES: usize = 16 << 20;

/// Media playlists that one multivariant playlist may name.
const MAX_RENDITIONS: usize = 256;

/// URIs of the longest playlist.
const MAX_SEGMENTS: usize = 300_000;

/// Bytes of the longest line.
const MAX_LINE_BYTES: usize = 8_192;

/// What a playlist names. URIs are as they stand there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Playlist<'a> {
    /// Media playlists.
    Multivariant(Vec<&'a str>),
    Media(MediaPlaylist<'a>),
}

/// One rendition.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct MediaPlaylist<'a> {
    /// In order, without gaps.
    pub(crate) segments: Vec<Segment<'a>>,
    /// No segment will be added.
    pub(crate) has_ended: bool,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) uri: &'a str,
    /// Its init segment.
    pub(crate) map: Option<&'a str>,
}

/// Why bytes are no playlist that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaylistFault {
    #[error("it is no HLS playlist: #EXTM3U is not its first line")]
    NoPlaylist,
    #[error("it is no HLS playlist: it is not UTF-8")]
    NotUtf8,
    #[error("line {0} is longer than 8,192 bytes")]
    LongLine(usize),
    #[error("it names more than 300,000 segments, or 256 renditions")]
    TooMany,
    #[error("line {0} has a tag of media playlists and another one of multivariant playlists")]
    Mixed(usize),
    #[error("line {0} has no URI where there must be one")]
    NoUri(usize),
}

/// Why a URI of a playlist is not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UriFault {
    #[error("{0} is another site")]
    OffSite(String),
    #[error("it is not a URI")]
    NoUri,
    #[error("it has a variable (EXT-X-DEFINE)")]
    Variable,
    #[error("it holds the token of a signed URL")]
    Token,
    #[error("{0}")]
    Key(String),
}

impl<'a> Playlist<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, PlaylistFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| PlaylistFault::NotUtf8)?;
        let mut lines = (1..).zip(text.lines());
        if lines
            .next()
            .is_none_or(|(_, line)| line.trim_end() != "#EXTM3U")
        {
            return Err(PlaylistFault::NoPlaylist);
        }
        let mut reading = Reading::default();
        for (number, line) in lines {
            if line.len() > MAX_LINE_BYTES {
                return Err(PlaylistFault::LongLine(number));
            }
            reading.line(number, line.trim_end())?;
        }
        Ok(match reading.is_multivariant {
            Some(true) => Self::Multivariant(reading.renditions),
            _ => Self::Media(reading.media),
        })
    }
}

#[derive(Default)]
struct Reading<'a> {
    /// Once a tag has said so.
    is_multivariant: Option<bool>,
    renditions: Vec<&'a str>,
    media: MediaPlaylist<'a>,
    map: Option<&'a str>,
    /// The next URI is of a segment that is not there.
    is_gap: bool,
}

impl<'a> Reading<'a> {
    fn line(&mut self, number: usize, line: &'a str) -> Result<(), PlaylistFault> {
        if line.is_empty() {
            return Ok(());
        }
        let Some(tag) = line.strip_prefix("#EXT") else {
            return match line.starts_with('#') {
                true => Ok(()),
                false => self.uri(line),
            };
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "-X-STREAM-INF" => self.is(true, number)?,
            "-X-MEDIA" => {
                self.is(true, number)?;
                if let Some(uri) = attribute(value, "URI") {
                    self.rendition(uri)?;
                }
            }
            "-X-I-FRAME-STREAM-INF" => {
                self.is(true, number)?;
                self.rendition(attribute(value, "URI").ok_or(PlaylistFault::NoUri(number))?)?;
            }
            "INF" | "-X-TARGETDURATION" => self.is(false, number)?,
            "-X-MAP" => {
                self.is(false, number)?;
                self.map = Some(attribute(value, "URI").ok_or(PlaylistFault::NoUri(number))?);
            }
            "-X-GAP" => self.is_gap = true,
            "-X-ENDLIST" => self.media.has_ended = true,
            "-X-PLAYLIST-TYPE" if value == "VOD" => self.media.has_ended = true,
            _ => {}
        }
        Ok(())
    }

    fn is(&mut self, multivariant: bool, number: usize) -> Result<(), PlaylistFault> {
        match *self.is_multivariant.get_or_insert(multivariant) == multivariant {
            true => Ok(()),
            false => Err(PlaylistFault::Mixed(number)),
        }
    }

    fn uri(&mut self, uri: &'a str) -> Result<(), PlaylistFault> {
        if self.is_multivariant == Some(true) {
            return self.rendition(uri);
        }
        if std::mem::take(&mut self.is_gap) {
            return Ok(());
        }
        if self.media.segments.len() >= MAX_SEGMENTS {
            return Err(PlaylistFault::TooMany);
        }
        let map = self.map;
        self.media.segments.push(Segment { uri, map });
        Ok(())
    }

    fn rendition(&mut self, uri: &'a str) -> Result<(), PlaylistFault> {
        if self.renditions.len() >= MAX_RENDITIONS {
            return Err(PlaylistFault::TooMany);
        }
        self.renditions.push(uri);
        Ok(())
    }
}

/// The quoted string of this name in an attribute list (RFC 8216bis 4.2).
fn attribute<'a>(list: &'a str, wanted: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = quoted.split_once('"')?;
                (Some(value), behind)
            }
            None => (None, after.trim_start_matches(|c| c != ',')),
        };
        if name.trim() == wanted {
            return value;
        }
        rest = next.trim_start_matches(',');
    }
    None
}

/// What the URIs in a playlist are relative to.
#[derive(Debug)]
pub(crate) struct Base {
    origin: OriginKind,
    /// None: nothing is relative to that.
    url: Option<Url>,
}

impl Base {
    /// The playlist under the key `key`.
    pub(crate) fn of(origin: OriginKind, key: &str) -> Self {
        let site = Url::parse("http://site.invalid").ok();
        let url = site.and_then(|site| {
            let url = site.join(key).ok()?;
            (url.origin() == site.origin()).then_some(url)
        });
        Self { origin, url }
    }

    /// The cache key of a URI that stands in the playlist.
    pub(crate) fn resolve(&self, uri: &str) -> Result<String, UriFault> {
        if uri.contains("{$") {
            return Err(UriFault::Variable);
        }
        let base = self.url.as_ref().ok_or(UriFault::NoUri)?;
        let url = base.join(uri).map_err(|_| UriFault::NoUri)?;
        if url.origin() != base.origin() {
            let host = url.host_str().unwrap_or(url.scheme());
            return Err(UriFault::OffSite(host.chars().take(100).collect()));
        }
        let target: http::Uri = url[url::Position::BeforePath..url::Position::AfterQuery]
            .parse()
            .map_err(|_| UriFault::NoUri)?;
        let key = CacheKey::of(self.origin, &target);
        let key = key.map_err(|error| UriFault::Key(error.to_string()))?;
        match self.origin == OriginKind::Media && hides_token(key.as_str()) {
            true => Err(UriFault::Token),
            false => Ok(key.as_str().to_owned()),
        }
    }
}

/// What a playlist of these bytes names, for fuzzing: keys of this site, each its own.
#[doc(hidden)]
pub fn read_any_playlist(bytes: &[u8], base: &str) {
    let Ok(playlist) = Playlist::read(bytes) else {
        return;
    };
    let uris: Vec<&str> = match playlist {
        Playlist::Multivariant(uris) => uris,
        Playlist::Media(media) => {
            let segments = media.segments.into_iter();
            segments
                .flat_map(|segment| [Some(segment.uri), segment.map])
                .flatten()
                .collect()
        }
    };
    let of = |origin| Base::of(origin, base);
    let (media, general) = (of(OriginKind::Media), of(OriginKind::General));
    let root = Base::of(OriginKind::Media, "/");
    for uri in uris {
        if let Ok(key) = media.resolve(uri) {
            assert_eq!(root.resolve(&key).as_ref(), Ok(&key));
        }
        if let Ok(key) = general.resolve(uri) {
            assert!(key.starts_with('/'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> MediaPlaylist<'_> {
        match Playlist::read(text.as_bytes()).unwrap() {
            Playlist::Media(media) => media,
            multivariant @ Playlist::Multivariant(_) => panic!("{multivariant:?}"),
        }
    }

    #[test]
    fn a_media_playlist_names_segments_and_their_init_segments() {
        let text = "#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-MAP:BYTERANGE=\"9,URI=\",URI=\"1/i.mp4\"\r\n\
                    #EXTINF:2,\r\n1/1.m4s\r\n# a comment\r\n#EXT-X-GAP\r\n#EXTINF:2,\r\n1/2.m4s\r\n\
                    #EXT-X-DISCONTINUITY\r\n#EXT-X-MAP:URI=\"2/i.mp4\"\r\n#EXTINF:2,\r\n\r\n2/3.m4s\r\n\
                    #EXT-X-PART:DURATION=1,URI=\"2/4.0.m4s\"\r\n";
        let read = media(text);
        let segments: Vec<_> = read.segments.iter().map(|one| (one.uri, one.map)).collect();
        assert_eq!(
            segments,
            [("1/1.m4s", Some("1/i.mp4")), ("2/3.m4s", Some("2/i.mp4"))]
        );
        assert!(!read.has_ended);
        assert!(media(&format!("{text}#EXT-X-ENDLIST\n")).has_ended);
        assert!(media("#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n").has_ended);
        assert_eq!(media("#EXTM3U"), MediaPlaylist::default());
    }

    #[test]
    fn a_multivariant_playlist_names_media_playlists() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"a, URI=b\",URI=\"audio.m3u8\"\n\
                    #EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,INSTREAM-ID=\"CC1\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\"\nhigh.m3u8\n\
                    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n";
        let read = Playlist::read(text.as_bytes());
        let named = vec!["audio.m3u8", "high.m3u8", "i.m3u8"];
        assert_eq!(read, Ok(Playlist::Multivariant(named)));
    }

    #[test]
    fn what_is_no_playlist_is_named() {
        let long = format!("#EXTM3U\n{}", "x".repeat(MAX_LINE_BYTES + 1));
        let many = format!(
            "#EXTM3U\n{}",
            "#EXT-X-STREAM-INF:\na\n".repeat(MAX_RENDITIONS + 1)
        );
        for (text, fault) in [
            ("", PlaylistFault::NoPlaylist),
            ("<html>", PlaylistFault::NoPlaylist),
            ("#EXTM3U8\n", PlaylistFault::NoPlaylist),
            (&*long, PlaylistFault::LongLine(2)),
            (&*many, PlaylistFault::TooMany),
            ("#EXTM3U\n#EXT-X-MAP:URI=x\n", PlaylistFault::NoUri(2)),
            ("#EXTM3U\n#EXT-X-MAP:URI=\"x\n", PlaylistFault::NoUri(2)),
            (
                "#EXTM3U\n#EXTINF:1,\na\n#EXT-X-STREAM-INF:\nb\n",
                PlaylistFault::Mixed(4),
            ),
        ] {
            assert_eq!(Playlist::read(text.as_bytes()), Err(fault), "{text:.40}");
        }
        assert_eq!(Playlist::read(b"\xff"), Err(PlaylistFault::NotUtf8));
    }

    #[test]
    fn uris_are_of_this_site() {
        let base = Base::of(OriginKind::Media, "/vod/a/index.m3u8");
        let of = |uri| base.resolve(uri);
        for (uri, key) in [
            ("720p.m3u8", "/vod/a/720p.m3u8"),
            ("1/720p/2.m4s?x=1#y", "/vod/a/1/720p/2.m4s"),
            ("/live/b.m4s", "/live/b.m4s"),
            ("../b/./c.m4s", "/vod/b/c.m4s"),
            ("%7a.m4s", "/vod/a/z.m4s"),
        ] {
            assert_eq!(of(uri).as_deref(), Ok(key));
        }
        let off_site = |host: &str| Err(UriFault::OffSite(host.to_owned()));
        for (uri, fault) in [
            ("http://evil.example/a.m4s", off_site("evil.example")),
            ("//evil.example/a.m4s", off_site("evil.example")),
            ("https://site.invalid/a.m4s", off_site("site.invalid")),
            ("data:text/plain,a", off_site("data")),
            ("file:///etc/passwd", off_site("file")),
            ("{$path}/a.m4s", Err(UriFault::Variable)),
            ("/live/~1.a.b.c/a.m4s", Err(UriFault::Token)),
        ] {
            assert_eq!(of(uri), fault, "{uri}");
        }
        assert!(matches!(of("a%2fb.m4s"), Err(UriFault::Key(_))));
        let general = Base::of(OriginKind::General, "/a/b?c").resolve("d?e=f");
        assert_eq!(general.as_deref(), Ok("/a/d?e=f"));
    }
}
