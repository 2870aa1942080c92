//! Which way up a picture is.

use serde::{Deserialize, Serialize};

/// How a picture is turned, clockwise, to be shown upright. A mirrored one has its left
/// and right changed before that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// A quarter turn.
    Right,
    /// Upside down.
    Half,
    /// A quarter turn counterclockwise.
    Left,
    /// Left and right change.
    Mirrored,
    /// They change, then a quarter turn.
    MirroredRight,
    /// They change, then upside down: top and bottom change.
    MirroredHalf,
    /// They change, then a quarter turn counterclockwise.
    MirroredLeft,
}

impl Rotation {
    /// The nearest quarter turn to `degrees` clockwise.
    pub fn from_degrees(degrees: f64) -> Self {
        match (degrees / 90.0).round().rem_euclid(4.0) as u8 {
            1 => Self::Right,
            2 => Self::Half,
            3 => Self::Left,
            _ => Self::None,
        }
    }

    /// The nearest to a display matrix: `{a, b, u, c, d, v, x, y, w}` of ISO/IEC 14496-12
    /// 6.2.2, where a point `(p, q)` is shown at `(a p + c q + x, b p + d q + y)`.
    pub fn from_matrix(matrix: [i32; 9]) -> Self {
        let [a, b, _, c, d, ..] = matrix.map(f64::from);
        // Both axes may be stretched, each by its own factor.
        let (across, down) = (a.hypot(c), b.hypot(d));
        let determinant = a * d - b * c;
        if determinant == 0.0 {
            return Self::None;
        }
        let mirrored = determinant < 0.0;
        let sign = if mirrored { -1.0 } else { 1.0 };
        let turn = (sign * b / down).atan2(sign * a / across).to_degrees();
        let turn = Self::from_degrees(turn);
        if mirrored { turn.mirrored() } else { turn }
    }

    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Right | Self::Left | Self::MirroredRight | Self::MirroredLeft
        )
    }

    const fn mirrored(self) -> Self {
        match self {
            Self::None | Self::Mirrored => Self::Mirrored,
            Self::Right | Self::MirroredRight => Self::MirroredRight,
            Self::Half | Self::MirroredHalf => Self::MirroredHalf,
            Self::Left | Self::MirroredLeft => Self::MirroredLeft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_rounded_to_quarters() {
        for (degrees, expected) in [
            (0.0, Rotation::None),
            (90.0, Rotation::Right),
            (-90.0, Rotation::Left),
            (180.0, Rotation::Half),
            (-180.0, Rotation::Half),
            (270.4, Rotation::Left),
            (359.0, Rotation::None),
            (f64::NAN, Rotation::None),
            (f64::INFINITY, Rotation::None),
        ] {
            assert_eq!(Rotation::from_degrees(degrees), expected, "{degrees}");
        }
    }

    /// Where the upper left corner and the one to its right are shown tells all eight.
    #[test]
    fn a_matrix_is_one_of_eight() {
        const ONE: i32 = 1 << 16;
        for ([a, b, c, d], expected) in [
            ([1, 0, 0, 1], Rotation::None),
            ([0, 1, -1, 0], Rotation::Right),
            ([-1, 0, 0, -1], Rotation::Half),
            ([0, -1, 1, 0], Rotation::Left),
            ([-1, 0, 0, 1], Rotation::Mirrored),
            ([0, -1, -1, 0], Rotation::MirroredRight),
            ([1, 0, 0, -1], Rotation::MirroredHalf),
            ([0, 1, 1, 0], Rotation::MirroredLeft),
            ([0, 0, 0, 0], Rotation::None),
        ] {
            for (across, down) in [(ONE, ONE), (3 * ONE, ONE / 2), (i32::MAX, i32::MAX)] {
                let matrix = [
                    a * across,
                    b * down,
                    0,
                    c * across,
                    d * down,
                    0,
                    640 << 16,
                    -5,
                    1 << 30,
                ];
                assert_eq!(Rotation::from_matrix(matrix), expected, "{matrix:?}");
            }
        }
        // Two degrees off.
        let nearly = [65_496, 2_287, 0, 2_287, -65_496, 0, 0, 0, 1 << 30];
        assert_eq!(Rotation::from_matrix(nearly), Rotation::MirroredHalf);
        assert_eq!(Rotation::from_matrix([i32::MIN; 9]), Rotation::None);
    }
}
