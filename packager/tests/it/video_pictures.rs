//! Pictures of a video, from rows and objects to an answer.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use media::{EpochNumber, ManualClock, Micros, SegmentNumber, VideoId};
use packager::live::LiveConfig;
use packager::origin::{OriginLimits, OriginParts};
use packager::pictures::PictureError;
use packager::{LiveStreams, Origin, object_key};
use storage::objects::faulty::Fault;
use storage::objects::{FaultyStore, MemoryStore, Operation};
use storage::rows::IfMissing;
use storage::rows::users::{self, NewUser};
use storage::rows::videos::imports::{self, NewImport};
use storage::{Database, ObjectStore};
use tokio::task::JoinHandle;

use crate::fixture::*;
use crate::pictures::*;

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const A_MINUTE: &str = "public, max-age=60";

/// The one sprite: its tiles are of numbers 0, 4 and 8.
const SPRITE: &str = "0/storyboard/0-4.jpg";

/// A video of ten segments of 2 s, and a live stream that is in memory.
struct World {
    origin: Origin,
    objects: Arc<FaultyStore>,
    maker: Arc<Notebook>,
    video: VideoId,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new(limits: OriginLimits, maker: Arc<Notebook>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let streams = Arc::new(LiveStreams::new());
        let live = streams.insert(stream(LiveConfig::default()));
        let of_rung = hevc_video(rung(), 300_000);
        live.begin_epoch(plan(3, 40, vec![of_rung.clone()]))
            .unwrap();
        push_real(&live, &of_rung, 40);
        live.close_segment(cut(40));
        let objects = FaultyStore::new(Arc::new(MemoryStore::default()));
        let origin = Origin::new(OriginParts {
            streams,
            objects: objects.clone(),
            clock: Arc::new(ManualClock::new(START)),
            database: Some(database.clone()),
            pictures: Some(maker.clone()),
            limits,
        });
        let world = Self {
            origin,
            objects,
            maker,
            video: VideoId::new(),
            _directory: directory,
        };
        world.import(&database).await;
        world
    }

    async fn import(&self, database: &Database) {
        let user = NewUser {
            name: "owner",
            email: "owner@example.org",
            password_hash: "$argon2id$",
            is_admin: false,
        };
        let new = NewImport {
            id: self.video,
            owner: users::create(database, user, START).await.unwrap().id,
            title: "garden.mp4",
            original_size: 1_000,
        };
        let mut transaction = database.write().await.unwrap();
        imports::create(&mut transaction, new, START).await.unwrap();
        transaction.commit().await.unwrap();
        let rendition = hevc_video(rung(), 300_000);
        imports::insert_rendition(database, self.video, &rendition)
            .await
            .unwrap();
        for number in 0..10 {
            self.put(number, key_frame(&rung(), number)).await;
            let segment = media::Segment {
                number: SegmentNumber(number),
                start: START + Micros::from_secs(2 * number as i64),
                duration: SEGMENT,
                size: 1_000,
            };
            imports::insert_segment(database, self.video, &rung(), &segment)
                .await
                .unwrap();
        }
        let mut transaction = database.write().await.unwrap();
        let finished = imports::finish(&mut transaction, self.video, START).await;
        assert!(finished.unwrap());
        transaction.commit().await.unwrap();
    }

    fn key(&self, number: u64) -> String {
        object_key::video_segment(self.video, EpochNumber(0), &rung(), SegmentNumber(number))
    }

    async fn put(&self, number: u64, key_frame: Bytes) {
        let bytes = segment_of(&hevc_video(rung(), 300_000), number, key_frame);
        self.objects.put(&self.key(number), bytes).await.unwrap();
    }

    async fn get(&self, name: &str) -> Reply {
        get(&self.origin, &format!("/vod/{}/{name}", self.video)).await
    }

    fn ask(self: &Arc<Self>, name: &'static str) -> JoinHandle<Reply> {
        let world = Arc::clone(self);
        tokio::spawn(async move { world.get(name).await })
    }

    /// Numbers of the tiles that were drawn last.
    fn drawn(&self) -> Vec<usize> {
        let tiles = self.maker.last().tiles;
        let drawn = tiles.iter().enumerate();
        drawn
            .filter_map(|(at, tile)| tile.is_some().then_some(at))
            .collect()
    }
}

#[tokio::test]
async fn pictures_of_a_video_may_be_kept() {
    let world = World::new(OriginLimits::default(), Notebook::new(|_| None)).await;
    let poster = world.get("poster.jpg").await;
    assert_eq!(poster.status, StatusCode::OK, "{}", poster.text);
    assert_eq!(
        (&poster.kind[..], &poster.cache[..]),
        ("image/jpeg", A_MINUTE)
    );
    let storyboard = world.get("storyboard.vtt").await;
    assert!(storyboard.text.contains(SPRITE), "{}", storyboard.text);
    assert_eq!(storyboard.cache, A_MINUTE);
    let sprite = world.get(SPRITE).await;
    assert_eq!(sprite.text, "5x5 of 160x90");
    assert_eq!(sprite.cache, FOR_EVER);
    assert_eq!(world.drawn(), [0, 1, 2]);
}

#[tokio::test]
async fn a_sprite_that_is_not_whole_is_not_kept_for_ever() {
    let world = World::new(OriginLimits::default(), Notebook::new(|_| None)).await;
    world.objects.delete(&world.key(4)).await.unwrap();
    let sprite = world.get(SPRITE).await;
    assert_eq!(sprite.status, StatusCode::OK, "{}", sprite.text);
    assert_eq!((sprite.cache, world.drawn()), (A_MINUTE.into(), vec![0, 2]));
    world.put(4, Bytes::from_static(TORN)).await;
    let sprite = world.get(SPRITE).await;
    assert_eq!(
        (sprite.cache, world.drawn()),
        (A_MINUTE.into(), vec![0, 1, 2])
    );
    world.put(4, key_frame(&rung(), 4)).await;
    assert_eq!(world.get(SPRITE).await.cache, FOR_EVER);
    for number in [0, 4, 8] {
        world.objects.delete(&world.key(number)).await.unwrap();
    }
    let sprite = world.get(SPRITE).await;
    assert_eq!(sprite.status, StatusCode::NOT_FOUND);
    assert_eq!(sprite.cache, "no-store");
}

#[tokio::test]
async fn a_poster_is_the_best_that_could_be_had() {
    let busy = |made: usize| (made > 0).then(|| PictureError::Busy("full".into()));
    let world = World::new(OriginLimits::default(), Notebook::new(busy)).await;
    let poster = world.get("poster.jpg").await;
    assert_eq!(poster.status, StatusCode::OK, "{}", poster.text);
    assert_eq!(poster.cache, A_MOMENT);
    let poster = world.get("poster.jpg").await;
    assert_eq!(poster.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(poster.text, "too many pictures are being made\n");
}

#[tokio::test]
async fn videos_leave_room_for_what_is_live() {
    let limits = OriginLimits {
        pictures: 8,
        ..OriginLimits::default()
    };
    let world = Arc::new(World::new(limits, Notebook::new(|_| None)).await);
    world.maker.stop();
    // A sprite counts as four.
    let sprite = world.ask(SPRITE);
    world.maker.until_entered(1).await;
    assert_eq!(
        world.get(SPRITE).await.text,
        "too many pictures are being made\n"
    );
    let poster = world.ask("poster.jpg");
    world.maker.until_entered(2).await;
    let fetched = world.objects.calls(Operation::GetRange);
    let waiting = world.ask("poster.jpg");
    // Who fetches has been let in.
    let let_in = async {
        while world.objects.calls(Operation::GetRange) == fetched {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, let_in).await.unwrap();
    let live = tokio::spawn({
        let world = Arc::clone(&world);
        async move { get(&world.origin, "/live/demo/poster.jpg").await }
    });
    let refused = world.get("poster.jpg").await;
    assert_eq!(refused.text, "too many pictures are being made\n");
    assert!(refused.retry);
    world.maker.gate.add_permits(100);
    for one in [sprite, poster, waiting, live] {
        let reply = one.await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    }
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_nobody_else() {
    let world = Arc::new(World::new(OriginLimits::default(), Notebook::new(|_| None)).await);
    let fetched = world.objects.calls(Operation::GetRange);
    world.objects.fail(Fault::Hang);
    let hanging = [
        world.ask(SPRITE),
        world.ask(SPRITE),
        world.ask("poster.jpg"),
    ];
    let all = async {
        while world.objects.calls(Operation::GetRange) < fetched + 7 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    let live = get(&world.origin, "/live/demo/poster.jpg").await;
    assert_eq!(live.status, StatusCode::OK, "{}", live.text);
    assert!(hanging.iter().all(|one| !one.is_finished()));
    for one in hanging {
        let reply = one.await.unwrap();
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.text, "the object store does not answer\n");
    }
}
