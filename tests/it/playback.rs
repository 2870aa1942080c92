//! The stream as FFmpeg's own demuxers read it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{Encoder, Medium, Probed, Site, Stream, Watcher};

const VIDEO_FRAME: f64 = 1.0 / 30.0;
/// AAC: 1,024 samples a frame.
const AUDIO_FRAME: f64 = 1_024.0 / 48_000.0;

/// Checks what was read: every size once, sound, and no hole.
#[track_caller]
fn assert_whole(url: &str, read: &[Probed], sizes: &BTreeSet<(u64, u64)>, seconds: f64) {
    let mut found = BTreeSet::new();
    let mut sound = 0;
    for stream in read {
        println!(
            "{url}: {:?} {} {} packets, {:.2} s",
            stream.medium,
            stream.codec,
            stream.dts.len(),
            stream.length()
        );
        assert!(
            stream.length() >= seconds,
            "{:?} of {url} is short",
            stream.medium
        );
        let (codec, frame) = match stream.medium {
            Medium::Video(width, height) => {
                found.insert((width, height));
                ("h264", VIDEO_FRAME)
            }
            Medium::Audio(rate) => {
                assert_eq!(rate, 48_000);
                sound += 1;
                ("aac", AUDIO_FRAME)
            }
        };
        assert_eq!(stream.codec, codec);
        stream.assert_continuous(frame);
        let early = stream
            .dts
            .iter()
            .zip(&stream.pts)
            .find(|(dts, pts)| pts < dts);
        assert_eq!(early, None, "presented before it is decoded");
    }
    assert_eq!(&found, sizes, "{url}");
    assert_eq!(sound, 1, "{url}");
}

#[test]
fn ffprobe_reads_every_rendition_from_hls_and_from_dash() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let encoder = Encoder {
        size: (960, 540),
        ..Encoder::default()
    };
    let _publisher = encoder.publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "480p", "360p", "audio"], 3);

    let sizes = renditions.iter().filter_map(|rendition| rendition.size);
    let sizes: BTreeSet<_> = sizes.collect();
    assert!(sizes.contains(&(960, 540)), "{sizes:?}");
    assert_eq!(sizes.len(), 3);
    for path in [stream.hls(), stream.dash()] {
        let url = nova.http().url(&path);
        assert_whole(&path, &Probed::read(&url, 10), &sizes, 8.0);
    }
}

#[test]
fn t01_b_frames_are_read_in_order() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let encoder = Encoder {
        b_frames: 2,
        ..Encoder::small()
    };
    let _publisher = encoder.publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "audio"], 3);
    for path in [stream.hls(), stream.dash()] {
        let url = nova.http().url(&path);
        let read = Probed::read(&url, 6);
        assert_whole(&path, &read, &BTreeSet::from([(320, 180)]), 5.0);
        let reordered = read
            .iter()
            .any(|stream| stream.pts.windows(2).any(|pair| pair[1] < pair[0]));
        assert!(reordered, "the encoder made no B-frame");
    }
}

#[test]
fn t08_renditions_cut_at_the_same_instants() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let head = watcher.head(Duration::from_secs(30));
    watcher.wait_media_after(head + 3, Duration::from_secs(60));

    // The watcher itself finds a target duration that changes (T05).
    let history = watcher.finish();
    let source = &history.renditions["source"];
    assert_eq!(source.gaps(), [0; 0]);
    for (name, seen) in &history.renditions {
        // Sound is cut at the nearest of its own frames (T07).
        let tolerance = if name == "audio" { AUDIO_FRAME } else { 0.001 };
        let target = seen.last.as_ref().unwrap().target_duration as f64;
        for (number, segment) in &seen.segments {
            // T05: at least every rounded EXTINF.
            assert!(segment.duration.round() <= target, "{name}: {segment:?}");
            // P06: the number in the name is the media sequence number.
            assert!(
                segment.uri.ends_with(&format!("/{number}.m4s")),
                "{name}: {segment:?}"
            );
            let Some(same) = source.segments.get(number) else {
                continue;
            };
            let start = segment.start.expect("T06: a date on every playlist");
            let apart = (start - same.start.expect("a date")).abs();
            // A date has milliseconds: half of one is lost on either side.
            assert!(
                apart <= tolerance + 0.001,
                "{name} {number} begins {apart} s apart"
            );
            let apart = (segment.duration - same.duration).abs();
            assert!(
                apart <= tolerance + 0.001,
                "{name} {number} lasts {apart} s more or less"
            );
        }
    }
}
