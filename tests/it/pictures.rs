//! Posters, thumbnails and storyboards, of what is live and on demand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    Cue, Encoder, Http, Nova, Response, Signal, Site, Stream, browser_cues, is_running, make_file,
    resident_peak_kib, wait_for, wait_until,
};
use crate::vod::{import, wait_until_ready};

const LIMIT: Duration = Duration::from_secs(90);
/// Sides of a tile of what is 16:9.
const TILE: (usize, usize) = (160, 90);
/// Decibels: as near as two ways of scaling, and one encoding in between, leave it.
const NEAR: f64 = 30.0;

/// Red, green and blue, row by row.
#[derive(Clone)]
struct Image {
    size: (usize, usize),
    pixels: Vec<u8>,
}

impl Image {
    /// The first picture of what FFmpeg reads with `input`, scaled to `size`.
    #[track_caller]
    fn read(input: &[&str], size: (usize, usize)) -> Self {
        let scale = format!("scale={}:{}:flags=bicubic", size.0, size.1);
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error"])
            .args(input)
            .args(["-frames:v", "1", "-vf", &scale])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .expect("ffmpeg");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(words, "", "{input:?}");
        assert_eq!(output.stdout.len(), size.0 * size.1 * 3, "{input:?}");
        Self {
            size,
            pixels: output.stdout,
        }
    }

    /// A JPEG of this size that the server has answered.
    #[track_caller]
    fn jpeg(folder: &Path, answer: &Response, size: (usize, usize)) -> Self {
        assert_eq!(
            (answer.status, &answer.content_type[..]),
            (200, "image/jpeg"),
            "{}",
            answer.text()
        );
        let file = saved(folder, "answer.jpg", &answer.body);
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0:s=x"])
            .args(["-show_entries", "stream=width,height"])
            .arg(&file)
            .output()
            .expect("ffprobe");
        let probed = String::from_utf8_lossy(&probed.stdout).trim().to_owned();
        assert_eq!(probed, format!("{}x{}", size.0, size.1));
        Self::read(&["-i", file.to_str().unwrap()], size)
    }

    /// A part of it.
    fn cut(&self, (x, y): (usize, usize), size: (usize, usize)) -> Self {
        let rows = self.pixels.chunks(self.size.0 * 3).skip(y).take(size.1);
        let pixels = rows.flat_map(|row| &row[x * 3..(x + size.0) * 3]);
        Self {
            size,
            pixels: pixels.copied().collect(),
        }
    }

    /// Brightness of each pixel (BT.601).
    fn luma(&self) -> impl Iterator<Item = f64> {
        let pixels = self.pixels.chunks(3);
        pixels.map(|pixel| {
            let [red, green, blue] = [0, 1, 2].map(|at| f64::from(pixel[at]));
            0.299 * red + 0.587 * green + 0.114 * blue
        })
    }

    /// How near two are, in decibels: PSNR of the luma, since a JPEG has less of the rest.
    fn nearness(&self, other: &Self) -> f64 {
        assert_eq!(self.size, other.size);
        let squares = self.luma().zip(other.luma()).map(|(a, b)| (a - b).powi(2));
        let mean = squares.sum::<f64>() / (self.size.0 * self.size.1) as f64;
        10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
    }

    fn brightness(&self) -> f64 {
        self.luma().sum::<f64>() / (self.size.0 * self.size.1) as f64
    }
}

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

/// The picture that a segment begins with, as FFmpeg decodes it.
#[track_caller]
fn first_of(site: &Site, http: &Http, base: &str, segment: &str, size: (usize, usize)) -> Image {
    let (folder, _) = segment.rsplit_once('/').unwrap();
    let init = http.fetch(&format!("{base}/{folder}/init.mp4")).unwrap();
    let media = http.fetch(&format!("{base}/{segment}")).unwrap();
    let whole = [init.body, media.body].concat();
    let file = saved(site.data_dir(), "segment.mp4", &whole);
    Image::read(&["-i", file.to_str().unwrap()], size)
}

/// The cues of a WebVTT file, as a browser reads them.
#[track_caller]
fn cues(http: &Http, path: &str) -> Vec<Cue> {
    let answer = http.fetch(path).unwrap();
    assert_eq!(answer.content_type, "text/vtt; charset=utf-8");
    let cues = browser_cues(&http.url("/"), &http.url(path));
    assert!(!cues.is_empty(), "{}", answer.text());
    for pair in cues.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "cues follow one another: {cues:?}");
    }
    cues
}

/// What a file shows at a time in seconds, as large as a tile.
#[track_caller]
fn frame_at(file: &Path, seconds: f64) -> Image {
    // Within half a frame: FFmpeg takes the next one.
    let at = (seconds - 0.017).max(0.0).to_string();
    Image::read(&["-ss", &at, "-i", file.to_str().unwrap()], TILE)
}

/// A storyboard's sprite, and where in it a cue's tile is.
fn sprite_of(cue: &Cue) -> (&str, (usize, usize)) {
    let (sprite, place) = cue.2.split_once("#xywh=").expect("a media fragment");
    let fields: Vec<usize> = place
        .split(',')
        .map(|field| field.parse().unwrap())
        .collect();
    assert_eq!((fields[2], fields[3]), TILE, "{cue:?}");
    (sprite, (fields[0], fields[1]))
}

fn no(http: &Http, path: &str, status: u16, sentence: &str) {
    let answer = http.get(path).unwrap();
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    assert!(
        answer.text().contains(sentence),
        "{path}: {}",
        answer.text()
    );
}

/// The process that makes pictures, started last.
fn pictures_process(nova: &Nova) -> Option<u32> {
    let started = nova.events("pictures process started");
    started.last()?["pid"].as_u64()?.try_into().ok()
}

#[test]
fn what_is_live_has_pictures() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let nova = site
        .serve()
        .variable("NOVA__LIVE__WINDOW_SEGMENTS", "4")
        .start();
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let http = nova.http();
    let stream = Stream::new(http.clone(), "garden");
    stream.wait_live(&["source", "360p", "audio"], 4);
    assert_eq!(pictures_process(&nova), None, "nobody has asked for any");

    // The newest segments are near: one of them begins with the poster.
    let poster = http.get("/live/garden/poster.jpg").unwrap();
    let poster = Image::jpeg(site.data_dir(), &poster, (854, 480));
    let thumbnail = http.get("/live/garden/thumbnail.jpg").unwrap();
    let thumbnail = Image::jpeg(site.data_dir(), &thumbnail, (320, 180));
    let newest = |rendition: &str, image: &Image| {
        let listed = stream.media(rendition).unwrap().segments;
        let last = listed.iter().rev().take(4);
        let near = last.map(|segment| {
            let at = segment
                .uri
                .strip_prefix("/live/garden/")
                .unwrap_or(&segment.uri);
            first_of(&site, &http, "/live/garden", at, image.size).nearness(image)
        });
        near.fold(0.0, f64::max)
    };
    let (near, other) = (newest("source", &poster), newest("360p", &thumbnail));
    println!("the poster is {near:.1} dB near, the thumbnail {other:.1} dB");
    assert!(near > NEAR && other > NEAR, "{near} dB, {other} dB");

    let cues = cues(&http, "/live/garden/storyboard.vtt");
    assert!(cues.len() >= 2, "{cues:?}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs_f64();
    for (start, end, text) in &cues {
        assert!(now - 120.0 < *start && *start < now, "Unix time: {start}");
        assert!((1.9..8.1).contains(&(end - start)), "{start} to {end}");
        let answer = http.get(&format!("/live/garden/{text}")).unwrap();
        let tile = Image::jpeg(site.data_dir(), &answer, TILE);
        let segment = text.replace("thumbnails", "360p").replace(".jpg", ".m4s");
        let near = first_of(&site, &http, "/live/garden", &segment, TILE).nearness(&tile);
        assert!(near > NEAR, "{text} is {near} dB near");
    }
    no(
        &http,
        "/live/garden/3/thumbnails/7.jpg",
        404,
        "not available",
    );
    no(&http, "/live/nobody/poster.jpg", 404, "not live");

    // The process is killed: the next picture is made by another, and live goes on. By then
    // it is of a segment that has left the memory.
    let killed = pictures_process(&nova).expect("one was started");
    Signal::Kill.send(killed);
    wait_until("its end", LIMIT, || !is_running(killed));
    let name = cues[0].2.rsplit_once('/').unwrap();
    let asked: u64 = name.1.trim_end_matches(".jpg").parse().unwrap();
    let old = asked + 1;
    wait_for("newer segments", LIMIT, || {
        let listed = stream.media("360p")?.segments;
        let last = listed.last().map_or(0, |last| last.number);
        (last > old + 8).then_some(()).ok_or(format!("{last}"))
    });
    let path = format!("/live/garden/{}/{old}.jpg", name.0);
    let tile = Image::jpeg(site.data_dir(), &http.get(&path).unwrap(), TILE);
    let epoch = name.0.trim_end_matches("/thumbnails");
    let segment = format!("{epoch}/360p/{old}.m4s");
    let near = first_of(&site, &http, "/live/garden", &segment, TILE).nearness(&tile);
    assert!(near > NEAR, "{path} is {near} dB near");
    assert_ne!(pictures_process(&nova), Some(killed));
    let metrics = nova.admin().fetch("/metrics").unwrap().text();
    assert!(
        metrics.contains("nova_pictures_total{outcome=\"made\"}"),
        "{metrics}"
    );
}

#[test]
fn an_import_has_a_storyboard_and_a_poster() {
    let site = Site::new();
    site.create_stream("garden");
    let folder = site.data_dir();
    // The first 20 s are dark.
    let file = folder.join("in.mp4");
    make_file(
        &file,
        "-f lavfi -i testsrc2=size=854x480:rate=30 -f lavfi -i sine -t 50 \
         -vf drawbox=c=black:t=fill:enable='lt(t,20)' \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 \
         -c:a aac",
    );
    let song = folder.join("song.mp3");
    make_file(&song, "-f lavfi -i sine=duration=5");
    let (video, song) = (import(&site, &file), import(&site, &song));
    let nova = site.serve().start();
    let http = nova.http();
    wait_until_ready(&site, &video, LIMIT);

    let base = format!("/vod/{video}");
    let cues = cues(&http, &format!("{base}/storyboard.vtt"));
    // Segments of 4 s: a tile for two of them.
    let starts: Vec<_> = cues.iter().map(|cue| cue.0).collect();
    assert_eq!(starts, [0.0, 8.0, 16.0, 24.0, 32.0, 40.0, 48.0]);
    let end = cues.last().unwrap().1;
    assert!((49.9..50.2).contains(&end), "{cues:?}");
    let shown: Vec<_> = starts.iter().map(|at| frame_at(&file, *at)).collect();
    let mut sprites = BTreeMap::new();
    for (index, cue) in cues.iter().enumerate() {
        let (name, place) = sprite_of(cue);
        let sprite = sprites.entry(name).or_insert_with(|| {
            let answer = http.get(&format!("{base}/{name}")).unwrap();
            Image::jpeg(folder, &answer, (800, 450))
        });
        let tile = sprite.cut(place, TILE);
        let near: Vec<_> = shown.iter().map(|frame| tile.nearness(frame)).collect();
        println!("{} s: {near:.1?} dB", cue.0);
        assert!(near[index] > NEAR, "the tile of {} s: {near:.1?} dB", cue.0);
        // The dark is dark, and no other picture is as near.
        let is_dark = cue.0 < 20.0;
        assert_eq!(tile.brightness() < 8.0, is_dark, "{cue:?}");
        let best = near.iter().copied().fold(0.0, f64::max);
        assert!(is_dark || near[index] == best, "{} s: {near:.1?} dB", cue.0);
    }
    assert_eq!(sprites.len(), 1);
    let peak = resident_peak_kib(pictures_process(&nova).expect("one was started"));
    println!("the pictures process held {peak} KiB at most");
    let poster = http.get(&format!("{base}/poster.jpg")).unwrap();
    let poster = Image::jpeg(folder, &poster, (854, 480));
    assert!(poster.brightness() > 50.0, "a dark poster");

    for name in ["0-8.jpg", "0-3.jpg", "2-2.jpg", "50-2.jpg"] {
        no(
            &http,
            &format!("{base}/0/storyboard/{name}"),
            404,
            "not available",
        );
    }
    no(
        &http,
        &format!("{base}/1/storyboard/0-2.jpg"),
        404,
        "not available",
    );
    no(
        &http,
        &format!("{base}/0/storyboard/0-02.jpg"),
        404,
        "nothing under this path",
    );
    no(
        &http,
        &format!("{base}/0/thumbnails/6.jpg"),
        404,
        "nothing under this path",
    );

    wait_until_ready(&site, &song, LIMIT);
    for name in ["poster.jpg", "storyboard.vtt"] {
        no(&http, &format!("/vod/{song}/{name}"), 404, "no pictures");
    }
}

#[test]
fn a_recording_has_pictures_too_unless_nothing_is_transcoded() {
    let site = Site::new();
    let key = site.create_stream("garden");
    site.nova(&["stream", "set", "garden", "--recording", "on"])
        .succeeded();
    let serve = site.serve().variable("NOVA__LIVE__GRACE_SECONDS", "1");
    let nova = serve.clone().start();
    let file = site.data_dir().join("in.mp4");
    make_file(
        &file,
        "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine -t 12 -c:v libx264 \
         -preset ultrafast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 0 -c:a aac",
    );
    let url = nova.rtmp_url(&key);
    site.nova(&["publish", &url, "--input", file.to_str().unwrap()])
        .succeeded();
    let video = wait_for("a video", LIMIT, || {
        let listed = site.nova(&["vod", "list"]).succeeded();
        let id = listed.split('\t').next().filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or("none".to_owned())
    });
    let http = nova.http();
    let base = format!("/vod/{video}");
    let cues = cues(&http, &format!("{base}/storyboard.vtt"));
    assert_eq!(cues[0].0, 0.0);
    assert!((11.9..12.2).contains(&cues.last().unwrap().1), "{cues:?}");
    for cue in &cues {
        let (name, place) = sprite_of(cue);
        let answer = http.get(&format!("{base}/{name}")).unwrap();
        let sprite = Image::jpeg(site.data_dir(), &answer, (800, 450));
        let near = sprite.cut(place, TILE).nearness(&frame_at(&file, cue.0));
        assert!(near > NEAR, "the tile of {} s is {near} dB near", cue.0);
    }
    let poster = http.get(&format!("{base}/poster.jpg")).unwrap();
    Image::jpeg(site.data_dir(), &poster, (320, 180));

    drop(nova);
    let nova = serve.variable("NOVA__TRANSCODE__ENABLED", "false").start();
    for name in ["poster.jpg", "storyboard.vtt"] {
        no(
            &nova.http(),
            &format!("{base}/{name}"),
            404,
            "no pictures are made here",
        );
    }
}
