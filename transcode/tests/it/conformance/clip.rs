//! Clips to encode.

use std::path::Path;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use media::{Frame, Micros, RenditionName, SegmentNumber, Timestamp, TrackKind, VideoShape};
use transcode::{ColourDescription, Encoder, EngineName, Job, Rotation, Rung, VideoSource};

use crate::publishing::ffmpeg as run_ffmpeg;
use crate::rig::START;

/// Segments are at least this long.
const SEGMENT: Micros = Micros::from_millis(1_000);

/// A source's video, marked where segments start.
#[derive(Clone)]
pub(crate) struct Clip {
    pub(crate) source: VideoSource,
    pub(crate) frames: Vec<Frame>,
}

impl Clip {
    /// What ffmpeg makes of `arguments`, in a container named by its file extension.
    pub(crate) fn make(container: &str, arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("clip.{container}"));
        run_ffmpeg(arguments, &path);
        Self::read(&path)
    }

    /// ffmpeg's moving test picture in H.264, with a key frame every second.
    pub(crate) fn h264(size: &str, rate: &str, seconds: u32, arguments: &str) -> Self {
        Self::make(
            "mp4",
            &format!(
                "-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds} \
                 -c:v libx264 -preset veryfast -force_key_frames expr:gte(t,n_forced) \
                 -pix_fmt yuv420p {arguments}"
            ),
        )
    }

    /// Reads a file's video.
    pub(crate) fn read(path: &Path) -> Self {
        ffmpeg::init().unwrap();
        let mut input = ffmpeg::format::input(path).unwrap();
        let stream = input.streams().best(ffmpeg::media::Type::Video).unwrap();
        let index = stream.index();
        let time_base = stream.time_base();
        let source = source(&stream.parameters());
        let micros = |ticks: i64| {
            let scale = i64::from(time_base.numerator()) * 1_000_000;
            START + Micros::new(ticks * scale / i64::from(time_base.denominator()))
        };
        let frames = input
            .packets()
            .filter(|(stream, _)| stream.index() == index)
            .map(|(_, packet)| {
                let pts = packet.pts().unwrap();
                Frame {
                    track: TrackKind::Video,
                    dts: micros(packet.dts().unwrap_or(pts)),
                    pts: micros(pts),
                    duration: None,
                    key: packet.is_key(),
                    starts: None,
                    data: Bytes::copy_from_slice(packet.data().unwrap()),
                }
            })
            .collect();
        Self { source, frames }.marked()
    }

    /// Marks the first key frame, and then every one that ends a long enough segment.
    fn marked(mut self) -> Self {
        let mut last: Option<Timestamp> = None;
        let mut number = 40;
        for frame in self.frames.iter_mut().filter(|frame| frame.key) {
            if last.is_none_or(|last| frame.pts - last >= SEGMENT) {
                frame.starts = Some(SegmentNumber(number));
                last = Some(frame.pts);
                number += 1;
            }
        }
        assert!(last.is_some(), "a clip has a key frame");
        self
    }

    /// Presentation times in order, each with what starts there: what every rung has.
    pub(crate) fn expected(&self) -> Vec<(Timestamp, Option<SegmentNumber>)> {
        let mut shown: Vec<_> = self.frames.iter().map(|frame| (frame.pts, None)).collect();
        shown.sort();
        for frame in self.frames.iter().filter(|frame| frame.starts.is_some()) {
            let first = shown.iter_mut().find(|(pts, _)| *pts >= frame.pts);
            first.unwrap().1 = frame.starts;
        }
        let first = shown.iter().position(|(_, starts)| starts.is_some());
        shown.split_off(first.unwrap())
    }

    /// Encodes it at half and at a quarter of its size.
    pub(crate) fn job(&self) -> Job {
        let (width, height) = self.source.upright();
        self.job_of(vec![
            rung("half", width / 2, height / 2),
            rung("quarter", width / 4, height / 4),
        ])
    }

    pub(crate) fn job_of(&self, rungs: Vec<Rung>) -> Job {
        let times = self.expected();
        let spans = times.windows(2).map(|pair| pair[1].0 - pair[0].0);
        Job {
            engine: EngineName::default(),
            encoder: Encoder::Software,
            source: self.source.clone(),
            rungs,
            start: self.frames[0].pts,
            frame_duration: spans.min().unwrap_or(Micros::from_secs(1)),
        }
    }
}

/// A live rung of about this size.
pub(crate) fn rung(name: &str, width: u32, height: u32) -> Rung {
    let shape = VideoShape {
        width: width / 2 * 2,
        height: height / 2 * 2,
    };
    Rung::live(
        RenditionName::try_from(name.to_owned()).unwrap(),
        shape,
        300_000,
    )
}

/// What the container says.
fn source(parameters: &ffmpeg::codec::Parameters) -> VideoSource {
    // SAFETY: reads fields of parameters that are borrowed; `extradata` has the size that
    // stands beside it.
    let (extradata, width, height, aspect, tag, reorder, colour) = unsafe {
        let raw = &*parameters.as_ptr();
        let extradata = match raw.extradata.is_null() {
            true => &[][..],
            false => std::slice::from_raw_parts(raw.extradata, raw.extradata_size as usize),
        };
        let colour = [
            raw.color_primaries as i32,
            raw.color_trc as i32,
            raw.color_space as i32,
            raw.color_range as i32,
        ];
        (
            Bytes::copy_from_slice(extradata),
            raw.width as u32,
            raw.height as u32,
            raw.sample_aspect_ratio,
            raw.codec_tag,
            raw.video_delay,
            colour,
        )
    };
    let byte_stream = extradata.starts_with(&[0, 0, 1]) || extradata.starts_with(&[0, 0, 0, 1]);
    VideoSource {
        codec: parameters.id().name().parse().unwrap(),
        record: if byte_stream { Bytes::new() } else { extradata },
        width,
        height,
        sample_aspect: (aspect.num > 0).then_some((aspect.num as u32, aspect.den as u32)),
        rotation: Rotation::None,
        reorder: u8::try_from(reorder).unwrap_or(0),
        colour: ColourDescription {
            primaries: colour[0] as u8,
            transfer: colour[1] as u8,
            matrix: colour[2] as u8,
            full_range: [None, Some(false), Some(true)][colour[3] as usize],
        },
        tag,
    }
}
