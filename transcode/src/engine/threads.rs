//! How many threads an encoder gets.

use media::FrameRate;

use crate::{Rung, RungCodec, Speed};

/// How much more time than x264's `veryfast` an encoder takes for a picture: a rough
/// measure, which depends on the pictures. It was 60 noisy ones of 1080p without look-ahead
/// through `ffmpeg`, in seconds of processor time: x264 `veryfast` 3.1, `fast` 5.4, `medium`
/// 7.0; x265 `veryfast` 8.1, and on other noise twice that. `nova bench transcode` tells
/// what it is here. Presets in between are counted as the next slower one, presets beyond
/// as the last.
fn effort(codec: RungCodec, speed: Speed) -> f64 {
    let preset = match speed {
        Speed::Ultrafast | Speed::Superfast | Speed::Veryfast => 1.0,
        Speed::Faster | Speed::Fast => 1.8,
        Speed::Medium | Speed::Slow | Speed::Slower | Speed::Veryslow => 2.3,
    };
    match codec {
        RungCodec::H264 => preset,
        RungCodec::Hevc => 2.6 * preset,
    }
}

/// Threads that encode a rung on a machine of so many cores. Of ordinary pictures one core
/// encodes 1080p at 30 frames per second with x264's `veryfast`: `transcode_compare` has it.
/// With more, x264 cuts a live picture into slices, which costs quality; x265's threads take
/// rows of blocks, which does not.
pub(crate) fn for_rung(rung: &Rung, rate: FrameRate, cores: usize) -> usize {
    const ONE_CORE: f64 = 1_920.0 * 1_080.0 * 31.0;
    let load = f64::from(rung.width)
        * f64::from(rung.height)
        * rate.as_f64()
        * effort(rung.codec, rung.speed);
    let most = match rung.codec {
        RungCodec::H264 => 4,
        RungCodec::Hevc => 8,
    };
    ((load / ONE_CORE).ceil() as usize).clamp(1, cores.clamp(1, most))
}

/// Threads of a decoder, or of a filter: each takes its own memory.
pub(crate) fn for_decoding() -> usize {
    cores().min(4)
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use media::{Micros, VideoShape};

    use super::*;

    fn rung(height: u32, codec: RungCodec, speed: Speed) -> Rung {
        let shape = VideoShape {
            width: height * 16 / 9,
            height,
        };
        Rung {
            codec,
            speed,
            ..Rung::live("720p".parse().unwrap(), shape, 1_000_000)
        }
    }

    #[test]
    fn threads_follow_what_a_picture_takes() {
        let rate = |frames: i64| FrameRate::nearest(Micros::new(1_000_000 / frames));
        for (height, codec, speed, frames, cores, expected) in [
            (1_080, RungCodec::H264, Speed::Veryfast, 30, 64, 1),
            (1_080, RungCodec::H264, Speed::Veryfast, 60, 64, 2),
            (1_080, RungCodec::H264, Speed::Fast, 30, 64, 2),
            (1_080, RungCodec::H264, Speed::Medium, 30, 64, 3),
            (2_160, RungCodec::H264, Speed::Veryfast, 60, 64, 4),
            (1_080, RungCodec::Hevc, Speed::Veryfast, 30, 64, 3),
            (1_080, RungCodec::Hevc, Speed::Veryfast, 60, 64, 6),
            (1_080, RungCodec::Hevc, Speed::Medium, 60, 64, 8),
            (1_080, RungCodec::Hevc, Speed::Veryfast, 60, 2, 2),
            (360, RungCodec::Hevc, Speed::Veryfast, 30, 64, 1),
            (360, RungCodec::H264, Speed::Medium, 30, 64, 1),
            (360, RungCodec::H264, Speed::Medium, 30, 0, 1),
        ] {
            let rung = rung(height, codec, speed);
            assert_eq!(
                for_rung(&rung, rate(frames), cores),
                expected,
                "{height} lines, {codec:?}, {speed:?}, {frames} on {cores} cores"
            );
        }
    }
}
