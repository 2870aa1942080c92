//! What comes of a feed: from its bytes to what is stored.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, response};
use media::feed::{Content, Decoder, Event, FeedError, MAX_JOINED, ObjectHead};

use super::feed::Feed;
use super::feeds::Feeds;
use super::interest::Wish;
use super::name::{FeedName, Item};
use crate::budget::Reservation;
use crate::config::OriginKind;
use crate::fill::weight_of;
use crate::freshness::NoStoreReason;
use crate::head::{Circumstances, Head};
use crate::key::{CacheKey, KeyError};
use crate::shared::Shared;
use crate::store::Stored;
use crate::upstream::FillError;

/// Why a feed is not read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no feed: {0}")]
    Form(#[from] FeedError),
    #[error("an object has the path {path}: {error}")]
    Path { path: String, error: KeyError },
    #[error("an object has the path {0}, which is of something else")]
    Foreign(String),
    #[error("an object has a field that HTTP does not have: {0}")]
    Field(String),
    #[error("an object has a head that no answer has: {0}")]
    Head(FillError),
    #[error("an object of {came} bytes says that it has {said}")]
    Length { said: u64, came: u64 },
    /// What was asked for before the purge is not stored, and the feed was.
    #[error("what comes of it has been purged since it was asked for")]
    Purged,
}

/// An object on its way in.
struct Coming {
    head: ObjectHead,
    content: Content,
    chunks: Vec<Bytes>,
    weight: u64,
    room: Reservation,
    /// Why its bytes are passed over.
    refused: Option<NoStoreReason>,
}

/// An object that has come, for what is made of it.
///
/// Its bytes are the store's. Where they are gone, what is made of them is asked for.
type Kept = Weak<[Bytes]>;

/// Reads a feed, and stores what comes.
pub(super) struct Receiver<'a> {
    shared: &'a Arc<Shared>,
    feeds: &'a Feeds,
    feed: &'a Arc<Feed>,
    decoder: Decoder,
    coming: Option<Coming>,
    /// The last objects, without one missing between them.
    kept: VecDeque<Kept>,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, feeds: &'a Feeds, feed: &'a Arc<Feed>) -> Self {
        Self {
            shared,
            feeds,
            feed,
            decoder: Decoder::new(),
            coming: None,
            kept: VecDeque::new(),
        }
    }

    /// Takes the next bytes. The number of objects that came to their end with them.
    pub(super) fn take(&mut self, mut bytes: Bytes) -> Result<u64, Unreadable> {
        metrics::counter!("nova_edge_push_bytes_total").increment(bytes.len() as u64);
        let mut objects = 0;
        while let Some(event) = self.decoder.next(&mut bytes)? {
            match event {
                Event::Object(head, content) => self.coming = Some(self.begin(head, content)),
                Event::Data(data) => {
                    if let Some(coming) = &mut self.coming {
                        coming.push(data, self.shared.config.max_object_bytes);
                    }
                }
                Event::End => {
                    if let Some(coming) = self.coming.take() {
                        self.end(coming)?;
                        objects += 1;
                    }
                }
                Event::Alive => {}
            }
        }
        Ok(objects)
    }

    /// The feed has ended: was that between objects?
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        Ok(self.decoder.finish()?)
    }

    fn begin(&self, head: ObjectHead, content: Content) -> Coming {
        let mut coming = Coming {
            head,
            content,
            chunks: Vec::new(),
            weight: 0,
            room: self.shared.fill_memory.reserve_nothing(),
            refused: None,
        };
        match content {
            Content::Bytes(length) if u64::from(length) > self.shared.config.max_object_bytes => {
                coming.refuse(NoStoreReason::TooLarge);
            }
            Content::Bytes(_) => {}
            Content::Joined(count) => match self.joined(count) {
                Some(chunks) => coming.chunks = chunks,
                // It is one that can be asked for.
                None => coming.refuse(NoStoreReason::Status),
            },
        }
        coming
    }

    /// The bytes of the last `count` objects.
    fn joined(&self, count: u32) -> Option<Vec<Bytes>> {
        let first = self.kept.len().checked_sub(count as usize)?;
        let of = self.kept.range(first..);
        let kept: Vec<_> = of.map(Weak::upgrade).collect::<Option<_>>()?;
        let chunks: Vec<_> = kept.iter().flat_map(|kept| kept.iter().cloned()).collect();
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        (length <= self.shared.config.max_object_bytes).then_some(chunks)
    }

    fn end(&mut self, coming: Coming) -> Result<(), Unreadable> {
        let (key, item) = self.named(&coming.head.path)?;
        let storage = match coming.refused {
            Some(reason) => Err(reason),
            None => self.store(&key, item, &coming)?,
        };
        let (outcome, reason) = match &storage {
            Ok(_) => ("stored", ""),
            Err(reason) => ("not-stored", reason.as_str()),
        };
        metrics::counter!("nova_edge_push_objects_total", "outcome" => outcome, "reason" => reason)
            .increment(1);
        let is_purged = matches!(storage, Err(NoStoreReason::Invalidated));
        match storage {
            Ok(chunks) if matches!(item, Item::Part(_)) => self.keep(&chunks),
            // An init segment is no part of a segment.
            Ok(_) => self.kept.clear(),
            Err(reason) => {
                tracing::debug!(%key, reason = reason.as_str(), "what was pushed is not stored");
                self.kept.clear();
            }
        }
        self.feed.came(item);
        match is_purged {
            true => Err(Unreadable::Purged),
            false => Ok(()),
        }
    }

    /// What an object is stored under. It is of the feed's rendition, or could be anything.
    fn named(&self, path: &str) -> Result<(CacheKey, Item), Unreadable> {
        let foreign = || Unreadable::Foreign(path.to_owned());
        let target: Uri = path.parse().map_err(|_| foreign())?;
        let key = CacheKey::of(OriginKind::Media, &target).map_err(|error| Unreadable::Path {
            path: path.to_owned(),
            error,
        })?;
        match FeedName::of(key.as_str()) {
            Some((name, item)) if name == self.feed.name && item != Item::Playlist => {
                Ok((key, item))
            }
            _ => Err(foreign()),
        }
    }

    /// Stores an object as a fill would, and hands it on. Its bytes as they are stored.
    fn store(
        &self,
        key: &CacheKey,
        item: Item,
        coming: &Coming,
    ) -> Result<Result<Arc<[Bytes]>, NoStoreReason>, Unreadable> {
        let now = self.shared.clock.now();
        let head = Head::new(
            parts(&coming.head)?,
            &Circumstances {
                rules: self.shared.rules(),
                method: &Method::GET,
                request: &HeaderMap::new(),
                requested: now,
                received: now,
                ranged: false,
                conditional: false,
                is_its_own_location: false,
                body_length: None,
                max_object_bytes: self.shared.config.max_object_bytes,
            },
        )
        .map_err(Unreadable::Head)?;
        let came = coming.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if let Some(said) = head.length.filter(|said| *said != came) {
            return Err(Unreadable::Length { said, came });
        }
        if let Err(reason) = head.storage {
            return Ok(Err(reason));
        }
        let stored = Stored::whole(&head, coming.chunks.iter().cloned().collect());
        let chunks = Arc::clone(&stored.chunks);
        let interest = || Arc::clone(&self.feed.interest);
        let wish = item.point().map(|at| Wish::new(interest(), at.segment));
        let asked = self.feed.checked.era();
        self.feed.notes_tags(&head.headers);
        let storage = self.shared.keep(key, stored.wanted_by(wish), asked, asked);
        if storage.is_ok() {
            let joined = match coming.content {
                Content::Joined(count) => Some(count),
                Content::Bytes(_) => None,
            };
            let room = self.feeds.queued.reserve_nothing();
            self.feed.hand_on(&coming.head, &chunks, joined, room);
        }
        Ok(storage.map(|()| chunks))
    }

    /// Keeps what has come until something is made of it.
    fn keep(&mut self, chunks: &Arc<[Bytes]>) {
        if self.kept.len() == MAX_JOINED as usize {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::downgrade(chunks));
    }
}

impl Coming {
    fn refuse(&mut self, reason: NoStoreReason) {
        self.refused = Some(reason);
        self.chunks = Vec::new();
    }

    fn push(&mut self, data: Bytes, max_object_bytes: u64) {
        if self.refused.is_some() {
            return;
        }
        let weight = weight_of(&data);
        self.weight += weight;
        if self.weight > max_object_bytes {
            self.refuse(NoStoreReason::TooLarge);
        } else if !self.room.grow(weight) {
            self.refuse(NoStoreReason::FillMemory);
        } else {
            self.chunks.push(data);
        }
    }
}

/// The head of an answer.
fn parts(head: &ObjectHead) -> Result<response::Parts, Unreadable> {
    let field = |name: &str| Unreadable::Field(name.to_owned());
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(head.status).map_err(|_| FeedError::Status(head.status))?;
    for (name, value) in &head.fields {
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| field(name))?;
        let value = HeaderValue::from_maybe_shared(value.clone()).map_err(|_| field(name))?;
        parts.headers.append(known, value);
    }
    Ok(parts)
}
