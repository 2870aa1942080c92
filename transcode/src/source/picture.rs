//! The test picture, drawn into planes. Only what moves is drawn again.

mod canvas;
mod font;

use media::{Micros, Timestamp};

use canvas::{Color, Rect};
use font::Line;

pub(super) use canvas::Canvas;

/// The bars of SMPTE EG 1 at 75%, in BT.709.
const BARS: [Color; 7] = [
    Color(180, 128, 128),
    Color(168, 44, 136),
    Color(145, 147, 44),
    Color(133, 63, 52),
    Color(63, 193, 204),
    Color(51, 109, 212),
    Color(28, 212, 120),
];

const NIGHT: Color = Color(24, 134, 124);
const PANEL: Color = Color(20, 128, 128);
const AMBER: Color = Color(178, 38, 160);
const DIM: Color = Color(64, 128, 128);

/// How long the lamp is lit in every second: as long as the beep sounds.
const FLASH: i64 = 100_000;

/// Colour bars with a bouncing ball, a marker that crosses a ramp once a second, a
/// lamp that is lit while the beep sounds, and the time of day.
#[derive(Debug)]
pub(super) struct TestPicture {
    background: Canvas,
    canvas: Canvas,
    layout: Layout,
    clock: Line,
    date: Line,
    ball: Rect,
    marker: Rect,
    lit: Option<bool>,
    seconds_shown: Option<usize>,
}

/// Where things are, in pixels.
#[derive(Debug)]
struct Layout {
    ramp: Rect,
    floor: usize,
    radius: usize,
    lamp: Rect,
    seconds: Rect,
}

impl TestPicture {
    /// Both sides even.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let mut canvas = Canvas::new(width, height);
        let bars_end = height * 7 / 10;
        let ramp_end = height * 78 / 100;
        draw_bars(&mut canvas, bars_end);
        let ramp = Rect::new(0, bars_end, width, ramp_end - bars_end);
        draw_ramp(&mut canvas, ramp);
        canvas.fill(Rect::new(0, ramp_end, width, height - ramp_end), NIGHT);

        let panel = Rect::new(
            width / 10,
            height * 17 / 100,
            width * 8 / 10,
            height * 45 / 100,
        );
        canvas.fill_rounded(panel, height / 24, PANEL);
        let clock_scale = (panel.width * 9 / 10 / font::text_width(12, 1)).max(1);
        let small = (clock_scale / 3).max(1);
        let centred = |letters, scale| (width - font::text_width(letters, scale)) / 2;
        let name_y = panel.y + panel.height / 10;
        for (index, letter) in "NOVA".chars().enumerate() {
            let x = centred(4, clock_scale) + index * font::ADVANCE * clock_scale;
            font::draw(&mut canvas, letter, (x, name_y), clock_scale, AMBER);
        }
        let clock_y = panel.y + panel.height * 45 / 100;
        let date_y = panel.y + panel.height * 82 / 100;
        let clock = Line::new(
            (centred(12, clock_scale), clock_y),
            clock_scale,
            Color::WHITE,
            PANEL,
        );
        let date = Line::new((centred(14, small), date_y), small, Color::WHITE, PANEL);

        let below = height - ramp_end;
        let lamp = Rect::new(
            width - width / 20 - below / 2,
            ramp_end + below / 4,
            below / 2,
            below / 2,
        );
        let seconds = Rect::new(
            width / 20,
            ramp_end + below * 3 / 8,
            lamp.x.saturating_sub(width / 10),
            below / 4,
        );
        Self {
            background: canvas.clone(),
            canvas,
            layout: Layout {
                ramp,
                floor: panel.y - 2,
                radius: height / 28,
                lamp,
                seconds,
            },
            clock,
            date,
            ball: Rect::new(0, 0, 0, 0),
            marker: Rect::new(0, 0, 0, 0),
            lit: None,
            seconds_shown: None,
        }
    }

    /// The picture at `now`, after having run for `elapsed`.
    pub(super) fn draw(&mut self, now: Timestamp, elapsed: Micros) -> &Canvas {
        let text = now.to_rfc3339();
        // `YYYY-MM-DDThh:mm:ss.mmmZ`
        let (date, clock) = text.split_once('T').unwrap_or(("", ""));
        self.clock
            .show(&mut self.canvas, clock.trim_end_matches('Z'));
        self.date.show(&mut self.canvas, &format!("{date} UTC"));
        let into_second = now.as_micros().rem_euclid(1_000_000);
        self.move_ball(elapsed);
        self.move_marker(into_second);
        self.light_lamp(into_second < FLASH);
        self.count_seconds(now.as_micros().div_euclid(1_000_000).rem_euclid(60) as usize);
        &self.canvas
    }

    /// Rolls from side to side in 8 s and bounces on the panel's upper edge.
    fn move_ball(&mut self, elapsed: Micros) {
        self.canvas.restore(self.ball, &self.background);
        let Layout { floor, radius, .. } = self.layout;
        let run = self.canvas.width() - 2 * radius;
        let across = triangle(elapsed.as_micros(), 8_000_000);
        let x = radius + (run as f64 * across) as usize;
        let bounce = elapsed.as_micros().rem_euclid(900_000) as f64 / 900_000.0;
        let up = 4.0 * bounce * (1.0 - bounce);
        let headroom = floor.saturating_sub(2 * radius) as f64;
        let y = floor.saturating_sub(radius + (headroom * up) as usize);
        self.canvas.fill_circle((x, y), radius, Color::WHITE);
        self.canvas.fill_circle((x, y), radius * 6 / 10, BARS[5]);
        self.ball = Rect::new(
            x.saturating_sub(radius),
            y.saturating_sub(radius),
            2 * radius + 1,
            2 * radius + 1,
        );
    }

    /// Crosses the ramp once in every second of the clock.
    fn move_marker(&mut self, into_second: i64) {
        self.canvas.restore(self.marker, &self.background);
        let ramp = self.layout.ramp;
        let width = (ramp.width / 80).max(2);
        let run = (ramp.width - width) as f64;
        let x = (run * into_second as f64 / 1e6) as usize;
        self.marker = Rect::new(x, ramp.y, width, ramp.height);
        self.canvas.fill(self.marker, AMBER);
    }

    fn light_lamp(&mut self, lit: bool) {
        if self.lit == Some(lit) {
            return;
        }
        self.lit = Some(lit);
        let lamp = self.layout.lamp;
        let color = if lit { Color::WHITE } else { DIM };
        let centre = (lamp.x + lamp.width / 2, lamp.y + lamp.height / 2);
        self.canvas.fill_circle(centre, lamp.width / 2, color);
    }

    /// A row of 60 cells, as many lit as seconds of the minute have begun.
    fn count_seconds(&mut self, second: usize) {
        if self.seconds_shown == Some(second) {
            return;
        }
        self.seconds_shown = Some(second);
        let row = self.layout.seconds;
        let cell = row.width / 60;
        for index in 0..60 {
            let color = if index <= second { AMBER } else { DIM };
            let rect = Rect::new(
                row.x + index * cell,
                row.y,
                (cell * 2 / 3).max(1),
                row.height,
            );
            self.canvas.fill(rect, color);
        }
    }
}

/// 0 to 1 and back to 0 within `period`.
fn triangle(micros: i64, period: i64) -> f64 {
    let place = micros.rem_euclid(period) as f64 / period as f64;
    1.0 - (2.0 * place - 1.0).abs()
}

fn draw_bars(canvas: &mut Canvas, end: usize) {
    let width = canvas.width();
    for (index, color) in BARS.into_iter().enumerate() {
        // Even edges: a chroma sample covers two pixels.
        let edge = |index: usize| (width * index / BARS.len()) & !1;
        let (left, right) = (edge(index), edge(index + 1).max(edge(index)));
        let right = if index + 1 == BARS.len() {
            width
        } else {
            right
        };
        canvas.fill(Rect::new(left, 0, right - left, end), color);
    }
}

fn draw_ramp(canvas: &mut Canvas, ramp: Rect) {
    const STEPS: usize = 64;
    for step in 0..STEPS {
        let edge = |step: usize| (ramp.width * step / STEPS) & !1;
        let (left, right) = (edge(step), edge(step + 1));
        let luma = 16 + (219 * step / (STEPS - 1)) as u8;
        canvas.fill(
            Rect::new(left, ramp.y, right - left, ramp.height),
            Color(luma, 128, 128),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_709_210_096_789_000;

    /// Drawing again only what moved must look like drawing all.
    #[test]
    fn what_moved_is_cleaned_up() {
        let mut running = TestPicture::new(640, 360);
        for frame in 0..100 {
            let span = Micros::new(frame * 33_333);
            running.draw(Timestamp::from_micros(NOON) + span, span);
        }
        let span = Micros::new(99 * 33_333);
        let mut fresh = TestPicture::new(640, 360);
        let expected = fresh.draw(Timestamp::from_micros(NOON) + span, span);
        assert!(running.canvas.planes() == expected.planes());
    }

    #[test]
    fn every_size_can_be_drawn() {
        for (width, height) in [(160, 90), (162, 720), (1280, 90), (1280, 720)] {
            let mut picture = TestPicture::new(width, height);
            for frame in 0..30 {
                let span = Micros::new(frame * 333_333);
                let canvas = picture.draw(Timestamp::from_micros(NOON) + span, span);
                assert_eq!(canvas.planes()[0].0.len(), width * height);
            }
        }
    }

    #[test]
    fn the_clock_shows_in_the_middle() {
        let mut picture = TestPicture::new(1280, 720);
        let at = |micros| Timestamp::from_micros(NOON + micros);
        let before = picture.draw(at(0), Micros::ZERO).clone();
        let after = picture.draw(at(1_000), Micros::ZERO);
        let (old, stride) = before.planes()[0];
        let changed: Vec<usize> = (0..old.len())
            .filter(|&i| old[i] != after.planes()[0].0[i])
            .collect();
        // One millisecond later the last digit is another, and the marker moved.
        let clock = changed.iter().filter(|&&i| {
            let (x, y) = (i % stride, i / stride);
            (900..1_150).contains(&x) && (200..450).contains(&y)
        });
        assert!(clock.count() > 500);
    }
}
