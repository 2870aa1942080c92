//! Pictures: which are asked for, of which segments they are made, what is answered.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use media::{
    DrawnSheet, EpochNumber, Frame, ManualClock, Micros, Rendition, RenditionName, SegmentNumber,
    Sheet, TrackKind,
};
use packager::live::LiveConfig;
use packager::origin::{OriginLimits, OriginParts};
use packager::pictures::{PictureError, PictureFuture};
use packager::segmenter::Output;
use packager::{LiveStream, LiveStreams, Origin, PartTarget, PictureMaker, Segmenter, object_key};
use proptest::prelude::*;
use storage::ObjectStore;
use storage::objects::FileStore;
use tokio::sync::Semaphore;
use tower_service::Service;

use crate::fixture::*;
use crate::vod::{epoch, eventful, row, video_of};
use packager::vod::Presentation;
use storage::rows::videos::playback::StoredVideo;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `Cache-Control` of what may be otherwise in a moment.
pub(crate) const A_MOMENT: &str = "public, max-age=1";

/// What a maker fails with, after so many sheets.
type Fault = fn(usize) -> Option<PictureError>;

/// The beginning of a key frame that nobody can decode.
pub(crate) const TORN: &[u8] = b"torn";

/// Makes no pictures, but keeps what it was asked for.
#[derive(Debug)]
pub(crate) struct Notebook {
    sheets: Mutex<Vec<Sheet>>,
    pub(crate) entered: AtomicUsize,
    /// A permit for each sheet that may be finished.
    pub(crate) gate: Semaphore,
    fault: Fault,
}

impl Notebook {
    pub(crate) fn new(fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            sheets: Mutex::default(),
            entered: AtomicUsize::new(0),
            gate: Semaphore::new(1_000),
            fault,
        })
    }

    /// From now on nothing is finished.
    pub(crate) fn stop(&self) {
        self.gate.forget_permits(self.gate.available_permits());
    }

    pub(crate) async fn until_entered(&self, count: usize) {
        let entered = async {
            while self.entered.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, entered).await.unwrap();
    }

    pub(crate) fn last(&self) -> Sheet {
        self.sheets.lock().unwrap().last().unwrap().clone()
    }
}

impl PictureMaker for Notebook {
    fn make(&self, sheet: Sheet) -> PictureFuture<'_> {
        Box::pin(async move {
            self.entered.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            let (width, height) = (sheet.tile.width, sheet.tile.height);
            let jpeg = format!("{}x{} of {width}x{height}", sheet.columns, sheet.rows);
            let tiles = sheet.tiles.iter().enumerate();
            let torn = tiles.filter(|(_, tile)| {
                let tile = tile.as_ref();
                tile.is_some_and(|tile| tile.data.starts_with(TORN))
            });
            let undecodable = torn.map(|(at, _)| (at, "torn".to_owned())).collect();
            let mut sheets = self.sheets.lock().unwrap();
            sheets.push(sheet);
            match (self.fault)(sheets.len() - 1) {
                Some(error) => Err(error),
                None => Ok(DrawnSheet {
                    jpeg: jpeg.into(),
                    undecodable,
                }),
            }
        })
    }
}

struct World {
    origin: Origin,
    live: Arc<LiveStream>,
    objects: Arc<dyn ObjectStore>,
    maker: Arc<Notebook>,
    _directory: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) cache: String,
    pub(crate) retry: bool,
    pub(crate) text: String,
}

/// What an origin answers.
pub(crate) async fn get(origin: &Origin, path: &str) -> Reply {
    let request = Request::builder().method(Method::GET).uri(path);
    let answer = origin.clone().call(request.body(()).unwrap());
    let Ok(response) = tokio::time::timeout(PATIENCE, answer).await.expect(path);
    let (parts, body) = response.into_parts();
    let header = |name| {
        let value = parts.headers.get(name);
        value.map_or(String::new(), |value: &http::HeaderValue| {
            value.to_str().unwrap().to_owned()
        })
    };
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: parts.status,
        kind: header(CONTENT_TYPE),
        cache: header(CACHE_CONTROL),
        retry: parts.headers.contains_key(RETRY_AFTER),
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// 1280x720 and 320x180, and sound.
fn renditions() -> Vec<Rendition> {
    vec![
        video(source(), 3_000_000),
        hevc_video(rung(), 300_000),
        audio(),
    ]
}

impl World {
    fn new(config: LiveConfig, limits: OriginLimits, maker: Arc<Notebook>) -> Self {
        let streams = Arc::new(LiveStreams::new());
        let live = streams.insert(stream(config));
        live.begin_epoch(plan(3, 40, renditions())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(FileStore::open(directory.path()).unwrap());
        let origin = Origin::new(OriginParts {
            streams,
            objects: Arc::clone(&objects),
            clock: Arc::new(ManualClock::new(START)),
            database: None,
            pictures: Some(maker.clone()),
            limits,
        });
        Self {
            origin,
            live,
            objects,
            maker,
            _directory: directory,
        }
    }

    /// Segments 40 to 44 of all renditions; the rung has a gap at 43.
    async fn playing() -> Self {
        let maker = Notebook::new(|_| None);
        let world = Self::new(LiveConfig::default(), OriginLimits::default(), maker);
        for number in 40..45 {
            world.push(number).await;
        }
        world
    }

    /// The segment of this number, stored as it is live.
    async fn push(&self, number: u64) {
        for rendition in renditions() {
            if rendition.name == sound() {
                push_segment(&self.live, &rendition.name, number);
                continue;
            }
            if rendition.name == rung() && number == 43 {
                continue;
            }
            let bytes = push_real(&self.live, &rendition, number);
            let key = object_key::segment(
                self.live.id(),
                EpochNumber(3),
                &rendition.name,
                SegmentNumber(number),
            );
            self.objects.put(&key, bytes).await.unwrap();
        }
        self.live.close_segment(cut(number));
    }

    async fn get(&self, path: &str) -> Reply {
        get(&self.origin, path).await
    }
}

/// The key frame that a segment of a rendition begins with.
pub(crate) fn key_frame(name: &RenditionName, number: u64) -> Bytes {
    Bytes::from(format!("{name}/{number};").repeat(50))
}

/// The bytes of a segment with this key frame alone.
pub(crate) fn segment_of(rendition: &Rendition, number: u64, key_frame: Bytes) -> Bytes {
    let mut segmenter = Segmenter::new(rendition, PartTarget::of(rendition));
    let at = start_of(number);
    segmenter
        .push(Frame {
            track: TrackKind::Video,
            dts: at,
            pts: at,
            duration: None,
            key: true,
            starts: Some(SegmentNumber(number)),
            data: key_frame,
        })
        .unwrap();
    segmenter.finish();
    let mut bytes = Vec::new();
    while let Some(output) = segmenter.poll() {
        if let Output::Part(part) = output {
            bytes.extend_from_slice(&part.data);
        }
    }
    bytes.into()
}

/// A segment as a segmenter makes it: a key frame and another.
pub(crate) fn push_real(live: &LiveStream, rendition: &Rendition, number: u64) -> Bytes {
    let mut segmenter = Segmenter::new(rendition, PartTarget::of(rendition));
    let frame = |index: i64, data: Bytes| {
        let at = start_of(number) + Micros::from_secs(index);
        Frame {
            track: TrackKind::Video,
            dts: at,
            pts: at,
            duration: None,
            key: index == 0,
            starts: (index == 0).then_some(SegmentNumber(number)),
            data,
        }
    };
    segmenter
        .push(frame(0, key_frame(&rendition.name, number)))
        .unwrap();
    segmenter
        .push(frame(1, Bytes::from_static(b"other")))
        .unwrap();
    segmenter.finish();
    let mut bytes = Bytes::new();
    while let Some(output) = segmenter.poll() {
        match output {
            Output::Part(part) => live.push_part(&rendition.name, part).unwrap(),
            Output::Segment(segment) => {
                let segment = media::Segment {
                    duration: SEGMENT,
                    ..segment
                };
                bytes = live.push_segment(&rendition.name, segment).unwrap();
            }
        }
    }
    assert!(!bytes.is_empty());
    bytes
}

#[tokio::test]
async fn a_poster_is_of_the_newest_segment_and_of_the_rendition_that_is_enough() {
    let world = World::playing().await;
    for (path, size, name) in [
        ("poster.jpg", "1x1 of 1280x720", source()),
        ("thumbnail.jpg", "1x1 of 320x180", rung()),
    ] {
        let got = world.get(&format!("/live/demo/{path}")).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text);
        assert_eq!((&got.kind[..], &got.text[..]), ("image/jpeg", size));
        assert_eq!(got.cache, "public, max-age=4");
        let sheet = world.maker.last();
        let shown = sheet.tiles[0].as_ref().unwrap();
        assert_eq!(shown.data, key_frame(&name, 44), "{path}");
        let rendition = renditions().into_iter().find(|one| one.name == name);
        assert_eq!(shown.codec, rendition.unwrap().codec);
    }
    world.live.end();
    let after = world.get("/live/demo/poster.jpg").await;
    assert_eq!(after.status, StatusCode::OK);
}

#[tokio::test]
async fn a_live_storyboard_has_a_thumbnail_every_few_seconds() {
    let world = World::playing().await;
    let got = world.get("/live/demo/storyboard.vtt").await;
    assert_eq!(got.kind, "text/vtt; charset=utf-8");
    assert!(got.cache.contains("s-maxage=1"), "{}", got.cache);
    // Segment 40 begins at 2027-01-15T08:00:00.250Z; 44 is the last.
    let cues = got.text.split_once("\n\n500000").expect(&got.text).1;
    assert_eq!(
        format!("500000{cues}"),
        "500000:00:00.250 --> 500000:00:04.250\n3/thumbnails/40.jpg\n\n\
         500000:00:04.250 --> 500000:00:08.250\n3/thumbnails/42.jpg\n\n\
         500000:00:08.250 --> 500000:00:10.250\n3/thumbnails/44.jpg\n"
    );
    for (number, name) in [(40, rung()), (43, source()), (44, rung())] {
        let path = format!("/live/demo/3/thumbnails/{number}.jpg");
        let got = world.get(&path).await;
        assert_eq!(got.text, "1x1 of 160x90", "{path}");
        assert_eq!(got.cache, "public, max-age=31536000, immutable");
        let sheet = world.maker.last();
        assert_eq!(
            sheet.tiles[0].as_ref().unwrap().data,
            key_frame(&name, number)
        );
    }
    for path in [
        "3/thumbnails/45.jpg",
        "3/thumbnails/39.jpg",
        "2/thumbnails/40.jpg",
    ] {
        let got = world.get(&format!("/live/demo/{path}")).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(got.cache, "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_has_left_the_memory_comes_from_the_store() {
    let maker = Notebook::new(|_| None);
    let config = LiveConfig {
        rendition_bytes: 1,
        ..LiveConfig::default()
    };
    let world = World::new(config, OriginLimits::default(), maker);
    world.push(40).await;
    let got = world.get("/live/demo/3/thumbnails/40.jpg").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    let sheet = world.maker.last();
    assert_eq!(
        sheet.tiles[0].as_ref().unwrap().data,
        key_frame(&rung(), 40)
    );

    let object = |name: &RenditionName| {
        object_key::segment(world.live.id(), EpochNumber(3), name, SegmentNumber(40))
    };
    // Cut short, damaged, gone.
    let key = object(&rung());
    let whole = world.objects.get(&key).await.unwrap();
    for (damaged, sentence) in [
        (whole.slice(..200), "this picture cannot be decoded\n"),
        (Bytes::new(), "this picture cannot be decoded\n"),
        (
            Bytes::from_static(b"<html>"),
            "this picture cannot be decoded\n",
        ),
    ] {
        world.objects.put(&key, damaged).await.unwrap();
        let got = world.get("/live/demo/3/thumbnails/40.jpg").await;
        assert_eq!(got.status, StatusCode::NOT_FOUND);
        assert_eq!((&got.text[..], &got.cache[..]), (sentence, A_MOMENT));
    }
    world.objects.delete(&key).await.unwrap();
    let got = world.get("/live/demo/3/thumbnails/40.jpg").await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_large_key_frame_is_fetched_whole() {
    let maker = Notebook::new(|_| None);
    let config = LiveConfig {
        rendition_bytes: 1,
        ..LiveConfig::default()
    };
    let world = World::new(config, OriginLimits::default(), maker);
    let large = Bytes::from(vec![9; 700_000]);
    let bytes = segment_of(&renditions()[1], 40, large.clone());
    world.push(40).await;
    let key = object_key::segment(world.live.id(), EpochNumber(3), &rung(), SegmentNumber(40));
    world.objects.put(&key, bytes).await.unwrap();
    world.get("/live/demo/3/thumbnails/40.jpg").await;
    let sheet = world.maker.last();
    assert_eq!(sheet.tiles[0].as_ref().unwrap().data, large);
}

#[tokio::test]
async fn each_no_has_a_sentence() {
    let faults: [(Fault, _, _, _); 3] = [
        // A crowd that asks has it tried once.
        (
            |_| Some(PictureError::Undecodable("torn".into())),
            StatusCode::NOT_FOUND,
            "this picture cannot be decoded\n",
            A_MOMENT,
        ),
        (
            |_| Some(PictureError::Busy("full".into())),
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pictures are being made\n",
            "no-store",
        ),
        (
            |_| Some(PictureError::Failed("died".into())),
            StatusCode::SERVICE_UNAVAILABLE,
            "the picture could not be made\n",
            "no-store",
        ),
    ];
    for (fault, status, sentence, cache) in faults {
        let maker = Notebook::new(fault);
        let world = World::new(LiveConfig::default(), OriginLimits::default(), maker);
        world.push(40).await;
        let got = world.get("/live/demo/poster.jpg").await;
        assert_eq!((got.status, &got.text[..]), (status, sentence));
        assert_eq!(got.cache, cache);
        assert_eq!(got.retry, status == StatusCode::SERVICE_UNAVAILABLE);
    }

    let maker = Notebook::new(|_| None);
    let world = World::new(LiveConfig::default(), OriginLimits::default(), maker);
    for path in ["poster.jpg", "thumbnail.jpg", "storyboard.vtt"] {
        let early = world.get(&format!("/live/demo/{path}")).await;
        assert_eq!(early.status, StatusCode::NOT_FOUND, "nothing is closed yet");
        assert_eq!(early.cache, "no-store");
    }
    let unknown = world.get("/live/nobody/poster.jpg").await;
    assert_eq!(unknown.text, "this stream is not live\n");
    world.live.begin_epoch(plan(4, 41, vec![audio()])).unwrap();
    push_segment(&world.live, &sound(), 41);
    for path in ["poster.jpg", "thumbnail.jpg", "storyboard.vtt"] {
        let mute = world.get(&format!("/live/demo/{path}")).await;
        assert_eq!(mute.status, StatusCode::NOT_FOUND);
        assert_eq!(mute.text, "there are no pictures in this\n");
    }
    assert!(world.maker.sheets.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_maker_there_are_none() {
    let (streams, live) = live();
    push_segments(&live, &[source(), rung(), sound()], 40..42);
    let directory = tempfile::tempdir().unwrap();
    let mut origin = Origin::new(OriginParts {
        streams,
        objects: Arc::new(FileStore::open(directory.path()).unwrap()),
        clock: Arc::new(ManualClock::new(START)),
        database: None,
        pictures: None,
        limits: OriginLimits::default(),
    });
    let video = "/vod/0193c0de-0000-7000-8000-00000000000a";
    let (no_pictures, no_videos) = (
        "no pictures are made here\n",
        "there is no video on demand here\n",
    );
    for (path, why) in [
        ("/live/demo/poster.jpg".to_owned(), no_pictures),
        ("/live/demo/storyboard.vtt".to_owned(), no_pictures),
        ("/live/demo/3/thumbnails/40.jpg".to_owned(), no_pictures),
        (format!("{video}/poster.jpg"), no_videos),
        (format!("{video}/storyboard.vtt"), no_videos),
        (format!("{video}/0/storyboard/0-2.jpg"), no_videos),
    ] {
        let request = Request::builder().uri(&path).body(()).unwrap();
        let Ok(response) = origin.call(request).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], why.as_bytes(), "{path}");
    }
}

#[tokio::test]
async fn a_crowd_is_refused_by_name() {
    let maker = Notebook::new(|_| None);
    let limits = OriginLimits {
        pictures: 3,
        ..OriginLimits::default()
    };
    let world = Arc::new(World::new(LiveConfig::default(), limits, maker));
    world.push(40).await;
    world.maker.stop();
    let ask = || {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.get("/live/demo/poster.jpg").await })
    };
    let waiting = [ask(), ask(), ask()];
    world.maker.until_entered(2).await;
    // Two are made, one waits for its turn.
    let refused = ask().await.unwrap();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.text, "too many pictures are being made\n");
    assert!(refused.retry);
    assert_eq!(world.maker.entered.load(Ordering::SeqCst), 2);
    world.maker.gate.add_permits(100);
    for one in waiting {
        assert_eq!(one.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(ask().await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_picture_that_takes_too_long_is_refused() {
    let limits = OriginLimits {
        picture_time: Duration::from_millis(100),
        ..OriginLimits::default()
    };
    let world = World::new(LiveConfig::default(), limits, Notebook::new(|_| None));
    world.push(40).await;
    world.maker.stop();
    let refused = world.get("/live/demo/poster.jpg").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.text, "this is not ready yet\n");
    assert!(refused.retry);
    assert_eq!(refused.cache, "no-store");
}

#[tokio::test]
async fn a_live_tile_shows_the_first_of_its_numbers_that_has_a_picture() {
    let config = LiveConfig {
        playlist_segments: 4,
        ..LiveConfig::default()
    };
    let world = World::new(config, OriginLimits::default(), Notebook::new(|_| None));
    for number in 40..47 {
        if number == 44 {
            push_segment(&world.live, &sound(), number);
            world.live.close_segment(cut(number));
        } else {
            world.push(number).await;
        }
    }
    // 43 to 46 are listed. 42, which is older, stands for 43 too; there is nothing of 44.
    let got = world.get("/live/demo/storyboard.vtt").await;
    let cues = got.text.split_once("\n\n500000").expect(&got.text).1;
    assert_eq!(
        format!("500000{cues}"),
        "500000:00:04.250 --> 500000:00:10.250\n3/thumbnails/42.jpg\n\n\
         500000:00:10.250 --> 500000:00:12.250\n3/thumbnails/45.jpg\n\n\
         500000:00:12.250 --> 500000:00:14.250\n3/thumbnails/46.jpg\n"
    );
}

/// Start, end and text of each cue, by a strict reading.
fn cues(text: &str) -> Vec<(f64, f64, String)> {
    let mut blocks = text.strip_suffix('\n').unwrap().split("\n\n");
    assert_eq!(blocks.next(), Some("WEBVTT"));
    assert!(blocks.next().unwrap().starts_with("NOTE "));
    let cue = |block: &str| {
        let (times, text) = block.split_once('\n').unwrap();
        let (start, end) = times.split_once(" --> ").unwrap();
        let seconds = |time: &str| {
            let fields: Vec<f64> = time
                .split(':')
                .map(|field| field.parse().unwrap())
                .collect();
            fields[0] * 3_600.0 + fields[1] * 60.0 + fields[2]
        };
        assert!(!text.contains('\n'), "{block}");
        (seconds(start), seconds(end), text.to_owned())
    };
    blocks.map(cue).collect()
}

#[test]
fn a_videos_storyboard_has_its_own_clock() {
    let presentation = Presentation::new(eventful()).unwrap();
    // Seven numbers of 2 s: 40 to 44 in epoch 3, 45 and 46 in epoch 4. Nobody has 43.
    assert_eq!(
        cues(&presentation.storyboard().render()),
        [
            (
                0.0,
                8.0,
                "3/storyboard/0-4.jpg#xywh=0,180,160,90".to_owned()
            ),
            (
                8.0,
                10.0,
                "3/storyboard/0-4.jpg#xywh=160,180,160,90".to_owned()
            ),
            (
                10.0,
                14.0,
                "4/storyboard/0-4.jpg#xywh=160,180,160,90".to_owned()
            ),
        ]
    );
    let number = SegmentNumber;
    let (tile, tiles) = presentation.sprite(EpochNumber(3), number(0), 4).unwrap();
    assert_eq!((tile.width, tile.height, tiles.len()), (160, 90, 25));
    let shown: Vec<_> = (0..25)
        .filter_map(|at| Some((at, tiles[at].as_ref()?.number.0)))
        .collect();
    assert_eq!(shown, [(10, 40), (11, 44)]);
    let (_, tiles) = presentation.sprite(EpochNumber(4), number(0), 4).unwrap();
    assert_eq!(tiles[11].as_ref().unwrap().number, number(45));
    for (epoch, first, step) in [
        (3, 100, 4),
        (3, 4, 4),
        (3, 0, 1),
        (3, 0, 16),
        (3, 0, 0),
        (5, 0, 4),
        (3, u64::MAX, 4),
    ] {
        let sprite = presentation.sprite(EpochNumber(epoch), number(first), step);
        assert!(sprite.is_none(), "{epoch} {first} {step}");
    }
    // A gap of the rung's.
    let (_, tiles) = presentation.sprite(EpochNumber(3), number(0), 2).unwrap();
    let shown = tiles[21].as_ref().unwrap();
    assert_eq!(
        (shown.number, &shown.rendition.name),
        (number(42), &source())
    );
    assert_eq!(tiles[20].as_ref().unwrap().rendition.name, rung());
    let posters: Vec<_> = presentation
        .posters()
        .iter()
        .map(|still| still.number.0)
        .collect();
    // 10 % is 1.4 s, 30 % is 4.2 s, which a gap follows, 50 % is 7 s.
    assert_eq!(posters, [41, 44]);
    assert!(!presentation.is_sound());
}

#[test]
fn the_names_next_to_a_videos_own_are_good_too() {
    for is_final in [false, true] {
        let presentation = Presentation::new(StoredVideo {
            is_final,
            ..eventful()
        });
        let presentation = presentation.unwrap();
        for (step, is_there) in [
            (1, false),
            (2, true),
            (4, true),
            (8, true),
            (16, false),
            (3, false),
        ] {
            let sprite = presentation.sprite(EpochNumber(3), SegmentNumber(0), step);
            assert_eq!(sprite.is_some(), is_there, "{step}");
        }
    }
}

#[test]
fn a_video_whose_beginning_is_let_go_keeps_its_sprites() {
    let of = |numbers: std::ops::Range<u64>| {
        let rows = numbers.map(|number| row(3, source(), number, 700_000));
        Presentation::new(video_of(vec![epoch(3, all())], rows.collect())).unwrap()
    };
    // 4,200 numbers of 2 s have a tile for 8 of them, 3,900 for 4.
    let step = |presentation: &Presentation| {
        let text = presentation.storyboard().render();
        let name = text.split_once(".jpg").unwrap().0.rsplit('-').next();
        name.unwrap().parse::<u64>().unwrap()
    };
    let (before, after) = (of(0..4_200), of(300..4_200));
    assert_eq!((step(&before), step(&after)), (8, 4));
    let (epoch, first) = (EpochNumber(3), SegmentNumber(400));
    let (_, old) = before.sprite(epoch, first, 8).unwrap();
    assert_eq!(after.sprite(epoch, first, 8).unwrap().1, old);
}

#[test]
fn the_last_tile_ends_with_the_pictures() {
    let mut rows: Vec<_> = (40..44)
        .map(|number| row(3, source(), number, 700_000))
        .collect();
    rows.extend((40..50).map(|number| row(3, sound(), number, 30_000)));
    rows.sort_by_key(|row| row.segment.number);
    let presentation = Presentation::new(video_of(vec![epoch(3, all())], rows)).unwrap();
    let listed = presentation.media_playlist(&source()).unwrap().segments;
    assert_eq!(listed.len(), 4);
    let cues = cues(&presentation.storyboard().render());
    assert_eq!(cues.last().unwrap().1, 8.0);
}

#[test]
fn sound_has_no_storyboard() {
    let rows = (40..44).map(|number| row(3, sound(), number, 30_000));
    let presentation = Presentation::new(video_of(vec![epoch(3, all())], rows.collect())).unwrap();
    assert!(presentation.is_sound());
    assert_eq!(presentation.posters(), []);
    assert_eq!(cues(&presentation.storyboard().render()), []);
    assert!(
        presentation
            .sprite(EpochNumber(3), SegmentNumber(0), 4)
            .is_none()
    );
}

proptest! {
    /// Whatever is there: cues follow one another to the end of the video, each names a tile
    /// of a sprite that there is, and no tile stands for two.
    #[test]
    fn cues_name_tiles_that_there_are(
        there in proptest::collection::vec(any::<[bool; 3]>(), 1..400),
        second in 0_usize..400,
        first in 0_u64..200,
    ) {
        let mut segments = Vec::new();
        for (index, has) in there.iter().enumerate() {
            let at = if index >= second { 4 } else { 3 };
            for (name, has) in [rung(), sound(), source()].into_iter().zip(has) {
                let number = first + index as u64;
                segments.push(row(at, name, number, if *has { 1_000 } else { 0 }));
            }
        }
        let stored = video_of(vec![epoch(3, all()), epoch(4, all())], segments);
        let Some(presentation) = Presentation::new(stored) else { return Ok(()) };
        let cues = cues(&presentation.storyboard().render());
        prop_assert_eq!(cues.is_empty(), presentation.is_sound());
        prop_assert!(cues.windows(2).all(|pair| pair[0].1 == pair[1].0));
        let mut seen = BTreeSet::new();
        for (start, _, text) in &cues {
            prop_assert!(seen.insert(text.clone()), "{}", text);
            let (name, place) = text.split_once(".jpg#xywh=").unwrap();
            let fields: Vec<u32> = place.split(',').map(|field| field.parse().unwrap()).collect();
            prop_assert_eq!(&fields[2..], &[160, 90]);
            let (epoch, name) = name.split_once("/storyboard/").unwrap();
            let (sprite, step) = name.split_once('-').unwrap();
            let (_, tiles) = presentation
                .sprite(
                    EpochNumber(epoch.parse().unwrap()),
                    SegmentNumber(sprite.parse().unwrap()),
                    step.parse().unwrap(),
                )
                .unwrap();
            let shown = tiles[(fields[1] / 90 * 5 + fields[0] / 160) as usize].as_ref().unwrap();
            // Numbers are 2 s apart, gaps are counted.
            prop_assert_eq!(*start, (shown.number.0 - first) as f64 * 2.0);
        }
    }
}
