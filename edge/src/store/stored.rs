//! A stored answer, and how parts of one come together.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use media::Timestamp;

use super::Limits;
use crate::conditional::strong_validator;
use crate::era::Era;
use crate::fill::weight_of;
use crate::gather::gathered;
use crate::head::Head;
use crate::key::CacheKey;
use crate::purge::{Purges, Stamp, Verdict};
use crate::push::Wish;
use crate::range::ContentRange;

/// Chunks of the most that parts are joined to: each join copies their list. Pieces of 8 KiB
/// make an object of 32 MiB.
pub(super) const MAX_JOINED_CHUNKS: usize = 4_096;

/// One answer, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Without what is withheld from others.
    pub(crate) head: Arc<Head>,
    pub(crate) chunks: Arc<[Bytes]>,
    /// Which bytes of the object the chunks are.
    pub(crate) bytes: Range<u64>,
    /// Bytes of the whole object, where they are known.
    pub(crate) whole: Option<u64>,
    /// They are as many as their `Content-Range` said, so that others can be put to them.
    pub(crate) is_exact: bool,
    /// Until when purges are known not to be about it.
    pub(crate) checked: Stamp,
    /// Of what was pushed: whether more of it is wanted.
    pub(crate) wish: Option<Wish>,
}

impl Stored {
    /// The answer with this `head` and body.
    pub(crate) fn whole(head: &Head, chunks: Arc<[Bytes]>) -> Self {
        let length = length_of(&chunks);
        Self {
            head: Arc::new(head.for_others()),
            chunks: gathered(chunks),
            bytes: 0..length,
            whole: Some(length),
            is_exact: true,
            checked: Stamp::default(),
            wish: None,
        }
    }

    /// The object that a 206 with this `head` and body has a part of; None when the head
    /// does not say which.
    ///
    /// Where the body is of another length than `Content-Range` says, its first position
    /// and the bytes count; if it was said to reach the end of the object, the object
    /// ends where the bytes do.
    pub(crate) fn part(head: &Head, chunks: Arc<[Bytes]>) -> Option<Self> {
        let range = ContentRange::of(&head.headers)?;
        let first = range.bytes.start;
        let end = first.checked_add(length_of(&chunks))?;
        let whole = match range.whole {
            Some(whole) if whole == range.bytes.end => Some(end),
            whole => whole,
        };
        if end == first || whole.is_some_and(|whole| end > whole) {
            return None;
        }
        Some(Self {
            head: Arc::new(head.of_whole().for_others()),
            chunks: gathered(chunks),
            bytes: first..end,
            whole,
            is_exact: end == range.bytes.end,
            checked: Stamp::default(),
            wish: None,
        })
    }

    /// What was stored once with this `head`: its `body`, or a large object whose bytes are
    /// in slices.
    pub(crate) fn revived(head: Head, body: Bytes) -> Self {
        let length = head.length.unwrap_or(body.len() as u64);
        Self {
            head: Arc::new(Head {
                length: Some(length),
                ..head
            }),
            chunks: match body.is_empty() {
                true => Arc::new([]),
                false => Arc::new([body]),
            },
            bytes: 0..length,
            whole: Some(length),
            is_exact: true,
            checked: Stamp::default(),
            wish: None,
        }
    }

    /// The large object with this `head`. Its bytes are in slices.
    pub(crate) fn large(head: &Head, whole: u64) -> Self {
        let mut head = head.for_others();
        head.length = Some(whole);
        Self::revived(head, Bytes::new())
    }

    /// The same bytes under a newer head.
    pub(crate) fn under(&self, head: &Head) -> Self {
        Self {
            head: Arc::new(head.for_others()),
            ..self.clone()
        }
    }

    /// A viewer has it at `now`: what is pushed like it is still wanted.
    pub(crate) fn is_asked_for(&self, now: Timestamp) {
        if let Some(wish) = &self.wish {
            wish.touch(now);
        }
    }

    /// The same, pushed because of this wish.
    pub(crate) fn wanted_by(self, wish: Option<Wish>) -> Self {
        Self { wish, ..self }
    }

    /// The same, of a fill that began at `began`.
    pub(crate) fn begun_at(self, began: Era) -> Self {
        Self {
            checked: Stamp::new(began),
            ..self
        }
    }

    /// What is left of it under `key` after what was purged, if anything; checked from now on.
    pub(crate) fn purged(self: &Arc<Self>, key: &CacheKey, purges: &Purges) -> Option<Arc<Self>> {
        if purges.is_checked(self.checked.era()) {
            return Some(Arc::clone(self));
        }
        let headers = &self.head.headers;
        let (verdict, known) = purges.verdict(key, headers, self.checked.era());
        match verdict {
            Verdict::Gone => None,
            Verdict::Stays => {
                self.checked.raise(known);
                Some(Arc::clone(self))
            }
            Verdict::Stale(at) => Some(Arc::new(Self {
                head: Arc::new(self.head.stale_since(at)),
                checked: Stamp::new(known),
                ..(**self).clone()
            })),
        }
    }

    /// A part that is shorter than it said is never the whole: its body may have broken off.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_exact && self.bytes.start == 0 && self.whole == Some(self.bytes.end)
    }

    /// Is it the beginning of an object whose rest can be asked for?
    pub(crate) fn can_be_completed(&self) -> bool {
        self.bytes.start == 0 && !self.is_whole() && self.is_exact && self.whole.is_some()
    }

    /// May `range` follow at `self.bytes.end`, or overlap (RFC 9110 15.3.7.3): are both of
    /// one representation?
    pub(crate) fn is_of_the_same(&self, headers: &HeaderMap, whole: Option<u64>) -> bool {
        let tag = strong_validator(headers);
        tag.is_some()
            && tag == strong_validator(&self.head.headers)
            && whole.is_some()
            && whole == self.whole
    }

    /// What stays of this, which comes, and `known`, which was stored for the same requests:
    /// both as one; or the whole of an object rather than a part of it; or what the origin
    /// said last.
    pub(super) fn settled(self: Arc<Self>, known: Arc<Self>, limits: Limits) -> Arc<Self> {
        if let Some(joined) = self.joined(&known, limits) {
            return Arc::new(joined);
        }
        let stays = if known.has_more_than(&self) {
            true
        } else {
            !self.has_more_than(&known) && known.came_after(&self)
        };
        match stays {
            true => known,
            false => self,
        }
    }

    /// Is this a whole object, and `other` a part of one?
    fn has_more_than(&self, other: &Self) -> bool {
        self.is_whole() && self.head.status == StatusCode::OK && !other.is_whole()
    }

    fn came_after(&self, other: &Self) -> bool {
        self.head.arrival.received() > other.head.arrival.received()
    }

    /// This and `known` as one under the later head, where one is a part, they touch, are of
    /// one representation, and `limits` allow it.
    pub(super) fn joined(&self, known: &Self, limits: Limits) -> Option<Self> {
        let (left, right) = match self.bytes.start <= known.bytes.start {
            true => (self, known),
            false => (known, self),
        };
        let bytes = left.bytes.start..left.bytes.end.max(right.bytes.end);
        let fits = self.is_exact
            && known.is_exact
            && !(self.is_whole() && known.is_whole())
            && self.head.large.is_none()
            && known.head.large.is_none()
            && self.head.status == known.head.status
            && known.is_of_the_same(&self.head.headers, self.whole)
            && right.bytes.start <= left.bytes.end
            && bytes.end - bytes.start <= limits.object_bytes;
        if !fits {
            return None;
        }
        let chunks = if right.bytes.end <= left.bytes.end {
            Arc::clone(&left.chunks)
        } else if right.bytes.start == left.bytes.start {
            Arc::clone(&right.chunks)
        } else if left.chunks.len() + right.chunks.len() <= MAX_JOINED_CHUNKS {
            let mut chunks = left.chunks.to_vec();
            chunks.extend(skipping(&right.chunks, left.bytes.end - right.bytes.start));
            chunks.into()
        } else {
            return None;
        };
        let later = match known.came_after(self) {
            true => known,
            false => self,
        };
        let joined = Self {
            head: Arc::clone(&later.head),
            chunks,
            bytes,
            whole: self.whole,
            is_exact: true,
            checked: self.checked.of_both(&known.checked),
            wish: later.wish.clone(),
        };
        (joined.weight() <= limits.bytes).then_some(joined)
    }

    pub(super) fn weight(&self) -> u64 {
        self.chunks.iter().map(weight_of).sum::<u64>() + self.head.weight()
    }
}

fn length_of(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}

/// `chunks` without their first `skip` bytes.
pub(super) fn skipping(chunks: &[Bytes], mut skip: u64) -> impl Iterator<Item = Bytes> {
    chunks.iter().filter_map(move |chunk| {
        let from = skip.min(chunk.len() as u64);
        skip -= from;
        // It is at most the chunk's length, so it fits.
        let rest = chunk.slice(from as usize..);
        (!rest.is_empty()).then_some(rest)
    })
}
