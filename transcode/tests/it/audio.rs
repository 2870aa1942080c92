//! Sound of any codec becomes AAC that is heard when the source's was.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use media::{AacConfig, Frame, Micros, Timestamp};
use transcode::{AudioSource, AudioTranscoder};

use crate::publishing::ffmpeg as run_ffmpeg;
use crate::rig::START;

/// A file's sound.
struct Clip {
    source: AudioSource,
    packets: Vec<(Timestamp, Bytes)>,
}

impl Clip {
    /// Two seconds of a tone of 440 Hz, in every channel.
    fn tone(container: &str, arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("tone.{container}"));
        run_ffmpeg(
            &format!("-f lavfi -i sine=frequency=440:sample_rate=48000:duration=2 {arguments}"),
            &path,
        );
        Self::read(&path)
    }

    fn read(path: &Path) -> Self {
        ffmpeg::init().unwrap();
        let mut input = ffmpeg::format::input(path).unwrap();
        let stream = input.streams().next().unwrap();
        let time_base = stream.time_base();
        let source = source(&stream.parameters());
        let micros = |ticks: i64| {
            let scale = i64::from(time_base.numerator()) * 1_000_000;
            START + Micros::new(ticks * scale / i64::from(time_base.denominator()))
        };
        let packets = input
            .packets()
            .map(|(_, packet)| {
                let data = Bytes::copy_from_slice(packet.data().unwrap());
                (micros(packet.pts().unwrap()), data)
            })
            .collect();
        Self { source, packets }
    }

    fn transcode(&self) -> (AacConfig, Vec<Frame>) {
        let mut frames = Vec::new();
        let mut transcoder = AudioTranscoder::open(&self.source, START).unwrap();
        let config = transcoder.config().clone();
        for (pts, data) in &self.packets {
            transcoder
                .push(*pts, data, &mut |frame| frames.push(frame))
                .unwrap();
        }
        transcoder.finish(&mut |frame| frames.push(frame)).unwrap();
        (config, frames)
    }
}

fn source(parameters: &ffmpeg::codec::Parameters) -> AudioSource {
    // SAFETY: reads fields of parameters that are borrowed; `extradata` has the size that
    // stands beside it.
    unsafe {
        let raw = &*parameters.as_ptr();
        let record = match raw.extradata.is_null() {
            true => &[][..],
            false => std::slice::from_raw_parts(raw.extradata, raw.extradata_size as usize),
        };
        AudioSource {
            codec: parameters.id().name().parse().unwrap(),
            record: Bytes::copy_from_slice(record),
            sample_rate: raw.sample_rate as u32,
            channels: raw.ch_layout.nb_channels as u32,
            tag: raw.codec_tag,
            block_align: raw.block_align as u32,
            bits_per_sample: raw.bits_per_coded_sample as u32,
        }
    }
}

/// Loudness (the root of the mean square) of every 20 ms, by Debian's ffmpeg.
fn heard(config: &AacConfig, frames: &[Frame]) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.aac");
    let adts = frames.iter().flat_map(|frame| adts(config, &frame.data));
    std::fs::write(&path, adts.collect::<Vec<u8>>()).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&path)
        .args(["-f", "f32le", "-ac", "1", "-ar", "48000", "-"])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
    output
        .stdout
        .chunks(4 * 960)
        .map(|window| {
            let samples = window.chunks_exact(4).map(|bytes| {
                f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            });
            let squares: f64 = samples.clone().map(|sample| sample * sample).sum();
            (squares / samples.count().max(1) as f64).sqrt()
        })
        .collect()
}

/// A frame behind an ADTS header (ISO/IEC 14496-3 1.A.2.2).
fn adts(config: &AacConfig, data: &[u8]) -> Vec<u8> {
    let rate = match config.sample_rate {
        48_000 => 3,
        44_100 => 4,
        rate => panic!("{rate} Hz"),
    };
    let length = 7 + data.len();
    let channels = config.channels as u8;
    let mut frame = vec![
        0xff,
        0xf1,
        1 << 6 | rate << 2 | channels >> 2,
        (channels & 3) << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1f,
        0xfc,
    ];
    frame.extend_from_slice(data);
    frame
}

/// Frames follow each other without a hole, from the start on.
fn assert_even(config: &AacConfig, frames: &[Frame]) {
    let mut expected = START;
    for frame in frames {
        let off = (frame.pts - expected).abs();
        assert!(off <= Micros::new(1), "{off:?} at {:?}", frame.pts);
        assert_eq!(frame.dts, frame.pts);
        assert!(frame.key);
        expected = frame.pts + frame.duration.unwrap();
    }
    let usual = Micros::from_ticks(1_024, config.sample_rate);
    assert!((frames[0].duration.unwrap() - usual).abs() <= Micros::new(1));
}

/// The tone is there for its two seconds.
fn assert_tone(what: &str, loudness: &[f64]) {
    assert!(
        (98..=108).contains(&loudness.len()),
        "{what}: {}",
        loudness.len()
    );
    let quiet = loudness[3..96].iter().filter(|one| **one < 0.012).count();
    assert_eq!(quiet, 0, "{what}: {loudness:?}");
}

#[test]
fn every_codec_becomes_aac() {
    for (container, arguments, rate, channels) in [
        ("mp3", "-c:a libmp3lame -b:a 96k", 48_000, 1),
        ("mkv", "-c:a libopus -b:a 64k -ac 2", 48_000, 2),
        ("mkv", "-c:a ac3 -b:a 192k -ac 6", 48_000, 2),
        ("wav", "-c:a pcm_s16le -ar 22050 -ac 1", 48_000, 1),
        ("wav", "-c:a pcm_s24le -ar 44100 -ac 2", 44_100, 2),
        ("flac", "-c:a flac -ar 96000 -ac 2", 48_000, 2),
        ("mkv", "-c:a libvorbis -ar 44100 -ac 2", 44_100, 2),
    ] {
        let clip = Clip::tone(container, arguments);
        let (config, frames) = clip.transcode();
        let what = clip.source.codec.to_string();
        assert_eq!(
            (config.sample_rate, config.channels),
            (rate, channels),
            "{what}"
        );
        assert_eq!(config.object_type, 2, "{what} becomes AAC-LC");
        assert_even(&config, &frames);
        assert_tone(&what, &heard(&config, &frames));
    }
}

#[test]
fn what_is_missing_is_silence() {
    let mut clip = Clip::tone("mkv", "-c:a ac3 -b:a 96k -ac 2");
    clip.packets.retain(|(pts, _)| {
        let at = (*pts - START).as_secs_f64();
        !(0.5..1.0).contains(&at)
    });
    let (config, frames) = clip.transcode();
    assert_even(&config, &frames);
    let loudness = heard(&config, &frames);
    assert!((98..=108).contains(&loudness.len()), "{}", loudness.len());
    for (index, loudness) in loudness.iter().enumerate() {
        match index {
            3..=22 | 54..=96 => assert!(*loudness > 0.012, "{index}: {loudness}"),
            29..=46 => assert!(*loudness < 0.005, "{index}: {loudness}"),
            _ => {}
        }
    }
}

#[test]
fn sound_that_begins_late_begins_with_silence() {
    let mut clip = Clip::tone("wav", "-c:a pcm_s16le -ar 48000 -ac 2");
    for (pts, _) in &mut clip.packets {
        *pts = *pts + Micros::from_millis(700);
    }
    let (config, frames) = clip.transcode();
    assert_even(&config, &frames);
    let loudness = heard(&config, &frames);
    assert!(
        loudness[2..33].iter().all(|one| *one < 0.005),
        "{loudness:?}"
    );
    assert!(
        loudness[38..130].iter().all(|one| *one > 0.012),
        "{loudness:?}"
    );
}

#[test]
fn damaged_packets_are_silence_and_counted() {
    let mut clip = Clip::tone("mkv", "-c:a ac3 -b:a 96k -ac 2");
    for (_, data) in clip.packets.iter_mut().skip(20).take(10) {
        *data = Bytes::from_static(&[0x55; 100]);
    }
    let mut frames = Vec::new();
    let mut transcoder = AudioTranscoder::open(&clip.source, START).unwrap();
    for (pts, data) in &clip.packets {
        transcoder
            .push(*pts, data, &mut |frame| frames.push(frame))
            .unwrap();
    }
    assert_eq!(transcoder.decode_errors(), 10);
    let config = transcoder.config().clone();
    transcoder.finish(&mut |frame| frames.push(frame)).unwrap();
    assert_even(&config, &frames);
    let seconds = frames.len() as f64 * 1_024.0 / 48_000.0;
    assert!((1.95..2.1).contains(&seconds), "{seconds} s");
}

#[test]
fn a_codec_that_is_not_there_is_named() {
    let mut clip = Clip::tone("wav", "-c:a pcm_s16le");
    clip.source.codec = "theremin".parse().unwrap();
    let error = AudioTranscoder::open(&clip.source, START).err().unwrap();
    assert!(error.to_string().contains("theremin"), "{error}");
}
