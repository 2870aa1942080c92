//! A live stream: its window behind a lock that is held for moments only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use media::{
    EpochNumber, Part, PartIndex, Rendition, RenditionName, Segment, SegmentNumber, StreamId,
    StreamName, Timestamp,
};
use tokio::sync::watch;

use super::window::Window;
use super::{
    Cut, EpochPlan, FeedCursor, FeedStep, LiveConfig, LiveError, PartState, ReloadState,
    ReloadTarget, RestoredStream, SegmentState,
};
use crate::playlist::{MediaPlaylist, Mpd, Multivariant, WebVtt};

/// What players can ask for of one live stream.
///
/// The pipeline tells it what happens; each change wakes whoever waits in
/// [`LiveStream::changes`]. Nothing here blocks or does IO.
#[derive(Debug)]
pub struct LiveStream {
    name: StreamName,
    id: StreamId,
    /// Whether players need a token.
    is_signed: AtomicBool,
    window: Mutex<Window>,
    version: watch::Sender<u64>,
}

impl LiveStream {
    /// A stream of which nothing is known yet.
    pub fn new(name: StreamName, id: StreamId, config: LiveConfig) -> Self {
        Self {
            name,
            id,
            is_signed: AtomicBool::new(false),
            window: Mutex::new(Window::new(config)),
            version: watch::Sender::new(0),
        }
    }

    /// Its name in URLs.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// Its id, which its objects' keys begin with.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Whether players need a token for what is answered from now on; gives what it was before.
    pub fn set_signed(&self, is_signed: bool) -> bool {
        self.is_signed.swap(is_signed, Ordering::SeqCst)
    }

    /// Whether players need a token: the stream is not for everybody.
    pub fn is_signed(&self) -> bool {
        self.is_signed.load(Ordering::SeqCst)
    }

    /// What there was before the server restarted. To be called first. Numbers that were
    /// closed and not stored are gaps; the one that was in the making becomes a gap when
    /// the next epoch begins behind it.
    pub fn restore(&self, restored: RestoredStream) -> Result<(), LiveError> {
        self.change(|window| window.restore(restored))
    }

    /// Begins an epoch: a discontinuity in all renditions. Segments of the one before may
    /// still be pushed.
    ///
    /// `EXT-X-TARGETDURATION` must not change (RFC 8216bis 6.2.1). Should an epoch come
    /// with longer segments after all, it is raised, since too long segments stall
    /// players; an epoch with shorter ones leaves it as it is.
    pub fn begin_epoch(&self, plan: EpochPlan) -> Result<(), LiveError> {
        self.change(|window| window.begin_epoch(plan))
    }

    /// A rendition of the current epoch whose codec has become known.
    pub fn add_rendition(&self, rendition: Rendition) -> Result<(), LiveError> {
        self.change(|window| window.add_rendition(rendition))
    }

    /// Manifests need not wait any more for renditions of the current epoch that have not
    /// come.
    pub fn give_up_waiting(&self) {
        self.change(Window::give_up_waiting);
    }

    /// The next part of a rendition. Numbers skipped before it become gaps; a lost
    /// rendition is back.
    pub fn push_part(&self, rendition: &RenditionName, part: Part) -> Result<(), LiveError> {
        self.change(|window| window.push_part(rendition, part))
    }

    /// Closes a rendition's segment, all parts of which were pushed; or is a gap. Gives the
    /// segment's bytes for the object store, none for a gap.
    pub fn push_segment(
        &self,
        rendition: &RenditionName,
        segment: Segment,
    ) -> Result<Bytes, LiveError> {
        self.change(|window| window.push_segment(rendition, segment))
    }

    /// A segment of the stream's timeline is complete, as [`super::Lead`] reads it off the
    /// source, whichever renditions have it. Renditions that are lost, or not part of the
    /// epoch, get a gap for it.
    pub fn close_segment(&self, cut: Cut) {
        self.change(|window| window.close_segment(cut));
    }

    /// Nobody makes this rendition's frames any more: its unfinished segment becomes a gap
    /// that keeps the parts it had, and so does each segment of the timeline until a part
    /// comes.
    pub fn lose(&self, rendition: &RenditionName) {
        self.change(|window| window.lose(rendition));
    }

    /// The stream is over: unfinished segments disappear, playlists end.
    pub fn end(&self) {
        self.change(Window::end);
    }

    /// Whether [`LiveStream::end`] was called.
    pub fn has_ended(&self) -> bool {
        self.window().ended
    }

    /// Whether there is an epoch, so that the target duration is known.
    pub(crate) fn has_begun(&self) -> bool {
        self.window().epochs.current().is_some()
    }

    /// `EXT-X-TARGETDURATION`.
    pub fn target_duration(&self) -> Duration {
        Duration::from_secs(self.window().target_duration.into())
    }

    /// Sees each change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// A rendition's playlist; `None` if there is nothing of it.
    pub fn media_playlist(&self, rendition: &RenditionName) -> Option<MediaPlaylist> {
        self.window().media_playlist(rendition)
    }

    /// The multivariant playlist; `None` while it would be incomplete.
    pub fn multivariant(&self) -> Option<Multivariant> {
        self.window().multivariant()
    }

    /// The MPD; `None` while it would be incomplete.
    pub fn mpd(&self, now: Timestamp) -> Option<Mpd> {
        self.window().mpd(now)
    }

    /// Whether a rendition's playlist can be answered.
    pub fn reload_state(
        &self,
        rendition: &RenditionName,
        target: Option<ReloadTarget>,
    ) -> ReloadState {
        self.window().reload_state(rendition, target)
    }

    /// An init segment, if its epoch is in the window.
    pub fn init(&self, epoch: EpochNumber, rendition: &RenditionName) -> Option<Bytes> {
        self.window().init(epoch, rendition)
    }

    /// A segment.
    pub fn segment(
        &self,
        epoch: EpochNumber,
        rendition: &RenditionName,
        number: SegmentNumber,
    ) -> SegmentState {
        self.window().segment(epoch, rendition, number)
    }

    /// A part.
    pub fn part(
        &self,
        epoch: EpochNumber,
        rendition: &RenditionName,
        number: SegmentNumber,
        index: PartIndex,
    ) -> PartState {
        self.window().part(epoch, rendition, number, index)
    }

    /// Where a subscriber of a rendition begins: behind all that has been published. `None` if
    /// there is no such rendition, or the stream has ended.
    pub fn feed_start(&self, rendition: &RenditionName) -> Option<FeedCursor> {
        self.window().feed_start(rendition)
    }

    /// What comes after `cursor`, which is moved behind it.
    pub fn feed_next(&self, rendition: &RenditionName, cursor: &mut FeedCursor) -> FeedStep {
        self.window().feed_next(rendition, cursor)
    }

    /// Which thumbnail is shown when; `None` if there is no picture in what is listed.
    pub fn storyboard(&self) -> Option<WebVtt> {
        self.window().storyboard()
    }

    /// The newest segment that has a picture.
    pub fn newest_picture(&self) -> Option<(EpochNumber, SegmentNumber)> {
        self.window().newest_picture()
    }

    /// The renditions with pictures that have this segment. None, where it is older than
    /// the window: the rows know.
    pub fn pictures(
        &self,
        epoch: EpochNumber,
        number: SegmentNumber,
    ) -> Vec<(Rendition, SegmentState)> {
        self.window().pictures(epoch, number)
    }

    /// Whether its current epoch has no pictures.
    pub fn is_sound(&self) -> bool {
        self.window().is_sound()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Window) -> T) -> T {
        let result = change(&mut self.window());
        self.version.send_modify(|version| *version += 1);
        result
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // No change leaves the window half-way: a panic elsewhere must not end the stream.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
