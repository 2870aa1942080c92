//! Which objects an order is about: playlists are read, and what they name is gathered.

use std::collections::HashSet;
use std::sync::Arc;

use super::fetch::{Fault, Fetched, Read};
use super::order::{PrewarmOrder, Subject};
use super::playlist::{Base, MediaPlaylist, Playlist, PlaylistFault, Segment, UriFault};
use super::{Inner, MOST_FAULTS, PrewarmProgress, Stopped};

/// Objects of one order at most: as many as Nova lists of one video, of all renditions.
const MAX_OBJECTS: usize = 300_000;
/// Bytes that their keys have at most.
const MAX_KEY_BYTES: usize = 64 << 20;
/// After so many URIs others have the thread.
const AT_ONCE: usize = 1_000;

/// The objects that are not stored yet, each once: first those that the order names, then the
/// first of each rendition, the second of each, and so on, since that is how they are played.
pub(super) async fn plan(
    inner: &Inner,
    order: &PrewarmOrder,
    progress: &PrewarmProgress,
) -> Result<Vec<Arc<str>>, Stopped> {
    let mut plan = Plan {
        inner,
        order,
        progress,
        room: Room::of(MAX_OBJECTS, MAX_KEY_BYTES),
        seen: HashSet::new(),
        faults: 0,
        ends: false,
    };
    let mut objects = Vec::new();
    let root: Box<str> = match &order.subject {
        Subject::Paths(paths) => {
            objects.extend(paths.iter().filter_map(|path| plan.add(path)));
            return Ok(objects);
        }
        Subject::Video(id) => {
            objects.extend(plan.add(&format!("/vod/{id}/manifest.mpd")));
            format!("/vod/{id}/index.m3u8").into()
        }
        Subject::Playlist(path) => path.clone(),
    };
    let renditions = plan.renditions(&root).await?;
    interleave(renditions, &mut objects);
    Ok(objects)
}

struct Plan<'a> {
    inner: &'a Inner,
    order: &'a PrewarmOrder,
    progress: &'a PrewarmProgress,
    /// For what has not been gathered.
    room: Room,
    /// Playlists, too.
    seen: HashSet<Arc<str>>,
    /// Playlists in a row that the origin gave no answer for, or that the disk did not take.
    faults: u32,
    /// Nothing more is gathered.
    ends: bool,
}

/// The objects of one rendition that no other has, in the order in which they are played.
type Rendition = Vec<Arc<str>>;

/// What one order may take of memory.
#[derive(Debug)]
struct Room {
    objects: usize,
    bytes: usize,
}

impl Room {
    fn of(objects: usize, bytes: usize) -> Self {
        Self { objects, bytes }
    }

    /// Takes room for one more; false when there is none.
    fn takes(&mut self, key: &str) -> bool {
        let has = self.objects > 0 && key.len() <= self.bytes;
        if has {
            self.objects -= 1;
            self.bytes -= key.len();
        }
        has
    }
}

impl Plan<'_> {
    /// What the playlist names, or the playlists that it names.
    async fn renditions(&mut self, root: &str) -> Result<Vec<Rendition>, Stopped> {
        let mut renditions = Vec::new();
        self.seen.insert(root.into());
        let Some(fetched) = self.playlist(root).await? else {
            return Ok(renditions);
        };
        let named = match self.read(root, &fetched) {
            None => return Ok(renditions),
            Some(Playlist::Media(_)) if !self.order.renditions.is_empty() => {
                self.refuse(
                    root,
                    "it is a media playlist: there are no renditions to choose",
                );
                return Ok(renditions);
            }
            Some(Playlist::Media(media)) => {
                renditions.push(self.rendition(root, &media).await);
                return Ok(renditions);
            }
            Some(Playlist::Multivariant(named)) => self.chosen(root, named),
        };
        for key in named {
            if self.ends {
                break;
            }
            let Some(fetched) = self.playlist(&key).await? else {
                continue;
            };
            match self.read(&key, &fetched) {
                None => {}
                Some(Playlist::Media(media)) => {
                    renditions.push(self.rendition(&key, &media).await);
                }
                Some(Playlist::Multivariant(_)) => {
                    let reason = "a multivariant playlist names it, but it is one itself";
                    self.refuse(&key, reason);
                }
            }
        }
        Ok(renditions)
    }

    /// Has a playlist stored, and gives it.
    async fn playlist(&mut self, key: &str) -> Result<Option<Fetched>, Stopped> {
        self.progress.found(1);
        let fetched = self.inner.fetch(key, Read::Playlist).await;
        let gives_up = fetched.as_ref().err().and_then(Fault::gives_up);
        self.faults = gives_up.map_or(0, |_| self.faults + 1);
        if let Some(reason) = gives_up
            && self.faults >= MOST_FAULTS
            && !std::mem::replace(&mut self.ends, true)
        {
            self.progress.told(reason);
        }
        match fetched {
            Ok(fetched) => {
                self.progress.done(fetched.bytes);
                Ok(Some(fetched))
            }
            Err(Fault::ShuttingDown) => Err(Stopped),
            Err(fault) => {
                self.inner.failed(self.progress, key, &fault);
                Ok(None)
            }
        }
    }

    /// Reads it. It is stored in any case; what it names is not known if it cannot be read.
    fn read<'p>(&self, key: &str, fetched: &'p Fetched) -> Option<Playlist<'p>> {
        let read: Result<_, PlaylistFault> = Playlist::read(&fetched.body);
        read.inspect_err(|fault| self.refuse(key, &fault.to_string()))
            .ok()
    }

    /// The media playlists that a multivariant one names, of the renditions that are wanted.
    fn chosen(&mut self, root: &str, named: Vec<&str>) -> Vec<Arc<str>> {
        let mut wanted: Vec<&str> = self
            .order
            .renditions
            .iter()
            .map(|name| name.as_str())
            .collect();
        let all = wanted.is_empty();
        let base = self.base(root);
        let mut chosen = Vec::new();
        for uri in named {
            let name = rendition_of(uri);
            if !all && !self.order.renditions.iter().any(|one| one.as_str() == name) {
                continue;
            }
            wanted.retain(|one| *one != name);
            if let Some(key) = self.key(&base, uri) {
                let key: Arc<str> = key.into();
                if self.seen.insert(Arc::clone(&key)) {
                    chosen.push(key);
                }
            }
        }
        for name in wanted {
            self.refuse(root, &format!("it names no rendition {name}"));
        }
        chosen
    }

    /// What is wanted of a rendition.
    async fn rendition(&mut self, key: &str, media: &MediaPlaylist<'_>) -> Rendition {
        let segments = within(media, self.order.depth.map(std::num::NonZeroU32::get));
        let base = self.base(key);
        let (mut objects, mut map) = (Rendition::new(), None);
        for (segment, number) in segments.iter().zip(1..) {
            if self.ends {
                break;
            }
            if segment.map.is_some() && map != segment.map {
                map = segment.map;
                objects.extend(segment.map.and_then(|uri| self.named(&base, uri)));
            }
            objects.extend(self.named(&base, segment.uri));
            if number % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        objects
    }

    /// What a playlist names, if it may be fetched, and nothing else was that.
    fn named(&mut self, base: &Base, uri: &str) -> Option<Arc<str>> {
        let key = self.key(base, uri)?;
        self.add(&key)
    }

    /// The key of what a playlist names, if it may be fetched.
    fn key(&self, base: &Base, uri: &str) -> Option<String> {
        let key: Result<_, UriFault> = base.resolve(uri);
        key.inspect_err(|fault| self.refuse(uri, &fault.to_string()))
            .ok()
    }

    fn base(&self, key: &str) -> Base {
        Base::of(self.inner.shared.config.origin, key)
    }

    /// Something that is named will not be stored.
    fn refuse(&self, what: &str, reason: &str) {
        self.progress.found(1);
        self.progress.failed(what, reason);
    }

    /// One more object, if it is new and there is room.
    fn add(&mut self, key: &str) -> Option<Arc<str>> {
        if self.ends || self.seen.contains(key) {
            return None;
        }
        if !self.room.takes(key) {
            self.ends = true;
            let reason = "this and what follows are too many: 300,000 objects at most, and 64 MiB of their paths";
            self.refuse(key, reason);
            return None;
        }
        let key: Arc<str> = key.into();
        self.seen.insert(Arc::clone(&key));
        Some(key)
    }
}

/// Adds the first of each rendition, the second of each, and so on.
fn interleave(renditions: Vec<Rendition>, objects: &mut Vec<Arc<str>>) {
    let mut left: Vec<_> = renditions.into_iter().map(Vec::into_iter).collect();
    while !left.is_empty() {
        left.retain_mut(|rendition| {
            let next = rendition.next();
            let goes_on = next.is_some();
            objects.extend(next);
            goes_on
        });
    }
}

/// The first segments of what has ended, or the newest of what goes on.
fn within<'a, 'p>(media: &'a MediaPlaylist<'p>, depth: Option<u32>) -> &'a [Segment<'p>] {
    let all = &media.segments[..];
    let depth = depth
        .map_or(usize::MAX, |depth| depth as usize)
        .min(all.len());
    match media.has_ended {
        true => &all[..depth],
        false => &all[all.len() - depth..],
    }
}

/// `720p` of `../ID/720p.m3u8`.
fn rendition_of(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".m3u8").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_from_the_beginning_or_from_the_live_edge() {
        let segment = |uri| Segment { uri, map: None };
        let mut media = MediaPlaylist {
            segments: ["1", "2", "3"].map(segment).to_vec(),
            has_ended: true,
        };
        let of = |media: &MediaPlaylist<'_>, depth| -> Vec<String> {
            let segments = within(media, depth).iter();
            segments.map(|segment| segment.uri.to_owned()).collect()
        };
        assert_eq!(of(&media, Some(2)), ["1", "2"]);
        assert_eq!(of(&media, Some(9)), ["1", "2", "3"]);
        media.has_ended = false;
        assert_eq!(of(&media, Some(2)), ["2", "3"]);
        assert_eq!(of(&media, Some(9)), ["1", "2", "3"]);
        assert_eq!(of(&media, None), ["1", "2", "3"]);
    }

    #[test]
    fn a_rendition_is_named_by_its_playlist() {
        assert_eq!(rendition_of("/vod/a/720p.m3u8"), "720p");
        assert_eq!(rendition_of("/live/a/v0.m3u8?_HLS_skip=YES"), "v0");
        assert_eq!(rendition_of("/x"), "x");
    }

    #[test]
    fn what_is_gathered_has_an_end() {
        let mut few = Room::of(2, 100);
        assert!(few.takes("/a") && few.takes("/b") && !few.takes("/c"));
        let mut small = Room::of(100, 5);
        assert!(small.takes("/ab") && !small.takes("/cd") && small.takes("/e"));
    }

    #[test]
    fn renditions_take_turns() {
        let of = |keys: &[&str]| -> Rendition { keys.iter().map(|key| Arc::from(*key)).collect() };
        let mut objects = of(&["/m"]);
        interleave(
            vec![of(&["/a1", "/a2", "/a3"]), of(&[]), of(&["/b1"])],
            &mut objects,
        );
        assert_eq!(objects, of(&["/m", "/a1", "/b1", "/a2", "/a3"]));
    }
}
