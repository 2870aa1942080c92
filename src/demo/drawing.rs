//! Pictures of the demo's people and for its posts, drawn by code.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageResult, Rgb, RgbImage};

use super::chance::Chance;

/// Pixels of a side of a picture of somebody.
const SIDE: u32 = 240;
/// Fields of a side of it: the right half mirrors the left.
const FIELDS: u32 = 6;
/// Pixels of a picture of a post.
const SIZE: (u32, u32) = (720, 450);

/// What a picture of a post shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motif {
    /// Hills, and flowers on them.
    Garden,
    /// Stars, and the moon.
    Night,
    /// Waves before an evening sky.
    Sea,
    /// Washes of colour that run into each other.
    Watercolour,
}

type Colour = [f32; 3];

/// Somebody's picture: a pattern of their name.
pub(super) fn portrait(name: &str) -> ImageResult<Bytes> {
    let mut chance = Chance::of(name);
    let hue = chance.share();
    let (ground, ink) = (colour(hue, 0.25, 0.95), colour(hue + 0.08, 0.75, 0.6));
    let half = FIELDS / 2;
    let set: Vec<bool> = (0..half * FIELDS).map(|_| chance.below(100) < 55).collect();
    let (margin, field) = (SIDE / 10, (SIDE - SIDE / 5) / FIELDS);
    encoded(RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let place = |at: u32| at.checked_sub(margin).map(|at| at / field);
        let is_ink = match (place(x), place(y)) {
            (Some(column), Some(row)) if column < FIELDS && row < FIELDS => {
                let column = column.min(FIELDS - 1 - column);
                set[(row * half + column) as usize]
            }
            _ => false,
        };
        let shade = 1.0 - 0.15 * (y as f32 / SIDE as f32);
        pixel(if is_ink {
            ink
        } else {
            ground.map(|part| part * shade)
        })
    }))
}

/// A picture for a post.
pub(super) fn scene(motif: Motif) -> ImageResult<Bytes> {
    encoded(match motif {
        Motif::Garden => garden(),
        Motif::Night => night(),
        Motif::Sea => sea(),
        Motif::Watercolour => watercolour(),
    })
}

fn garden() -> RgbImage {
    let mut chance = Chance::of("garden");
    let flowers: Vec<_> = (0..90)
        .map(|_| {
            let (x, y) = (chance.share(), 0.62 + 0.36 * chance.share());
            let radius = 0.004 + 0.010 * (y - 0.6);
            (
                x,
                y,
                radius,
                colour(0.93 + 0.2 * chance.share(), 0.75, 0.95),
            )
        })
        .collect();
    drawn(|x, y| {
        let mut seen = mixed([0.55, 0.78, 0.95], [0.95, 0.93, 0.80], y / 0.6);
        for (hill, base) in [0.42, 0.52, 0.60].into_iter().enumerate() {
            let hill = hill as f32;
            let wave = (x * (5.0 + 2.0 * hill) + 2.1 * hill).sin();
            if y > base + 0.06 * wave {
                seen = mixed([0.45, 0.65, 0.42], [0.15, 0.42, 0.20], hill / 2.0);
            }
        }
        let flower = flowers.iter().find(|(fx, fy, radius, _)| {
            let (dx, dy) = ((x - fx) * 1.6, y - fy);
            dx * dx + dy * dy < radius * radius * 4.0
        });
        flower.map_or(seen, |(_, _, _, colour)| *colour)
    })
}

fn night() -> RgbImage {
    let mut chance = Chance::of("night");
    let stars: Vec<_> = (0..160)
        .map(|_| {
            (
                chance.share(),
                chance.share(),
                0.0008 + 0.0022 * chance.share(),
            )
        })
        .collect();
    drawn(|x, y| {
        let sky = mixed([0.02, 0.03, 0.10], [0.13, 0.12, 0.28], y);
        let from = |cx: f32, cy: f32| ((x - cx) * 1.6).hypot(y - cy);
        // A crescent: the disc without another one.
        if from(0.74, 0.28) < 0.13 && from(0.70, 0.25) > 0.12 {
            return [0.97, 0.94, 0.82];
        }
        let is_star = |(sx, sy, radius): &(f32, f32, f32)| from(*sx, *sy) < *radius * 2.0;
        match stars.iter().any(is_star) {
            true => [0.95, 0.95, 1.0],
            false => sky,
        }
    })
}

fn sea() -> RgbImage {
    drawn(|x, y| {
        let sun = ((x - 0.5) * 1.6).hypot(y - 0.48);
        if y < 0.5 {
            let sky = mixed([0.35, 0.30, 0.55], [0.98, 0.60, 0.35], y / 0.5);
            return match sun < 0.11 {
                true => [1.0, 0.90, 0.65],
                false => mixed([1.0, 0.80, 0.50], sky, sun / 0.5),
            };
        }
        let depth = (y - 0.5) / 0.5;
        let wave = (x * 18.0 / (0.3 + depth) + depth * 60.0).sin();
        let water = mixed([0.55, 0.40, 0.45], [0.06, 0.16, 0.30], depth);
        let glitter = (1.0 - (x - 0.5).abs() * 5.0).max(0.0) * wave.max(0.0);
        mixed(water, [1.0, 0.80, 0.55], 0.7 * glitter)
    })
}

fn watercolour() -> RgbImage {
    let mut chance = Chance::of("watercolour");
    let washes: Vec<_> = (0..14)
        .map(|_| {
            let place = (chance.share(), chance.share(), 0.12 + 0.25 * chance.share());
            (place, colour(0.45 + 0.35 * chance.share(), 0.55, 0.85))
        })
        .collect();
    drawn(|x, y| {
        washes.iter().fold([0.98, 0.97, 0.94], |paper, wash| {
            let ((cx, cy, radius), colour) = *wash;
            let edge = 0.012 * ((x * 47.0).sin() + (y * 53.0).sin());
            let distance = ((x - cx) * 1.6).hypot(y - cy) + edge;
            let strength = ((radius - distance) / radius).clamp(0.0, 0.45);
            mixed(paper, colour, strength)
        })
    })
}

/// A picture whose colours are told for places from 0 to 1.
fn drawn(colour: impl Fn(f32, f32) -> Colour) -> RgbImage {
    let (width, height) = SIZE;
    RgbImage::from_fn(width, height, |x, y| {
        pixel(colour(x as f32 / width as f32, y as f32 / height as f32))
    })
}

fn encoded(picture: RgbImage) -> ImageResult<Bytes> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner().into())
}

fn pixel(colour: Colour) -> Rgb<u8> {
    Rgb(colour.map(|part| (part.clamp(0.0, 1.0) * 255.0) as u8))
}

fn mixed(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|part| from[part] + (to[part] - from[part]) * share)
}

/// A colour of hue, saturation and value, each from 0 to 1; the hue goes round.
fn colour(hue: f32, saturation: f32, value: f32) -> Colour {
    [5.0_f32, 3.0, 1.0].map(|part| {
        let place = (part + hue * 6.0).rem_euclid(6.0);
        let depth = place.min(4.0 - place).clamp(0.0, 1.0);
        value * (1.0 - saturation * depth)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_small_differ_and_are_the_same_each_time() {
        let all = [Motif::Garden, Motif::Night, Motif::Sea, Motif::Watercolour];
        let mut files = all.map(|motif| scene(motif).unwrap()).to_vec();
        files.extend(["ada", "grace"].map(|name| portrait(name).unwrap()));
        for (at, file) in files.iter().enumerate() {
            assert!(file.len() < 600_000, "{}", file.len());
            assert!(!files[..at].contains(file));
        }
        assert_eq!(files[4], portrait("ada").unwrap());
    }
}
