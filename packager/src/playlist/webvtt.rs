//! WebVTT (W3C), as far as a storyboard needs it.

use std::fmt::{self, Display, Write};

use media::Micros;

/// A track of metadata whose cues follow one another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebVtt {
    /// Said to whoever reads the file: one line, without `-->`.
    pub note: &'static str,
    /// By start.
    pub cues: Vec<Cue>,
}

/// A text for a stretch of time. Times are those of the player's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cue {
    /// Its beginning, not negative.
    pub start: Micros,
    /// Its end, later than that.
    pub end: Micros,
    /// One line.
    pub text: String,
}

impl WebVtt {
    /// The file. A cue that is shorter than a millisecond is left out: its end would not
    /// be later than its start.
    pub fn render(&self) -> String {
        let mut out = format!("WEBVTT\n\nNOTE {}\n", self.note);
        for cue in &self.cues {
            let (start, end) = (Time::of(cue.start), Time::of(cue.end));
            if start < end {
                // Writing to a text does not fail.
                let _ = write!(out, "\n{start} --> {end}\n{}\n", cue.text);
            }
        }
        out
    }
}

/// Milliseconds, printed as a WebVTT timestamp: hours have two digits, or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Time(i64);

impl Time {
    fn of(time: Micros) -> Self {
        Self(time.as_micros().max(0) / 1_000)
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000, self.0 % 1_000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_spelled_as_the_specification_has_it() {
        let cue = |start, end, text: &str| Cue {
            start: Micros::new(start),
            end: Micros::new(end),
            text: text.to_owned(),
        };
        let track = WebVtt {
            note: "of a test",
            cues: vec![
                cue(0, 8_000_999, "0/storyboard/0-2.jpg#xywh=0,0,160,90"),
                cue(8_000_999, 8_001_001, "too short"),
                cue(3_599_999_000, 3_600_000_000, "an hour"),
                cue(1_800_000_000_123_457, 1_800_000_004_123_457, "Unix time"),
            ],
        };
        let expected = "WEBVTT\n\nNOTE of a test\n\
            \n00:00:00.000 --> 00:00:08.000\n0/storyboard/0-2.jpg#xywh=0,0,160,90\n\
            \n00:00:08.000 --> 00:00:08.001\ntoo short\n\
            \n00:59:59.999 --> 01:00:00.000\nan hour\n\
            \n500000:00:00.123 --> 500000:00:04.123\nUnix time\n";
        assert_eq!(track.render(), expected);
        let empty = WebVtt {
            cues: vec![cue(5, 900, "within a millisecond")],
            ..track
        };
        assert_eq!(empty.render(), "WEBVTT\n\nNOTE of a test\n");
    }
}
