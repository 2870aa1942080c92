//! What is to be prewarmed, read from what an operator says.

use std::num::NonZeroU32;

use media::{RenditionName, VideoId};

use crate::config::OriginKind;
use crate::purge::{InvalidSelector, Selector};

/// Paths of one prewarm at most.
pub const MAX_PREWARM_PATHS: usize = 10_000;

/// Renditions that one prewarm may name.
const MAX_RENDITIONS: usize = 32;

/// What is to be stored before anybody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrewarmOrder {
    pub(crate) subject: Subject,
    /// Segments of each rendition: from its beginning, or the newest of what is live.
    pub(crate) depth: Option<NonZeroU32>,
    /// None: all.
    pub(crate) renditions: Vec<RenditionName>,
}

/// What a prewarm is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// These, as cache keys.
    Paths(Vec<Box<str>>),
    /// A video of Nova's: its playlists, its manifest, and its media.
    Video(VideoId),
    /// The playlist under this key, and what it names.
    Playlist(Box<str>),
}

/// Why nothing can be prewarmed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrewarm {
    /// No such kind.
    #[error("{0:?} is no kind of prewarm: expected urls, video or playlist")]
    Kind(String),
    /// None, or too many.
    #[error("{0} URLs to prewarm: expected 1 to {MAX_PREWARM_PATHS}")]
    Count(usize),
    /// One of them is not the cache's.
    #[error("URL {line} to prewarm is not valid: {reason}")]
    Path {
        /// Its place, from 1; empty lines count.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The playlist's is not the cache's.
    #[error("the playlist to prewarm is not valid: {0}")]
    Playlist(String),
    /// Not a video's id.
    #[error("the video to prewarm is not valid: expected its id")]
    Video,
    /// Without an end, all are meant.
    #[error("the depth of a prewarm is not valid: expected 1 or more segments")]
    Depth,
    /// Only what a playlist names has renditions, and segments.
    #[error("{0} is for a video or a playlist: URLs are prewarmed as they are")]
    NotOfUrls(&'static str),
    /// Not a rendition's name, or too many of them.
    #[error("the renditions of a prewarm are not valid: {0}")]
    Renditions(String),
}

impl PrewarmOrder {
    /// Reads an order to an edge in front of this kind of origin. `kind` is `urls`, with a URL
    /// or a path on each line of `subject`; `video`, with its id; or `playlist`, with its URL
    /// or path. Hosts are not looked at, and tokens are taken off, as of URLs to purge.
    pub fn parse(
        origin: OriginKind,
        kind: &str,
        subject: &str,
        depth: Option<u32>,
        renditions: &[String],
    ) -> Result<Self, InvalidPrewarm> {
        let subject = match kind {
            "urls" => Subject::Paths(paths(origin, subject)?),
            "video" => Subject::Video(subject.parse().map_err(|_| InvalidPrewarm::Video)?),
            "playlist" => {
                let path = path(origin, subject).map_err(InvalidPrewarm::Playlist)?;
                Subject::Playlist(path)
            }
            other => return Err(InvalidPrewarm::Kind(other.chars().take(20).collect())),
        };
        if let Subject::Paths(_) = subject {
            if depth.is_some() {
                return Err(InvalidPrewarm::NotOfUrls("a depth"));
            }
            if !renditions.is_empty() {
                return Err(InvalidPrewarm::NotOfUrls("a choice of renditions"));
            }
        }
        let depth = depth.map(|depth| NonZeroU32::new(depth).ok_or(InvalidPrewarm::Depth));
        Ok(Self {
            subject,
            depth: depth.transpose()?,
            renditions: names(renditions)?,
        })
    }

    /// The kind, as [`PrewarmOrder::parse`] reads it.
    pub fn kind(&self) -> &'static str {
        match self.subject {
            Subject::Paths(_) => "urls",
            Subject::Video(_) => "video",
            Subject::Playlist(_) => "playlist",
        }
    }

    /// The subject, as [`PrewarmOrder::parse`] reads it, without hosts and tokens.
    pub fn subject(&self) -> String {
        match &self.subject {
            Subject::Paths(paths) => paths.join("\n"),
            Subject::Video(id) => id.to_string(),
            Subject::Playlist(path) => path.to_string(),
        }
    }
}

fn paths(origin: OriginKind, text: &str) -> Result<Vec<Box<str>>, InvalidPrewarm> {
    let lines = text.lines().map(str::trim_ascii).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty());
    let count = lines.clone().count();
    if !(1..=MAX_PREWARM_PATHS).contains(&count) {
        return Err(InvalidPrewarm::Count(count));
    }
    let read =
        |(text, line)| path(origin, text).map_err(|reason| InvalidPrewarm::Path { line, reason });
    lines.map(read).collect()
}

/// The cache key of a URL; or what is wrong with it, a sentence.
fn path(origin: OriginKind, text: &str) -> Result<Box<str>, String> {
    match Selector::parse(origin, "url", text) {
        Ok(selector) => Ok(selector.text().into()),
        Err(InvalidSelector::Key(reason)) => Err(reason),
        Err(InvalidSelector::Url(reason)) => {
            Err(format!("{reason} Expected http(s)://HOST/PATH or /PATH."))
        }
        Err(InvalidSelector::Token) => {
            Err("It holds the token of a signed URL. Expected it without.".to_owned())
        }
        Err(other) => Err(other.to_string()),
    }
}

fn names(given: &[String]) -> Result<Vec<RenditionName>, InvalidPrewarm> {
    if given.len() > MAX_RENDITIONS {
        let reason = format!("expected {MAX_RENDITIONS} at most");
        return Err(InvalidPrewarm::Renditions(reason));
    }
    let parsed = given.iter().map(|name| name.parse());
    let parsed: Result<_, media::InvalidName> = parsed.collect();
    parsed.map_err(|error| InvalidPrewarm::Renditions(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, subject: &str) -> Result<PrewarmOrder, InvalidPrewarm> {
        PrewarmOrder::parse(OriginKind::Media, kind, subject, None, &[])
    }

    #[test]
    fn what_is_read_is_read_again_as_itself() {
        let id = VideoId::new().to_string();
        for (kind, subject, kept) in [
            (
                "urls",
                "/live/a/1.m4s\n\nhttps://edge.example/b?nova_token=1.a.b.c\r\n",
                "/live/a/1.m4s\n/b",
            ),
            ("video", &*id, &*id),
            (
                "playlist",
                "/live/~1.a.b.c/demo/index.m3u8",
                "/live/demo/index.m3u8",
            ),
        ] {
            let order = parse(kind, subject).unwrap();
            assert_eq!((order.kind(), &*order.subject()), (kind, kept));
            assert_eq!(parse(kind, kept).unwrap(), order);
        }
        let order = PrewarmOrder::parse(
            OriginKind::Media,
            "playlist",
            "/a.m3u8",
            Some(3),
            &["720p".to_owned()],
        );
        assert_eq!(order.unwrap().depth, NonZeroU32::new(3));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (kind, subject, says) in [
            ("films", "", "\"films\" is no kind of prewarm"),
            ("urls", "", "0 URLs to prewarm: expected 1 to 10000"),
            ("urls", "/a\n\n/a/../b\n/c", "URL 3 to prewarm is not valid"),
            ("urls", "/a\nftp://a/b", "URL 2 to prewarm is not valid"),
            ("playlist", "live", "the playlist to prewarm is not valid"),
            ("video", "film", "expected its id"),
        ] {
            let error = parse(kind, subject).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let many = "/a\n".repeat(MAX_PREWARM_PATHS + 1);
        assert_eq!(
            parse("urls", &many),
            Err(InvalidPrewarm::Count(MAX_PREWARM_PATHS + 1))
        );
        let of = |kind, depth, renditions: &[String]| {
            PrewarmOrder::parse(OriginKind::Media, kind, "/a", depth, renditions).unwrap_err()
        };
        assert_eq!(of("playlist", Some(0), &[]), InvalidPrewarm::Depth);
        assert_eq!(
            of("urls", Some(1), &[]),
            InvalidPrewarm::NotOfUrls("a depth")
        );
        let upper = ["No/Name".to_owned()];
        assert!(matches!(
            of("playlist", None, &upper),
            InvalidPrewarm::Renditions(_)
        ));
        assert!(matches!(
            of("urls", None, &upper),
            InvalidPrewarm::NotOfUrls(_)
        ));
    }
}
