//! Video on demand: what was live, or came as a file, plays from the beginning.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    Http, Listener, Medium, Nova, Probed, Process, Signal, Site, Stream, is_running, make_file,
    peak_of_the_ended_kib, wait_for,
};

const LIMIT: Duration = Duration::from_secs(90);

/// A file of so many seconds of test picture and sound, 30 frames a second.
pub(crate) fn media_file(folder: &Path, name: &str, size: &str, seconds: u32) -> PathBuf {
    // FFmpeg's DASH demuxer ends with the first track that does, and may leave out the last
    // of reordered frames: where manifests are read with it, there are none.
    media_file_with(folder, name, size, seconds, 0)
}

/// The same with so many B-frames in a row.
fn media_file_with(folder: &Path, name: &str, size: &str, seconds: u32, b_frames: u32) -> PathBuf {
    made(
        folder,
        name,
        &format!(
            "-f lavfi -i testsrc2=size={size}:rate=30 \
             -f lavfi -i sine=frequency=440:sample_rate=48000 -t {seconds} \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
             -g 60 -keyint_min 60 -sc_threshold 0 -bf {b_frames} -c:a aac -b:a 96k -ac 2"
        ),
    )
}

/// A file in `folder` that FFmpeg makes.
#[track_caller]
fn made(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let file = folder.join(name);
    make_file(&file, arguments);
    file
}

/// Publishes the file to its end.
fn publish(site: &Site, url: &str, file: &Path) {
    let file = file.to_str().unwrap();
    site.nova(&["publish", url, "--input", file]).succeeded();
}

/// The lines of `nova vod list`, split at tabs.
fn listed(site: &Site) -> Vec<Vec<String>> {
    let printed = site.nova(&["vod", "list"]).succeeded();
    let lines = printed.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn wait_for_video(site: &Site) -> String {
    wait_for("a video", LIMIT, || {
        let videos = listed(site);
        videos
            .first()
            .map(|video| video[0].clone())
            .ok_or("none".to_owned())
    })
}

/// Frames of each picture size, the largest first, and whether there is sound.
fn frames(nova: &Nova, path: &str) -> Vec<((u64, u64), usize)> {
    let url = format!("http://{}{path}", nova.address(Listener::Http));
    let streams = Probed::read(&url, 1_000);
    assert!(
        streams
            .iter()
            .any(|one| matches!(one.medium, Medium::Audio(_)))
    );
    let mut sizes: Vec<_> = streams
        .iter()
        .filter_map(|one| match one.medium {
            Medium::Video(width, height) => Some(((width, height), one.pts.len())),
            Medium::Audio(_) => None,
        })
        .collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes
}

fn text(http: &Http, path: &str) -> String {
    http.fetch(path).unwrap().text()
}

#[test]
fn an_ended_broadcast_plays_on_demand() {
    let site = Site::new();
    let file = media_file(site.data_dir(), "in.mp4", "320x180", 6);
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--recording", "on"])
        .succeeded();
    let nova = site
        .serve()
        .variable("NOVA__LIVE__GRACE_SECONDS", "2")
        .start();
    publish(&site, &nova.rtmp_url(&key), &file);
    let id = wait_for_video(&site);
    let video = &listed(&site)[0];
    assert_eq!(video[1..], ["ready", "garden"]);

    // 6 s of 30 frames a second, every one of them.
    let index = format!("/vod/{id}/index.m3u8");
    assert_eq!(frames(&nova, &index), [((320, 180), 180)]);
    let mpd = format!("/vod/{id}/manifest.mpd");
    assert_eq!(frames(&nova, &mpd), [((320, 180), 180)]);

    let http = nova.http();
    let source = text(&http, &format!("/vod/{id}/source.m3u8"));
    assert!(source.ends_with("#EXT-X-ENDLIST\n"), "{source}");
    assert_eq!(source.matches("#EXTINF:").count(), 3, "{source}");
    assert!(source.contains("#EXT-X-PROGRAM-DATE-TIME:"), "{source}");
    assert!(!source.contains("#EXT-X-GAP"), "{source}");
    let shown = site.nova(&["vod", "show", &id]).succeeded();
    assert!(shown.contains(&index), "{shown}");
    assert!(shown.contains("length       6.0"), "{shown}");

    // What names nothing says so, in one sentence.
    for (path, sentence) in [
        (
            "/vod/0193c0de-0000-7000-8000-00000000000a/index.m3u8".to_owned(),
            "no such video",
        ),
        (format!("/vod/{id}/720p.m3u8"), "not available"),
        (format!("/vod/{id}/9/source/0.m4s"), "not available"),
        (format!("/vod/{id}/nothing"), "nothing under this path"),
    ] {
        let answer = http.get(&path).unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.text().contains(sentence),
            "{path}: {}",
            answer.text()
        );
    }
    // The next start serves it all the same.
    drop(nova);
    let nova = site.serve().start();
    assert_eq!(frames(&nova, &index), [((320, 180), 180)]);
}

#[test]
fn a_broadcast_that_was_interrupted_plays_in_one_piece() {
    let site = Site::new();
    let file = media_file(site.data_dir(), "in.mp4", "320x180", 4);
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--recording", "on"])
        .succeeded();
    let nova = site
        .serve()
        .variable("NOVA__LIVE__GRACE_SECONDS", "6")
        .start();
    publish(&site, &nova.rtmp_url(&key), &file);
    publish(&site, &nova.rtmp_url(&key), &file);
    let id = wait_for_video(&site);
    let index = format!("/vod/{id}/index.m3u8");
    assert_eq!(frames(&nova, &index), [((320, 180), 240)]);
    let http = nova.http();
    for rendition in ["source", "audio"] {
        let playlist = text(&http, &format!("/vod/{id}/{rendition}.m3u8"));
        assert_eq!(
            playlist.matches("#EXT-X-DISCONTINUITY\n").count(),
            1,
            "{playlist}"
        );
        assert_eq!(playlist.matches("#EXT-X-MAP:").count(), 2, "{playlist}");
    }
    let mpd = text(&http, &format!("/vod/{id}/manifest.mpd"));
    assert!(mpd.contains("type=\"static\""), "{mpd}");
    assert_eq!(mpd.matches("<Period ").count(), 2, "{mpd}");
    assert_eq!(mpd.matches("start=\"PT0.00000S\"").count(), 1, "{mpd}");
    // Two stretches of 4 s, without the pause between.
    let (_, rest) = mpd.split_once("mediaPresentationDuration=\"PT").unwrap();
    let (seconds, _) = rest.split_once('S').unwrap();
    let seconds: f64 = seconds.parse().unwrap();
    assert!((seconds - 8.0).abs() < 0.05, "{mpd}");
}

/// Imports the file; the video's id.
pub(crate) fn import(site: &Site, file: &Path) -> String {
    let file = file.to_str().unwrap();
    let printed = site
        .nova(&["vod", "import", file, "--owner", "broadcaster"])
        .succeeded();
    let id = printed.strip_prefix("video ").expect("its id");
    id.trim().to_owned()
}

/// What `nova vod show` prints after `name`.
fn shown(site: &Site, id: &str, name: &str) -> Option<String> {
    let printed = site.nova(&["vod", "show", id]).succeeded();
    let mut lines = printed.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
}

/// Segments that are stored, of how many.
fn progress(site: &Site, id: &str) -> Option<(u64, u64)> {
    let text = shown(site, id, "progress")?;
    let (_, counts) = text.split_once('(')?;
    let mut words = counts.split_whitespace();
    let done = words.next()?.parse().ok()?;
    Some((done, words.nth(1)?.parse().ok()?))
}

pub(crate) fn wait_until_ready(site: &Site, id: &str, limit: Duration) {
    wait_for("the video", limit, || {
        match shown(site, id, "state").as_deref() {
            Some("ready") => Ok(()),
            Some("transcoding") => Err(format!("{:?}", progress(site, id))),
            other => panic!("{other:?}: {:?}", shown(site, id, "error")),
        }
    });
}

/// Presentation times of each picture size, in order, and whether they are what `frames`
/// frames at 30 a second are.
#[track_caller]
fn assert_whole(nova: &Nova, path: &str, sizes: &[(u64, u64)], frames: usize) {
    let url = format!("http://{}{path}", nova.address(Listener::Http));
    let streams = Probed::read(&url, 10_000);
    let mut found = Vec::new();
    for stream in &streams {
        let Medium::Video(width, height) = stream.medium else {
            continue;
        };
        found.push((width, height));
        let mut shown = stream.pts.clone();
        shown.sort_by(f64::total_cmp);
        assert_eq!(shown.len(), frames, "{path} {width}x{height}");
        for (index, at) in shown.iter().enumerate() {
            let expected = shown[0] + index as f64 / 30.0;
            assert!(
                (at - expected).abs() < 0.002,
                "{path} {width}x{height}: frame {index} at {at}"
            );
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    assert_eq!(found, sizes, "{path}");
}

/// Decodes all of it; FFmpeg must have nothing to say.
#[track_caller]
fn assert_decodes(nova: &Nova, path: &str) {
    let url = format!("http://{}{path}", nova.address(Listener::Http));
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i", &url])
        .args(["-f", "null", "-"]);
    let mut process = Process::start("ffmpeg", &mut command);
    let status = process.wait_exit(LIMIT);
    assert!(status.success());
    assert_eq!(process.stderr.tail(5), "");
}

/// Of every frame: stream, decoding and presentation time, duration, size, hash of its
/// bytes; as a player gets them.
fn packets(nova: &Nova, id: &str, rendition: &str) -> Vec<String> {
    let address = nova.address(Listener::Http);
    let url = format!("http://{address}/vod/{id}/{rendition}.m3u8");
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i", &url])
        .args(["-map", "0:v", "-c", "copy", "-f", "framehash", "-"]);
    let mut process = Process::start("ffmpeg", &mut command);
    let (printed, said) = process.output();
    assert_eq!(said, [""; 0], "{rendition}");
    let packets: Vec<_> = printed
        .into_iter()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(!packets.is_empty(), "{rendition}");
    packets
}

const SIZES: [(u64, u64); 2] = [(854, 480), (640, 360)];

#[test]
fn an_imported_file_plays_without_a_seam() {
    let site = Site::new();
    site.create_stream("garden");
    // 40 s are ten segments in two chunks.
    let file = media_file(site.data_dir(), "in.mkv", "854x480", 40);
    let id = import(&site, &file);
    let nova = site.serve().start();
    wait_until_ready(&site, &id, LIMIT);
    let index = format!("/vod/{id}/index.m3u8");
    assert_whole(&nova, &index, &SIZES, 1_200);
    assert_whole(&nova, &format!("/vod/{id}/manifest.mpd"), &SIZES, 1_200);
    assert_decodes(&nova, &format!("/vod/{id}/360p.m3u8"));
    let http = nova.http();
    for rendition in ["source", "360p", "audio"] {
        let playlist = text(&http, &format!("/vod/{id}/{rendition}.m3u8"));
        assert!(
            playlist.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            "{playlist}"
        );
        assert_eq!(
            playlist.matches("#EXTINF:").count(),
            10,
            "{rendition}: {playlist}"
        );
        for tag in ["DISCONTINUITY", "GAP", "PROGRAM-DATE-TIME"] {
            assert!(!playlist.contains(tag), "{rendition}: {playlist}");
        }
    }
    let late = site
        .nova(&["vod", "cancel", &id])
        .failed_with_one_sentence();
    assert!(late.contains("too late"), "{late}");
}

#[test]
fn files_of_other_codecs_play_too() {
    let site = Site::new();
    site.create_stream("garden");
    let folder = site.data_dir();
    let web = made(
        folder,
        "web.webm",
        "-f lavfi -i testsrc2=size=854x480:rate=30:duration=6 -f lavfi -i sine=duration=6 \
         -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus",
    );
    let song = made(folder, "song.mp3", "-f lavfi -i sine=duration=9");
    let (web, song) = (import(&site, &web), import(&site, &song));
    let nova = site.serve().start();
    wait_until_ready(&site, &web, LIMIT);
    let index = format!("/vod/{web}/index.m3u8");
    assert_whole(&nova, &index, &SIZES, 180);
    assert_decodes(&nova, &index);
    assert_eq!(frames(&nova, &index).len(), SIZES.len(), "and sound");

    wait_until_ready(&site, &song, LIMIT);
    let playlist = text(&nova.http(), &format!("/vod/{song}/audio.m3u8"));
    let seconds: f64 = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:"))
        .map(|length| length.trim_end_matches(',').parse::<f64>().unwrap())
        .sum();
    assert!((8.9..9.2).contains(&seconds), "{playlist}");
    assert_decodes(&nova, &format!("/vod/{song}/index.m3u8"));
}

#[test]
fn sound_that_goes_on_after_the_pictures_is_cut_too() {
    let site = Site::new();
    site.create_stream("garden");
    let file = made(
        site.data_dir(),
        "in.mkv",
        "-f lavfi -i testsrc2=size=320x180:rate=30:duration=6 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=25 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 \
         -sc_threshold 0 -bf 0 -c:a aac -b:a 96k -ac 2",
    );
    let id = import(&site, &file);
    let nova = site.serve().start();
    wait_until_ready(&site, &id, LIMIT);
    let videos = Stream::new(nova.http(), "garden");
    let lengths = |rendition: &str| -> Vec<f64> {
        let path = format!("/vod/{id}/{rendition}.m3u8");
        let playlist = videos.media_at(&path).unwrap();
        assert!(playlist.ended);
        assert_eq!(playlist.target_duration, 4, "{playlist:?}");
        for segment in &playlist.segments {
            assert!(!segment.gap, "{playlist:?}");
            assert!(segment.duration.round() <= 4.0, "{playlist:?}");
        }
        let segments = playlist.segments.iter();
        segments.map(|segment| segment.duration.round()).collect()
    };
    assert_eq!(lengths("source"), [4.0, 2.0], "the pictures end");
    assert_eq!(lengths("audio"), [4.0, 2.0, 4.0, 4.0, 4.0, 4.0, 3.0]);
    let index = format!("/vod/{id}/index.m3u8");
    let url = format!("http://{}{index}", nova.address(Listener::Http));
    for stream in Probed::read(&url, 1_000) {
        let seconds = stream.pts.last().unwrap() - stream.pts[0];
        match stream.medium {
            Medium::Video(..) => assert_eq!(stream.pts.len(), 180),
            Medium::Audio(_) => assert!((24.9..25.1).contains(&seconds), "{seconds}"),
        }
        let steps = stream.pts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.into_iter().all(|step| step < 0.05), "no hole");
    }
    assert_decodes(&nova, &index);
    let mpd = text(&nova.http(), &format!("/vod/{id}/manifest.mpd"));
    assert_eq!(mpd.matches("<Period ").count(), 2, "{mpd}");
    let (_, last) = mpd.rsplit_once("<Period ").unwrap();
    assert!(last.contains("start=\"PT6.00"), "{mpd}");
    assert!(!last.contains("video/mp4"), "{mpd}");
}

/// Kills what makes a video `kills` times, and looks at its progress all the while.
fn kill_and_go_on(seconds: u32, kills: u64, limit: Duration) {
    let site = Site::new();
    site.create_stream("garden");
    let file = media_file_with(site.data_dir(), "in.mp4", "854x480", seconds, 2);
    let id = import(&site, &file);
    let mut nova = site.serve().start();
    let (mut before, mut killed) = (0, 0);
    for kill in 1..=kills {
        wait_for("more of the video", limit, || {
            let Some((done, planned)) = progress(&site, &id) else {
                // A machine this fast is done before the last kills.
                return match shown(&site, &id, "state").as_deref() {
                    Some("ready") => Ok(()),
                    state => Err(format!("{state:?}")),
                };
            };
            assert!(done >= before, "progress went back from {before} to {done}");
            before = done;
            let wanted = planned * kill / (kills + 1);
            (done >= wanted)
                .then_some(())
                .ok_or(format!("{done} of {planned}"))
        });
        // A worker, then the whole server, in turns.
        if kill % 2 == 1 {
            for pid in nova.workers(&format!("video-{id}")) {
                if is_running(pid) {
                    Signal::Kill.send(pid);
                    killed += 1;
                }
            }
        } else {
            nova.signal(Signal::Kill);
            nova.wait_exit();
            nova = site.serve().start();
        }
    }
    assert!(killed > 0, "no worker was there to be killed");
    wait_until_ready(&site, &id, limit);
    let undisturbed = import(&site, &file);
    wait_until_ready(&site, &undisturbed, limit);
    let (ours, theirs) = (
        packets(&nova, &id, "source"),
        packets(&nova, &undisturbed, "source"),
    );
    assert!(
        ours == theirs,
        "every byte of the source, at the same times"
    );
    // An encoder that begins anew in the middle spends its bits otherwise.
    let times = |id: &str| -> Vec<String> {
        let packets = packets(&nova, id, "360p");
        let times = packets.iter().map(|packet| packet.split(',').take(4));
        times.map(|columns| columns.collect()).collect()
    };
    assert_eq!(times(&id), times(&undisturbed));
    let frames = 30 * seconds as usize;
    assert_whole(&nova, &format!("/vod/{id}/index.m3u8"), &SIZES, frames);
    assert_decodes(&nova, &format!("/vod/{id}/360p.m3u8"));
    let printed = site.nova(&["db", "check"]).succeeded();
    assert!(printed.starts_with("sound: "), "{printed}");
}

#[test]
fn a_job_that_is_killed_goes_on_where_it_was() {
    kill_and_go_on(40, 2, LIMIT);
}

#[test]
fn long_a_job_that_is_killed_ten_times_has_the_same_frames() {
    kill_and_go_on(600, 10, Duration::from_secs(1_200));
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let site = Site::new();
    site.create_stream("garden");
    let folder = site.data_dir();
    let good = std::fs::read(media_file(folder, "good.mp4", "320x180", 2)).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let empty = write("empty.mp4", b"");
    let arguments = [
        "vod",
        "import",
        empty.to_str().unwrap(),
        "--owner",
        "broadcaster",
    ];
    let sentence = site.nova(&arguments).failed_with_one_sentence();
    assert!(sentence.contains("empty.mp4 is empty"), "{sentence}");

    let diary = b"Dear diary, today was no video. ".repeat(1_000);
    let cases = [
        (write("text.mp4", &diary), "no media file that can be read"),
        (
            write("half.mp4", &good[..good.len() / 2]),
            "no media file that can be read",
        ),
    ];
    let imported = cases.map(|(file, reason)| (import(&site, &file), reason));
    let nova = site.serve().start();
    for (id, reason) in &imported {
        wait_for("the end of it", LIMIT, || {
            match shown(&site, id, "state").as_deref() {
                Some("failed") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        let error = shown(&site, id, "error").unwrap();
        assert!(error.contains(reason), "{error}");
        let answer = nova.http().get(&format!("/vod/{id}/index.m3u8")).unwrap();
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("not ready"), "{}", answer.text());
    }
    // A failed one stays to be read about, until somebody lets it go.
    let (id, _) = &imported[0];
    let original = folder.join(format!("objects/vod/{id}/original"));
    assert!(original.exists());
    site.nova(&["vod", "cancel", id]).succeeded();
    wait_for("its objects to go", LIMIT, || match original.exists() {
        true => Err("it is there".to_owned()),
        false => Ok(()),
    });
    wait_for("its row to go", LIMIT, || {
        let gone = listed(&site).iter().all(|video| video[0] != *id);
        gone.then_some(()).ok_or("it is there".to_owned())
    });
}

fn wait_for_the_end(site: &Site, id: &str) -> String {
    wait_for("the end of it", LIMIT, || {
        let state = shown(site, id, "state");
        match state.as_deref() {
            Some("transcoding") | None => {
                Err(format!("{state:?}: {:?}", shown(site, id, "last error")))
            }
            Some(state) => Ok(state.to_owned()),
        }
    })
}

/// Puts `change` in the place of what `mark` is followed by, after so many bytes.
fn patch(bytes: &mut [u8], mark: &[u8], skip: usize, change: &[u8]) {
    let places: Vec<_> = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, window)| *window == mark)
        .map(|(at, _)| at + mark.len() + skip)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + change.len()].copy_from_slice(change);
    }
}

#[test]
fn a_picture_of_20000_by_20000_is_refused_in_bounded_memory() {
    let site = Site::new();
    site.create_stream("garden");
    let folder = site.data_dir();
    let side = 20_000_u16.to_be_bytes();
    let both = [side, side].concat();
    let wide = [20_000_u32.to_be_bytes(); 2].concat();
    let frames = made(
        folder,
        "frames.avi",
        "-f lavfi -i testsrc2=size=64x64:rate=25:duration=1 -pix_fmt yuvj420p -c:v mjpeg",
    );
    let header = made(
        folder,
        "header.mov",
        "-f lavfi -i testsrc2=size=64x64:rate=25:duration=1 -c:v png",
    );
    let change = |file: PathBuf, patches: &[(&[u8], usize, &[u8])]| {
        let mut bytes = std::fs::read(&file).unwrap();
        for (mark, skip, change) in patches {
            patch(&mut bytes, mark, *skip, change);
        }
        std::fs::write(&file, bytes).unwrap();
        import(&site, &file)
    };
    let imported = [
        // What each frame says, behind a length and a precision (T.81 B.2.2).
        (
            change(frames, &[(b"\xff\xc0", 3, &both)]),
            "nothing of it could be decoded",
        ),
        // What each picture says (PNG 11.2.1), and the sample entry behind 24 bytes
        // (ISO/IEC 14496-12 12.1.3).
        (
            change(header, &[(b"IHDR", 0, &wide), (b"png ", 24, &both)]),
            "its picture has no size, or one that nobody decodes",
        ),
    ];
    let mut nova = site.serve().start();
    for (id, reason) in &imported {
        assert_eq!(wait_for_the_end(&site, id), "failed");
        let error = shown(&site, id, "error").unwrap();
        assert!(error.contains(reason), "{error}");
    }
    nova.signal(Signal::Term);
    nova.wait_exit();
    // All that the server started, and whatever those started, has ended.
    let peak = peak_of_the_ended_kib();
    assert!(peak < 1 << 20, "{} MiB", peak >> 10);
}

#[test]
fn flipped_bits_end_in_a_video_or_a_reason() {
    let site = Site::new();
    site.create_stream("garden");
    const SOURCE: &str = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 \
                          -f lavfi -i sine=duration=2 -pix_fmt yuv420p -g 25";
    let mut imported = Vec::new();
    for (name, codecs) in [
        ("a.mp4", "-c:v libx264 -preset ultrafast -c:a aac"),
        ("a.mkv", "-c:v mpeg4 -c:a flac"),
        (
            "a.webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
        ),
        ("a.ts", "-c:v mpeg2video -c:a mp2"),
        ("a.avi", "-c:v mjpeg -c:a libmp3lame"),
    ] {
        let file = made(site.data_dir(), name, &format!("{SOURCE} {codecs}"));
        let good = std::fs::read(&file).unwrap();
        for variant in 0..2_usize {
            let mut bytes = good.clone();
            for flip in 0..20 {
                // Everywhere, and at other places in each variant.
                let at = (flip * 2 + variant) * bytes.len() / 40 + 7 * flip;
                bytes[at] ^= 1 << (flip % 8);
            }
            std::fs::write(&file, bytes).unwrap();
            imported.push((name, variant, import(&site, &file)));
        }
    }
    let nova = site.serve().start();
    for (name, variant, id) in imported {
        let state = wait_for_the_end(&site, &id);
        let error = shown(&site, &id, "error");
        println!("{name}, variant {variant}: {state} {error:?}");
        match &state[..] {
            "ready" => {
                let answer = nova.http().fetch(&format!("/vod/{id}/index.m3u8"));
                assert!(answer.unwrap().text().starts_with("#EXTM3U"), "{name}");
            }
            _ => assert!(error.unwrap().len() > 10, "{name}"),
        }
    }
}

#[test]
fn what_is_wrong_with_the_objects_of_videos_is_found() {
    let site = Site::new();
    site.create_stream("garden");
    let file = media_file(site.data_dir(), "in.mp4", "320x180", 12);
    let id = import(&site, &file);
    let nova = site.serve().start();
    wait_until_ready(&site, &id, LIMIT);
    drop(nova);
    let printed = site.nova(&["db", "check"]).succeeded();
    assert!(printed.starts_with("sound: "), "{printed}");

    let folder = site.data_dir().join(format!("objects/vod/{id}/0/source"));
    std::fs::remove_file(folder.join("1.m4s")).unwrap();
    std::fs::write(folder.join("2.m4s"), b"short").unwrap();
    std::fs::write(folder.join("999.m4s"), b"more").unwrap();
    std::fs::write(site.data_dir().join("objects/vod/stray"), b"?").unwrap();
    let report = site.nova(&["db", "check"]);
    assert!(!report.status.success(), "{}", report.stdout);
    for fault in [
        format!("object vod/{id}/0/source/1.m4s is missing"),
        format!("object vod/{id}/0/source/2.m4s has 5 bytes"),
        format!("object vod/{id}/0/source/999.m4s is an orphan"),
        "object vod/stray is an orphan".to_owned(),
    ] {
        assert_eq!(
            report.stdout.matches(&fault).count(),
            1,
            "{fault}: {}",
            report.stdout
        );
    }
}

/// How many there are in a folder and those in it.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let counts = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files(&path),
        _ => 1,
    });
    counts.sum()
}

#[test]
fn a_cancelled_job_stops_and_leaves_nothing() {
    let site = Site::new();
    site.create_stream("garden");
    let file = media_file(site.data_dir(), "in.mp4", "854x480", 60);
    let id = import(&site, &file);
    let nova = site.serve().start();
    wait_for("its first segment", LIMIT, || match progress(&site, &id) {
        Some((1.., _)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    site.nova(&["vod", "cancel", &id]).succeeded();
    let folder = site.data_dir().join(format!("objects/vod/{id}"));
    wait_for("nothing of it", LIMIT, || {
        let row = listed(&site).len();
        match files(&folder) + row {
            0 => Ok(()),
            left => Err(format!("{left} files and rows")),
        }
    });
    for pid in nova.workers(&format!("video-{id}")) {
        wait_for("its worker to end", LIMIT, || match is_running(pid) {
            true => Err("it runs".to_owned()),
            false => Ok(()),
        });
    }
}
