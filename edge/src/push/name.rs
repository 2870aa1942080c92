//! Which rendition a path is of, and which place in it.

use std::fmt;
use std::sync::Arc;

use crate::key::canonical_path;

/// Parts behind the next that are waited for: a player may ask for what it has not been told
/// of, but no segment is sure to have so many.
const AHEAD: u64 = 3;

/// How the target of a feed ends.
pub(crate) const FEED: &str = ".feed";

/// A rendition of a live stream: `/live/{stream}/{rendition}.feed`, the target of its feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FeedName(Arc<str>);

/// A place in a rendition: the next part to come is at one, and each part has one. A
/// segment's is behind all of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) epoch: u64,
    pub(crate) segment: u64,
    pub(crate) part: u64,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    Playlist,
    Init,
    Part(Point),
    Segment(Point),
}

/// May a path be a feed's, however it is spelled? Of these none is looked up or filled: an
/// answer that does not end is no object.
pub(crate) fn is_feed(path: &str) -> bool {
    let may_be = |path: &str| path.ends_with(FEED) && path.starts_with("/live/");
    match path.contains('%') {
        true => canonical_path(path).is_ok_and(|path| may_be(&path)),
        false => may_be(path),
    }
}

impl FeedName {
    fn new(stream: &str, rendition: &str) -> Self {
        Self(format!("/live/{stream}/{rendition}{FEED}").into())
    }

    /// Of the path that a feed is asked for under.
    pub(crate) fn of_target(path: &str) -> Option<Self> {
        let path = canonical_path(path).ok()?;
        let (stream, file) = path.strip_prefix("/live/")?.split_once('/')?;
        let rendition = file.strip_suffix(FEED)?;
        let is_one = !rendition.is_empty() && !rendition.contains('/');
        is_one.then(|| Self::new(stream, rendition))
    }

    /// Of the normalised path of a playlist or of media, and what of the rendition it is.
    pub(crate) fn of(path: &str) -> Option<(Self, Item)> {
        let (stream, rest) = path.strip_prefix("/live/")?.split_once('/')?;
        let Some((epoch, rest)) = rest.split_once('/') else {
            let rendition = rest.strip_suffix(".m3u8")?;
            let is_media = !rendition.is_empty() && rendition != "index";
            return is_media.then(|| (Self::new(stream, rendition), Item::Playlist));
        };
        let (rendition, file) = rest.split_once('/')?;
        let epoch = number(epoch)?;
        let item = match file.strip_suffix(".m4s") {
            None if file == "init.mp4" => Item::Init,
            None => return None,
            Some(name) => match name.split_once('.') {
                Some((segment, part)) => Item::Part(Point {
                    epoch,
                    segment: number(segment)?,
                    part: number(part)?,
                }),
                None => Item::Segment(Point {
                    epoch,
                    segment: number(name)?,
                    part: u64::MAX,
                }),
            },
        };
        Some((Self::new(stream, rendition), item))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// May media of this rendition have a path that begins with `prefix`?
    pub(crate) fn may_begin_with(&self, prefix: &str) -> bool {
        let begins_so = |text: &str| text.starts_with(prefix) || prefix.starts_with(text);
        let rendition = self.0.strip_suffix(FEED).unwrap_or(&self.0);
        let Some((stream, rendition)) = rendition.rsplit_once('/') else {
            return true;
        };
        let stream = format!("{stream}/");
        let Some(rest) = prefix.strip_prefix(&stream) else {
            return begins_so(&stream);
        };
        let (epoch, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let rendition = format!("{rendition}/");
        epoch.bytes().all(|byte| byte.is_ascii_digit())
            && (rest.starts_with(&rendition) || rendition.starts_with(rest))
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Item {
    /// The place of media; None of what has none.
    pub(crate) fn point(self) -> Option<Point> {
        match self {
            Self::Part(point) | Self::Segment(point) => Some(point),
            Self::Playlist | Self::Init => None,
        }
    }
}

impl Point {
    /// What comes after this has come.
    pub(crate) fn next(self) -> Self {
        match self.part.checked_add(1) {
            Some(part) => Self { part, ..self },
            None => Self {
                segment: self.segment.saturating_add(1),
                part: 0,
                ..self
            },
        }
    }

    /// Is `item` a part of the segment that this is in?
    pub(crate) fn is_of_segment(self, item: Item) -> bool {
        match item {
            Item::Part(point) => (point.epoch, point.segment) == (self.epoch, self.segment),
            Item::Segment(_) | Item::Playlist | Item::Init => false,
        }
    }

    /// Will `item` come soon of a feed of which this comes next? One of the next parts of the
    /// segment that is in the making, that segment itself, or the first part of the next. What
    /// is farther ahead may never be, and is for the origin to judge.
    pub(crate) fn is_before(self, item: Item) -> bool {
        let (point, is_soon) = match item {
            Item::Part(point) => match point.segment.checked_sub(self.segment) {
                Some(0) => (point, point.part <= self.part.saturating_add(AHEAD)),
                Some(1) => (point, point.part == 0),
                _ => return false,
            },
            Item::Segment(point) => (point, point.segment == self.segment),
            Item::Playlist | Item::Init => return false,
        };
        is_soon && point.epoch == self.epoch && self <= point
    }
}

/// Digits only, as the packager writes them.
fn number(text: &str) -> Option<u64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str) -> Item {
        FeedName::of(path).unwrap().1
    }

    #[test]
    fn what_is_of_a_rendition_has_one_feed() {
        let point = |segment, part| Point {
            epoch: 3,
            segment,
            part,
        };
        let feed = FeedName::of_target("/live/garden/720p.feed").unwrap();
        for (path, expected) in [
            ("/live/garden/720p.m3u8", Item::Playlist),
            ("/live/garden/3/720p/init.mp4", Item::Init),
            (
                "/live/garden/3/720p/7.m4s",
                Item::Segment(point(7, u64::MAX)),
            ),
            ("/live/garden/3/720p/7.1.m4s", Item::Part(point(7, 1))),
        ] {
            assert_eq!(FeedName::of(path), Some((feed.clone(), expected)), "{path}");
        }
        for path in [
            "/live/garden/index.m3u8",
            "/live/garden/.m3u8",
            "/live/garden/manifest.mpd",
            "/live/garden/poster.jpg",
            "/live/garden/3/thumbnails/7.jpg",
            "/live/garden/x/720p/7.m4s",
            "/live/garden/3/720p/x.m4s",
            "/live/garden/3/720p/7.1.2.m4s",
            "/live/garden/3/720p/.m4s",
            "/live/garden/3/720p/1/7.m4s",
            "/live/garden/720p.feed",
            "/vod/garden/3/720p/7.m4s",
        ] {
            assert_eq!(FeedName::of(path), None, "{path}");
        }
        for path in [
            "/live/garden/.feed",
            "/live/garden/3/720p.feed",
            "/live/../720p.feed",
            "/vod/garden/720p.feed",
        ] {
            assert_eq!(FeedName::of_target(path), None, "{path}");
        }
    }

    #[test]
    fn a_feed_is_known_however_it_is_spelled() {
        for path in [
            "/live/garden/720p.feed",
            "/live/garden/720p.fee%64",
            "/live/garden/720p%2Efeed",
            "/%6Cive/garden/720p%2efeed",
            "/live/.feed",
        ] {
            assert!(is_feed(path), "{path}");
        }
        for path in [
            "/live/garden/720p.feed/",
            "/live/garden/720p.fee%2564",
            "/live/garden/720p.feed%",
            "/vod/garden/720p.feed",
        ] {
            assert!(!is_feed(path), "{path}");
        }
    }

    #[test]
    fn what_begins_a_path_of_its_media_may_select_a_feed() {
        let feed = FeedName::of_target("/live/garden/720p.feed").unwrap();
        for prefix in [
            "",
            "/",
            "/li",
            "/live/garden",
            "/live/garden/",
            "/live/garden/3",
            "/live/garden/3/",
            "/live/garden/3/72",
            "/live/garden/3/720p/",
            "/live/garden/3/720p/7",
        ] {
            assert!(feed.may_begin_with(prefix), "{prefix}");
        }
        for prefix in [
            "/live/gardens/",
            "/live/b",
            "/vod/",
            "/live/garden/index",
            "/live/garden/720p.m3u8",
            "/live/garden/3/720p0/",
            "/live/garden/3/audio/",
        ] {
            assert!(!feed.may_begin_with(prefix), "{prefix}");
        }
    }

    #[test]
    fn only_what_comes_soon_is_waited_for() {
        let next = match item("/live/a/3/b/7.1.m4s") {
            Item::Part(point) => point.next(),
            _ => unreachable!(),
        };
        let will_come = |path| next.is_before(item(path));
        for path in [
            "/live/a/3/b/7.2.m4s",
            "/live/a/3/b/7.5.m4s",
            "/live/a/3/b/7.m4s",
            "/live/a/3/b/8.0.m4s",
        ] {
            assert!(will_come(path), "{path}");
        }
        for path in [
            "/live/a/3/b/7.1.m4s",
            "/live/a/3/b/7.6.m4s",
            "/live/a/3/b/6.m4s",
            "/live/a/3/b/8.1.m4s",
            "/live/a/3/b/8.m4s",
            "/live/a/3/b/9.0.m4s",
            "/live/a/4/b/7.2.m4s",
            "/live/a/3/b/init.mp4",
        ] {
            assert!(!will_come(path), "{path}");
        }
        let closed = item("/live/a/3/b/7.m4s").point().unwrap().next();
        assert!(closed.is_before(item("/live/a/3/b/8.0.m4s")));
        assert!(!closed.is_before(item("/live/a/3/b/7.9.m4s")));
        assert!(closed.is_before(item("/live/a/3/b/8.m4s")));
    }
}
