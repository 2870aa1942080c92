//! What a watcher has seen of a stream, and what must hold of it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use super::playlist::Part;
use super::{MediaPlaylist, Segment, Stream};

/// What was seen of a stream.
#[derive(Default)]
pub(crate) struct History {
    /// By the rendition's name.
    pub(crate) renditions: BTreeMap<String, Seen>,
    /// What must never be; empty is what a test wants.
    pub(crate) faults: Vec<String>,
    /// Hash of the bytes behind each URI of an init segment or a segment.
    pub(super) bytes: BTreeMap<String, u64>,
}

/// What was seen of one rendition.
#[derive(Default)]
pub(crate) struct Seen {
    /// Every segment that was ever listed, by its number.
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// When each was listed first, in seconds of Unix time.
    pub(crate) listed_at: BTreeMap<u64, f64>,
    /// The playlist as it was last.
    pub(crate) last: Option<MediaPlaylist>,
    /// Parts that were listed, and then were not, although their segment still was one
    /// of the newest (RFC 8216bis 6.2.2). Only a restart explains that.
    pub(crate) vanished: Vec<String>,
}

impl Seen {
    /// The number of the newest segment.
    pub(crate) fn head(&self) -> Option<u64> {
        self.segments.keys().next_back().copied()
    }

    /// Numbers of segments after `EXT-X-DISCONTINUITY`.
    pub(crate) fn discontinuities(&self) -> Vec<u64> {
        self.numbers(|segment| segment.discontinuity)
    }

    /// Numbers of `EXT-X-GAP` segments.
    pub(crate) fn gaps(&self) -> Vec<u64> {
        self.numbers(|segment| segment.gap)
    }

    /// Whether no number is missing between the first and the last.
    pub(crate) fn is_contiguous(&self) -> bool {
        let numbers: Vec<_> = self.segments.keys().collect();
        numbers.windows(2).all(|pair| *pair[1] == pair[0] + 1)
    }

    fn numbers(&self, pick: impl Fn(&Segment) -> bool) -> Vec<u64> {
        let picked = self.segments.values().filter(|segment| pick(segment));
        picked.map(|segment| segment.number).collect()
    }

    /// Takes in a newer playlist; what it contradicts is a fault.
    pub(super) fn learn(&mut self, playlist: MediaPlaylist, faults: &mut Vec<String>) {
        if let Some(last) = &self.last {
            if playlist.sequence < last.sequence || playlist.open_number() < last.open_number() {
                faults.push(format!(
                    "media sequence went back from {}..{} to {}..{}",
                    last.sequence,
                    last.open_number(),
                    playlist.sequence,
                    playlist.open_number()
                ));
            }
            if playlist.discontinuity_sequence < last.discontinuity_sequence {
                faults.push("discontinuity sequence went back".to_owned());
            }
            if playlist.target_duration != last.target_duration {
                faults.push("target duration changed".to_owned());
            }
            if playlist.open_number() <= last.open_number() + 1 {
                let newest = playlist
                    .segments
                    .last()
                    .map_or(&[][..], |newest| &newest.parts);
                let listed = |part: &&Part| {
                    let mut known = newest.iter().chain(&playlist.open_parts);
                    known.any(|known| known.uri == part.uri)
                };
                let gone = last.open_parts.iter().filter(|part| !listed(part));
                self.vanished.extend(gone.map(|part| part.uri.clone()));
            }
            if last.ended && !playlist.ended {
                faults.push("ended, then went on".to_owned());
            }
        }
        for segment in &playlist.segments {
            let known = self.segments.get(&segment.number);
            if known.is_some_and(|known| !same(known, segment)) {
                faults.push(format!("{known:?} became {segment:?}"));
            }
            self.listed_at.entry(segment.number).or_insert_with(now);
            self.segments.insert(segment.number, segment.clone());
        }
        self.last = Some(playlist);
    }
}

/// Whether two listings are of one and the same segment; parts may go with age.
fn same(known: &Segment, listed: &Segment) -> bool {
    (
        &known.uri,
        known.duration,
        known.gap,
        known.discontinuity,
        &known.map,
    ) == (
        &listed.uri,
        listed.duration,
        listed.gap,
        listed.discontinuity,
        &listed.map,
    )
}

/// The clock, in seconds of Unix time.
pub(crate) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is after 1970").as_secs_f64()
}

impl History {
    /// Reads everything again that is still served; other bytes than the first time are
    /// a name that was used twice.
    #[track_caller]
    pub(crate) fn assert_names_keep_their_bytes(&self, stream: &Stream) {
        let mut read = 0;
        for (uri, first) in &self.bytes {
            let response = stream.http.get(uri).expect("the server answers");
            match response.status {
                200 => assert_eq!(hash(&response.body), *first, "{uri} has other bytes now"),
                // Gone from the window and from the store, which is allowed.
                404 | 410 => continue,
                status => panic!("{uri}: {status}"),
            }
            read += 1;
        }
        assert!(read > 0, "nothing is left of {} names", self.bytes.len());
    }

    /// The one number before which every rendition has its only discontinuity.
    #[track_caller]
    pub(crate) fn assert_one_discontinuity(&self) -> u64 {
        let mut numbers = self.renditions.iter().map(|(name, seen)| {
            let found = seen.discontinuities();
            assert_eq!(found.len(), 1, "{name}: discontinuities before {found:?}");
            (name, found[0])
        });
        let (first, number) = numbers.next().expect("there are renditions");
        for (name, other) in numbers {
            assert_eq!(
                other, number,
                "the discontinuities of {name} and {first} differ"
            );
        }
        number
    }
}

/// What stands for the bytes behind a name.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
