//! The pictures of a video: its storyboard, and what its poster may be.

use std::collections::BTreeMap;

use media::{EpochNumber, Micros, Rendition, SegmentNumber, TrackKind, VideoShape};

use super::{Cut, Presentation, rendition_of};
use crate::playlist::{Cue, WebVtt, sprite_uri};
use crate::storyboard::{Bounds, Grid, TILES};

const NOTE: &str = "Times are those of the HLS presentation, which begins at zero and counts gaps.";

/// How far into a video its poster may be, in percent.
const POSTERS: [i64; 3] = [10, 30, 50];

/// A picture of a video: that which a segment begins with.
#[derive(Clone, PartialEq, Debug)]
pub struct Still {
    /// The segment's epoch.
    pub epoch: EpochNumber,
    /// Its number.
    pub number: SegmentNumber,
    /// Its rendition, in that epoch.
    pub rendition: Rendition,
}

impl Presentation {
    /// Whether there is no picture in it.
    pub fn is_sound(&self) -> bool {
        !self.cuts.iter().any(|cut| self.has_pictures(cut))
    }

    /// The track that says which tile is shown when. What has no picture has no cue: a cue
    /// goes on until the next one begins.
    pub fn storyboard(&self) -> WebVtt {
        let grid = self.grid();
        let shapes = self.epochs.keys();
        let shapes: BTreeMap<_, _> = shapes
            .filter_map(|epoch| Some((*epoch, self.tile_shape(*epoch)?)))
            .collect();
        let tiles = self.tiles(grid);
        let starts = tiles.iter().map(|(start, _)| *start);
        let ends = starts.skip(1).chain([self.length()]);
        let cues = tiles.iter().zip(ends).filter_map(|((start, cut), end)| {
            let place = grid.place(cut.number);
            let tile = *shapes.get(&cut.epoch)?;
            let (x, y) = place.corner(tile);
            let sprite = sprite_uri(cut.epoch, place.sprite, grid.step());
            Some(Cue {
                start: *start,
                end,
                text: format!("{sprite}#xywh={x},{y},{},{}", tile.width, tile.height),
            })
        });
        WebVtt {
            note: NOTE,
            cues: cues.collect(),
        }
    }

    /// The tiles of a sprite, row by row, and the size of each. `None`: there is no sprite
    /// of this name. The grid changes while the video grows, and when its beginning is let
    /// go: the names of the grids next to it are good too.
    pub fn sprite(
        &self,
        epoch: EpochNumber,
        first: SegmentNumber,
        step: u64,
    ) -> Option<(VideoShape, Vec<Option<Still>>)> {
        let grid = self.grid().with_step(step)?;
        if grid.place(first).sprite != first {
            return None;
        }
        let mut tiles = vec![None; usize::try_from(TILES).ok()?];
        let end = first.0.saturating_add(grid.sprite_span());
        let inside = self.cuts.iter().filter(|cut| {
            cut.epoch == epoch && (first.0..end).contains(&cut.number.0) && self.has_pictures(cut)
        });
        for cut in inside {
            let slot = tiles.get_mut(usize::from(grid.place(cut.number).index))?;
            if slot.is_none() {
                *slot = self.still_of(cut, Bounds::TILE);
            }
        }
        let any = tiles.iter().any(Option::is_some);
        any.then_some((self.tile_shape(epoch)?, tiles))
    }

    /// What the poster may be: pictures at a few places, where there are any.
    pub fn posters(&self) -> Vec<Still> {
        let length = self.length().as_micros();
        let mut found: Vec<&Cut> = Vec::new();
        for percent in POSTERS {
            let wanted = Micros::new(length.saturating_mul(percent) / 100);
            let with_pictures = || self.timed().filter(|(_, cut)| self.has_pictures(cut));
            let next = with_pictures().find(|(start, _)| *start >= wanted);
            let cut = next.or_else(|| with_pictures().last()).map(|(_, cut)| cut);
            let is_new = |cut: &&Cut| found.iter().all(|other| other.number != cut.number);
            let new = cut.filter(is_new);
            found.extend(new);
        }
        let stills = found.iter();
        stills
            .filter_map(|cut| self.still_of(cut, Bounds::POSTER))
            .collect()
    }

    /// What is shown in the grid's tiles, and from when on: the first of a tile's numbers
    /// that has a picture.
    fn tiles(&self, grid: Grid) -> Vec<(Micros, &Cut)> {
        let mut tiles: Vec<(Micros, &Cut)> = Vec::new();
        for (start, cut) in self.timed() {
            let is_begun = tiles.last().is_some_and(|(_, last)| {
                last.epoch == cut.epoch && grid.tile(last.number) == grid.tile(cut.number)
            });
            if !is_begun && self.has_pictures(cut) {
                tiles.push((start, cut));
            }
        }
        tiles
    }

    fn grid(&self) -> Grid {
        let cuts = self.listed(TrackKind::Video);
        Grid::video(self.length(), cuts.count() as u64)
    }

    /// How long the playlists of its pictures are.
    fn length(&self) -> Micros {
        let lengths = self.listed(TrackKind::Video).map(|cut| cut.duration);
        lengths.fold(Micros::ZERO, |sum, length| sum + length)
    }

    /// The cuts with their presentation times.
    fn timed(&self) -> impl Iterator<Item = (Micros, &Cut)> {
        self.cuts.iter().scan(Micros::ZERO, |next, cut| {
            let start = *next;
            *next += cut.duration;
            Some((start, cut))
        })
    }

    /// The size of an epoch's tiles: by the shape of its largest rendition.
    fn tile_shape(&self, epoch: EpochNumber) -> Option<VideoShape> {
        let renditions = &self.epochs.get(&epoch)?.renditions;
        let sizes = renditions.iter().filter_map(Rendition::display_size);
        let largest = sizes.max_by_key(|size| u64::from(size.width) * u64::from(size.height))?;
        Some(Bounds::TILE.fit(largest))
    }

    fn has_pictures(&self, cut: &Cut) -> bool {
        self.renditions_at(cut).next().is_some()
    }

    fn still_of(&self, cut: &Cut, bounds: Bounds) -> Option<Still> {
        let rendition = bounds.choose(self.renditions_at(cut), |rendition| *rendition)?;
        Some(Still {
            epoch: cut.epoch,
            number: cut.number,
            rendition: rendition.clone(),
        })
    }

    /// The renditions with pictures that have media for this number.
    fn renditions_at(&self, cut: &Cut) -> impl Iterator<Item = &Rendition> {
        let tracks = self.tracks.iter();
        let with_media = tracks.filter(|(_, track)| track.contains_key(&cut.number));
        with_media.filter_map(|(name, _)| {
            let rendition = rendition_of(&self.epochs, cut.epoch, name)?;
            (rendition.codec.kind() == TrackKind::Video).then_some(rendition)
        })
    }
}
