//! Where the segments of a file start, and what one worker does of them. Pure: packets in,
//! marks out; times are the file's own.

use media::Micros;
use serde::{Deserialize, Serialize};

/// How a file is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CutConfig {
    /// A segment starts at the first key frame this long after the last one or later.
    pub target: Micros,
    /// Where no key frame comes for so long, a segment starts without one: the source
    /// cannot be passed through then.
    pub longest: Micros,
    /// The longest time that a picture may be shown for.
    pub still: Micros,
    /// The longest file: with [`CutConfig::target`], also how many segments it has at most.
    pub duration: Micros,
}

impl Default for CutConfig {
    fn default() -> Self {
        Self {
            target: Micros::from_secs(4),
            longest: Micros::from_secs(8),
            still: Micros::from_secs(600),
            duration: Micros::from_secs(24 * 60 * 60),
        }
    }
}

/// A packet of the file's video, in decoding order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// When it is decoded.
    pub dts: Micros,
    /// When it is shown.
    pub pts: Micros,
    /// Whether decoding can start here.
    pub key: bool,
    /// Whether the container leaves it out (an edit list): it is decoded for the sake of
    /// others and not shown.
    pub hidden: bool,
    /// Bytes.
    pub size: u32,
}

/// Where a segment starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Presentation time of its first frame.
    #[serde(with = "as_micros")]
    pub at: Micros,
    /// Presentation time of the key frame that decoding starts at to get that frame.
    #[serde(with = "as_micros")]
    pub from: Micros,
    /// Decoding time of that key frame: what is sought for.
    #[serde(with = "as_micros")]
    pub seek: Micros,
}

impl Mark {
    /// Of sound, each frame of which can be decoded.
    fn by_time(at: Micros) -> Self {
        Self {
            at,
            from: at,
            seek: at,
        }
    }

    /// Whether its first frame is a key frame.
    pub fn is_key(&self) -> bool {
        self.at == self.from
    }
}

/// How a file is cut.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cuts {
    /// Where segments start, rising. At least one.
    pub marks: Vec<Mark>,
    /// Where segments start that have sound alone, behind those.
    pub tail: Vec<Mark>,
    /// Where the pictures end.
    #[serde(with = "as_micros")]
    pub end: Micros,
    /// Where the last of it ends, pictures or sound.
    #[serde(with = "as_micros")]
    pub end_of_all: Micros,
    /// The usual time from one frame to the next.
    #[serde(with = "as_micros")]
    pub frame_duration: Micros,
}

/// Segments that one worker makes, one after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Its place in the file, from 0.
    pub number: u32,
    /// Its first segment, counted from 0.
    pub first: u32,
    /// How many it has.
    pub count: u32,
}

/// Why a file cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// Nothing to decode.
    #[error("there is no key frame in its video")]
    NoKeyFrame,
    /// A limit with a name.
    #[error("it is longer than {} h", .0.as_micros() / 3_600_000_000)]
    TooLong(Micros),
    /// Files that were put one behind the other, mostly.
    #[error(
        "its clock goes back to {:.1} s in the middle: make one timeline of it first, with `ffmpeg -fflags +genpts` or an editor",
        .0.as_secs_f64()
    )]
    Back(Micros),
    /// Segments cannot be cut where nothing is, nor be that long.
    #[error(
        "there is no picture from {:.1} s to {:.1} s: close the hole first, with an editor",
        .0.as_secs_f64(), .1.as_secs_f64()
    )]
    Hole(Micros, Micros),
}

/// Takes a file's packets and places marks.
#[derive(Debug)]
pub struct Cutter {
    config: CutConfig,
    marks: Vec<Mark>,
    /// The last key frame: presentation and decoding time.
    key: Option<(Micros, Micros)>,
    /// The latest presentation time so far.
    latest: Micros,
    /// The latest decoding time so far.
    newest: Option<Micros>,
    frames: i64,
}

/// A clock that goes back by more was set anew.
const JUMP: Micros = Micros::from_secs(1);

impl Cutter {
    /// For a file of which nothing was read yet.
    pub fn new(config: CutConfig) -> Self {
        Self {
            config,
            marks: Vec::new(),
            key: None,
            latest: Micros::ZERO,
            newest: None,
            frames: 0,
        }
    }

    /// The next packet of the video, in decoding order. What comes before the first key
    /// frame cannot be decoded and is no part of the video.
    pub fn push(&mut self, packet: Packet) -> Result<(), CutError> {
        if packet.key {
            self.key = Some((packet.pts, packet.dts));
        }
        let Some((from, seek)) = self.key.filter(|_| !packet.hidden) else {
            return Ok(());
        };
        if self.newest.is_some_and(|newest| newest - packet.dts > JUMP) {
            return Err(CutError::Back(packet.dts));
        }
        self.newest = self.newest.max(Some(packet.dts));
        self.frames += 1;
        // Where what comes first is hidden, what is shown first need not be decoded first.
        if let [first] = &mut self.marks[..]
            && !first.is_key()
            && packet.pts < first.at
        {
            first.at = packet.pts;
        }
        // A segment's first frame is shown after all that is decoded before it: frames
        // are told apart by presentation time.
        let is_latest = self.marks.is_empty() || packet.pts > self.latest;
        if !self.marks.is_empty() && packet.pts - self.latest > self.config.still {
            return Err(match packet.pts - self.latest > self.config.duration {
                true => CutError::TooLong(self.config.duration),
                false => CutError::Hole(self.latest, packet.pts),
            });
        }
        let since = self.marks.last().map(|last| packet.pts - last.at);
        let wanted = since.is_none_or(|since| {
            since >= self.config.longest || packet.key && since >= self.config.target
        });
        if is_latest && wanted {
            self.marks.push(Mark {
                at: packet.pts,
                from,
                seek,
            });
        }
        self.latest = match is_latest {
            true => packet.pts,
            false => self.latest,
        };
        match self.marks.first() {
            Some(first) if self.latest - first.at > self.config.duration => {
                Err(CutError::TooLong(self.config.duration))
            }
            _ => Ok(()),
        }
    }

    /// No more packets.
    pub fn finish(self) -> Result<Cuts, CutError> {
        let first = self.marks.first().ok_or(CutError::NoKeyFrame)?;
        let span = (self.latest - first.at).as_micros();
        let frame = match self.frames {
            2.. => (span / (self.frames - 1)).max(1_000),
            _ => 40_000,
        };
        Ok(Cuts {
            end: self.latest + Micros::new(frame),
            end_of_all: self.latest + Micros::new(frame),
            frame_duration: Micros::new(frame),
            marks: self.marks,
            tail: Vec::new(),
        })
    }
}

impl Cuts {
    /// A file without pictures from `start` to `end`, cut by time alone.
    pub fn of_sound(
        start: Micros,
        end: Micros,
        frame_duration: Micros,
        config: &CutConfig,
    ) -> Result<Self, CutError> {
        if end - start > config.duration {
            return Err(CutError::TooLong(config.duration));
        }
        let step = config.target.as_micros().max(1);
        let count = ((end - start).as_micros() + step - 1) / step;
        let count = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
        let times = (0..).map(|index| start + Micros::new(index * step));
        Ok(Self {
            marks: times.take(count).map(Mark::by_time).collect(),
            tail: Vec::new(),
            end,
            end_of_all: end,
            frame_duration,
        })
    }

    /// With sound until `end`. What goes on after the pictures is cut at their end, and then
    /// by time alone: a little more than they have, half of the target, needs no segment of
    /// its own unless the last one is long already.
    pub fn with_sound_until(mut self, end: Micros, config: &CutConfig) -> Result<Self, CutError> {
        let (Some(first), Some(last)) = (self.marks.first(), self.marks.last()) else {
            return Ok(self);
        };
        if end - first.at > config.duration {
            return Err(CutError::TooLong(config.duration));
        }
        self.end_of_all = self.end_of_all.max(end);
        let step = config.target.max(Micros::new(1));
        let little = Micros::new(step.as_micros() / 2);
        let (mut open, mut next) = (last.at, self.end);
        while end - next > little || end > next && end - open > config.longest {
            self.tail.push(Mark::by_time(next));
            open = next;
            next += step;
        }
        Ok(self)
    }

    /// Where the segments of its sound start.
    pub fn of_its_sound(&self) -> impl Iterator<Item = Micros> {
        self.marks.iter().chain(&self.tail).map(|mark| mark.at)
    }

    /// Whether each segment starts with a key frame, so that the source can be passed
    /// through.
    pub fn are_key_frames(&self) -> bool {
        self.marks.iter().all(Mark::is_key)
    }

    /// From the first picture to the end of the last.
    pub fn duration_of_pictures(&self) -> Micros {
        self.until(self.end)
    }

    /// From the first picture to the end of all, sound too.
    pub fn duration(&self) -> Micros {
        self.until(self.end_of_all)
    }

    fn until(&self, end: Micros) -> Micros {
        self.marks
            .first()
            .map_or(Micros::ZERO, |first| end - first.at)
    }

    /// Stretches of so many segments, the last maybe of fewer.
    pub fn chunks(&self, segments: u32) -> Vec<Chunk> {
        let total = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        let segments = segments.max(1);
        let firsts = (0..total).step_by(segments as usize);
        (0..)
            .zip(firsts)
            .map(|(number, first)| Chunk {
                number,
                first,
                count: segments.min(total - first),
            })
            .collect()
    }
}

mod as_micros {
    use media::Micros;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Micros,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Micros, D::Error> {
        i64::deserialize(deserializer).map(Micros::new)
    }
}

#[cfg(test)]
mod tests;
