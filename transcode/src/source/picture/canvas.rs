//! Drawing into the planes of a 4:2:0 picture.

/// Luma and the two chroma samples, BT.709, limited range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Color(pub(super) u8, pub(super) u8, pub(super) u8);

impl Color {
    pub(super) const BLACK: Self = Self(16, 128, 128);
    pub(super) const WHITE: Self = Self(235, 128, 128);
}

/// A rectangle in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rect {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Rect {
    pub(super) const fn new(x: usize, y: usize, width: usize, height: usize) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }
}

/// A picture of 8 bits and 4:2:0. Drawing outside of it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    chroma: [Vec<u8>; 2],
}

impl Canvas {
    /// A black picture; both sides even.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let Color(luma, cb, cr) = Color::BLACK;
        let chroma = |value| vec![value; width / 2 * (height / 2)];
        Self {
            width,
            height,
            luma: vec![luma; width * height],
            chroma: [chroma(cb), chroma(cr)],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The planes Y, Cb and Cr, each with its row length.
    pub(crate) fn planes(&self) -> [(&[u8], usize); 3] {
        let [cb, cr] = &self.chroma;
        [
            (&self.luma, self.width),
            (cb, self.width / 2),
            (cr, self.width / 2),
        ]
    }

    fn clipped(&self, rect: Rect) -> Rect {
        let x = rect.x.min(self.width);
        let y = rect.y.min(self.height);
        Rect {
            x,
            y,
            width: rect.width.min(self.width - x),
            height: rect.height.min(self.height - y),
        }
    }

    pub(super) fn fill(&mut self, rect: Rect, Color(luma, cb, cr): Color) {
        let rect = self.clipped(rect);
        each_row(rect, self.width, |row| self.luma[row].fill(luma));
        let (half, stride) = (halved(rect), self.width / 2);
        for (plane, value) in self.chroma.iter_mut().zip([cb, cr]) {
            each_row(half, stride, |row| plane[row].fill(value));
        }
    }

    pub(super) fn fill_circle(&mut self, (x, y): (usize, usize), radius: usize, color: Color) {
        for row in y.saturating_sub(radius)..(y + radius).min(self.height) {
            let up = row.abs_diff(y);
            let across = (radius * radius).saturating_sub(up * up).isqrt();
            let left = x.saturating_sub(across);
            self.fill(Rect::new(left, row, x + across - left, 1), color);
        }
    }

    pub(super) fn fill_rounded(&mut self, rect: Rect, radius: usize, color: Color) {
        let Rect {
            x,
            y,
            width,
            height,
        } = rect;
        let radius = radius.min(width / 2).min(height / 2);
        self.fill(Rect::new(x, y + radius, width, height - 2 * radius), color);
        self.fill(Rect::new(x + radius, y, width - 2 * radius, height), color);
        for corner_x in [x + radius, x + width - radius] {
            for corner_y in [y + radius, y + height - radius] {
                self.fill_circle((corner_x, corner_y), radius, color);
            }
        }
    }

    /// Makes a part look as it does in `other`, which has the same size.
    pub(super) fn restore(&mut self, rect: Rect, other: &Self) {
        let rect = self.clipped(rect);
        each_row(rect, self.width, |row| {
            self.luma[row.clone()].copy_from_slice(&other.luma[row]);
        });
        let (half, stride) = (halved(rect), self.width / 2);
        for (plane, from) in self.chroma.iter_mut().zip(&other.chroma) {
            each_row(half, stride, |row| {
                plane[row.clone()].copy_from_slice(&from[row]);
            });
        }
    }
}

fn each_row(rect: Rect, stride: usize, mut row: impl FnMut(std::ops::Range<usize>)) {
    for y in rect.y..rect.y + rect.height {
        let begin = y * stride + rect.x;
        row(begin..begin + rect.width);
    }
}

/// The chroma samples that a rectangle touches.
fn halved(rect: Rect) -> Rect {
    let (x, y) = (rect.x / 2, rect.y / 2);
    Rect {
        x,
        y,
        width: (rect.x + rect.width).div_ceil(2) - x,
        height: (rect.y + rect.height).div_ceil(2) - y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_does_nothing_and_restoring_undoes() {
        let background = Canvas::new(16, 8);
        let mut canvas = background.clone();
        canvas.fill(Rect::new(100, 100, 5, 5), Color::WHITE);
        assert_eq!(canvas.luma, background.luma);
        canvas.fill(Rect::new(13, 5, 50, 50), Color(200, 1, 2));
        assert_eq!(canvas.luma[5 * 16 + 13], 200);
        assert_eq!(canvas.chroma[0][2 * 8 + 6], 1);
        canvas.fill_circle((1, 1), 4, Color::WHITE);
        canvas.restore(Rect::new(0, 0, 16, 8), &background);
        assert_eq!(canvas.luma, background.luma);
        assert_eq!(canvas.chroma, background.chroma);
    }
}
