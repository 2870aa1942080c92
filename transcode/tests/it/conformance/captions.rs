//! Captions inside pictures (ATSC A/53 part 4) are in every rung.

use bytes::Bytes;
use media::Frame;
use transcode::{Job, Rung, all_engines};

use super::clip::{Clip, rung};
use super::on_every_engine;
use crate::rig::transcode;

/// What `cc_data` has before its constructs in an SEI message: an ITU-T T.35 code of the
/// ATSC, `GA94`, captions.
const ATSC: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 3];

/// The captions of the picture of this number: two constructs.
fn captions(number: usize) -> [u8; 6] {
    let number = u8::try_from(number).unwrap();
    [0xfc, 0x80 | number, 0x41, 0xff, 0x80 | number, 0x42]
}

/// A NAL unit with an SEI message (H.264 7.3.2.3.1, D.1.6), with its length before it.
fn message(constructs: &[u8]) -> Vec<u8> {
    let count = u8::try_from(constructs.len() / 3).unwrap();
    let payload = [&ATSC[..], &[0x40 | count, 0xff], constructs, &[0xff]].concat();
    let head = [6, 4, u8::try_from(payload.len()).unwrap()];
    let unit = [&head[..], &payload, &[0x80]].concat();
    let length = u32::try_from(unit.len()).unwrap().to_be_bytes();
    [&length[..], &unit].concat()
}

/// The constructs in an access unit.
fn found(frame: &Frame) -> Vec<u8> {
    let place = frame.data.windows(ATSC.len()).position(|at| at == ATSC);
    let Some(place) = place else {
        return Vec::new();
    };
    let rest = &frame.data[place + ATSC.len()..];
    let count = usize::from(rest[0] & 0x1f);
    rest[2..2 + 3 * count].to_vec()
}

fn captioned() -> Clip {
    let mut clip = Clip::h264("160x90", "25", 2, "-bf 0");
    for (number, frame) in clip.frames.iter_mut().enumerate() {
        frame.data = Bytes::from([&message(&captions(number)), &frame.data[..]].concat());
    }
    clip
}

#[tokio::test]
async fn captions_are_in_every_rung() {
    let clip = captioned();
    let job = clip.job_of(vec![
        rung("source", 160, 90),
        rung("half", 80, 44),
        rung("quarter", 40, 22),
    ]);
    on_every_engine(&clip, job, |engine, made| {
        for (name, frames) in &made.frames {
            for (number, frame) in frames.iter().enumerate() {
                assert_eq!(found(frame), captions(number), "{engine}, {name}");
                let copies = frame.data.windows(4).filter(|four| *four == b"GA94");
                assert_eq!(copies.count(), 1, "{engine}, {name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn captions_of_skipped_pictures_come_with_the_next() {
    let clip = captioned();
    for &engine in all_engines() {
        let every_second = Rung {
            frame_step: 2,
            ..rung("half", 80, 44)
        };
        let job = Job {
            engine,
            ..clip.job_of(vec![rung("source", 160, 90), every_second])
        };
        let made = transcode(&job, &clip.frames).await.unwrap();
        let of = |name: &str| -> Vec<u8> { made.frames[name].iter().flat_map(found).collect() };
        assert_eq!(
            made.frames["half"].len(),
            26,
            "25 pictures from mark to mark"
        );
        assert_eq!(of("half"), of("source"), "{engine}");
    }
}
