//! Damaged sources: a named reason or a good result, never a crash.

use bytes::Bytes;
use transcode::{EngineName, Job, WorkerError, all_engines};

use super::clip::{Clip, rung};
use super::verdict::byte_stream;
use crate::rig::transcode;

/// Variants of every clip.
const VARIANTS: u64 = 40;

/// Numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn flip(&mut self, bytes: &Bytes) -> Bytes {
        let mut damaged = bytes.to_vec();
        if !damaged.is_empty() {
            let at = self.below(damaged.len());
            damaged[at] ^= 1 << self.below(8);
        }
        damaged.into()
    }
}

/// Flips bits in some frames, cuts some, and now and then damages the record.
fn damaged(clip: &Clip, seed: u64) -> Clip {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ ((seed + 1) * 0x1000_0001));
    let mut clip = clip.clone();
    for frame in &mut clip.frames {
        match dice.below(4) {
            0 => {
                for _ in 0..=dice.below(8) {
                    frame.data = dice.flip(&frame.data);
                }
            }
            1 if dice.below(6) == 0 => {
                frame.data = frame.data.slice(..dice.below(frame.data.len()));
            }
            _ => {}
        }
    }
    if dice.below(4) == 0 {
        clip.source.record = dice.flip(&clip.source.record);
    }
    clip
}

/// A worker that crashed, hung or went mad is a failure; one that says why is not. Gives
/// how many frames it made.
async fn survives(engine: EngineName, clip: &Clip, what: &str) -> usize {
    let job = Job {
        engine,
        ..clip.job_of(vec![rung("half", 80, 44)])
    };
    match transcode(&job, &clip.frames).await {
        Ok(made) => {
            let Some(frames) = made.frames.get("half") else {
                return 0;
            };
            assert!(frames[0].key, "{what}");
            assert!(!byte_stream(&made.tracks["half"], frames).is_empty());
            frames.len()
        }
        Err(WorkerError::GaveUp { reason }) => {
            assert!(reason.len() > 10, "{what}: {reason}");
            0
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Most of what is damaged can be decoded in part.
async fn variants_survive(name: &str, clip: Clip) {
    for &engine in all_engines() {
        let mut with_frames = 0;
        for seed in 0..VARIANTS {
            let what = format!("{engine}, {name}, variant {seed}");
            let frames = survives(engine, &damaged(&clip, seed), &what).await;
            with_frames += u64::from(frames > 0);
        }
        println!("{engine}, {name}: {with_frames} of {VARIANTS} give frames");
        assert!(
            with_frames >= VARIANTS / 2,
            "{engine}, {name}: {with_frames} of {VARIANTS} give frames"
        );
    }
}

#[tokio::test]
async fn damaged_h264() {
    variants_survive("h264", Clip::h264("160x90", "12", 2, "-bf 2")).await;
}

#[tokio::test]
async fn damaged_interlaced_h264() {
    let clip = Clip::h264("160x96", "12", 2, "-flags +ildct+ilme -x264-params tff=1");
    variants_survive("interlaced", clip).await;
}

#[tokio::test]
async fn damaged_hevc() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=160x90:rate=12:duration=2 -pix_fmt yuv420p -c:v libx265 \
         -preset ultrafast -x265-params keyint=12:log-level=error:pools=1",
    );
    variants_survive("hevc", clip).await;
}

#[tokio::test]
async fn damaged_av1() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=160x90:rate=12:duration=2 -pix_fmt yuv420p \
         -c:v libaom-av1 -usage realtime -cpu-used 8 -g 12 -b:v 200k",
    );
    variants_survive("av1", clip).await;
}

#[tokio::test]
async fn damaged_vp9() {
    let clip = Clip::make(
        "webm",
        "-f lavfi -i testsrc2=size=160x90:rate=12:duration=2 -pix_fmt yuv420p \
         -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12 -b:v 200k",
    );
    variants_survive("vp9", clip).await;
}

#[tokio::test]
async fn a_record_of_nothing_and_a_codec_of_nobody() {
    let clip = Clip::h264("160x90", "12", 1, "");
    for &engine in all_engines() {
        let mut no_record = clip.clone();
        no_record.source.record = Bytes::from_static(&[0xff; 40]);
        survives(engine, &no_record, "a record of nothing").await;

        let mut no_codec = clip.clone();
        no_codec.source.codec = "h999".parse().unwrap();
        let job = Job {
            engine,
            ..no_codec.job()
        };
        let error = transcode(&job, &no_codec.frames).await.err().unwrap();
        assert!(error.to_string().contains("h999"), "{engine}: {error}");
    }
}

#[tokio::test]
async fn a_picture_that_is_too_large_is_refused() {
    let mut clip = Clip::h264("160x90", "12", 1, "");
    (clip.source.width, clip.source.height) = (20_000, 20_000);
    for &engine in all_engines() {
        let job = Job {
            engine,
            ..clip.job_of(vec![rung("half", 80, 44)])
        };
        let error = transcode(&job, &clip.frames).await.err().unwrap();
        assert!(
            error.to_string().contains("20000x20000"),
            "{engine}: {error}"
        );
    }
}
