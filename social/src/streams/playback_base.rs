//! What playback URLs begin with.

use std::str::FromStr;

/// What playback URLs begin with: nothing where this server plays back itself, or the
/// edge's address, as in `https://edge.example.org`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlaybackBase(String);

/// Why a text cannot be a playback base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("playback base URL {0:?} is not valid: expected http(s)://HOST[:PORT][/PATH]")]
pub struct InvalidPlaybackBase(String);

impl PlaybackBase {
    /// This server plays back itself.
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromStr for PlaybackBase {
    type Err = InvalidPlaybackBase;
    fn from_str(text: &str) -> Result<Self, InvalidPlaybackBase> {
        let invalid = || InvalidPlaybackBase(text.to_owned());
        let url: axum::http::Uri = text.parse().map_err(|_| invalid())?;
        let absolute = matches!(url.scheme_str(), Some("http" | "https"));
        if !absolute || url.query().is_some() || text.contains(['#', '@']) {
            return Err(invalid());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playback_bases() {
        for (good, base) in [
            ("http://localhost:8081", "http://localhost:8081"),
            ("https://edge.example.org/", "https://edge.example.org"),
            ("https://example.org/nova/", "https://example.org/nova"),
        ] {
            assert_eq!(good.parse(), Ok(PlaybackBase(base.to_owned())));
        }
        for bad in [
            "",
            "localhost:8081",
            "/nova",
            "ftp://example.org",
            "http://",
            "http://user:secret@example.org",
            "http://example.org/?a=b",
            "http://example.org/#a",
            "http://exa mple.org",
        ] {
            assert!(bad.parse::<PlaybackBase>().is_err(), "{bad}");
        }
    }
}
