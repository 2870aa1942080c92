//! What a worker makes of a stream.

use ffmpeg_next as ffmpeg;
use media::{Codec, Frame, SegmentNumber, Shape, SourceFit, Timestamp, TrackKind};
use transcode::source::{AtEnd, FileSource, Source};

use transcode::Output;

use crate::rig::{DEADLINE, Made, Recording, start, transcode};

/// Every rung has a frame at every instant, and cuts where and as the marks say.
fn assert_cut_as_marked(made: &Made, sent: &[Frame]) {
    let mut expected: Vec<(Timestamp, Option<SegmentNumber>)> =
        sent.iter().map(|frame| (frame.pts, None)).collect();
    expected.sort();
    for frame in sent.iter().filter(|frame| frame.starts.is_some()) {
        let first = expected.iter_mut().find(|(pts, _)| *pts >= frame.pts);
        first.unwrap().1 = frame.starts;
    }
    for (rung, frames) in &made.frames {
        let given: Vec<_> = frames.iter().map(|f| (f.pts, f.starts)).collect();
        assert_eq!(given, expected, "{rung}");
        for frame in frames {
            assert_eq!(frame.dts, frame.pts, "{rung}: no B-frames");
            assert_eq!(
                frame.key,
                frame.starts.is_some(),
                "{rung} at {:?}",
                frame.pts
            );
            assert_eq!(has_idr(frame), frame.key, "{rung} at {:?}", frame.pts);
            assert_eq!(frame.track, TrackKind::Video);
        }
    }
}

/// The types of a frame's NAL units.
fn nal_types(frame: &Frame) -> Vec<u8> {
    let mut rest = &frame.data[..];
    let mut types = Vec::new();
    while let Some((length, unit)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        types.push(unit[0] & 0x1f);
        rest = &unit[length..];
    }
    types
}

fn has_idr(frame: &Frame) -> bool {
    let types = nal_types(frame);
    assert!(
        !types.contains(&7) && !types.contains(&8),
        "sets are in avcC"
    );
    types.contains(&5)
}

#[tokio::test]
async fn t08_renditions_cut_at_the_same_instants_under_the_same_numbers() {
    let recording = Recording::of_test_picture(180, 30).marked_every(60);
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    assert_eq!(made.frames.keys().collect::<Vec<_>>(), ["120p", "180p"]);
    assert_cut_as_marked(&made, &recording.frames);
}

#[tokio::test]
async fn t03_variable_frame_rate_keeps_every_microsecond() {
    let recording = Recording::of_test_picture(120, 30)
        .at_uneven_times()
        .marked_every(50);
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    assert_eq!(made.frames.len(), 2);
    assert_cut_as_marked(&made, &recording.frames);
}

#[tokio::test]
async fn t02_an_endless_gop_is_cut_where_the_marks_are() {
    let recording = Recording::of_test_picture(120, 100_000).marked_every(40);
    assert_eq!(recording.frames.iter().filter(|f| f.key).count(), 1);
    let job = recording.job(SourceFit::GopTooLong);
    let made = transcode(&job, &recording.frames).await.unwrap();
    assert_eq!(
        made.frames.keys().collect::<Vec<_>>(),
        ["120p", "180p", "source"]
    );
    assert_cut_as_marked(&made, &recording.frames);
}

#[tokio::test]
async fn t01_b_frames_come_out_in_the_order_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b-frames.mp4");
    super::publishing::ffmpeg(
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=4 \
         -c:v libx264 -preset medium -bf 3 -g 50 -pix_fmt yuv420p",
        &path,
    );
    let mut source = FileSource::open(&path, AtEnd::Stop).unwrap();
    let mut wire = Vec::new();
    while source.due().is_some() {
        wire.extend(source.next(Timestamp::from_micros(0)).unwrap());
    }
    assert!(wire.iter().any(|frame| frame.composition_offset > 0));
    let recording = Recording::of(source.codecs(), wire).marked_every(50);
    assert!(recording.frames[50].key, "a mark is on a key frame");
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    assert_cut_as_marked(&made, &recording.frames);
}

#[tokio::test]
async fn a_restarted_worker_makes_the_same_tracks() {
    let recording = Recording::of_test_picture(3, 30).marked_every(1);
    let job = recording.job(SourceFit::GopTooLong);
    let first = transcode(&job, &recording.frames).await.unwrap();
    let second = transcode(&job, &recording.frames[..1]).await.unwrap();
    assert_eq!(first.tracks.len(), 3);
    assert_eq!(first.tracks, second.tracks);
}

#[tokio::test]
async fn p07_tracks_tell_the_truth() {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    for (rung, width, height) in [("180p", 240, 180), ("120p", 160, 120)] {
        let track = &made.tracks[rung];
        let Shape::Video(shape) = track.shape else {
            panic!("{rung} is not video");
        };
        assert_eq!((shape.width, shape.height), (width, height));
        let rung_asked = job.rungs.iter().find(|r| r.name.as_str() == rung).unwrap();
        assert_eq!(track.bit_rate, rung_asked.peak_bit_rate());
        // Two seconds are the segment that the peak is promised for.
        let bits: usize = made.frames[rung].iter().map(|f| 8 * f.data.len()).sum();
        assert!(bits <= 2 * track.bit_rate as usize, "{rung}: {bits} bits");
        let Codec::Avc(avc) = &track.codec else {
            panic!("{rung} is not H.264");
        };
        assert_eq!(avc.nal_length_size, 4);
        let pictures = decode(&avc.record, &made.frames[rung]);
        assert_eq!(pictures, vec![(width, height); 60], "{rung}");
    }
}

/// Sizes of the pictures in `frames`, decoded by libavcodec.
pub(crate) fn decode(record: &[u8], frames: &[Frame]) -> Vec<(u32, u32)> {
    let codec = ffmpeg::decoder::find(ffmpeg::codec::Id::H264).unwrap();
    let mut decoder = ffmpeg::codec::Context::new_with_codec(codec)
        .decoder()
        .video()
        .unwrap();
    let mut sizes = Vec::new();
    let mut stream = parameter_sets(record);
    for frame in frames {
        let mut rest = &frame.data[..];
        while let Some((length, unit)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&unit[..length]);
            rest = &unit[length..];
        }
        decoder.send_packet(&ffmpeg::Packet::copy(&stream)).unwrap();
        stream.clear();
        receive(&mut decoder, &mut sizes);
    }
    decoder.send_eof().unwrap();
    receive(&mut decoder, &mut sizes);
    sizes
}

fn receive(decoder: &mut ffmpeg::decoder::Video, sizes: &mut Vec<(u32, u32)>) {
    let mut picture = ffmpeg::frame::Video::empty();
    while decoder.receive_frame(&mut picture).is_ok() {
        assert!(!picture.has_decode_errors());
        sizes.push((picture.width(), picture.height()));
    }
}

/// The sequence and picture parameter sets of a record, as a byte stream.
fn parameter_sets(record: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut rest = &record[5..];
    for mask in [0x1f, 0xff] {
        let count = rest[0] & mask;
        rest = &rest[1..];
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk::<2>().unwrap();
            let (set, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(set);
            rest = after;
        }
    }
    stream
}

#[tokio::test]
async fn frames_before_the_first_mark_belong_to_no_segment() {
    let mut recording = Recording::of_test_picture(90, 30);
    recording.frames[60].starts = Some(SegmentNumber(7));
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    for frames in made.frames.values() {
        assert_eq!(frames.len(), 30);
        assert_eq!(frames[0].starts, Some(SegmentNumber(7)));
        assert_eq!(frames[0].pts, recording.frames[60].pts);
        assert!(frames[0].key);
    }
}

#[tokio::test]
async fn no_frame_waits_for_the_next() {
    let recording = Recording::of_test_picture(10, 30).marked_every(5);
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    for sent in &recording.frames {
        input.send(sent).await.unwrap();
        let mut rungs = 0;
        while rungs < 2 {
            let next = tokio::time::timeout(DEADLINE, output.next()).await.unwrap();
            if let Some(Output::Frame { frame, .. }) = next.unwrap() {
                assert_eq!(frame.pts, sent.pts);
                rungs += 1;
            }
        }
    }
}

#[tokio::test]
async fn damaged_frames_are_skipped() {
    let mut recording = Recording::of_test_picture(120, 30).marked_every(30);
    for (index, frame) in recording.frames.iter_mut().enumerate() {
        match index % 30 {
            9 => frame.data = bytes::Bytes::from_static(&[0xff; 300]),
            10 => frame.data = bytes::Bytes::new(),
            11 => frame.data = frame.data.slice(..frame.data.len() / 2),
            _ => {}
        }
    }
    let job = recording.job(SourceFit::Passthrough);
    let made = transcode(&job, &recording.frames).await.unwrap();
    for frames in made.frames.values() {
        let starts: Vec<_> = frames
            .iter()
            .filter_map(|f| f.starts)
            .map(|n| n.0)
            .collect();
        assert_eq!(starts, [40, 41, 42, 43]);
        assert!(frames.len() > 60, "{} frames", frames.len());
    }
}
