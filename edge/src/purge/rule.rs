//! What a purge says.

use std::fmt;

use http::Uri;
use media::{StreamName, VideoId};

use super::pattern::{Pattern, PatternFault};
use crate::access::{hides_token, path_without_token};
use crate::config::OriginKind;
use crate::key::{CacheKey, KeyError, MAX_PATH_BYTES};

/// Bytes of the longest tag.
pub const MAX_TAG_BYTES: usize = 128;

/// What must not be given any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeRule {
    /// Which answers.
    pub selector: Selector,
    /// They become stale: asked about before they are used, and usable while that goes on or
    /// fails, as their origin allows. Otherwise they are gone.
    pub soft: bool,
}

/// Which stored answers a purge is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// One URL: of media a path, whatever delivery directives follow it; of a general origin
    /// path and query.
    Url(Box<str>),
    /// All that begin with it.
    Prefix(Box<str>),
    /// All whose path, or path and query, it matches.
    Pattern(Pattern),
    /// All with this tag in `Cache-Tag`.
    Tag(Box<str>),
    /// All.
    Everything,
}

/// Why a text selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// No such kind.
    #[error(
        "{0:?} is no kind of purge: expected url, prefix, pattern, tag, stream, video or everything"
    )]
    Kind(String),
    /// Not a URL of the cache's.
    #[error("a URL to purge is not valid: {0} Expected http(s)://HOST/PATH or /PATH.")]
    Url(&'static str),
    /// Its target has no cache key.
    #[error("a URL to purge is not valid: {0}")]
    Key(String),
    /// Not the beginning of a path.
    #[error(
        "a prefix to purge is not valid: expected 1 to 1,024 visible ASCII characters, the first '/'"
    )]
    Prefix,
    /// It would be kept, and told to whoever asks.
    #[error("a text to purge holds the token of a signed URL: expected it without")]
    Token,
    /// Not a pattern.
    #[error("a pattern to purge is not valid: {0}")]
    Pattern(#[from] PatternFault),
    /// Not a tag.
    #[error(
        "a tag to purge is not valid: expected 1 to 128 visible ASCII characters without ',' and '\"'"
    )]
    Tag,
    /// Not the name of a stream, or not the id of a video.
    #[error("{0}")]
    Name(String),
    /// Everything needs no more words.
    #[error("a purge of everything has no text")]
    Everything,
}

impl From<KeyError> for InvalidSelector {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

impl Selector {
    /// What `text` selects in front of an origin of this kind. `stream` and `video` name those
    /// of Nova, and select all below their paths.
    pub fn parse(origin: OriginKind, kind: &str, text: &str) -> Result<Self, InvalidSelector> {
        Ok(match kind {
            "url" => Self::Url(url(origin, text)?),
            "prefix" => {
                let fits = text.starts_with('/') && text.len() <= MAX_PATH_BYTES;
                if !fits || !is_visible(text) {
                    return Err(InvalidSelector::Prefix);
                }
                without_token(origin, text)?;
                Self::Prefix(text.into())
            }
            "pattern" => {
                without_token(origin, text)?;
                Self::Pattern(text.parse()?)
            }
            "tag" => {
                let fits = (1..=MAX_TAG_BYTES).contains(&text.len());
                if !fits || !is_visible(text) || text.contains([',', '"']) {
                    return Err(InvalidSelector::Tag);
                }
                Self::Tag(text.into())
            }
            "stream" => {
                let name: StreamName = parsed(text.parse())?;
                Self::Prefix(format!("/live/{name}/").into())
            }
            "video" => {
                let id: VideoId = text.parse().map_err(|_| {
                    InvalidSelector::Name("a video to purge is not valid: expected its id".into())
                })?;
                Self::Prefix(format!("/vod/{id}/").into())
            }
            "everything" if text.is_empty() => Self::Everything,
            "everything" => return Err(InvalidSelector::Everything),
            other => {
                let shown = other.chars().take(20).collect();
                return Err(InvalidSelector::Kind(shown));
            }
        })
    }

    /// The kind, as [`Selector::parse`] reads it and metrics have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Prefix(_) => "prefix",
            Self::Pattern(_) => "pattern",
            Self::Tag(_) => "tag",
            Self::Everything => "everything",
        }
    }

    /// The text, as [`Selector::parse`] reads it. It has no host, and of media no query: what
    /// a signed URL has there is not in it.
    pub fn text(&self) -> &str {
        match self {
            Self::Url(text) | Self::Prefix(text) | Self::Tag(text) => text,
            Self::Pattern(pattern) => pattern.as_str(),
            Self::Everything => "",
        }
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.text())
    }
}

/// What of a URL is compared with keys.
fn url(origin: OriginKind, text: &str) -> Result<Box<str>, InvalidSelector> {
    let uri: Uri = text
        .parse()
        .map_err(|_| InvalidSelector::Url("It is none."))?;
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(InvalidSelector::Url("Its scheme is not HTTP's."));
    }
    if !text.starts_with('/') && uri.scheme().is_none() {
        return Err(InvalidSelector::Url("It has no scheme."));
    }
    let key = match origin {
        // Only the path counts, and what else is in the URL may be a secret.
        OriginKind::Media => {
            let path: Uri = path_without_token(&uri)
                .ok_or(InvalidSelector::Token)?
                .parse()
                .map_err(|_| InvalidSelector::Url("It has no path."))?;
            let key = CacheKey::of(origin, &path)?;
            without_token(origin, key.as_str())?;
            key
        }
        OriginKind::General => CacheKey::of(origin, &uri)?,
    };
    Ok(key.as_str().into())
}

/// No key of media has a token: a text with one selects nothing.
fn without_token(origin: OriginKind, text: &str) -> Result<(), InvalidSelector> {
    let decoded = text.replace("%7E", "~").replace("%7e", "~");
    let has_token = hides_token(&decoded) || text.contains("nova_token=");
    match origin == OriginKind::Media && has_token {
        true => Err(InvalidSelector::Token),
        false => Ok(()),
    }
}

fn parsed<T>(result: Result<T, media::InvalidName>) -> Result<T, InvalidSelector> {
    result.map_err(|error| InvalidSelector::Name(error.to_string()))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(kind: &str, text: &str) -> Result<(&'static str, String), InvalidSelector> {
        let selector = Selector::parse(OriginKind::Media, kind, text)?;
        let again = Selector::parse(OriginKind::Media, selector.kind(), selector.text());
        assert_eq!(again.as_ref(), Ok(&selector), "it reads back");
        Ok((selector.kind(), selector.text().to_owned()))
    }

    #[test]
    fn a_url_is_what_the_cache_knows_it_by() {
        for (url, key) in [
            ("/live/a/index.m3u8", "/live/a/index.m3u8"),
            (
                "https://edge.example/live/%61/v.m3u8?_HLS_msn=3&token=secret",
                "/live/a/v.m3u8",
            ),
            ("http://edge.example", "/"),
        ] {
            assert_eq!(media("url", url), Ok(("url", key.to_owned())));
        }
        for bad in [
            "",
            "live/a",
            "ftp://a/b",
            "edge.example/a",
            "/a/../b",
            "/a b",
            "*",
        ] {
            let error = media("url", bad).unwrap_err();
            assert!(
                matches!(error, InvalidSelector::Url(_) | InvalidSelector::Key(_)),
                "{bad}"
            );
        }
        let general = Selector::parse(OriginKind::General, "url", "http://a/b?c=d").unwrap();
        assert_eq!(general.text(), "/b?c=d");
    }

    #[test]
    fn e08_a_signed_url_is_purged_without_its_token() {
        for signed in [
            "/~1.c2VjcmV0.c2ln/live/a/v.m3u8",
            "https://edge.example/live/a/~1.c2VjcmV0.c2ln/v.m3u8?_HLS_msn=3",
            "/live/a/v.m3u8?nova_token=1.c2VjcmV0.c2ln",
        ] {
            let url = ("url", "/live/a/v.m3u8".to_owned());
            assert_eq!(media("url", signed), Ok(url), "{signed}");
        }
        for (kind, text) in [
            ("url", "/%7E1.c2VjcmV0.c2ln/live/a/v.m3u8"),
            ("url", "/~1.c2VjcmV0/~1.c2VjcmV0/a"),
            ("url", "/~1.c2VjcmV0/a?nova_token=1.c2VjcmV0"),
            ("prefix", "/~1.c2VjcmV0.c2ln/live/a/"),
            ("prefix", "/live/%7e1.c2VjcmV0.c2ln/"),
            ("pattern", "/~1.c2VjcmV0.c2ln/live/**"),
            ("pattern", "/live/*?nova_token=1.c2VjcmV0"),
        ] {
            let error = media(kind, text).unwrap_err();
            assert_eq!(error, InvalidSelector::Token, "{text}");
            assert!(!error.to_string().contains("c2VjcmV0"));
        }
    }

    #[test]
    fn a_stream_and_a_video_are_what_is_below_their_paths() {
        assert_eq!(
            media("stream", "demo"),
            Ok(("prefix", "/live/demo/".to_owned()))
        );
        let id = VideoId::new().to_string();
        assert_eq!(media("video", &id), Ok(("prefix", format!("/vod/{id}/"))));
        assert!(media("stream", "a/b").is_err());
        assert!(media("video", "demo").is_err());
    }

    #[test]
    fn what_selects_nothing_says_what_was_expected() {
        let long = "/".repeat(MAX_PATH_BYTES + 1);
        for (kind, text, part) in [
            ("urls", "/a", "expected url, prefix"),
            ("prefix", "a", "the first '/'"),
            ("prefix", &long, "1,024"),
            ("prefix", "/a b", "visible"),
            ("tag", "", "1 to 128"),
            ("tag", "a,b", "without ','"),
            ("pattern", "a", "begin with '/'"),
            ("everything", "x", "no text"),
        ] {
            let error = media(kind, text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(media("everything", ""), Ok(("everything", String::new())));
    }
}
