//! What a rung's frames are looked at for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use media::{Codec, Frame, Rendition};
use transcode::{EngineName, Job, Latency};

use super::clip::Clip;
use crate::rig::Made;

/// Every rung has a frame at each of the source's instants, in an order that can be
/// decoded; key frames are where segments start and nowhere else; `ffprobe` decodes all
/// of it, at the rung's size, without a complaint.
pub(crate) fn conforms(engine: EngineName, clip: &Clip, job: &Job, made: &Made) {
    let expected = clip.expected();
    assert_eq!(made.tracks.len(), job.rungs.len());
    for rung in &job.rungs {
        let name = rung.name.as_str();
        let frames = &made.frames[name];
        let mut shown: Vec<_> = frames.iter().map(|f| (f.pts, f.starts)).collect();
        shown.sort();
        assert_eq!(shown, expected, "{engine}, {name}");
        for pair in frames.windows(2) {
            assert!(pair[0].dts < pair[1].dts, "{engine}, {name}: {pair:?}");
        }
        for frame in frames {
            let at = format!("{engine}, {name} at {:?}", frame.pts);
            assert!(frame.dts <= frame.pts, "{at}");
            assert_eq!(frame.key, frame.starts.is_some(), "{at}");
            assert_eq!(is_random_access(name, made, frame), frame.key, "{at}");
            if rung.latency == Latency::None {
                assert_eq!(frame.dts, frame.pts, "{at}");
            }
        }
        for (first, last) in groups(frames) {
            let shown = frames[first..last].iter().map(|frame| frame.pts).min();
            assert_eq!(
                shown,
                Some(frames[first].pts),
                "{engine}, {name}: a closed GOP"
            );
        }
        let probed = Probed::of(&made.tracks[name], frames);
        let wanted = (rung.width, rung.height, expected.len());
        let found = (probed.number("width"), probed.number("height"));
        let pictures = probed.number("nb_read_frames") as usize;
        assert_eq!((found.0, found.1, pictures), wanted, "{engine}, {name}");
        let fields = probed.text("field_order");
        assert!(
            matches!(fields, "progressive" | "unknown"),
            "{engine}, {name}: {fields}"
        );
    }
}

/// First and past-the-last index of every group of pictures.
fn groups(frames: &[Frame]) -> Vec<(usize, usize)> {
    let mut starts: Vec<_> = (0..frames.len()).filter(|&at| frames[at].key).collect();
    starts.push(frames.len());
    starts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Whether it holds an IDR picture. Parameter sets are never in a frame.
fn is_random_access(name: &str, made: &Made, frame: &Frame) -> bool {
    let is_hevc = matches!(made.tracks[name].codec, Codec::Hevc(_));
    let mut found = false;
    for unit in units(&frame.data) {
        if is_hevc {
            let kind = unit[0] >> 1 & 0x3f;
            assert!(!(32..=34).contains(&kind), "parameter sets are in hvcC");
            found |= kind == 19 || kind == 20;
        } else {
            let kind = unit[0] & 0x1f;
            assert!(!(7..=8).contains(&kind), "parameter sets are in avcC");
            found |= kind == 5;
        }
    }
    found
}

/// NAL units with four-byte length prefixes.
fn units(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit);
        rest = after;
    }
    units
}

/// A rung as a byte stream, parameter sets first.
pub(crate) fn byte_stream(track: &Rendition, frames: &[Frame]) -> Vec<u8> {
    let sets = match &track.codec {
        Codec::Avc(avc) => avc_sets(&avc.record),
        Codec::Hevc(hevc) => hevc_sets(&hevc.record),
        Codec::Aac(_) => panic!("{} is sound", track.name),
    };
    let units = frames.iter().flat_map(|frame| units(&frame.data));
    sets.into_iter()
        .chain(units)
        .flat_map(|unit| [&[0, 0, 0, 1], unit].concat())
        .collect()
}

/// Takes `count` units with two-byte length prefixes.
fn take_sets<'a>(record: &'a [u8], at: &mut usize, count: usize) -> Vec<&'a [u8]> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes([record[*at], record[*at + 1]]));
        sets.push(&record[*at + 2..*at + 2 + length]);
        *at += 2 + length;
    }
    sets
}

fn avc_sets(record: &[u8]) -> Vec<&[u8]> {
    let mut at = 6;
    let mut sets = take_sets(record, &mut at, usize::from(record[5] & 0x1f));
    let count = usize::from(record[at]);
    at += 1;
    sets.extend(take_sets(record, &mut at, count));
    sets
}

fn hevc_sets(record: &[u8]) -> Vec<&[u8]> {
    let mut at = 23;
    let mut sets = Vec::new();
    for _ in 0..record[22] {
        let count = usize::from(u16::from_be_bytes([record[at + 1], record[at + 2]]));
        at += 3;
        sets.extend(take_sets(record, &mut at, count));
    }
    sets
}

/// A rung in a file.
pub(crate) struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Written {
    pub(crate) fn new(track: &Rendition, frames: &[Frame]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let extension = match track.codec {
            Codec::Hevc(_) => "hevc",
            _ => "h264",
        };
        let path = folder.path().join(format!("rung.{extension}"));
        std::fs::write(&path, byte_stream(track, frames)).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All its pictures in `format`, one after the other.
    pub(crate) fn pictures(&self, format: &str) -> Vec<u8> {
        run(Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&self.path)
            .args([
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "-pix_fmt",
                format,
                "-",
            ]))
    }
}

/// What `ffprobe` says of a rung.
pub(crate) struct Probed(BTreeMap<String, String>);

impl Probed {
    pub(crate) fn of(track: &Rendition, frames: &[Frame]) -> Self {
        let written = Written::new(track, frames);
        let said = run(Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-count_frames",
                "-show_streams",
                "-of",
                "default=nw=1",
            ])
            .arg(written.path()));
        let said = String::from_utf8(said).unwrap();
        let pairs = said.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> u32 {
        self.text(key).parse().unwrap_or(0)
    }

    /// Primaries, transfer, matrix and range by ffprobe's names.
    pub(crate) fn colour(&self) -> [&str; 4] {
        [
            "color_primaries",
            "color_transfer",
            "color_space",
            "color_range",
        ]
        .map(|key| self.text(key))
    }
}

/// What a program prints. It complains about nothing.
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("Debian's ffmpeg");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
    output.stdout
}
