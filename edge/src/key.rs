//! The canonical name of what is asked for. The origin is asked by this name, so
//! nothing outside it can change an answer.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use http::Uri;

use crate::cmcd::without_parameter;
use crate::config::OriginKind;

/// Bytes of the longest path of a media origin, as it came.
pub(crate) const MAX_PATH_BYTES: usize = 1_024;
/// Bytes of the longest path and query of a general origin (RFC 9110 4.1 asks for 8,000).
const MAX_TARGET_BYTES: usize = 8_192;

/// How the path of a multivariant playlist ends.
const MULTIVARIANT: &str = "/index.m3u8";

/// Of a media origin: a normalised path, with the delivery directives that matter for it.
/// Of a general one: path and query as they came but for what a player tells (CMCD), since
/// only that origin knows which of two spellings mean the same.
///
/// Host and scheme, and of media every other query key, are left out: none is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CacheKey(Arc<str>);

/// Why a request target has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// The path is longer than 1,024 bytes, or a general origin's target than 8,192.
    #[error("The path is too long.")]
    TooLong,
    /// `CONNECT` or `*` targets.
    #[error("The request target is not a path.")]
    NotAPath,
    /// `.` or `..`, plain or percent-encoded.
    #[error("The path has a dot segment.")]
    DotSegment,
    /// `//`.
    #[error("The path has an empty segment.")]
    EmptySegment,
    /// `%2F` or `%5C`, which servers disagree about.
    #[error("The path has an encoded slash.")]
    EncodedSlash,
    /// `%` without two hexadecimal digits, or an encoded control character.
    #[error("The path has a bad percent-encoding.")]
    BadEncoding,
    /// A character that RFC 3986 3.3 does not allow in a path.
    #[error("The path has a character that is not allowed.")]
    BadCharacter,
    /// A delivery directive given twice, or with a value out of its bounds.
    #[error("A delivery directive is not valid.")]
    BadDirective,
}

impl KeyError {
    /// The token in `Cache-Status`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "path-too-long",
            Self::NotAPath => "not-a-path",
            Self::DotSegment => "dot-segment",
            Self::EmptySegment => "empty-segment",
            Self::EncodedSlash => "encoded-slash",
            Self::BadEncoding => "bad-encoding",
            Self::BadCharacter => "bad-character",
            Self::BadDirective => "bad-directive",
        }
    }
}

impl CacheKey {
    /// The key of a request target.
    pub(crate) fn of(kind: OriginKind, target: &Uri) -> Result<Self, KeyError> {
        match kind {
            OriginKind::Media => Self::of_media(target),
            OriginKind::General => {
                let target = target.path_and_query().ok_or(KeyError::NotAPath)?;
                Self::of_general(&without_parameter(target.as_str()))
            }
        }
    }

    /// The key of a general origin's path and query.
    pub(crate) fn of_general(target: &str) -> Result<Self, KeyError> {
        if !target.starts_with('/') {
            return Err(KeyError::NotAPath);
        }
        if target.len() > MAX_TARGET_BYTES {
            return Err(KeyError::TooLong);
        }
        Ok(Self(target.into()))
    }

    fn of_media(target: &Uri) -> Result<Self, KeyError> {
        let mut key = normalised_path(target.path())?;
        // On anything but a media playlist a directive means nothing (RFC 8216bis 6.2.5),
        // and would only give one answer many names.
        if key.ends_with(".m3u8") && !key.ends_with(MULTIVARIANT) {
            Directives::read(target.query().unwrap_or_default())?.append(&mut key);
        }
        Ok(Self(key.into()))
    }

    /// Does it name what the origin may hold back?
    pub(crate) fn is_held(&self) -> bool {
        is_held(&self.0)
    }

    /// What stands before the query.
    pub(crate) fn path(&self) -> &str {
        self.0.split_once('?').map_or(&self.0, |(path, _)| path)
    }

    /// The path and query to ask the origin for.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Equal, ordered and hashed as its text is.
impl Borrow<str> for CacheKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does a key name what the origin may hold back until it is ready: a playlist with a
/// delivery directive (RFC 8216bis 6.2.5.2), or a part, which a preload hint may name ahead of
/// its time (6.2.6)?
pub(crate) fn is_held(key: &str) -> bool {
    key.contains("?_HLS_msn=") || is_part(key)
}

/// `.../{segment}.{part}.m4s`.
fn is_part(path: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    path.rsplit('/')
        .next()
        .and_then(|file| file.strip_suffix(".m4s"))
        .and_then(|name| name.split_once('.'))
        .is_some_and(|(segment, part)| number(segment) && number(part))
}

/// The path as [`normalised_path`] makes it: most are so already.
pub(crate) fn canonical_path(path: &str) -> Result<Cow<'_, str>, KeyError> {
    match is_canonical(path) {
        true => Ok(Cow::Borrowed(path)),
        false => normalised_path(path).map(Cow::Owned),
    }
}

/// Would [`normalised_path`] leave it as it is? Says no of some that it would, none of
/// which are ours: those with escapes.
fn is_canonical(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    if path.len() > MAX_PATH_BYTES {
        return false;
    }
    let mut segment = 0;
    for (at, byte) in rest.bytes().enumerate() {
        if byte == b'/' {
            if matches!(&rest[segment..at], "" | "." | "..") {
                return false;
            }
            segment = at + 1;
        } else if !is_path_character(byte) {
            return false;
        }
    }
    !matches!(&rest[segment..], "." | "..")
}

/// RFC 3986 6.2.2: escapes of unreserved characters are undone, hexadecimal digits
/// are upper case. What later stages could read in two ways is refused.
pub(crate) fn normalised_path(path: &str) -> Result<String, KeyError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(KeyError::TooLong);
    }
    if !path.starts_with('/') {
        return Err(KeyError::NotAPath);
    }
    let mut out = String::with_capacity(path.len() + 32);
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if byte != b'/' && !is_path_character(byte) {
                return Err(KeyError::BadCharacter);
            }
            out.push(char::from(byte));
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|b| char::from(b).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
                .ok_or(KeyError::BadEncoding)
        };
        let decoded = digit()? << 4 | digit()?;
        match decoded {
            b'/' | b'\\' => return Err(KeyError::EncodedSlash),
            control if control.is_ascii_control() => return Err(KeyError::BadEncoding),
            plain if is_unreserved(plain) => out.push(char::from(plain)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    let mut segments = out.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(KeyError::DotSegment),
            "" if segments.peek().is_some() => return Err(KeyError::EmptySegment),
            _ => {}
        }
    }
    Ok(out)
}

/// RFC 3986 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986 3.3, `pchar` without escapes.
fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

/// RFC 8216bis 6.2.5, in the order that 6.2.5 asks for.
#[derive(Default)]
struct Directives {
    media_sequence: Option<u64>,
    part: Option<u64>,
    skip: Option<&'static str>,
}

impl Directives {
    fn read(query: &str) -> Result<Self, KeyError> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = match name {
                "_HLS_msn" => found.media_sequence.replace(decimal(value)?).is_some(),
                "_HLS_part" => found.part.replace(decimal(value)?).is_some(),
                "_HLS_skip" => found.skip.replace(skip(value)?).is_some(),
                _ => false,
            };
            if again {
                return Err(KeyError::BadDirective);
            }
        }
        Ok(found)
    }

    fn append(&self, key: &mut String) {
        let pairs = [
            ("_HLS_msn", self.media_sequence.map(|n| n.to_string())),
            ("_HLS_part", self.part.map(|n| n.to_string())),
            ("_HLS_skip", self.skip.map(str::to_owned)),
        ];
        let mut separator = '?';
        for (name, value) in pairs {
            if let Some(value) = value {
                key.push(separator);
                key.push_str(name);
                key.push('=');
                key.push_str(&value);
                separator = '&';
            }
        }
    }
}

/// RFC 8216bis 4.2, `decimal-integer`: digits only, 0 to 2^64-1.
fn decimal(value: &str) -> Result<u64, KeyError> {
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(KeyError::BadDirective);
    }
    value.parse().map_err(|_| KeyError::BadDirective)
}

fn skip(value: &str) -> Result<&'static str, KeyError> {
    match value {
        "YES" => Ok("YES"),
        "v2" => Ok("v2"),
        _ => Err(KeyError::BadDirective),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(target: &str) -> Result<String, KeyError> {
        CacheKey::of_media(&target.parse().unwrap()).map(|key| key.to_string())
    }

    #[test]
    fn e07_only_the_keys_that_matter_stay_in_order() {
        let given = "/live/demo/v0.m3u8?CMCD=bl%3D100&_HLS_skip=YES&sig=abc&_HLS_part=3&_HLS_msn=0017&session=1";
        let expected = "/live/demo/v0.m3u8?_HLS_msn=17&_HLS_part=3&_HLS_skip=YES";
        assert_eq!(key(given).unwrap(), expected);
        assert_eq!(key(expected).unwrap(), expected);
        assert_eq!(key("/live/demo/v0.m3u8?").unwrap(), "/live/demo/v0.m3u8");
        assert!(
            CacheKey::of_media(&given.parse().unwrap())
                .unwrap()
                .is_held()
        );
    }

    #[test]
    fn e07_a_segment_has_one_name_whatever_the_query() {
        for query in ["?_HLS_msn=1", "?_HLS_msn=x", "?t=1", "?", ""] {
            assert_eq!(
                key(&format!("/live/d/1.m4s{query}")).unwrap(),
                "/live/d/1.m4s"
            );
        }
    }

    #[test]
    fn e07_directives_are_for_media_playlists() {
        for query in ["?_HLS_msn=1", "?_HLS_msn=x", "?_HLS_skip=YES"] {
            assert_eq!(
                key(&format!("/live/d/index.m3u8{query}")).unwrap(),
                "/live/d/index.m3u8"
            );
        }
        assert_eq!(
            key("/live/d/myindex.m3u8?_HLS_msn=1").unwrap(),
            "/live/d/myindex.m3u8?_HLS_msn=1"
        );
    }

    #[test]
    fn e13_what_the_origin_may_hold_back_is_told_by_its_name() {
        for (target, held) in [
            ("/live/d/v.m3u8?_HLS_msn=1", true),
            ("/live/d/3/v/12.0.m4s", true),
            ("/live/d/v.m3u8?_HLS_skip=YES", false),
            ("/live/d/index.m3u8?_HLS_msn=1", false),
            ("/live/d/3/v/12.m4s", false),
            ("/live/d/3/v.1/12.m4s", false),
            ("/live/d/3/v/12.x.m4s", false),
            ("/live/d/3/v/.1.m4s", false),
            ("/live/d/3/v/init.mp4", false),
        ] {
            let key = CacheKey::of_media(&target.parse().unwrap()).unwrap();
            assert_eq!(key.is_held(), held, "{target}");
        }
    }

    #[test]
    fn e07_host_and_scheme_are_not_in_the_key() {
        assert_eq!(key("http://a.example:80/x").unwrap(), "/x");
        assert_eq!(key("https://b.example/x").unwrap(), "/x");
    }

    #[test]
    fn e07_directives_are_bounded() {
        for query in [
            "_HLS_msn=",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=18446744073709551616",
            "_HLS_msn=1&_HLS_msn=2",
            "_HLS_part=1.5",
            "_HLS_skip=yes",
            "_HLS_skip",
        ] {
            assert_eq!(
                key(&format!("/p.m3u8?{query}")),
                Err(KeyError::BadDirective),
                "{query}"
            );
        }
    }

    #[test]
    fn escapes_have_one_spelling() {
        assert_eq!(key("/%6cive/%7ea/%c3%a9").unwrap(), "/live/~a/%C3%A9");
        assert_eq!(key("/a%20b/").unwrap(), "/a%20b/");
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for (path, error) in [
            ("/a/../b", KeyError::DotSegment),
            ("/a/%2e%2E/b", KeyError::DotSegment),
            ("/a/.", KeyError::DotSegment),
            ("//a", KeyError::EmptySegment),
            ("/a//b", KeyError::EmptySegment),
            ("/a%2fb", KeyError::EncodedSlash),
            ("/a%5Cb", KeyError::EncodedSlash),
            ("/a%00", KeyError::BadEncoding),
            ("/a%zz", KeyError::BadEncoding),
            ("/a%2", KeyError::BadEncoding),
            ("/a\"b", KeyError::BadCharacter),
            ("*", KeyError::NotAPath),
        ] {
            assert_eq!(key(path), Err(error), "{path}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
        assert_eq!(key(&long), Err(KeyError::TooLong));
    }

    #[test]
    fn a_general_origin_is_asked_for_what_was_asked() {
        let key = |target: &str| CacheKey::of(OriginKind::General, &target.parse().unwrap());
        for target in ["/a//b?x=1&y=%2f", "/a/../b", "/", "/?"] {
            assert_eq!(key(target).unwrap().as_str(), target);
        }
        assert_eq!(key("http://a.example/x?y").unwrap().as_str(), "/x?y");
        assert_eq!(key("*"), Err(KeyError::NotAPath));
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert_eq!(key(&long), Err(KeyError::TooLong));
    }

    proptest! {
        #[test]
        fn a_path_that_is_canonical_stays_as_it_is(path in "/?([a-z.~%/!]|%2e|%7E|//){0,12}") {
            let canonical = canonical_path(&path);
            let normalised = normalised_path(&path);
            prop_assert_eq!(canonical.as_deref(), normalised.as_deref());
            if let Ok(normalised) = normalised {
                let again = canonical_path(&normalised);
                prop_assert_eq!(again.as_deref(), Ok(&normalised[..]));
            }
        }

        #[test]
        fn e07_a_key_is_its_own_key(target in "/[ -~]{0,80}") {
            if let Ok(uri) = target.parse::<Uri>()
                && let Ok(first) = CacheKey::of_media(&uri)
            {
                let again = CacheKey::of_media(&first.as_str().parse().unwrap()).unwrap();
                prop_assert_eq!(first, again);
            }
        }
    }
}
