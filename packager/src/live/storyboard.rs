//! The pictures of a live stream.

use media::{
    EpochNumber, Micros, Rendition, RenditionName, Segment, SegmentNumber, Timestamp, TrackKind,
};

use super::SegmentState;
use super::epochs::EpochState;
use super::track::Track;
use super::window::Window;
use crate::playlist::{Cue, WebVtt, thumbnail_uri};
use crate::storyboard::Grid;

const NOTE: &str = "Times are Unix time: playingDate of hls.js, currentTime of a DASH player.";

impl Window {
    /// The track that says which thumbnail is shown when, of what playlists list; `None`
    /// if there is no picture in it.
    pub(crate) fn storyboard(&self) -> Option<WebVtt> {
        let grid = Grid::live(Micros::from_secs(self.target_duration.into()));
        let tracks = self.tracks.iter();
        let mut pictures: Vec<_> = tracks
            .flat_map(|(name, track)| track.entries.iter().map(move |one| (name, &one.segment)))
            .filter(|(name, segment)| self.has_picture(name, segment))
            .map(|(_, segment)| segment)
            .collect();
        pictures.sort_by_key(|segment| segment.number);
        let last = pictures.last()?;
        let end = last.start + last.duration;
        let epoch_of = |number| self.epochs.of(number).map(|epoch| epoch.number);
        // A tile shows the first of its numbers that has a picture, though it be older than
        // what is listed: it stays the same.
        pictures.dedup_by_key(|one| (epoch_of(one.number), grid.tile(one.number)));
        let listed = self.tracks.values().filter_map(|one| one.listed().next());
        let from = listed.map(|entry| entry.segment.start).min()?;
        let ends = pictures.iter().skip(1).map(|segment| segment.start);
        let ends: Vec<_> = ends.chain([end]).collect();
        let shown = pictures.iter().zip(ends).filter(|(_, end)| *end > from);
        let cues = shown.filter_map(|(segment, end)| {
            let epoch = epoch_of(segment.number)?;
            Some(Cue {
                start: segment.start - Timestamp::default(),
                end: end - Timestamp::default(),
                text: thumbnail_uri(epoch, segment.number),
            })
        });
        Some(WebVtt {
            note: NOTE,
            cues: cues.collect(),
        })
    }

    /// The newest segment that has a picture.
    pub(crate) fn newest_picture(&self) -> Option<(EpochNumber, SegmentNumber)> {
        let newest_of = |(name, track): (&RenditionName, &Track)| {
            let from_end = track.entries.iter().rev().map(|entry| &entry.segment);
            let mut with_picture = from_end.filter(|segment| self.has_picture(name, segment));
            with_picture.next().map(|segment| segment.number)
        };
        let newest = self.tracks.iter().filter_map(newest_of).max()?;
        Some((self.epochs.of(newest)?.number, newest))
    }

    /// The renditions with pictures that have this segment. None, where it is older than
    /// the window.
    pub(crate) fn pictures(
        &self,
        epoch: EpochNumber,
        number: SegmentNumber,
    ) -> Vec<(Rendition, SegmentState)> {
        let renditions = self.epochs.of(number).into_iter().flat_map(videos);
        let with_media = renditions.filter_map(|rendition| {
            self.tracks.get(&rendition.name)?.entry(number)?;
            match self.segment(epoch, &rendition.name, number) {
                SegmentState::Missing => None,
                state => Some((rendition.clone(), state)),
            }
        });
        with_media.collect()
    }

    /// Whether the current epoch has no pictures.
    pub(crate) fn is_sound(&self) -> bool {
        let epoch = self.epochs.current();
        epoch.is_some_and(|epoch| videos(epoch).next().is_none())
    }

    fn has_picture(&self, name: &RenditionName, segment: &Segment) -> bool {
        let mut videos = self.epochs.of(segment.number).into_iter().flat_map(videos);
        !segment.is_gap() && videos.any(|rendition| rendition.name == *name)
    }
}

fn videos(epoch: &EpochState) -> impl Iterator<Item = &Rendition> {
    let members = epoch.members.values().map(|member| &member.rendition);
    members.filter(|rendition| rendition.codec.kind() == TrackKind::Video)
}
