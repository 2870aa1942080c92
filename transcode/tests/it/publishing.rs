//! Frames to publish.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use media::timeline::WireFrame;
use media::{Codec, Micros, TrackKind};
use transcode::source::{self, AtEnd, FileSource, Source, SourceError, TestSettings, TestSource};

use crate::rig::START;

/// Runs ffmpeg with `arguments` to make the file at `path`.
pub(crate) fn ffmpeg(arguments: &str, path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .expect("Debian's ffmpeg");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn drain(source: &mut dyn Source, until: Micros) -> Vec<WireFrame> {
    let mut frames = Vec::new();
    while let Some(due) = source.due().filter(|due| *due < until) {
        frames.extend(source.next(START + due).unwrap());
    }
    frames
}

fn of(frames: &[WireFrame], track: TrackKind) -> Vec<&WireFrame> {
    frames.iter().filter(|frame| frame.track == track).collect()
}

#[test]
fn the_test_picture_has_even_timestamps_and_a_key_frame_every_second() {
    let mut source = TestSource::new(320, 180, 30).unwrap();
    let Codec::Avc(avc) = &source.codecs()[0] else {
        panic!("video comes first");
    };
    assert_eq!((avc.width, avc.height), (320, 180));
    let frames = drain(&mut source, Micros::from_secs(3));
    assert!(frames.is_sorted_by_key(|frame| frame.timestamp));
    let video = of(&frames, TrackKind::Video);
    assert_eq!(video.len(), 90);
    for (index, frame) in video.iter().enumerate() {
        assert_eq!(frame.timestamp as usize, index * 1_000 / 30);
        assert_eq!(frame.key, index % 30 == 0);
    }
    let audio = of(&frames, TrackKind::Audio);
    for (index, frame) in audio.iter().enumerate() {
        assert_eq!(frame.timestamp as usize, index * 1_024 * 1_000 / 48_000);
    }
    let heard = audio.last().unwrap().timestamp;
    assert!((2_900..3_100).contains(&heard), "sound keeps up: {heard}");
}

#[test]
fn the_test_picture_is_small_enough_for_every_machine() {
    for (width, height, fps, what) in [
        (1920, 1080, 30, "width"),
        (1280, 721, 30, "height"),
        (1280, 720, 60, "frames_per_second"),
        (1280, 720, 0, "frames_per_second"),
    ] {
        let error = TestSource::new(width, height, fps).err().unwrap();
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// Not a measurement: a bound far above what any machine needs.
#[test]
fn the_test_picture_is_made_faster_than_it_plays() {
    let mut source = source::test_picture(&TestSettings::default()).unwrap();
    let began = Instant::now();
    let frames = drain(&mut *source, Micros::from_secs(3));
    let took = began.elapsed();
    let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
    println!(
        "3 s of 1280x720 at 30 fps in {took:?}, {} kb/s",
        bytes * 8 / 3_000
    );
    assert!(took < Duration::from_secs(9), "{took:?}");
}

const PICTURE_AND_SOUND: &str = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 \
    -f lavfi -i sine=frequency=440:sample_rate=44100:duration=2 -pix_fmt yuv420p -g 25";

#[test]
fn a_file_of_any_container_gives_the_same_frames() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["file.mp4", "file.mkv", "file.flv", "file.ts"] {
        let path = folder.path().join(name);
        ffmpeg(
            &format!("{PICTURE_AND_SOUND} -c:v libx264 -preset superfast -bf 2 -c:a aac"),
            &path,
        );
        let mut source = FileSource::open(&path, AtEnd::Stop).unwrap();
        let [Codec::Avc(avc), Codec::Aac(aac)] = source.codecs() else {
            panic!("{name}: {:?}", source.codecs());
        };
        assert_eq!((avc.width, avc.height), (320, 240), "{name}");
        assert_eq!((aac.sample_rate, aac.object_type), (44_100, 2), "{name}");
        let length_size = usize::from(avc.nal_length_size);
        let frames = drain(&mut source, Micros::from_secs(60));
        assert_eq!(source.due(), None);
        assert!(source.next(START).unwrap().is_empty());

        let video = of(&frames, TrackKind::Video);
        assert_eq!(video.len(), 50, "{name}");
        assert_eq!(video.iter().filter(|frame| frame.key).count(), 2, "{name}");
        for frame in &video {
            let first = frame.data[..length_size].iter();
            let length = first.fold(0, |length, byte| length << 8 | usize::from(*byte));
            assert!(length_size + length <= frame.data.len(), "{name}");
            assert!(frame.composition_offset >= 0, "{name}");
        }
        assert!(video.is_sorted_by_key(|frame| frame.timestamp), "{name}");
        let audio = of(&frames, TrackKind::Audio);
        assert!((86..=90).contains(&audio.len()), "{name}: {}", audio.len());
        assert!(
            audio.iter().all(|frame| frame.data[0] != 0xff),
            "{name}: no ADTS"
        );
    }
}

#[test]
fn a_repeated_file_goes_on_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.mp4");
    ffmpeg(
        &format!("{PICTURE_AND_SOUND} -c:v libx264 -preset superfast -bf 2 -c:a aac"),
        &path,
    );
    let mut source = FileSource::open(&path, AtEnd::Repeat).unwrap();
    let frames = drain(&mut source, Micros::from_secs(7));
    for (track, step) in [(TrackKind::Video, 40), (TrackKind::Audio, 23)] {
        let stamps: Vec<_> = of(&frames, track).iter().map(|f| f.timestamp).collect();
        assert!(stamps.last().unwrap() > &6_500);
        for pair in stamps.windows(2) {
            let distance = pair[1] - pair[0];
            assert!(
                (step - 3..step + 80).contains(&distance),
                "{track:?}: {pair:?}"
            );
        }
    }
}

#[test]
fn other_codecs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (codecs, words) in [
        ("-c:v mpeg4 -c:a aac", ["video is mpeg4", "only H.264"]),
        ("-c:v libx264 -c:a ac3", ["audio is ac3", "only AAC"]),
    ] {
        let path = folder.path().join("other.mp4");
        ffmpeg(&format!("{PICTURE_AND_SOUND} {codecs}"), &path);
        let error = FileSource::open(&path, AtEnd::Stop).err().unwrap();
        assert!(matches!(error, SourceError::Unsupported { .. }));
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_none_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a film\n").unwrap();
    for path in [text, folder.path().join("missing.mp4")] {
        let error = FileSource::open(&path, AtEnd::Stop).err().unwrap();
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[test]
fn sound_alone_can_be_published() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.m4a");
    ffmpeg("-f lavfi -i sine=duration=1 -c:a aac", &path);
    let mut source = FileSource::open(&path, AtEnd::Stop).unwrap();
    assert!(matches!(source.codecs(), [Codec::Aac(_)]));
    let frames = drain(&mut source, Micros::from_secs(5));
    assert!(frames.iter().all(|frame| frame.track == TrackKind::Audio));
    assert!(frames.len() > 40);
}
