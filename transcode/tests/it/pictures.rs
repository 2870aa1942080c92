//! JPEGs of key frames, made by a process that may die, hang or go mad.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{AvcConfig, Codec, HevcConfig, KeyFrame, Sheet, VideoShape};
use tokio::time::timeout;
use transcode::WIRE_VERSION;
use transcode::pictures::{Pictures, PicturesCommand, PicturesError, QUEUE};

use crate::conformance::clip::Clip;
use crate::rig::{DEADLINE, is_running, kill, send_signal, until_gone};

fn command() -> PicturesCommand {
    PicturesCommand::new(
        env!("CARGO_BIN_EXE_transcode-test-worker").into(),
        vec!["pictures".into()],
    )
}

/// What is really `sh` with this script.
fn impostor(script: &str) -> PicturesCommand {
    PicturesCommand::new("sh".into(), vec!["-c".into(), script.into()])
}

/// The key frames of a clip.
fn key_frames(clip: &Clip) -> Vec<KeyFrame> {
    let record = clip.source.record.clone();
    let codec = match clip.source.codec.as_str() {
        "h264" => Codec::Avc(AvcConfig::parse(record).unwrap()),
        "hevc" => Codec::Hevc(HevcConfig::parse(record).unwrap()),
        other => panic!("{other}"),
    };
    let keys = clip.frames.iter().filter(|frame| frame.key);
    keys.map(|frame| KeyFrame {
        codec: codec.clone(),
        data: frame.data.clone(),
    })
    .collect()
}

/// The first key frame of ffmpeg's test picture.
fn test_picture() -> KeyFrame {
    key_frames(&Clip::h264("320x180", "10", 1, "")).remove(0)
}

fn test_picture_in_hevc() -> KeyFrame {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=10:duration=0.1 -pix_fmt yuv420p -c:v libx265 \
         -preset ultrafast -x265-params log-level=error:pools=1 -tag:v hvc1",
    );
    key_frames(&clip).remove(0)
}

fn single(key_frame: KeyFrame, width: u32, height: u32) -> Sheet {
    Sheet {
        columns: 1,
        rows: 1,
        tile: VideoShape { width, height },
        tiles: vec![Some(key_frame)],
    }
}

async fn make(pictures: &Pictures, sheet: Sheet) -> Result<Bytes, PicturesError> {
    let made = timeout(DEADLINE, pictures.make(sheet)).await.unwrap()?;
    assert_eq!(made.undecodable, []);
    Ok(made.jpeg)
}

/// Red, green and blue of each pixel, as another reader sees them.
struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    fn read(jpeg: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.jpg");
        std::fs::write(&file, jpeg).unwrap();
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0"])
            .args(["-show_entries", "stream=width,height,color_range"])
            .arg(&file)
            .output()
            .unwrap();
        let probed = String::from_utf8(probed.stdout).unwrap();
        let mut fields = probed.trim().split(',');
        let mut side = || fields.next().unwrap().parse().unwrap();
        let (width, height) = (side(), side());
        assert_eq!(fields.next(), Some("pc"), "JFIF is of the full range");
        let decoded = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&file)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap();
        assert!(decoded.stderr.is_empty(), "{decoded:?}");
        assert_eq!(decoded.stdout.len(), width * height * 3);
        Self {
            width,
            height,
            pixels: decoded.stdout,
        }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        self.pixels[at..at + 3].try_into().unwrap()
    }

    #[track_caller]
    fn assert_near(&self, (x, y): (usize, usize), expected: [u8; 3], what: &str) {
        let found = self.at(x, y);
        let off = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
        assert!(
            off <= Some(8),
            "{what} at {x},{y}: {found:?}, not {expected:?}"
        );
    }
}

/// Bars of eight colours, in this matrix and range, and how they are encoded.
fn bars(encoder: &str, matrix: &str, range: &str, format: &str) -> Clip {
    let colours = BARS.map(|(name, _)| format!("-f lavfi -i color=c={name}:s=40x180:d=0.1"));
    let name = match matrix {
        "bt601" => "smpte170m",
        other => other,
    };
    Clip::make(
        "mp4",
        &format!(
            "{} -filter_complex hstack=inputs=8,format=gbrp,\
             scale=out_color_matrix={matrix}:out_range={range}:flags=accurate_rnd,format={format} \
             -frames:v 1 {encoder} -color_primaries {name} -color_trc {name} -colorspace {name} \
             -color_range {range}",
            colours.join(" ")
        ),
    )
}

const BARS: [(&str, [u8; 3]); 8] = [
    ("0xffffff", [255, 255, 255]),
    ("0xc8c800", [200, 200, 0]),
    ("0x00c8c8", [0, 200, 200]),
    ("0x00c800", [0, 200, 0]),
    ("0xc800c8", [200, 0, 200]),
    ("0xc80000", [200, 0, 0]),
    ("0x0000c8", [0, 0, 200]),
    ("0x000000", [0, 0, 0]),
];

#[tokio::test]
async fn colours_are_those_of_the_source_whatever_its_matrix() {
    const H264: &str = "-c:v libx264 -qp 4";
    const HEVC: &str = "-c:v libx265 -x265-params qp=4:log-level=error:pools=1 -tag:v hvc1";
    let pictures = Pictures::new(command());
    for (encoder, matrix, range, format) in [
        (H264, "bt709", "tv", "yuv420p"),
        (H264, "bt601", "tv", "yuv420p"),
        (H264, "bt709", "pc", "yuv420p"),
        (H264, "bt709", "tv", "yuv422p10"),
        (HEVC, "bt709", "tv", "yuv420p10"),
        (HEVC, "bt601", "tv", "yuv420p"),
    ] {
        let what = format!("{encoder} {matrix} {range} {format}");
        let clip = bars(encoder, matrix, range, format);
        let key_frame = key_frames(&clip).remove(0);
        for (width, height) in [(320, 180), (160, 90)] {
            let sheet = single(key_frame.clone(), width, height);
            let image = Image::read(&make(&pictures, sheet).await.unwrap());
            assert_eq!(
                (image.width, image.height),
                (width as usize, height as usize)
            );
            for (bar, (_, expected)) in BARS.iter().enumerate() {
                let x = image.width * (2 * bar + 1) / 16;
                image.assert_near((x, image.height / 2), *expected, &what);
            }
        }
    }
}

#[tokio::test]
async fn a_sheet_has_its_pictures_row_by_row() {
    // A key frame every second, each of another grey.
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i color=c=black:s=640x360:r=1:d=25 -vf geq=lum=20+8*N:cb=128:cr=128 \
         -pix_fmt yuv420p -c:v libx264 -qp 4 -g 1 -color_range tv",
    );
    let keys = key_frames(&clip);
    assert_eq!(keys.len(), 25);
    // Those of the third row are not there, nor the end.
    let mut tiles: Vec<_> = keys.into_iter().map(Some).collect();
    tiles[10..15].fill(None);
    tiles.truncate(23);
    let sheet = Sheet {
        columns: 5,
        rows: 5,
        tile: VideoShape {
            width: 160,
            height: 90,
        },
        tiles,
    };
    let pictures = Pictures::new(command());
    let begun = Instant::now();
    let jpeg = make(&pictures, sheet).await.unwrap();
    println!("{} bytes, {:?} with the start", jpeg.len(), begun.elapsed());
    let image = Image::read(&jpeg);
    assert_eq!((image.width, image.height), (800, 450));
    for index in 0..25 {
        let luma = f64::from(20 + 8 * index as u8);
        let level = match index {
            10..=14 | 23.. => 0,
            _ => ((luma - 16.0) * 255.0 / 219.0).round() as u8,
        };
        let (x, y) = (index % 5 * 160, index / 5 * 90);
        for (x, y) in [(x + 3, y + 3), (x + 80, y + 45), (x + 156, y + 86)] {
            image.assert_near((x, y), [level; 3], &format!("tile {index}"));
        }
    }
}

#[tokio::test]
async fn pictures_keep_the_shape_they_are_shown_in() {
    let pictures = Pictures::new(command());
    let white = |size: &str, aspect: &str| {
        let clip = Clip::make(
            "mp4",
            &format!(
                "-f lavfi -i color=c=white:s={size}:d=0.1 -vf setsar={aspect} -frames:v 1 \
                 -pix_fmt yuv420p -c:v libx264 -qp 4"
            ),
        );
        key_frames(&clip).remove(0)
    };
    for (size, aspect, (left, top)) in [
        ("320x180", "1", (0, 0)),
        // 4:3 and upright have black at their sides, wide ones above and below.
        ("320x240", "1", (20, 0)),
        ("180x320", "1", (55, 0)),
        ("320x90", "1", (0, 22)),
        // 16:9 with pixels that are not square.
        ("180x144", "64/45", (0, 0)),
    ] {
        let sheet = single(white(size, aspect), 160, 90);
        let image = Image::read(&make(&pictures, sheet).await.unwrap());
        let middle = (image.width / 2, image.height / 2);
        image.assert_near(middle, [255; 3], size);
        image.assert_near((left + 2, top + 2), [255; 3], size);
        image.assert_near((157 - left, 87 - top), [255; 3], size);
        if left > 8 {
            image.assert_near((left - 8, middle.1), [0; 3], size);
        }
        if top > 8 {
            image.assert_near((middle.0, top - 8), [0; 3], size);
        }
    }
}

#[tokio::test]
async fn a_damaged_key_frame_is_an_error_and_no_guess() {
    let pictures = Pictures::new(command());
    for whole in [test_picture(), test_picture_in_hevc()] {
        let codec = &whole.codec;
        let middle = whole.data.len() / 2;
        let mut torn = whole.data.to_vec();
        torn[middle..middle + 400].fill(0xff);
        let mut swapped = whole.data.to_vec();
        swapped[middle..].reverse();
        // HEVC's arithmetic decoder makes a picture of anything.
        let noticed = match codec {
            Codec::Avc(_) => vec![("torn", torn.into()), ("shuffled", swapped.into())],
            _ => Vec::new(),
        };
        let damaged = [
            ("cut short", whole.data.slice(..middle)),
            ("no picture", Bytes::from_static(&[0, 0, 0, 1, 9, 0x10])),
            ("noise", Bytes::from(vec![0xa5; 5_000])),
            ("nothing", Bytes::new()),
        ];
        for (what, data) in damaged.into_iter().chain(noticed) {
            let broken = KeyFrame {
                codec: codec.clone(),
                data,
            };
            let sheet = single(broken.clone(), 160, 90);
            let outcome = make(&pictures, sheet).await;
            let Err(PicturesError::Undecodable(why)) = outcome else {
                panic!("{} {what}: {}", codec.rfc6381(), outcome.is_ok());
            };
            assert!(why.contains("key frame"), "{what}: {why}");
            // The others of a sheet are there all the same.
            let sheet = Sheet {
                columns: 2,
                tiles: vec![Some(whole.clone()), Some(broken)],
                ..single(whole.clone(), 160, 90)
            };
            let made = pictures.make(sheet).await.unwrap();
            let [(1, why)] = &made.undecodable[..] else {
                panic!("{what}: {:?}", made.undecodable);
            };
            assert!(why.contains("key frame"), "{why}");
            let image = Image::read(&made.jpeg);
            image.assert_near((240, 45), [0; 3], what);
            assert_ne!(image.at(40, 45), [0; 3], "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_sloppy_and_plays_everywhere_has_a_picture() {
    let pictures = Pictures::new(command());
    for whole in [test_picture(), test_picture_in_hevc()] {
        // User data without the 16 bytes that say whose they are.
        let header: &[u8] = match whole.codec {
            Codec::Avc(_) => &[0, 0, 0, 7, 6],
            _ => &[0, 0, 0, 8, 39 << 1, 1],
        };
        let data = [header, &[5, 3, 1, 2, 3, 0x80], &whole.data].concat();
        let sloppy = KeyFrame {
            codec: whole.codec.clone(),
            data: data.into(),
        };
        let jpeg = make(&pictures, single(whole, 160, 90)).await.unwrap();
        let same = make(&pictures, single(sloppy, 160, 90)).await.unwrap();
        assert_eq!(jpeg, same);
    }
}

#[tokio::test]
async fn what_is_no_sheet_is_refused_before_it_is_sent() {
    let pictures = Pictures::new(impostor("exit 7"));
    let whole = single(test_picture(), 160, 90);
    for sheet in [
        Sheet {
            tiles: vec![None],
            ..whole.clone()
        },
        Sheet {
            columns: 0,
            ..whole.clone()
        },
        Sheet {
            tiles: vec![None, whole.tiles[0].clone()],
            ..whole.clone()
        },
        single(test_picture(), 1_000_000, 1_000_000),
    ] {
        let error = pictures.make(sheet).await.unwrap_err();
        assert!(matches!(error, PicturesError::Sheet(_)), "{error:?}");
    }
}

/// The processes that this test has started with this script or program.
fn children(of: &str) -> Vec<u32> {
    let parent = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let fields = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        let is_ours = fields.split(' ').nth(1) == Some(&parent);
        is_ours && String::from_utf8_lossy(&read("cmdline")).contains(of) && is_running(*pid)
    })
    .collect()
}

fn the_process() -> u32 {
    let found = children("\0pictures\0");
    assert_eq!(found.len(), 1, "one process");
    found[0]
}

#[tokio::test]
async fn the_process_is_started_when_it_is_needed_and_ends_when_it_is_not() {
    let pictures = Pictures::new(PicturesCommand {
        idle: Duration::from_millis(300),
        ..command()
    });
    assert_eq!(children("\0pictures\0"), [0; 0]);
    let sheet = single(test_picture(), 160, 90);
    make(&pictures, sheet.clone()).await.unwrap();
    until_gone(the_process()).await;
    make(&pictures, sheet.clone()).await.unwrap();
    let again = the_process();
    make(&pictures.clone(), sheet).await.unwrap();
    drop(pictures);
    until_gone(again).await;
}

#[tokio::test]
async fn a_killed_process_costs_nothing() {
    let pictures = Pictures::new(command());
    let sheet = single(test_picture(), 160, 90);
    make(&pictures, sheet.clone()).await.unwrap();
    let first = the_process();
    kill(first);
    make(&pictures, sheet.clone()).await.unwrap();
    until_gone(first).await;
    let second = the_process();
    assert_ne!(first, second);
    // In the middle of its work: it stands still, and then it dies.
    send_signal(second, "STOP");
    let working = {
        let pictures = pictures.clone();
        tokio::spawn(async move { pictures.make(sheet).await })
    };
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    kill(second);
    timeout(DEADLINE, working).await.unwrap().unwrap().unwrap();
    assert_ne!(the_process(), second);
}

#[tokio::test]
async fn want_of_memory_is_no_fault_of_a_picture() {
    let program = env!("CARGO_BIN_EXE_transcode-test-worker");
    let pictures = Pictures::new(impostor(&format!(
        "NOVA_WORKER_MEMORY=64000000 exec {program} pictures"
    )));
    make(&pictures, single(test_picture(), 160, 90))
        .await
        .unwrap();
    for encoder in [
        "-c:v libx264 -preset ultrafast",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1 -tag:v hvc1",
    ] {
        let clip = Clip::make(
            "mp4",
            &format!(
                "-f lavfi -i color=c=gray:s=7680x4320:r=1:d=1 -frames:v 1 -pix_fmt yuv420p {encoder}"
            ),
        );
        let large = single(key_frames(&clip).remove(0), 160, 90);
        let error = make(&pictures, large).await.unwrap_err();
        assert!(matches!(error, PicturesError::Ended { .. }), "{error:?}");
        assert!(
            error.to_string().contains("cannot allocate memory"),
            "{error}"
        );
    }
}

/// A script's greeting.
fn hello() -> String {
    let [high, low] = WIRE_VERSION.to_be_bytes();
    format!(r"printf '\0\0\0\3\140\{high:o}\{low:o}'")
}

#[tokio::test]
async fn one_that_dies_hangs_or_goes_mad_is_an_error_and_another_is_started() {
    type Expected = fn(&PicturesError) -> bool;
    let hello = hello();
    let ended = |error: &PicturesError| matches!(error, PicturesError::Ended { .. });
    let stalled = |error: &PicturesError| matches!(error, PicturesError::Stalled { .. });
    let nonsense = |error: &PicturesError| matches!(error, PicturesError::Nonsense { .. });
    let gave_up = |error: &PicturesError| matches!(error, PicturesError::GaveUp(_));
    let cases: [(&str, Expected); 11] = [
        ("exit 3", ended),
        ("kill -SEGV $$", ended),
        ("exec sleep 1000", stalled),
        ("exec >&-; exec sleep 1000", ended),
        ("echo Segmentation fault; exec sleep 1000", nonsense),
        // Another version, a sheet without a greeting, two answers at once.
        (r"printf '\0\0\0\3\140\0\77'; exec sleep 1000", nonsense),
        (r"printf '\0\0\0\2\142x'; exec sleep 1000", nonsense),
        (
            r"HELLO; printf '\0\0\0\2\142x\0\0\0\2\142x'; exec sleep 1000",
            nonsense,
        ),
        // A tile that the sheet has not, and one that is told twice.
        (
            r"HELLO; printf '\0\0\0\4\141\0\1x'; exec sleep 1000",
            nonsense,
        ),
        (
            r"HELLO; printf '\0\0\0\4\141\0\0x\0\0\0\4\141\0\0x'; exec sleep 1000",
            nonsense,
        ),
        // Failed, and why.
        (r"HELLO; printf '\0\0\0\3\143no'; exec sleep 1000", gave_up),
    ];
    let sheet = single(test_picture(), 160, 90);
    for (script, is_expected) in cases {
        let sheet_limit = match script {
            "exec sleep 1000" => Duration::from_millis(200),
            _ => DEADLINE,
        };
        let script = format!(
            "echo my last words >&2; {}",
            script.replace("HELLO", &hello)
        );
        let pictures = Pictures::new(PicturesCommand {
            sheet_limit,
            ..impostor(&script)
        });
        for _ in 0..2 {
            let error = make(&pictures, sheet.clone()).await.unwrap_err();
            assert!(is_expected(&error), "{script}: {error:?}");
            if !gave_up(&error) {
                assert!(error.to_string().contains("my last words"), "{error}");
            }
            assert_eq!(children("my last words"), [0; 0], "{script}");
        }
    }
    let pictures = Pictures::new(PicturesCommand::new("/nowhere/nova".into(), Vec::new()));
    let error = make(&pictures, sheet).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/nova"), "{error}");
}

#[tokio::test]
async fn a_sheet_that_kills_or_hangs_the_process_costs_the_others_once() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(2);
    for (name, end, sheet_limit) in [
        ("ended", "exit 3", DEADLINE),
        ("stalled", "exec sleep 1000", patience),
    ] {
        let starts = folder.path().join(name);
        let script = format!("echo started >> {}; {}; {end}", starts.display(), hello());
        let pictures = Pictures::new(PicturesCommand {
            sheet_limit,
            ..impostor(&script)
        });
        let (first, other) = (
            single(test_picture(), 160, 90),
            single(test_picture(), 320, 180),
        );
        for (sheet, expected) in [
            (&first, name),
            (&first, "undecodable"),
            (&other, name),
            (&first, "undecodable"),
        ] {
            let error = make(&pictures, sheet.clone()).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{error}");
        }
        let starts = std::fs::read_to_string(starts).unwrap();
        assert_eq!(starts.lines().count(), 2, "{name}");
    }
}

#[tokio::test]
async fn those_who_wait_are_bounded_and_those_who_leave_cost_nothing() {
    let pictures = Arc::new(Pictures::new(PicturesCommand {
        sheet_limit: DEADLINE,
        ..impostor("exec sleep 1000")
    }));
    let sheet = single(test_picture(), 160, 90);
    let mut waiting = Vec::new();
    let full = async {
        loop {
            let (pictures, sheet) = (Arc::clone(&pictures), sheet.clone());
            let mut one = tokio::spawn(async move { pictures.make(sheet).await });
            match timeout(Duration::from_millis(20), &mut one).await {
                Ok(outcome) => return outcome.unwrap().unwrap_err(),
                Err(_) => waiting.push(one),
            }
        }
    };
    let error = timeout(DEADLINE, full).await.unwrap();
    assert!(matches!(error, PicturesError::Busy), "{error:?}");
    // One is being made.
    assert_eq!(waiting.len(), QUEUE + 1);
    for one in &waiting {
        one.abort();
    }
    // What nobody waits for any more is not made: behind the one that hangs it is our turn.
    let hanging = the_sleeper(None).await;
    let ours = tokio::spawn({
        let pictures = Arc::clone(&pictures);
        async move {
            loop {
                match pictures.make(sheet.clone()).await {
                    Err(PicturesError::Busy) => tokio::task::yield_now().await,
                    other => return other,
                }
            }
        }
    });
    kill(hanging);
    kill(the_sleeper(Some(hanging)).await);
    let error = timeout(DEADLINE, ours).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, PicturesError::Ended { .. }), "{error:?}");
}

/// The process that hangs, another than `before`.
async fn the_sleeper(before: Option<u32>) -> u32 {
    let started = async {
        loop {
            let found = children("sleep\x001000\0");
            if let Some(pid) = found.into_iter().find(|pid| Some(*pid) != before) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, started).await.unwrap()
}
