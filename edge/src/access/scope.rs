//! Which paths are meant.

use std::fmt;
use std::str::FromStr;

use crate::key::{KeyError, normalised_path};

/// A path, in the form that cache keys have. If it ends with `/`, what it names and all
/// below it are meant; else one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathScope(Box<str>);

/// Why a text is no [`PathScope`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a path: {why} Expected /live/NAME/ for all below it, or a path without a slash at its end for one resource"
)]
pub struct InvalidScope {
    given: String,
    why: KeyError,
}

impl FromStr for PathScope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match normalised_path(text) {
            Ok(path) => Ok(Self(path.into())),
            Err(why) => Err(InvalidScope {
                given: text.to_owned(),
                why,
            }),
        }
    }
}

impl PathScope {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the slash at its end, if all below it is meant.
    pub(super) fn folder(&self) -> Option<&str> {
        self.0.strip_suffix('/')
    }

    /// Is `path`, in the form of a cache key, meant? `/live/demo/` means `/live/demo` and
    /// `/live/demo/1`, not `/live/demo2`.
    pub(super) fn covers(&self, path: &str) -> bool {
        match self.folder() {
            Some(folder) => path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            None => path == &*self.0,
        }
    }
}

impl fmt::Display for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_at_a_segment() {
        for (scope, path, covered) in [
            ("/live/demo/", "/live/demo/index.m3u8", true),
            ("/live/demo/", "/live/demo/3/source/12.m4s", true),
            ("/live/demo/", "/live/demo/", true),
            ("/live/demo/", "/live/demo", true),
            ("/live/demo/", "/live/demo2/index.m3u8", false),
            ("/live/demo/", "/live/dem", false),
            ("/live/demo", "/live/demo", true),
            ("/live/demo", "/live/demo/index.m3u8", false),
            ("/live/demo", "/live/demo2", false),
            ("/", "/x", true),
            ("/%6cive/", "/live/x", true),
        ] {
            let scope: PathScope = scope.parse().unwrap();
            assert_eq!(scope.covers(path), covered, "{scope} {path}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_scope() {
        for text in ["", "live/", "/a/../b/", "/a//", "/a%2Fb/", "/a b/", "/a\n/"] {
            let error = text.parse::<PathScope>().unwrap_err().to_string();
            assert!(error.contains("Expected /live/NAME/"), "{error}");
        }
    }
}
