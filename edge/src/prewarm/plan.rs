//! Which objects an order is about: playlists are read, and what they name is gathered.

use std::collections::{HashSet, VecDeque};

use super::fetch::{Fault, Fetched, Read};
use super::order::{PrewarmOrder, Subject};
use super::playlist::{MediaPlaylist, Playlist, PlaylistFault, Segment, UriFault, resolve};
use super::{Inner, PrewarmProgress, Stopped};

/// Objects of one order at most: as many as Nova lists of one video, of all renditions.
const MAX_OBJECTS: usize = 300_000;

/// The objects that are not stored yet, each once: first those that the order names, then the
/// first of each rendition, the second of each, and so on, since that is how they are played.
pub(super) async fn plan(
    inner: &Inner,
    order: &PrewarmOrder,
    progress: &PrewarmProgress,
) -> Result<Vec<Box<str>>, Stopped> {
    let mut plan = Plan {
        inner,
        order,
        progress,
        objects: Vec::new(),
        seen: HashSet::new(),
        is_full: false,
    };
    let root: Box<str> = match &order.subject {
        Subject::Paths(paths) => {
            for path in paths {
                plan.add(path.clone());
            }
            return Ok(plan.objects);
        }
        Subject::Video(id) => {
            plan.add(format!("/vod/{id}/manifest.mpd").into());
            format!("/vod/{id}/index.m3u8").into()
        }
        Subject::Playlist(path) => path.clone(),
    };
    let renditions = plan.renditions(&root).await?;
    plan.interleave(renditions);
    Ok(plan.objects)
}

struct Plan<'a> {
    inner: &'a Inner,
    order: &'a PrewarmOrder,
    progress: &'a PrewarmProgress,
    objects: Vec<Box<str>>,
    /// Playlists, too.
    seen: HashSet<Box<str>>,
    is_full: bool,
}

/// The objects of one rendition, in the order in which they are played.
type Rendition = VecDeque<Box<str>>;

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
            Some(Playlist::Media(media)) => {
                renditions.push(self.rendition(root, &media));
                return Ok(renditions);
            }
            Some(Playlist::Multivariant(named)) => self.chosen(root, named),
        };
        for key in named {
            let Some(fetched) = self.playlist(&key).await? else {
                continue;
            };
            match self.read(&key, &fetched) {
                None => {}
                Some(Playlist::Media(media)) => renditions.push(self.rendition(&key, &media)),
                Some(Playlist::Multivariant(_)) => {
                    let reason = "a multivariant playlist names it, but it is one itself";
                    self.refuse(&key, reason);
                }
            }
        }
        Ok(renditions)
    }

    /// Has a playlist stored, and gives it.
    async fn playlist(&self, key: &str) -> Result<Option<Fetched>, Stopped> {
        self.progress.found(1);
        let Ok(_permit) = self.inner.room.acquire().await else {
            return Err(Stopped);
        };
        match self.inner.fetch(key, Read::Playlist).await {
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
    fn chosen(&mut self, base: &str, named: Vec<&str>) -> Vec<Box<str>> {
        let mut wanted: Vec<&str> = self
            .order
            .renditions
            .iter()
            .map(|name| name.as_str())
            .collect();
        let all = wanted.is_empty();
        let mut chosen = Vec::new();
        for uri in named {
            let name = rendition_of(uri);
            if !all && !self.order.renditions.iter().any(|one| one.as_str() == name) {
                continue;
            }
            wanted.retain(|one| *one != name);
            let key = self.key(base, uri);
            chosen.extend(key.filter(|key| self.seen.insert(key.clone())));
        }
        for name in wanted {
            self.refuse(base, &format!("it names no rendition {name}"));
        }
        chosen
    }

    /// What is wanted of a rendition.
    fn rendition(&mut self, base: &str, media: &MediaPlaylist<'_>) -> Rendition {
        let segments = within(media, self.order.depth.map(std::num::NonZeroU32::get));
        let (mut objects, mut map) = (Rendition::new(), None);
        for segment in segments {
            if segment.map.is_some() && map != segment.map {
                map = segment.map;
                objects.extend(segment.map.and_then(|uri| self.key(base, uri)));
            }
            objects.extend(self.key(base, segment.uri));
        }
        objects
    }

    /// The key of what a playlist names, if it may be fetched.
    fn key(&self, base: &str, uri: &str) -> Option<Box<str>> {
        let key: Result<_, UriFault> = resolve(self.inner.shared.config.origin, base, uri);
        key.map(Box::from)
            .inspect_err(|fault| self.refuse(uri, &fault.to_string()))
            .ok()
    }

    /// Something that is named will not be stored.
    fn refuse(&self, what: &str, reason: &str) {
        self.progress.found(1);
        self.progress.failed(what, reason);
    }

    fn interleave(&mut self, mut renditions: Vec<Rendition>) {
        while !renditions.is_empty() {
            for rendition in &mut renditions {
                if let Some(key) = rendition.pop_front() {
                    self.add(key);
                }
            }
            renditions.retain(|rendition| !rendition.is_empty());
        }
    }

    fn add(&mut self, key: Box<str>) {
        if self.objects.len() >= MAX_OBJECTS {
            if !std::mem::replace(&mut self.is_full, true) {
                self.refuse(
                    &key,
                    "this and what follows are too many: 300,000 objects at most",
                );
            }
            return;
        }
        if self.seen.insert(key.clone()) {
            self.objects.push(key);
        }
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
}
