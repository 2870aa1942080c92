//! What a key and a prefix may be.

use super::ObjectError;

/// The longest key, in bytes: what S3 takes, less what a prefix of the bucket may need.
pub const MAX_KEY_BYTES: usize = 768;

/// The longest segment of a key, in bytes: what a file's name may have.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// What the keys of everything that Nova keeps begin with: live streams, videos, pictures of
/// people, and pictures of posts. What else is in a bucket is somebody else's.
pub const KEY_ROOTS: [&str; 4] = ["live/", "vod/", "avatars/", "images/"];

/// Refuses what is not a key; see [`ObjectStore`](super::ObjectStore).
pub fn check_key(key: &str) -> Result<(), ObjectError> {
    if is_key(key) {
        Ok(())
    } else {
        Err(ObjectError::InvalidKey(shortened(key)))
    }
}

/// Refuses what is not a key followed by `/`.
pub fn check_prefix(prefix: &str) -> Result<(), ObjectError> {
    match prefix.strip_suffix('/') {
        Some(key) if is_key(key) => Ok(()),
        _ => Err(ObjectError::InvalidPrefix(shortened(prefix))),
    }
}

/// As [`check_prefix`], and the empty prefix is a folder too.
pub(super) fn check_folder(prefix: &str) -> Result<(), ObjectError> {
    if prefix.is_empty() {
        Ok(())
    } else {
        check_prefix(prefix)
    }
}

pub(super) fn is_key(text: &str) -> bool {
    let valid = |segment: &str| {
        (1..=MAX_SEGMENT_BYTES).contains(&segment.len())
            && !segment.starts_with('.')
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    text.len() <= MAX_KEY_BYTES && text.split('/').all(valid)
}

/// Enough of a refused text to recognise it in an error.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_cannot_leave_the_store() {
        for good in ["a", "live/demo/0/source/12.m4s", "A-b_c.d", "a..b"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        let long = "x/".repeat(MAX_KEY_BYTES / 2) + "x";
        let long_segment = "x".repeat(MAX_SEGMENT_BYTES + 1);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            ".tmp/a",
            "a b",
            "a\\b",
            "a\0",
            "é",
            &long,
            &long_segment,
        ] {
            assert!(
                matches!(check_key(bad), Err(ObjectError::InvalidKey(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn prefixes_are_folders() {
        assert!(check_prefix("live/demo/").is_ok());
        assert!(check_folder("").is_ok());
        for bad in ["", "/", "live/demo", "live//", "../"] {
            assert!(
                matches!(check_prefix(bad), Err(ObjectError::InvalidPrefix(_))),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_a_key_stays_below_any_root(text in "\\PC{0,40}|[a-z./\\\\]{0,12}") {
            if is_key(&text) {
                prop_assert!(text.is_ascii());
                let path = Path::new(&text);
                let plain = |part| matches!(part, Component::Normal(name) if !name.is_empty());
                prop_assert!(path.components().all(plain));
                prop_assert_eq!(path.components().count(), text.split('/').count());
                let prefix = format!("{text}/");
                prop_assert!(check_prefix(&prefix).is_ok());
            } else {
                prop_assert!(check_key(&text).is_err());
            }
        }

        #[test]
        fn segments_of_the_alphabet_make_a_key(
            key in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}){0,5}"
        ) {
            prop_assert!(check_key(&key).is_ok());
        }
    }
}
