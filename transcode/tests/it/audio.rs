//! Sound of any codec becomes AAC that is heard when the source's was.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use media::{AacConfig, Frame, Micros, Timestamp};
use transcode::{AudioSource, AudioTranscoder};

use crate::publishing::ffmpeg as run_ffmpeg;
use crate::rig::START;

/// When the sound of [`Clip::onset`] begins, counted from its first sample.
const ONSET: Micros = Micros::from_millis(500);

/// Sound that is further from its picture is noticed.
const SKEW: Micros = Micros::from_millis(20);

/// Containers, and what ffmpeg encodes for them; what rate and how many channels it becomes.
const CODECS: [(&str, &str, u32, u32); 7] = [
    ("mp3", "-c:a libmp3lame -b:a 96k -ac 1", 48_000, 1),
    ("mkv", "-c:a libopus -b:a 64k -ac 2", 48_000, 2),
    ("mkv", "-c:a ac3 -b:a 192k -ac 6", 48_000, 2),
    ("wav", "-c:a pcm_s16le -ar 22050 -ac 1", 48_000, 1),
    ("wav", "-c:a pcm_s24le -ar 44100 -ac 2", 44_100, 2),
    ("flac", "-c:a flac -ar 96000 -ac 2", 48_000, 2),
    ("mkv", "-c:a libvorbis -ar 44100 -ac 2", 44_100, 2),
];

/// A file's sound.
struct Clip {
    source: AudioSource,
    packets: Vec<(Timestamp, Bytes)>,
    /// When its first sample is heard, after what the encoder put before it.
    begins: Timestamp,
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

    /// Two seconds, silent up to [`ONSET`].
    fn onset(container: &str, arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("onset.{container}"));
        let seconds = ONSET.as_secs_f64();
        run_ffmpeg(
            &format!(
                "-f lavfi -i aevalsrc=gte(t\\,{seconds})*0.5*sin(880*PI*t):s=48000:d=2 {arguments}"
            ),
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
        // Where the container says nothing, with the first packet.
        let begins = match stream.start_time() {
            ffmpeg::ffi::AV_NOPTS_VALUE => START,
            ticks => micros(ticks),
        };
        let packets = input
            .packets()
            .map(|(_, packet)| {
                let data = Bytes::copy_from_slice(packet.data().unwrap());
                (micros(packet.pts().unwrap()), data)
            })
            .collect();
        Self {
            source,
            packets,
            begins,
        }
    }

    /// Every packet later.
    fn shift(&mut self, span: Micros) {
        for (pts, _) in &mut self.packets {
            *pts = *pts + span;
        }
        self.begins = self.begins + span;
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

/// Samples of one channel at 48 kHz, by Debian's ffmpeg.
fn samples(config: &AacConfig, frames: &[Frame]) -> Vec<f32> {
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
    let samples = output.stdout.chunks_exact(4);
    samples
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect()
}

/// Loudness (the root of the mean square) of every 20 ms.
fn heard(config: &AacConfig, frames: &[Frame]) -> Vec<f64> {
    samples(config, frames)
        .chunks(960)
        .map(|window| {
            let squares: f64 = window.iter().map(|sample| f64::from(sample * sample)).sum();
            (squares / window.len() as f64).sqrt()
        })
        .collect()
}

/// How much later than it should the sound of an [`Clip::onset`] is heard.
fn lateness(clip: &Clip) -> Micros {
    let (config, frames) = clip.transcode();
    assert_even(&config, &frames);
    let samples = samples(&config, &frames);
    let loud = samples.iter().position(|sample| sample.abs() > 0.25);
    let heard = frames[0].pts + Micros::from_ticks(loud.unwrap() as i64, 48_000);
    heard - (clip.begins + ONSET)
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
    for (container, arguments, rate, channels) in CODECS {
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
fn sound_is_heard_when_the_sources_was() {
    for (container, arguments, ..) in CODECS {
        let late = lateness(&Clip::onset(container, arguments));
        assert!(late.abs() < SKEW, "{arguments}: {late:?}");
    }
}

#[test]
fn late_sound_is_heard_when_the_sources_was() {
    const ROUNDED: Micros = Micros::from_millis(1);
    for (container, arguments, ..) in CODECS {
        let mut clip = Clip::onset(container, arguments);
        let at_once = lateness(&clip);
        for millis in [12, 700 - 12] {
            clip.shift(Micros::from_millis(millis));
            let late = lateness(&clip);
            assert!(late.abs() < SKEW, "{arguments}: {late:?}");
            assert!((late - at_once).abs() <= ROUNDED, "{arguments}: {late:?}");
        }
    }
}

/// One timestamp of two seconds is wrong.
#[test]
fn one_bad_timestamp_is_no_long_silence() {
    for seconds in [-10, -1, 1, 10, 5 * 3_600, 10 * 3_600] {
        let mut clip = Clip::tone("mkv", "-c:a ac3 -b:a 96k -ac 2");
        let middle = clip.packets.len() / 3;
        clip.packets[middle].0 = clip.packets[middle].0 + Micros::from_secs(seconds);
        let (config, frames) = clip.transcode();
        assert_even(&config, &frames);
        let loudness = heard(&config, &frames);
        let what = format!("{seconds} s: {loudness:?}");
        if seconds.abs() == 1 {
            // It may be true: what it covers is lost, and nothing else.
            assert!(loudness.len() <= 108, "{what}");
            let quiet = loudness[3..96].iter().filter(|one| **one < 0.012).count();
            assert!(quiet <= 52, "{what}");
            let end = loudness[86..96].iter().filter(|one| **one < 0.012).count();
            assert_eq!(end, 0, "{what}");
        } else {
            assert_tone(&what, &loudness);
        }
    }
}

/// Ten minutes without sound come out a part with every packet, and all of them in the end.
#[test]
fn a_long_silence_comes_in_parts() {
    let mut clip = Clip::tone("mkv", "-c:a ac3 -b:a 96k -ac 2");
    let half = clip.packets.len() / 2;
    for (pts, _) in &mut clip.packets[half..] {
        *pts = *pts + Micros::from_secs(600);
    }
    let mut frames = Vec::new();
    let mut transcoder = AudioTranscoder::open(&clip.source, START).unwrap();
    let config = transcoder.config().clone();
    for (pts, data) in &clip.packets {
        let before = frames.len();
        transcoder
            .push(*pts, data, &mut |frame| frames.push(frame))
            .unwrap();
        assert!(frames.len() - before < 1_500, "{}", frames.len() - before);
    }
    transcoder.finish(&mut |frame| frames.push(frame)).unwrap();
    assert_even(&config, &frames);
    let loudness = heard(&config, &frames);
    assert!(
        (30_098..=30_108).contains(&loudness.len()),
        "{}",
        loudness.len()
    );
    assert!(loudness[60..30_040].iter().all(|one| *one < 0.005));
    assert!(loudness[30_055..30_096].iter().all(|one| *one > 0.012));
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
    clip.shift(Micros::from_millis(700));
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
fn too_many_channels_are_named() {
    let mut clip = Clip::tone("wav", "-c:a pcm_s16le -ac 2");
    clip.source.channels = 10;
    let mut transcoder = AudioTranscoder::open(&clip.source, START).unwrap();
    let (pts, data) = &clip.packets[0];
    let error = transcoder.push(*pts, data, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("10 channels"), "{error}");
}

#[test]
fn a_codec_that_is_not_there_is_named() {
    let mut clip = Clip::tone("wav", "-c:a pcm_s16le");
    clip.source.codec = "theremin".parse().unwrap();
    let error = AudioTranscoder::open(&clip.source, START).err().unwrap();
    assert!(error.to_string().contains("theremin"), "{error}");
}
