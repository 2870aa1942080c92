//! What a storyboard is made of: the size of a picture, the rendition it is taken from, and
//! the grid of numbers that have a tile. Pure.

use media::{Micros, Rendition, SegmentNumber, VideoShape};

/// Tiles in a row of a sprite.
pub const COLUMNS: u16 = 5;
/// Rows of a sprite.
pub const ROWS: u16 = 5;
/// Tiles of a sprite.
pub const TILES: u64 = COLUMNS as u64 * ROWS as u64;

/// Tiles that a video has at most, but for one more in each epoch.
pub const MAX_TILES: u64 = 1_000;
/// How long a tile of a video stands for at least.
const TILE_TIME: Micros = Micros::from_secs(5);
/// How long a thumbnail of a live stream stands for at least.
const LIVE_TIME: Micros = Micros::from_secs(4);
/// Numbers that a tile stands for at most.
const MAX_STEP: u64 = 1 << 20;

/// What a picture has to fit, in square pixels, lying or standing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Of its longer side.
    pub long: u32,
    /// Of its shorter side.
    pub short: u32,
}

impl Bounds {
    /// Of a poster.
    pub const POSTER: Self = Self {
        long: 1_280,
        short: 720,
    };
    /// Of a thumbnail.
    pub const THUMBNAIL: Self = Self::square(320);
    /// Of a storyboard's tile.
    pub const TILE: Self = Self::square(160);

    const fn square(side: u32) -> Self {
        Self {
            long: side,
            short: side,
        }
    }

    /// The size that a picture gets: within the bounds, its shape kept, never enlarged,
    /// both sides even.
    pub fn fit(self, size: VideoShape) -> VideoShape {
        let (long, short) = sides(size);
        // The scale is one of three fractions, the smallest.
        let (to, from) =
            [(self.long, long), (self.short, short)]
                .into_iter()
                .fold((1, 1), |smallest, next| match is_less(next, smallest) {
                    true => next,
                    false => smallest,
                });
        let scaled = |side: u32| {
            let pairs = u64::from(side) * u64::from(to) + u64::from(from);
            // To the nearest even number.
            let pairs = pairs / (2 * u64::from(from.max(1)));
            let pairs = pairs.min(u64::from(side / 2)).max(1);
            u32::try_from(pairs * 2).unwrap_or(u32::MAX)
        };
        VideoShape {
            width: scaled(size.width),
            height: scaled(size.height),
        }
    }

    /// Whether a picture of this size need not be larger to fill the bounds.
    fn is_filled_by(self, size: VideoShape) -> bool {
        let (long, short) = sides(size);
        long >= self.long || short >= self.short
    }

    /// Which of these renditions a picture is taken from: the smallest that fills the
    /// bounds, else the largest. `None` without pictures.
    pub fn choose<T>(
        self,
        renditions: impl IntoIterator<Item = T>,
        rendition: impl Fn(&T) -> &Rendition,
    ) -> Option<T> {
        let sized = renditions.into_iter().filter_map(|one| {
            let size = rendition(&one).display_size()?;
            let pixels = u64::from(size.width) * u64::from(size.height);
            let rank = match self.is_filled_by(size) {
                true => (0, pixels),
                false => (1, u64::MAX - pixels),
            };
            Some((rank, one))
        });
        sized.min_by_key(|(rank, _)| *rank).map(|(_, one)| one)
    }
}

fn sides(size: VideoShape) -> (u32, u32) {
    let (width, height) = (size.width.max(1), size.height.max(1));
    (width.max(height), width.min(height))
}

fn is_less((a, b): (u32, u32), (c, d): (u32, u32)) -> bool {
    u64::from(a) * u64::from(d) < u64::from(c) * u64::from(b)
}

/// Numbers in steps of a power of two: a tile stands for those from a multiple of the step
/// to the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    step: u64,
}

/// A tile's place among the sprites of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TilePlace {
    /// The first number that the sprite stands for.
    pub sprite: SegmentNumber,
    /// Its place in the sprite, row by row.
    pub index: u16,
}

impl Grid {
    /// Of a live stream with this target duration.
    pub fn live(target_duration: Micros) -> Self {
        let step = power_of_two(|step| times(target_duration, step) >= LIVE_TIME);
        Self { step }
    }

    /// Of a video of `count` numbers that lasts `length`.
    pub fn video(length: Micros, count: u64) -> Self {
        let step = power_of_two(|step| {
            let tile = times(length, step).as_micros() / i64::try_from(count.max(1)).unwrap_or(1);
            Micros::new(tile) >= TILE_TIME && count / step <= MAX_TILES
        });
        Self { step }
    }

    /// Numbers that a tile stands for.
    pub fn step(self) -> u64 {
        self.step
    }

    /// Whether `step` is this grid's, or that of a grid once the video has some more, or
    /// fewer, numbers.
    pub fn is_near(self, step: u64) -> bool {
        [self.step, self.step * 2, self.step / 2].contains(&step) && step > 0
    }

    /// Of another step, which [`Grid::is_near`].
    pub fn with_step(self, step: u64) -> Option<Self> {
        self.is_near(step).then_some(Self { step })
    }

    /// The first number that the tile of `number` stands for.
    pub fn tile(self, number: SegmentNumber) -> SegmentNumber {
        SegmentNumber(number.0 - number.0 % self.step)
    }

    /// Where that tile is.
    pub fn place(self, number: SegmentNumber) -> TilePlace {
        let span = self.sprite_span();
        TilePlace {
            sprite: SegmentNumber(number.0 - number.0 % span),
            index: u16::try_from(number.0 % span / self.step).unwrap_or(0),
        }
    }

    /// Numbers that a sprite stands for.
    pub fn sprite_span(self) -> u64 {
        self.step * TILES
    }
}

impl TilePlace {
    /// Pixels from the sprite's left and from its top, of tiles of this size.
    pub fn corner(self, tile: VideoShape) -> (u32, u32) {
        let (column, row) = (self.index % COLUMNS, self.index / COLUMNS);
        (u32::from(column) * tile.width, u32::from(row) * tile.height)
    }
}

/// The smallest power of two that is enough, [`MAX_STEP`] at most.
fn power_of_two(is_enough: impl Fn(u64) -> bool) -> u64 {
    let mut step = 1;
    while step < MAX_STEP && !is_enough(step) {
        step *= 2;
    }
    step
}

fn times(time: Micros, count: u64) -> Micros {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Micros::new(time.as_micros().saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segmenter::fixture;

    fn shape(width: u32, height: u32) -> VideoShape {
        VideoShape { width, height }
    }

    #[test]
    fn pictures_fit_and_keep_their_shape() {
        let (poster, tile) = (Bounds::POSTER, Bounds::TILE);
        for (bounds, (width, height), expected) in [
            (poster, (1_920, 1_080), (1_280, 720)),
            (poster, (1_080, 1_920), (720, 1_280)),
            (poster, (1_440, 1_080), (960, 720)),
            (poster, (2_560, 1_080), (1_280, 540)),
            (poster, (640, 360), (640, 360)),
            (poster, (641, 361), (640, 360)),
            (tile, (1_920, 1_080), (160, 90)),
            (tile, (1_080, 1_920), (90, 160)),
            (tile, (854, 480), (160, 90)),
            (tile, (720, 720), (160, 160)),
            (tile, (16_384, 2), (160, 2)),
            (tile, (100, 50), (100, 50)),
            (tile, (1, 1), (2, 2)),
            (Bounds::THUMBNAIL, (1_024, 576), (320, 180)),
            (Bounds::THUMBNAIL, (0, 0), (2, 2)),
            (Bounds::THUMBNAIL, (u32::MAX, u32::MAX), (320, 320)),
        ] {
            let fitted = bounds.fit(shape(width, height));
            assert_eq!((fitted.width, fitted.height), expected, "{width}x{height}");
        }
    }

    #[test]
    fn a_picture_is_taken_from_the_smallest_rendition_that_is_enough() {
        let of = |width, height| Rendition {
            shape: media::Shape::Video(shape(width, height)),
            ..fixture::video(30.0)
        };
        let ladder = [
            of(1_920, 1_080),
            of(1_280, 720),
            fixture::audio(),
            of(640, 360),
            of(128, 72),
        ];
        let chosen = |bounds: Bounds, from: &[Rendition]| {
            let chosen = bounds.choose(from, |one| one)?;
            chosen.display_size().map(|size| size.width)
        };
        assert_eq!(chosen(Bounds::POSTER, &ladder), Some(1_280));
        assert_eq!(chosen(Bounds::POSTER, &ladder[2..]), Some(640));
        assert_eq!(chosen(Bounds::TILE, &ladder), Some(640));
        assert_eq!(chosen(Bounds::TILE, &ladder[4..]), Some(128));
        assert_eq!(chosen(Bounds::TILE, &ladder[2..3]), None);
    }

    #[test]
    fn a_step_is_the_smallest_power_of_two_that_is_enough() {
        for (target_duration, step) in [(1, 4), (2, 2), (3, 2), (4, 1), (8, 1)] {
            let grid = Grid::live(Micros::from_secs(target_duration));
            assert_eq!(grid.step(), step, "{target_duration} s");
        }
        let second = Micros::from_secs(1);
        for (seconds, count, step) in [
            (40, 10, 2),
            (10, 2, 1),
            (6, 3, 4),
            (7_200, 1_800, 2),
            // A day in segments of 2 s: 43,200 numbers, 675 tiles.
            (86_400, 43_200, 64),
            (4_000, 1_000, 2),
        ] {
            let grid = Grid::video(times(second, seconds), count);
            assert_eq!(grid.step(), step, "{count} in {seconds} s");
            assert!(count / grid.step() <= MAX_TILES);
        }
        assert_eq!(Grid::live(Micros::ZERO).step(), MAX_STEP);
        assert_eq!(Grid::video(Micros::ZERO, 0).step(), MAX_STEP);
    }

    #[test]
    fn tiles_have_places_in_sprites() {
        let grid = Grid::video(Micros::from_secs(40), 10);
        assert_eq!((grid.step(), grid.sprite_span()), (2, 50));
        let number = SegmentNumber;
        assert_eq!(grid.tile(number(41)), number(40));
        for (at, sprite, index, corner) in [
            (0, 0, 0, (0, 0)),
            (1, 0, 0, (0, 0)),
            (2, 0, 1, (160, 0)),
            (11, 0, 5, (0, 90)),
            (49, 0, 24, (640, 360)),
            (50, 50, 0, (0, 0)),
            (163, 150, 6, (160, 90)),
        ] {
            let place = grid.place(number(at));
            assert_eq!((place.sprite, place.index), (number(sprite), index), "{at}");
            assert_eq!(place.corner(shape(160, 90)), corner, "{at}");
        }
        let near: Vec<_> = (0..20).filter(|step| grid.is_near(*step)).collect();
        assert_eq!(near, [1, 2, 4]);
        assert_eq!(Grid { step: 1 }.with_step(0), None);
    }
}
