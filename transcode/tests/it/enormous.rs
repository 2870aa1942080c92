//! Small files that claim pictures of 20,000 x 20,000: a named reason, in bounded memory and
//! time.

use std::path::Path;
use std::time::{Duration, Instant};

use media::{Micros, SegmentNumber, Timestamp, TrackKind, VideoShape};
use transcode::vod::{DemuxError, Demuxed, Demuxer, Task};
use transcode::{Encoder, EngineName, Job, Rung, WorkerError};

use crate::demuxing::{command, frames, scan};
use crate::publishing::ffmpeg;
use crate::rig::transcode;

/// A side that libavcodec takes for none, and one that it takes.
const SIDES: [u32; 2] = [20_000, 16_000];
/// Resident memory of a process that reads or decodes one: far below all of its pictures,
/// and what `RLIMIT_DATA` holds it to.
const MEMORY_KIB: i64 = 1 << 20;
/// How long that may take on a busy machine.
const TIME: Duration = Duration::from_secs(30);

/// The most memory that a process of this test had that has ended, in KiB.
fn peak_kib() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the call, and all zeros are a `rusage`.
    let usage = unsafe {
        assert_eq!(
            libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()),
            0
        );
        usage.assume_init()
    };
    usage.ru_maxrss
}

/// What a scan says first, once its process has ended.
async fn describe(file: &Path) -> Result<Demuxed, DemuxError> {
    let file = file.to_str().unwrap().to_owned();
    let mut demuxer = Demuxer::start(&command(), &Task::Scan { file })?;
    let told = demuxer.next().await;
    demuxer.stop().await?;
    told.map(|told| told.expect("a description or a reason"))
}

/// A file that claims such pictures, where the container says so too or only the pictures.
async fn claims(file: &Path, side: u32) {
    let began = Instant::now();
    let reason = match describe(file).await {
        Err(DemuxError::Refused(reason)) => reason,
        Err(error) => panic!("{file:?}: {error}"),
        // Only the pictures say so: who decodes them finds out.
        Ok(_) => decoded(file).await,
    };
    assert!(
        reason.contains("picture") || reason.contains("pic_size"),
        "{file:?}: {reason}"
    );
    let (took, peak) = (began.elapsed(), peak_kib());
    println!("{file:?}, {side}: {took:?}, {} MiB: {reason}", peak >> 10);
    assert!(took < TIME, "{file:?}: {took:?}");
    assert!(peak < MEMORY_KIB, "{file:?}: {} MiB", peak >> 10);
}

/// What becomes of a file whose container says nothing of it.
async fn decoded(file: &Path) -> String {
    let (info, _, _) = scan(file).await.unwrap();
    let mut frames = frames(file, TrackKind::Video, None).await;
    frames[0].starts = Some(SegmentNumber(0));
    let shape = VideoShape {
        width: 32,
        height: 32,
    };
    let job = Job {
        engine: EngineName::Ffmpeg,
        encoder: Encoder::Software,
        source: info.video.unwrap(),
        rungs: vec![Rung::live("small".parse().unwrap(), shape, 100_000)],
        start: Timestamp::default(),
        frame_duration: Micros::from_millis(40),
    };
    match transcode(&job, &frames).await {
        Ok(made) => {
            assert!(made.frames.is_empty(), "{file:?}");
            "no picture of it is decoded".to_owned()
        }
        Err(WorkerError::GaveUp { reason }) => reason,
        Err(error) => panic!("{file:?}: {error}"),
    }
}

#[tokio::test]
async fn h264_whose_header_claims_it() {
    let source = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -pix_fmt yuv420p \
                  -c:v libx264 -preset ultrafast";
    parameter_sets_that_claim_it(source, "avc1", "avcC", h264).await;
}

#[tokio::test]
async fn hevc_whose_header_claims_it() {
    let source = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -pix_fmt yuv420p \
                  -c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1 \
                  -tag:v hvc1";
    parameter_sets_that_claim_it(source, "hvc1", "hvcC", hevc).await;
}

async fn parameter_sets_that_claim_it(
    source: &str,
    entry: &str,
    record: &str,
    claim: fn(&[u8], u32) -> Vec<u8>,
) {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.mp4");
    ffmpeg(source, &small);
    let small = std::fs::read(&small).unwrap();
    for side in SIDES {
        for told in [false, true] {
            let file = folder.path().join(format!("told-{told}.mp4"));
            let mut bytes = enlarged(&small, entry, record, |set| claim(set, side));
            if told {
                tell(&mut bytes, entry, side);
            }
            std::fs::write(&file, bytes).unwrap();
            claims(&file, side).await;
        }
    }
}

#[tokio::test]
async fn png_whose_header_claims_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.mov");
    ffmpeg(
        "-f lavfi -i color=size=64x64:rate=25:duration=0.2 -c:v png",
        &small,
    );
    let small = std::fs::read(&small).unwrap();
    for side in SIDES {
        for told in [false, true] {
            let mut bytes = small.clone();
            // Width and height, five bytes, and a checksum (PNG 11.2.1).
            for at in places(&bytes, b"IHDR") {
                bytes[at + 4..][..4].copy_from_slice(&side.to_be_bytes());
                bytes[at + 8..][..4].copy_from_slice(&side.to_be_bytes());
                let checksum = crc32(&bytes[at..at + 17]);
                bytes[at + 17..][..4].copy_from_slice(&checksum.to_be_bytes());
            }
            if told {
                tell(&mut bytes, "png ", side);
            }
            let file = folder.path().join(format!("told-{told}.mov"));
            std::fs::write(&file, bytes).unwrap();
            claims(&file, side).await;
        }
    }
}

#[tokio::test]
async fn motion_jpeg_whose_frames_claim_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.avi");
    ffmpeg(
        "-f lavfi -i testsrc2=size=64x64:rate=25:duration=0.2 -pix_fmt yuvj420p -c:v mjpeg",
        &small,
    );
    let small = std::fs::read(&small).unwrap();
    for side in SIDES {
        let mut bytes = small.clone();
        let side_bytes = u16::try_from(side).unwrap().to_be_bytes();
        // SOF0: a length, a precision, lines, samples of a line (T.81 B.2.2).
        for at in places(&bytes, &[0xff, 0xc0]) {
            bytes[at + 5..][..2].copy_from_slice(&side_bytes);
            bytes[at + 7..][..2].copy_from_slice(&side_bytes);
        }
        let file = folder.path().join("hidden.avi");
        std::fs::write(&file, bytes).unwrap();
        claims(&file, side).await;
    }
}

fn places(bytes: &[u8], mark: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(mark.len()).enumerate();
    let found: Vec<_> = windows.filter(|(_, window)| *window == mark).collect();
    assert!(!found.is_empty());
    found.into_iter().map(|(at, _)| at).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Where the boxes on the way to a sample entry's record begin, outermost first.
fn way(mp4: &[u8], entry: &str, record: Option<&str>) -> Vec<usize> {
    let steps = ["moov", "trak", "mdia", "minf", "stbl", "stsd", entry];
    let mut at = 0;
    let mut way = Vec::new();
    for name in steps.into_iter().chain(record) {
        while &mp4[at + 4..at + 8] != name.as_bytes() {
            at += number(mp4, at) as usize;
        }
        way.push(at);
        at += 8 + match name {
            "stsd" => 8,
            // A visual sample entry (ISO/IEC 14496-12 12.1.3).
            name if name == entry => 78,
            _ => 0,
        };
    }
    way
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap()))
}

/// The sample entry says so, too.
fn tell(mp4: &mut [u8], entry: &str, side: u32) {
    let at = way(mp4, entry, None)[6];
    let side = u16::try_from(side).unwrap().to_be_bytes();
    mp4[at + 32..at + 34].copy_from_slice(&side);
    mp4[at + 34..at + 36].copy_from_slice(&side);
}

/// With another sequence parameter set. The index is behind the media, so that nothing
/// else moves.
fn enlarged(mp4: &[u8], entry: &str, record: &str, claim: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let way = way(mp4, entry, Some(record));
    let start = way[7] + 8;
    // Where its length stands (ISO/IEC 14496-15 5.3.3.1, 8.3.3.1).
    let at = match record {
        "avcC" => start + 6,
        _ => {
            let mut at = start + 23;
            while mp4[at] & 63 != 33 {
                let count = short(mp4, at + 1);
                at += 3;
                for _ in 0..count {
                    at += 2 + short(mp4, at);
                }
            }
            at + 3
        }
    };
    let before = short(mp4, at);
    let set = claim(&mp4[at + 2..][..before]);
    let length = u16::try_from(set.len()).unwrap();
    let grown = set.len() as u32 - before as u32;
    let set = [&length.to_be_bytes()[..], &set].concat();
    let mut mp4 = mp4.to_vec();
    mp4.splice(at..at + 2 + before, set);
    for at in way {
        let size = number(&mp4, at) + grown;
        mp4[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    mp4
}

/// Bits that are copied from one parameter set to another.
struct Bits<'a> {
    from: &'a str,
    to: String,
}

impl<'a> Bits<'a> {
    fn copy(&mut self, count: usize) -> &'a str {
        let bits = self.skip(count);
        self.to.push_str(bits);
        bits
    }

    fn skip(&mut self, count: usize) -> &'a str {
        let (bits, rest) = self.from.split_at(count);
        self.from = rest;
        bits
    }

    /// The length of an Exp-Golomb code (H.264 9.1).
    fn golomb(&self) -> usize {
        2 * self.from.find('1').unwrap() + 1
    }

    fn copy_golomb(&mut self) -> &'a str {
        self.copy(self.golomb())
    }

    fn write_golomb(&mut self, value: u32) {
        let code = format!("{:b}", value + 1);
        self.to.push_str(&"0".repeat(code.len() - 1));
        self.to.push_str(&code);
    }

    /// The sizes in place of those that come, then the rest as it is.
    fn with_sizes(mut self, size: u32) -> Vec<u8> {
        for _ in 0..2 {
            self.skip(self.golomb());
            self.write_golomb(size);
        }
        // The stop bit is the last that is set.
        let mut bits = self.to + self.from.trim_end_matches('0');
        while !bits.len().is_multiple_of(8) {
            bits.push('0');
        }
        let bytes = bits.as_bytes().chunks(8);
        let bytes = bytes.map(|bits| std::str::from_utf8(bits).unwrap());
        escaped(bytes.map(|bits| u8::from_str_radix(bits, 2).unwrap()))
    }
}

fn bits(set: &[u8]) -> String {
    let mut zeros = 0;
    let payload = set.iter().filter(|byte| {
        let is_escape = zeros >= 2 && **byte == 3;
        zeros = if **byte == 0 { zeros + 1 } else { 0 };
        !is_escape
    });
    payload.map(|byte| format!("{byte:08b}")).collect()
}

/// With emulation prevention (H.264 7.4.1).
fn escaped(payload: impl Iterator<Item = u8>) -> Vec<u8> {
    let (mut set, mut zeros) = (Vec::new(), 0);
    for byte in payload {
        if zeros >= 2 && byte <= 3 {
            set.push(3);
            zeros = 0;
        }
        set.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    set
}

/// H.264 7.3.2.1.1, of the profiles without chroma formats.
fn h264(set: &[u8], side: u32) -> Vec<u8> {
    assert!(matches!(set[1], 66 | 77), "profile {}", set[1]);
    let text = bits(set);
    let mut bits = Bits {
        from: &text,
        to: String::new(),
    };
    bits.copy(32);
    bits.copy_golomb();
    bits.copy_golomb();
    // Picture order count type 0 has one more field, 2 has none.
    if bits.copy_golomb() == "1" {
        bits.copy_golomb();
    }
    bits.copy_golomb();
    bits.copy(1);
    bits.with_sizes(side / 16 - 1)
}

/// HEVC 7.3.2.2.1, of one layer.
fn hevc(set: &[u8], side: u32) -> Vec<u8> {
    let text = bits(set);
    let mut bits = Bits {
        from: &text,
        to: String::new(),
    };
    bits.copy(16);
    assert_eq!(&bits.copy(8)[4..7], "000", "one layer");
    bits.copy(96);
    bits.copy_golomb();
    bits.copy_golomb();
    bits.with_sizes(side)
}
