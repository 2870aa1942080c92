//! What usage is counted for.

use std::borrow::Cow;
use std::fmt;

use media::{StreamName, VideoId};
use percent_encoding::percent_decode_str;

/// What usage is counted for, told by the path of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `/live/{stream}/...`
    Stream(StreamName),
    /// `/vod/{video}/...`
    Video(VideoId),
    /// Every other path; and streams and videos beyond those that are told apart.
    Other,
}

/// Bytes of the longest path that is searched for a name.
const MAX_NAME: usize = 256;

impl Subject {
    /// Of a path, in whatever spelling.
    pub fn of(path: &str) -> Self {
        let Some((kind, name)) = prefix(path).and_then(split) else {
            return Self::Other;
        };
        let name: Cow<'_, str> = match name.len() <= MAX_NAME {
            true => percent_decode_str(name).decode_utf8_lossy(),
            false => return Self::Other,
        };
        match kind {
            "live" => name.parse().map_or(Self::Other, Self::Stream),
            _ => name.parse().map_or(Self::Other, Self::Video),
        }
    }

    /// How its paths begin, without the slash behind; empty for [`Subject::Other`].
    pub(super) fn path(&self) -> String {
        match self {
            Self::Stream(name) => format!("/live/{name}"),
            Self::Video(video) => format!("/vod/{video}"),
            Self::Other => String::new(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(name) => write!(f, "live/{name}"),
            Self::Video(video) => write!(f, "vod/{video}"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// The beginning of the path that names a stream or a video, if one may be there: what it is
/// looked up by.
pub(super) fn prefix(path: &str) -> Option<&str> {
    let rest = path
        .strip_prefix("/live/")
        .or_else(|| path.strip_prefix("/vod/"))?;
    let name = rest.split_once('/')?.0;
    let end = path.len() - rest.len() + name.len();
    path.get(..end)
}

/// `live` or `vod`, and the name.
fn split(prefix: &str) -> Option<(&str, &str)> {
    prefix.strip_prefix('/')?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_is_of() {
        let video = "01890a5d-ac96-774b-bcce-b302099a8057";
        for (path, expected) in [
            ("/live/demo/index.m3u8", "live/demo"),
            ("/live/demo/0/source/12.m4s", "live/demo"),
            ("/live/%64emo/index.m3u8", "live/demo"),
            ("/live/demo", "other"),
            ("/live/", "other"),
            ("/live//x", "other"),
            ("/live/De mo/x", "other"),
            ("/live/%2e%2e/x", "other"),
            ("/vod/x/index.m3u8", "other"),
            ("/livex/demo/index.m3u8", "other"),
            ("/", "other"),
            ("*", "other"),
        ] {
            assert_eq!(Subject::of(path).to_string(), expected, "{path}");
        }
        let path = format!("/vod/{video}/index.m3u8");
        assert_eq!(Subject::of(&path).to_string(), format!("vod/{video}"));
        let long = format!("/live/{}/x", "a".repeat(MAX_NAME + 1));
        assert_eq!(Subject::of(&long), Subject::Other);
    }

    #[test]
    fn it_is_looked_up_by_its_path() {
        let path = "/live/demo/index.m3u8";
        assert_eq!(prefix(path), Some("/live/demo"));
        assert_eq!(Subject::of(path).path(), "/live/demo");
        assert_eq!(prefix("/live/demo"), None);
    }
}
