//! Letters of 5x7 dots, enough for a clock and a name.

use super::canvas::{Canvas, Color, Rect};

/// Dots across, with the gap to the next letter.
pub(super) const ADVANCE: usize = 6;

/// Dots down.
pub(super) const HEIGHT: usize = 7;

/// The rows of a letter, the leftmost dot in bit 4.
fn rows(letter: char) -> [u8; HEIGHT] {
    match letter {
        '0' => [
            0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110,
        ],
        '1' => [
            0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110,
        ],
        '2' => [
            0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111,
        ],
        '3' => [
            0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110,
        ],
        '4' => [
            0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010,
        ],
        '5' => [
            0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110,
        ],
        '6' => [
            0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110,
        ],
        '7' => [
            0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000,
        ],
        '8' => [
            0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110,
        ],
        '9' => [
            0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110,
        ],
        ':' => [
            0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000,
        ],
        '.' => [
            0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100,
        ],
        '-' => [
            0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000,
        ],
        'A' => [
            0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001,
        ],
        'C' => [
            0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110,
        ],
        'N' => [
            0b10001, 0b11001, 0b10101, 0b10101, 0b10011, 0b10001, 0b10001,
        ],
        'O' => [
            0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110,
        ],
        'T' => [
            0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100,
        ],
        'U' => [
            0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110,
        ],
        'V' => [
            0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100,
        ],
        _ => [0; HEIGHT],
    }
}

/// Draws a letter with dots of `scale` pixels.
pub(super) fn draw(
    canvas: &mut Canvas,
    letter: char,
    (x, y): (usize, usize),
    scale: usize,
    color: Color,
) {
    for (row, dots) in rows(letter).into_iter().enumerate() {
        for column in (0..5).filter(|column| dots >> (4 - column) & 1 == 1) {
            let dot = Rect::new(x + column * scale, y + row * scale, scale, scale);
            canvas.fill(dot, color);
        }
    }
}

/// Pixels that a text of so many letters takes.
pub(super) const fn text_width(letters: usize, scale: usize) -> usize {
    (letters * ADVANCE).saturating_sub(1) * scale
}

/// A line of text that is drawn again letter by letter, where it changed.
#[derive(Debug)]
pub(super) struct Line {
    at: (usize, usize),
    scale: usize,
    color: Color,
    background: Color,
    shown: Vec<char>,
}

impl Line {
    pub(super) fn new(at: (usize, usize), scale: usize, color: Color, background: Color) -> Self {
        Self {
            at,
            scale,
            color,
            background,
            shown: Vec::new(),
        }
    }

    pub(super) fn show(&mut self, canvas: &mut Canvas, text: &str) {
        for (index, letter) in text.chars().enumerate() {
            if self.shown.get(index) == Some(&letter) {
                continue;
            }
            let x = self.at.0 + index * ADVANCE * self.scale;
            let cell = Rect::new(x, self.at.1, 5 * self.scale, HEIGHT * self.scale);
            canvas.fill(cell, self.background);
            draw(canvas, letter, (x, self.at.1), self.scale, self.color);
        }
        self.shown = text.chars().collect();
    }
}
