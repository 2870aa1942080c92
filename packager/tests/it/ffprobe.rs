//! Real H.264 and AAC through the segmenter, read back by FFmpeg.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, Frame, Micros, Part, Rendition, RenditionName, Segment,
    SegmentNumber, Timestamp, TrackKind,
};
use packager::cmaf::init_segment;
use packager::segmenter::Output;
use packager::{PartTarget, Segmenter};

/// Timestamps on the wire are in milliseconds; in 90 kHz ticks.
const MILLISECOND: i64 = 90;

const START: Timestamp = Timestamp::from_micros(1_800_000_000_123_457);

/// What an encoder sends: sequence headers, and access units as a timeline marks them.
struct Broadcast {
    video: AvcConfig,
    audio: AacConfig,
    frames: Vec<Frame>,
}

/// Six seconds of B-frames with a key frame every second, and a tone.
fn broadcast(directory: &Path) -> Broadcast {
    let path = directory.join("broadcast.flv");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=640x360:rate=30",
        ])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"])
        .args([
            "-t", "6", "-c:v", "libx264", "-preset", "fast", "-bf", "2", "-g", "30",
        ])
        .args([
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "scenecut=0",
            "-c:a",
            "aac",
            "-f",
            "flv",
        ])
        .arg(&path)
        .status()
        .expect("ffmpeg");
    assert!(status.success());
    parse_flv(&std::fs::read(path).unwrap())
}

/// Video FLV tags are those of RTMP (Adobe FLV 10.1, annex E.4).
fn parse_flv(flv: &[u8]) -> Broadcast {
    let (mut video, mut audio, mut frames) = (None, None, Vec::new());
    let (mut next_segment, mut audio_count) = (0_u64, 0_i64);
    let mut audio_start = None;
    let mut audio_marked = 0;
    let mut rest = &flv[13..];
    while rest.len() >= 11 {
        let size = usize::from(rest[1]) << 16 | usize::from(rest[2]) << 8 | usize::from(rest[3]);
        let millis = i64::from(u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]));
        let (kind, body) = (rest[0], &rest[11..11 + size]);
        rest = &rest[11 + size + 4..];
        match (kind, body) {
            (9, [_, 0, _, _, _, record @ ..]) => {
                video = Some(AvcConfig::parse(Bytes::copy_from_slice(record)).unwrap());
            }
            (9, [frame_type, 1, offset @ ..]) => {
                let (offset, data) = offset.split_at(3);
                let composition = i32::from_be_bytes([offset[0], offset[1], offset[2], 0]) >> 8;
                let dts = START + Micros::from_millis(millis);
                let key = frame_type >> 4 == 1;
                // Every other key frame starts a segment.
                let starts = (key && (millis + 500) / 1_000 % 2 == 0).then(|| {
                    next_segment += 1;
                    SegmentNumber(next_segment)
                });
                frames.push(Frame {
                    track: TrackKind::Video,
                    dts,
                    pts: dts + Micros::from_millis(composition.into()),
                    duration: None,
                    key,
                    starts,
                    data: Bytes::copy_from_slice(data),
                });
            }
            (8, [_, 0, config @ ..]) => {
                audio = Some(AacConfig::parse(Bytes::copy_from_slice(config)).unwrap());
            }
            (8, [_, 1, data @ ..]) => {
                // As the timeline does it: by sample count.
                let start = *audio_start.get_or_insert(START + Micros::from_millis(millis));
                let dts = start + Micros::from_ticks(audio_count * 1_024, 44_100);
                audio_count += 1;
                let starts = (audio_marked < next_segment).then_some(SegmentNumber(next_segment));
                audio_marked = next_segment;
                frames.push(Frame {
                    track: TrackKind::Audio,
                    dts,
                    pts: dts,
                    duration: Some(Micros::from_ticks(1_024, 44_100)),
                    key: true,
                    starts,
                    data: Bytes::copy_from_slice(data),
                });
            }
            _ => {}
        }
    }
    Broadcast {
        video: video.unwrap(),
        audio: audio.unwrap(),
        frames,
    }
}

fn packaged(rendition: &Rendition, frames: &[Frame]) -> (Vec<Part>, Vec<Segment>) {
    let mut segmenter = Segmenter::new(rendition, PartTarget::of(rendition));
    for frame in frames {
        segmenter.push(frame.clone()).unwrap();
    }
    segmenter.finish();
    let (mut parts, mut segments) = (Vec::new(), Vec::new());
    while let Some(output) = segmenter.poll() {
        match output {
            Output::Part(part) => parts.push(part),
            Output::Segment(segment) => segments.push(segment),
        }
    }
    (parts, segments)
}

/// Decoding time, presentation time, duration of each packet in ticks.
fn probe(path: &Path) -> Vec<(i64, i64, i64)> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "packet=dts,pts,duration",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .expect("ffprobe");
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let fields: Vec<_> = line.split(',').map(str::parse).collect();
            let ticks = |at: usize| fields[at].clone().unwrap();
            // FFmpeg does not always know a duration: N/A.
            (ticks(1), ticks(0), fields[2].clone().unwrap_or(0))
        })
        .collect()
}

/// Decodes everything; FFmpeg has nothing to say about it.
fn decode(path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Init segment and all parts in a file.
fn write(directory: &Path, rendition: &Rendition, parts: &[Part]) -> std::path::PathBuf {
    let path = directory.join(format!("{}.mp4", rendition.name));
    let mut file = init_segment(rendition).unwrap().to_vec();
    for part in parts {
        file.extend_from_slice(&part.data);
    }
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn t01_ffmpeg_reads_what_the_encoder_sent() {
    let directory = tempfile::tempdir().unwrap();
    let broadcast = broadcast(directory.path());
    let renditions = [
        Rendition::new(
            RenditionName::SOURCE,
            Codec::Avc(broadcast.video),
            500_000,
            Micros::new(33_333),
        ),
        Rendition::new(
            RenditionName::AUDIO,
            Codec::Aac(broadcast.audio),
            128_000,
            Micros::from_ticks(1_024, 44_100),
        ),
    ];
    let mut spans = Vec::new();
    for (rendition, kind) in renditions.iter().zip([TrackKind::Video, TrackKind::Audio]) {
        let timescale = rendition.codec.timescale();
        let of_kind = broadcast.frames.iter().filter(|frame| frame.track == kind);
        let marked = of_kind.skip_while(|frame| frame.starts.is_none());
        let frames: Vec<_> = marked.cloned().collect();
        let (parts, segments) = packaged(rendition, &frames);
        assert_eq!(segments.len(), 3);
        let path = write(directory.path(), rendition, &parts);
        decode(&path);

        let packets = probe(&path);
        assert_eq!(packets.len(), frames.len());
        // FFmpeg's demuxer adds the largest negative composition offset to every
        // presentation time (mov.c, dts_shift).
        let shift = packets[0].1 - packets[0].0;
        for (packet, frame) in packets.iter().zip(&frames) {
            let late = packet.1 - frame.pts.in_timescale(timescale) - shift;
            assert!(late.abs() <= 2 + MILLISECOND, "{late} at {:?}", frame.dts);
        }
        let frame = rendition.frame_duration.in_timescale(timescale);
        for pair in packets.windows(2) {
            let step = pair[1].0 - pair[0].0;
            let rounding = if kind == TrackKind::Video {
                MILLISECOND
            } else {
                0
            };
            assert!(
                (step - frame).abs() <= rounding,
                "decoding times are continuous: {step}"
            );
        }
        let first = frames[0].pts.in_timescale(timescale);
        assert_eq!(
            packets[0].0, first,
            "tfdt is the first frame's presentation time"
        );
        let starts: Vec<_> = segments.iter().map(|segment| segment.start).collect();
        assert_eq!(starts[0], frames[0].pts);
        spans.push(segments);
    }
    for (video, audio) in spans[0].iter().zip(&spans[1]).take(2) {
        assert_eq!(video.number, audio.number);
        let frame = Micros::from_ticks(1_024, 44_100) + Micros::from_millis(1);
        let late = (audio.start - video.start).abs();
        // The encoder sends audio earlier by the video's reorder delay.
        assert!(late <= frame + Micros::from_millis(70), "T07: {late:?}");
    }
}

#[test]
fn each_segment_stands_alone_behind_the_init_segment() {
    let directory = tempfile::tempdir().unwrap();
    let broadcast = broadcast(directory.path());
    let codec = Codec::Avc(broadcast.video);
    let rendition = Rendition::new(RenditionName::SOURCE, codec, 500_000, Micros::new(33_333));
    let frames: Vec<_> = broadcast
        .frames
        .iter()
        .filter(|frame| frame.track == TrackKind::Video)
        .cloned()
        .collect();
    let (parts, segments) = packaged(&rendition, &frames);
    for segment in segments {
        let own: Vec<_> = parts
            .iter()
            .filter(|part| part.segment == segment.number)
            .cloned()
            .collect();
        let path = write(directory.path(), &rendition, &own);
        decode(&path);
        let packets = probe(&path);
        assert_eq!(packets.len(), 60);
        assert_eq!(packets[0].0, segment.start.in_timescale(90_000));
        let last = packets.last().unwrap();
        let ticks = last.0 + last.2 - packets[0].0;
        let missing = ticks - segment.duration.in_timescale(90_000);
        assert!(missing.abs() <= 2 + MILLISECOND, "{missing}");
    }
}
