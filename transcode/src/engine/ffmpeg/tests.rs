use std::io;
use std::sync::{Mutex, PoisonError};

use media::{Codec, RenditionName, SegmentNumber, TrackKind, VideoShape};

use super::*;
use crate::source::{Source, TestSettings, TestSource};
use crate::wire::Reply;
use crate::{Encoder, EngineName};

const START: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

#[derive(Default)]
struct Frames(Mutex<Vec<Frame>>);

impl Sink for Frames {
    fn emit(&self, reply: Reply) -> io::Result<()> {
        if let Reply::Frame { frame, .. } = reply {
            let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            frames.push(frame);
        }
        Ok(())
    }
}

/// Three seconds of the test picture, a segment in each.
fn test_picture() -> (VideoSource, Vec<Frame>) {
    let mut source = TestSource::with_settings(&TestSettings {
        key_interval: 10,
        ..TestSettings::new(160, 120, 10)
    })
    .unwrap();
    let mut frames = Vec::new();
    while frames.len() < 30 {
        let now = START + source.due().unwrap();
        let wire = source.next(now).unwrap();
        frames.extend(
            wire.into_iter()
                .filter(|frame| frame.track == TrackKind::Video)
                .map(|frame| {
                    let at = START + Micros::from_millis(frame.timestamp.into());
                    Frame {
                        track: TrackKind::Video,
                        dts: at,
                        pts: at,
                        duration: None,
                        key: frame.key,
                        starts: None,
                        data: frame.data,
                    }
                }),
        );
    }
    for (number, frame) in (0..).zip(frames.iter_mut().step_by(10)) {
        frame.starts = Some(SegmentNumber(number));
    }
    let source = source.codecs().iter().find_map(|codec| match codec {
        Codec::Avc(avc) => Some(VideoSource::from(avc)),
        _ => None,
    });
    (source.unwrap(), frames)
}

#[test]
fn nothing_is_decoded_while_no_rung_is_wanted() {
    let (source, frames) = test_picture();
    let shape = VideoShape {
        width: 80,
        height: 60,
    };
    let job = Job {
        engine: EngineName::default(),
        encoder: Encoder::Software,
        source,
        rungs: vec![Rung::live(RenditionName::SOURCE, shape, 100_000)],
        start: START,
        frame_duration: Micros::from_millis(100),
    };
    let sink = Arc::new(Frames::default());
    let mut engine = Ffmpeg::start(&job, sink.clone(), None).unwrap();
    for frame in &frames[..5] {
        engine.push(frame).unwrap();
    }
    engine.select(RungSet::NONE);
    for frame in &frames[5..15] {
        let damaged = Frame {
            data: frame.data.slice(..frame.data.len() / 2),
            ..frame.clone()
        };
        let progress = engine.push(&damaged).unwrap();
        assert_eq!(progress.decode_errors, 0, "it was not decoded");
    }
    engine.select(RungSet::ALL);
    for frame in &frames[15..] {
        engine.push(frame).unwrap();
    }
    assert_eq!(engine.progress.frames, 30);
    assert_eq!(engine.progress.decode_errors, 0);
    Box::new(engine).finish().unwrap();
    let made = sink.0.lock().unwrap();
    let shown: Vec<_> = made.iter().map(|frame| frame.pts).collect();
    let expected = frames[..5].iter().chain(&frames[20..]);
    assert_eq!(shown, expected.map(|frame| frame.pts).collect::<Vec<_>>());
    assert!(made[5].key);
    assert_eq!(made[5].starts, Some(SegmentNumber(2)));
}
