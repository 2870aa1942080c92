//! How rungs are encoded: the other codec, quality, look-ahead.

use media::Codec;
use transcode::{EngineName, Job, Latency, RateControl, Rung, RungCodec, Speed, all_engines};

use super::clip::{Clip, rung};
use super::{on_engines, on_every_engine};
use crate::rig::transcode;

fn on_demand(name: &str, width: u32, height: u32) -> Rung {
    Rung {
        rate: RateControl::Quality { crf: 26 },
        latency: Latency::LookAhead,
        ..rung(name, width, height)
    }
}

#[tokio::test]
async fn t01_rungs_with_b_frames() {
    for arguments in [
        "-bf 2",
        "-bf 0 -vf settb=1/90000,setpts=(N/24+0.016*sin(N))/TB+1 -fps_mode passthrough -enc_time_base 1:90000 -video_track_timescale 90000",
    ] {
        let clip = Clip::h264("320x180", "25", 3, arguments);
        let job = clip.job_of(vec![
            on_demand("half", 160, 90),
            on_demand("quarter", 80, 44),
        ]);
        on_every_engine(&clip, job, |engine, made| {
            for (name, frames) in &made.frames {
                assert!(
                    frames.iter().any(|frame| frame.dts < frame.pts),
                    "{engine}, {name} has B-frames"
                );
            }
        })
        .await;
    }
}

#[tokio::test]
async fn rungs_of_hevc() {
    let clip = Clip::h264("320x180", "25", 3, "-bf 2");
    let hevc = |rung: Rung| Rung {
        codec: RungCodec::Hevc,
        speed: Speed::Ultrafast,
        ..rung
    };
    let job = clip.job_of(vec![
        hevc(rung("live", 160, 90)),
        hevc(on_demand("later", 160, 90)),
        rung("h264", 160, 90),
    ]);
    on_engines(&[EngineName::Ffmpeg], &clip, job, |engine, made| {
        for name in ["live", "later"] {
            let codec = &made.tracks[name].codec;
            assert!(matches!(codec, Codec::Hevc(_)), "{engine}: {codec:?}");
            assert!(codec.rfc6381().starts_with("hvc1.1.6."), "{engine}");
        }
        assert!(matches!(made.tracks["h264"].codec, Codec::Avc(_)));
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_makes_no_hevc_says_so() {
    let clip = Clip::h264("160x90", "25", 1, "");
    let job = Job {
        engine: EngineName::Gstreamer,
        ..clip.job_of(vec![Rung {
            codec: RungCodec::Hevc,
            ..rung("hevc", 80, 44)
        }])
    };
    let error = transcode(&job, &clip.frames).await.err().unwrap();
    let expected = if all_engines().contains(&EngineName::Gstreamer) {
        "H.264 only"
    } else {
        "this build has no engine"
    };
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_constant_quality_stays_below_its_limit() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i nullsrc=size=320x180:rate=25:duration=4,geq=random(1)*255:128:128 \
         -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 25 -qp 30",
    );
    let mut noisy = on_demand("half", 160, 90);
    noisy.bit_rate = 200_000;
    noisy.buffer_bits = 100_000;
    let peak = noisy.peak_bit_rate() as usize;
    on_every_engine(&clip, clip.job_of(vec![noisy]), |engine, made| {
        for two_seconds in made.frames["half"].chunks(50) {
            let bits: usize = two_seconds.iter().map(|frame| 8 * frame.data.len()).sum();
            assert!(bits <= 2 * peak, "{engine}: {bits} bits in two seconds");
        }
    })
    .await;
}
