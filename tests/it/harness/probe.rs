//! What `ffprobe` reads from a URL.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::Process;

/// How long one reading may take.
const LIMIT: Duration = Duration::from_secs(90);

/// One elementary stream and its packets.
#[derive(Debug)]
pub(crate) struct Probed {
    /// Pictures with their size, or sound.
    pub(crate) medium: Medium,
    /// `h264`, `aac`.
    pub(crate) codec: String,
    /// Decoding times in seconds, in the order of arrival.
    pub(crate) dts: Vec<f64>,
    /// Presentation times in seconds, in the order of arrival.
    pub(crate) pts: Vec<f64>,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Medium {
    /// Pixels across and down.
    Video(u64, u64),
    /// Samples a second.
    Audio(u64),
}

impl Probed {
    /// Reads about `seconds` of everything at `url`.
    #[track_caller]
    pub(crate) fn read(url: &str, seconds: u32) -> Vec<Self> {
        let mut process = Process::start(
            "ffprobe",
            Command::new("ffprobe")
                .args(["-v", "error", "-of", "json", "-read_intervals"])
                .arg(format!("%+{seconds}"))
                .args(["-show_entries", "packet=stream_index,dts_time,pts_time"])
                .args([
                    "-show_entries",
                    "stream=index,codec_type,codec_name,width,height,sample_rate",
                ])
                .arg(url),
        );
        process.close_stdin();
        let status = process.wait_exit(LIMIT);
        let (stdout, stderr) = process.output();
        assert!(status.success(), "ffprobe {url}: {}", stderr.join("\n"));
        let told: Value = serde_json::from_str(&stdout.join("\n")).expect("ffprobe prints JSON");
        let mut streams: BTreeMap<u64, Self> = list(&told["streams"])
            .map(|stream| (number(&stream["index"]), Self::new(stream)))
            .collect();
        for packet in list(&told["packets"]) {
            let index = number(&packet["stream_index"]);
            let stream = streams.get_mut(&index).expect("a packet of a known stream");
            stream.dts.push(seconds_of(&packet["dts_time"]));
            stream.pts.push(seconds_of(&packet["pts_time"]));
        }
        streams.into_values().collect()
    }

    fn new(stream: &Value) -> Self {
        let medium = match stream["codec_type"].as_str() {
            Some("video") => Medium::Video(number(&stream["width"]), number(&stream["height"])),
            Some("audio") => Medium::Audio(seconds_of(&stream["sample_rate"]) as u64),
            other => panic!("a stream of type {other:?}"),
        };
        Self {
            medium,
            codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
            dts: Vec::new(),
            pts: Vec::new(),
        }
    }

    /// Seconds from the first packet to the last.
    pub(crate) fn length(&self) -> f64 {
        self.dts.last().unwrap_or(&0.0) - self.dts.first().unwrap_or(&0.0)
    }

    /// Checks that each packet follows its predecessor within one and a half frames.
    #[track_caller]
    pub(crate) fn assert_continuous(&self, frame: f64) {
        for (i, pair) in self.dts.windows(2).enumerate() {
            let step = pair[1] - pair[0];
            assert!(
                step > 0.0 && step <= 1.5 * frame,
                "{:?}: packet {i} of {} is followed after {step:.6} s, a frame lasts {frame:.6} s",
                self.medium,
                self.dts.len()
            );
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn seconds_of(value: &Value) -> f64 {
    let figure = value.as_str().and_then(|text| text.parse().ok());
    figure.unwrap_or_else(|| panic!("{value} is no figure"))
}
