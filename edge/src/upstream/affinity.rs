//! What of a request decides which member it is for.

use crate::config::OriginKind;
use crate::key::is_held;
use crate::push::{FEED, is_feed};

/// A request, as far as the choice of a member depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Affinity<'a> {
    /// Requests with the same hash are for the same member.
    pub(crate) hash: u64,
    /// Of `/live/{stream}/...`.
    pub(crate) stream: Option<&'a str>,
    pub(crate) patience: Patience,
    /// Its answer goes on for as long as it is at the right member.
    pub(crate) is_feed: bool,
}

/// How long an answer's head may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It waits by design, for what is not there yet.
    Held,
    /// It is there at once, in memory or one read away.
    Prompt,
    /// Nobody knows: it may have to be made.
    Slow,
}

impl<'a> Affinity<'a> {
    /// Of a target, which is a cache key.
    ///
    /// Of live media the hash is that of stream and rendition. So a playlist, the request
    /// for it that is held, and the part that it will name meet at one shield, which has
    /// one fill for each and one view of the stream: no playlist is older than the one
    /// before, and none names a part that its shield has not heard of. The whole stream
    /// would make one shield hot; the whole key would scatter what is asked in turn.
    /// Everything else is spread by the whole key.
    pub(crate) fn of(kind: OriginKind, target: &'a str) -> Self {
        let live = match kind {
            OriginKind::Media => live(target),
            OriginKind::General => None,
        };
        let hash = match live {
            Some((stream, rendition)) => hash(0, &[stream, rendition]),
            None => hash(0, &[target]),
        };
        let is_feed = live.is_some() && is_feed(target);
        let patience = match live {
            _ if is_feed || is_held(target) => Patience::Held,
            Some(_) if is_prompt(target) => Patience::Prompt,
            _ => Patience::Slow,
        };
        Self {
            hash,
            stream: live.map(|(stream, _)| stream),
            patience,
            is_feed,
        }
    }
}

/// XXH64 of texts that none can shift into another. The same in every process, so that all
/// edges choose the same shield.
pub(crate) fn hash(seed: u64, texts: &[&str]) -> u64 {
    use std::hash::Hasher;

    let mut hasher = twox_hash::XxHash64::with_seed(seed);
    for text in texts {
        hasher.write(text.as_bytes());
        hasher.write(&[0]);
    }
    hasher.finish()
}

/// Stream and rendition of `/live/{stream}/{rendition}.m3u8`, of a feed, and of
/// `/live/{stream}/{epoch}/{rendition}/{file}`; of what all renditions share, none.
fn live(target: &str) -> Option<(&str, &str)> {
    let path = target.split('?').next().unwrap_or(target);
    let (stream, rest) = path.strip_prefix("/live/")?.split_once('/')?;
    let rendition = match rest.rsplit_once('/') {
        Some((folder, _file)) => folder.rsplit('/').next().unwrap_or(folder),
        None => rest
            .strip_suffix(".m3u8")
            .or_else(|| rest.strip_suffix(FEED))
            .filter(|name| *name != "index")
            .unwrap_or(""),
    };
    Some((stream, rendition))
}

fn is_prompt(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or(target);
    [".m3u8", ".mpd", ".m4s", ".mp4"]
        .iter()
        .any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Affinity<'_> {
        Affinity::of(OriginKind::Media, target)
    }

    #[test]
    fn what_a_player_asks_of_a_rendition_has_one_hash() {
        let one = [
            "/live/garden/720p.m3u8",
            "/live/garden/720p.m3u8?_HLS_msn=7&_HLS_part=1",
            "/live/garden/720p.feed",
            "/live/garden/3/720p/init.mp4",
            "/live/garden/3/720p/7.m4s",
            "/live/garden/4/720p/7.1.m4s",
        ];
        for target in one {
            assert_eq!(of(target).hash, of(one[0]).hash, "{target}");
            assert_eq!(of(target).stream, Some("garden"), "{target}");
        }
        for other in [
            "/live/garden/source.m3u8",
            "/live/garden/index.m3u8",
            "/live/yard/720p.m3u8",
            "/vod/garden/3/720p/7.m4s",
            "/vod/garden/3/720p/8.m4s",
        ] {
            assert_ne!(of(other).hash, of(one[0]).hash, "{other}");
        }
        assert_ne!(of("/vod/a/1/b/1.m4s").hash, of("/vod/a/1/b/2.m4s").hash);
        assert_eq!(of("/vod/a/index.m3u8").stream, None);
    }

    #[test]
    fn only_what_is_in_memory_is_expected_at_once() {
        for (target, patience) in [
            ("/live/a/b.m3u8", Patience::Prompt),
            ("/live/a/1/b/2.m4s", Patience::Prompt),
            ("/live/a/1/b/2.0.m4s", Patience::Held),
            ("/live/a/b.m3u8?_HLS_msn=2", Patience::Held),
            ("/live/a/b.feed", Patience::Held),
            ("/live/a/poster.jpg", Patience::Slow),
            ("/vod/a/1/b/2.m4s", Patience::Slow),
        ] {
            assert_eq!(of(target).patience, patience, "{target}");
        }
        let general = Affinity::of(OriginKind::General, "/live/a/b.m3u8");
        assert_eq!(general.patience, Patience::Slow);
        assert_eq!(general.stream, None);
    }

    #[test]
    fn hashes_are_the_same_in_every_release() {
        assert_eq!(hash(0, &["a", "b"]), 3_120_167_476_638_198_242);
    }
}
