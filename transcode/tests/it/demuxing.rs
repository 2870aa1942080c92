//! Files of strangers, read by a process of its own.

use std::path::Path;

use media::{AacConfig, Frame, Micros, Timestamp, TrackKind};
use transcode::vod::{
    CutConfig, Cutter, DemuxCommand, DemuxError, Demuxed, Demuxer, FileInfo, Packet, Task,
};

use crate::publishing::ffmpeg;
use crate::rig::DEADLINE;

pub(crate) fn command() -> DemuxCommand {
    DemuxCommand {
        program: env!("CARGO_BIN_EXE_transcode-test-worker").into(),
        args: vec!["demux".into()],
    }
}

async fn all(task: &Task) -> Result<Vec<Demuxed>, DemuxError> {
    let reading = async {
        let mut demuxer = Demuxer::start(&command(), task)?;
        let mut read = Vec::new();
        while let Some(demuxed) = demuxer.next().await? {
            read.push(demuxed);
        }
        Ok(read)
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap()
}

pub(crate) async fn scan(file: &Path) -> Result<(FileInfo, Vec<Packet>, usize), DemuxError> {
    let file = file.to_str().unwrap().to_owned();
    let mut read = all(&Task::Scan { file }).await?.into_iter();
    let Some(Demuxed::Info(info)) = read.next() else {
        panic!("a scan begins with a description");
    };
    let (mut video, mut audio) = (Vec::new(), 0);
    for demuxed in read {
        match demuxed {
            Demuxed::Packet(TrackKind::Video, packet) => video.push(packet),
            Demuxed::Packet(TrackKind::Audio, _) => audio += 1,
            other => panic!("{other:?}"),
        }
    }
    Ok((info, video, audio))
}

pub(crate) async fn frames(
    file: &Path,
    track: TrackKind,
    from: Option<(Micros, Micros)>,
) -> Vec<Frame> {
    let task = Task::Read {
        file: file.to_str().unwrap().to_owned(),
        track,
        from_us: from.map(|(pts, dts)| (pts.as_micros(), dts.as_micros())),
    };
    let read = all(&task).await.unwrap();
    read.into_iter()
        .map(|demuxed| match demuxed {
            Demuxed::Frame(frame) => frame,
            other => panic!("{other:?}"),
        })
        .collect()
}

const PICTURE: &str = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi \
                       -i sine=sample_rate=48000 -t 12 -c:v libx264 -preset ultrafast \
                       -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0 -bf 2 -c:a aac";

#[tokio::test]
async fn every_container_gives_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let zero = Timestamp::default();
    for name in ["a.mp4", "a.mkv", "a.ts", "a.flv", "fragmented.mp4"] {
        let file = folder.path().join(name);
        let fragmented = " -movflags frag_keyframe+empty_moov";
        let flags = if name == "fragmented.mp4" {
            fragmented
        } else {
            ""
        };
        ffmpeg(&format!("{PICTURE}{flags}"), &file);
        let (info, packets, sounds) = scan(&file).await.unwrap();
        let video = info.video.unwrap();
        assert_eq!((video.width, video.height), (320, 180), "{name}");
        assert_eq!(video.codec.as_str(), "h264", "{name}");
        assert!(!info.aac.unwrap().is_empty(), "{name}");
        assert_eq!(packets.len(), 300, "{name}");
        assert!((560..570).contains(&sounds), "{name}: {sounds}");
        assert!(
            packets.windows(2).all(|pair| pair[0].dts < pair[1].dts),
            "{name}"
        );
        assert!(packets.iter().all(|one| one.dts <= one.pts), "{name}");

        let mut cutter = Cutter::new(CutConfig::default());
        for packet in &packets {
            cutter.push(*packet).unwrap();
        }
        let cuts = cutter.finish().unwrap();
        assert_eq!(cuts.marks.len(), 3, "{name}");
        assert!(cuts.are_key_frames(), "{name}");
        // From each mark on come the frames that a reading from the beginning has there.
        let whole = frames(&file, TrackKind::Video, None).await;
        assert_eq!(whole.len(), 300, "{name}");
        for mark in &cuts.marks {
            let part = frames(&file, TrackKind::Video, Some((mark.from, mark.seek))).await;
            let at = whole.iter().position(|frame| frame.pts == zero + mark.from);
            let same = |frame: &Frame| (frame.pts, frame.key, frame.data.clone());
            let part: Vec<_> = part.iter().map(same).collect();
            let rest: Vec<_> = whole[at.unwrap()..].iter().map(same).collect();
            assert!(part == rest, "{name}: from {:?}", mark.from);
        }
        let sound = frames(&file, TrackKind::Audio, None).await;
        assert_eq!(sound.len(), sounds, "{name}");
    }
}

#[tokio::test]
async fn sound_of_any_codec_comes_as_aac() {
    let folder = tempfile::tempdir().unwrap();
    // Two seconds of sound, which begin half a second after the pictures.
    const SOUND: &str = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=4 -itsoffset 0.5 \
                         -f lavfi -i sine=sample_rate=48000:duration=2 -map 0:v -map 1:a \
                         -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    for (name, codec, rate) in [
        ("a.mkv", "libopus", 48_000),
        ("b.mkv", "libmp3lame -ar 44100", 44_100),
        ("c.mkv", "flac", 48_000),
        ("d.mov", "pcm_s16le -ar 22050", 48_000),
        ("e.mkv", "ac3", 48_000),
    ] {
        let file = folder.path().join(name);
        ffmpeg(&format!("{SOUND} -c:a {codec}"), &file);
        let (info, video, _) = scan(&file).await.unwrap();
        let aac = AacConfig::parse(info.aac.unwrap()).unwrap();
        assert_eq!(aac.sample_rate, rate, "{codec}");
        let from = video[0].pts;
        let task = Task::Sound {
            file: file.to_str().unwrap().to_owned(),
            from_us: from.as_micros(),
        };
        let frames: Vec<_> = all(&task).await.unwrap();
        let times = frames.iter().map(|demuxed| match demuxed {
            Demuxed::Frame(frame) => frame.pts,
            other => panic!("{other:?}"),
        });
        let times: Vec<_> = times.collect();
        // The sound's place is counted, silence and all.
        assert_eq!(times[0], Timestamp::default() + from, "{codec}");
        for (index, at) in times.iter().enumerate() {
            let expected = from + Micros::from_ticks(index as i64 * 1_024, rate);
            assert_eq!(*at, Timestamp::default() + expected, "{codec}");
        }
        let seconds = times.len() as f64 * 1_024.0 / f64::from(rate);
        assert!((2.4..2.65).contains(&seconds), "{codec}: {seconds} s");
    }
}

/// Editors and telephones cut the beginning off so: with an edit list, not by encoding.
#[tokio::test]
async fn what_was_trimmed_off_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, trimmed) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
    ffmpeg(PICTURE, &whole);
    ffmpeg(&format!("-ss 2.5 -i {} -c copy", whole.display()), &trimmed);
    let (_, packets, _) = scan(&trimmed).await.unwrap();
    assert!(packets.iter().any(|packet| packet.hidden));
    let mut cutter = Cutter::new(CutConfig::default());
    for packet in packets {
        cutter.push(packet).unwrap();
    }
    let cuts = cutter.finish().unwrap();
    let seconds = cuts.duration().as_secs_f64();
    assert!(
        (9.4..9.6).contains(&seconds),
        "{seconds} s of 12 without 2.5"
    );
    assert!(!cuts.marks[0].is_key());
}

#[tokio::test]
async fn what_is_no_media_file_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let text = write(
        "text.mp4",
        &b"Dear diary, today was no video. ".repeat(1_000),
    );
    let empty = write("empty.mp4", b"");
    let secret = write("secret.txt", b"a secret");
    let playlist = format!(
        "#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    let playlist = write("playlist.m3u8", playlist.as_bytes());
    let script = format!("ffconcat version 1.0\nfile {}\n", secret.display());
    let script = write("script.mp4", script.as_bytes());
    for file in [text, empty, playlist, script] {
        let error = scan(&file).await.unwrap_err();
        assert!(matches!(error, DemuxError::Refused(_)), "{file:?}: {error}");
        let said = error.to_string();
        assert!(said.starts_with("it is no media file"), "{file:?}: {said}");
    }
    let picture = folder.path().join("huge.mkv");
    ffmpeg(
        "-f lavfi -i color=size=10000x64 -frames:v 1 -c:v ffv1",
        &picture,
    );
    let error = scan(&picture).await.unwrap_err().to_string();
    assert!(error.contains("10000x64"), "{error}");
}

/// What another attempt may do better is told apart.
#[tokio::test]
async fn a_machine_that_cannot_read_a_file_is_not_the_files_fault() {
    let folder = tempfile::tempdir().unwrap();
    // Its ADTS headers are looked for in a second reading, for which no descriptor is left.
    let file = folder.path().join("a.ts");
    ffmpeg(PICTURE, &file);
    let script = "ulimit -n 4; exec \"$0\" \"$@\"";
    let worker = env!("CARGO_BIN_EXE_transcode-test-worker");
    let crowded = DemuxCommand {
        program: "sh".into(),
        args: ["-c", script, worker, "demux"].map(Into::into).into(),
    };
    let missing = folder.path().join("missing.mp4");
    // Reading its first page is an input/output error.
    let unreadable = folder.path().join("unreadable.mp4");
    std::os::unix::fs::symlink("/proc/self/mem", &unreadable).unwrap();
    for (command, file, reason) in [
        (&crowded, file, "Too many open files"),
        (&command(), missing, "No such file"),
        (&command(), unreadable, "Input/output error"),
    ] {
        let file = file.to_str().unwrap().to_owned();
        let mut demuxer = Demuxer::start(command, &Task::Scan { file }).unwrap();
        let error = demuxer.next().await.unwrap_err();
        assert!(matches!(error, DemuxError::Hindered(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn of_several_sound_tracks_the_first_that_can_be_decoded_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mkv");
    ffmpeg(
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -f lavfi -i sine=duration=2 \
         -f lavfi -i sine=sample_rate=44100:duration=2 -map 0 -map 1 -map 2 -c:v libx264 \
         -preset ultrafast -pix_fmt yuv420p -c:a:0 libopus -c:a:1 libmp3lame -write_crc32 0",
        &file,
    );
    let rate = async || {
        let (info, _, sounds) = scan(&file).await.unwrap();
        let aac = AacConfig::parse(info.aac.unwrap()).unwrap();
        (aac.sample_rate, sounds)
    };
    assert_eq!(rate().await.0, 48_000);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(6).position(|name| name == b"A_OPUS").unwrap();
    bytes[at..at + 6].copy_from_slice(b"A_NONE");
    std::fs::write(&file, &bytes).unwrap();
    let (rate, sounds) = rate().await;
    assert_eq!(rate, 44_100);
    // Its packets, and not the other's: 1,152 samples each.
    assert!((74..80).contains(&sounds), "{sounds}");
    let task = Task::Sound {
        file: file.to_str().unwrap().to_owned(),
        from_us: 0,
    };
    let frames = all(&task).await.unwrap().len();
    assert!((84..92).contains(&frames), "{frames}");
    // Without another one it is named.
    let at = bytes
        .windows(9)
        .position(|name| name == b"A_MPEG/L3")
        .unwrap();
    bytes[at..at + 9].copy_from_slice(b"A_NONE/L3");
    std::fs::write(&file, &bytes).unwrap();
    let error = scan(&file).await.unwrap_err();
    assert!(matches!(error, DemuxError::Refused(_)), "{error}");
    assert!(error.to_string().contains("its sound"), "{error}");
}

#[tokio::test]
async fn a_file_that_breaks_off_gives_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ts");
    ffmpeg(PICTURE, &file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (_, packets, _) = scan(&file).await.unwrap();
    assert!((50..250).contains(&packets.len()), "{}", packets.len());
    // Of an MP4 the index is at the end: nothing can be read without it.
    let file = folder.path().join("a.mp4");
    ffmpeg(PICTURE, &file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = scan(&file).await.unwrap_err();
    assert!(matches!(error, DemuxError::Refused(_)), "{error}");
}

/// Variants of every file: 200 of five.
const VARIANTS: usize = 40;

/// Whatever is read of `file` with flipped bits ends in a reason or in frames, in time.
async fn flipped_bits_end_well(name: &str, arguments: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    ffmpeg(
        &format!(
            "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1 -f lavfi -i sine=duration=1 \
             -pix_fmt yuv420p -g 12 {arguments}"
        ),
        &file,
    );
    let good = std::fs::read(&file).unwrap();
    // A linear congruential generator (Knuth): the same places every time.
    let mut state = 1_u64;
    let mut next = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % end
    };
    let (mut whole, mut reasons) = (0, 0);
    for variant in 0..VARIANTS {
        let mut bytes = good.clone();
        // Of every second one only its beginning, where containers say what they are.
        let end = if variant % 2 == 0 {
            bytes.len()
        } else {
            bytes.len().min(2_000)
        };
        for _ in 0..20 {
            bytes[next(end)] ^= 1 << next(8);
        }
        std::fs::write(&file, &bytes).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let pictures = Task::Read {
            file: file.clone(),
            track: TrackKind::Video,
            from_us: None,
        };
        let sound = Task::Sound {
            file: file.clone(),
            from_us: 0,
        };
        for task in [Task::Scan { file }, pictures, sound] {
            match all(&task).await {
                Ok(_) => whole += 1,
                Err(DemuxError::Refused(reason)) => {
                    assert!(reason.len() > 10, "{task:?}: {reason}");
                    reasons += 1;
                }
                // It is what the process is there for.
                Err(error @ (DemuxError::Ended { .. } | DemuxError::Hindered(_))) => {
                    println!("{name}, variant {variant}, {task:?}: {error}");
                }
                Err(other) => panic!("{name}, variant {variant}, {task:?}: {other}"),
            }
        }
    }
    println!("{name}: {whole} read to their end, {reasons} refused");
    assert!(whole > 0, "all of them cannot be that bad");
}

#[tokio::test]
async fn flipped_bits_of_mp4() {
    let codecs = "-c:v libx264 -preset ultrafast -c:a aac -movflags +faststart";
    flipped_bits_end_well("a.mp4", codecs).await;
}

#[tokio::test]
async fn flipped_bits_of_matroska() {
    let codecs = "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1 -c:a flac";
    flipped_bits_end_well("a.mkv", codecs).await;
}

#[tokio::test]
async fn flipped_bits_of_webm() {
    let codecs = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 200k -c:a libopus";
    flipped_bits_end_well("a.webm", codecs).await;
}

#[tokio::test]
async fn flipped_bits_of_a_transport_stream() {
    let codecs = "-c:v mpeg2video -c:a mp2";
    flipped_bits_end_well("a.ts", codecs).await;
}

#[tokio::test]
async fn flipped_bits_of_avi() {
    flipped_bits_end_well("a.avi", "-c:v mpeg4 -c:a libmp3lame").await;
}

#[tokio::test]
async fn a_demuxer_has_the_limits_of_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mp4");
    // More than fits the pipe: it waits for somebody to read on.
    ffmpeg(&format!("{PICTURE} -b:v 4M -minrate 4M"), &file);
    let task = Task::Read {
        file: file.to_str().unwrap().to_owned(),
        track: TrackKind::Video,
        from_us: None,
    };
    let mut demuxer = Demuxer::start(&command(), &task).unwrap();
    demuxer.next().await.unwrap();
    let limits = format!("/proc/{}/limits", demuxer.pid().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max data size"), (1_u64 << 30).to_string());
}

#[tokio::test]
async fn a_process_that_is_none_of_ours_is_an_error() {
    let program = |program: &str, args: &[&str]| DemuxCommand {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
    };
    let task = Task::Scan { file: "x".into() };
    let mut silent = Demuxer::start(&program("true", &[]), &task).unwrap();
    let error = silent.next().await.unwrap_err();
    assert!(matches!(error, DemuxError::Ended { .. }), "{error}");
    let failing = program("sh", &["-c", "echo my stack is smashed >&2; exit 3"]);
    let mut failing = Demuxer::start(&failing, &task).unwrap();
    let error = failing.next().await.unwrap_err().to_string();
    assert!(error.contains("my stack is smashed"), "{error}");
    let mut babbling = Demuxer::start(&program("sh", &["-c", "yes"]), &task).unwrap();
    let error = babbling.next().await.unwrap_err();
    assert!(matches!(error, DemuxError::Nonsense(_)), "{error}");
    let error = Demuxer::start(&program("/nonexistent", &[]), &task).unwrap_err();
    assert!(matches!(error, DemuxError::Start(_)), "{error}");
}

/// Which is no reason to try again: the next process may have no more.
#[tokio::test]
async fn a_file_that_asks_for_all_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mp4");
    ffmpeg(
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1 -pix_fmt yuv420p -c:v libx264",
        &file,
    );
    let good = std::fs::read(&file).unwrap();
    for table in ["stco", "stts"] {
        let mut bytes = good.clone();
        let boxes = bytes.windows(4).position(|four| four == table.as_bytes());
        // ISO/IEC 14496-12 8.7.5: the count follows type, version and flags.
        bytes[boxes.unwrap() + 8] ^= 0x10;
        std::fs::write(&file, &bytes).unwrap();
        match scan(&file).await {
            Err(DemuxError::Refused(reason)) => {
                assert!(reason.contains("memory"), "{table}: {reason}");
            }
            other => panic!("{table}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn sound_that_was_announced_and_never_comes_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ts");
    ffmpeg(
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -f lavfi -i sine=duration=2 \
         -map 0:v -map 1:a -map 1:a -pix_fmt yuv420p -c:v libx264 -c:a aac \
         -bsf:a:0 noise=drop=1",
        &file,
    );
    let (info, _, sound) = scan(&file).await.unwrap();
    let config = AacConfig::parse(info.aac.unwrap()).unwrap();
    assert_eq!(config.sample_rate, 44_100);
    assert!(sound > 80, "{sound} packets");
}
