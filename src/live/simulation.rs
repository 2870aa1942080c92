//! For tests: a stream whose clock is turned by hand, through the real segmenters, window,
//! archive and rows. Its frames are made up; nothing is encoded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, Epoch, Frame, ManualClock, Micros, NodeId, Rendition,
    RenditionName, SegmentNumber, SourceFit, StreamId, StreamName, Timestamp, TrackKind,
};
use packager::live::{Cut, EpochPlan};
use packager::{LiveStream, LiveStreams};
use storage::rows::leases::{self, Lease};
use storage::rows::origins::{self, NewOrigin};
use storage::rows::segments::{self, EpochRow};
use storage::rows::sessions::SessionRow;
use storage::rows::streams::{self, NewStream, TakeoverPolicy};
use storage::rows::users::{self, NewUser};
use storage::rows::{Database, IfMissing, numbering, sessions};
use storage::{ObjectStore, RowError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transcode::Profile;

use super::archive::{Archive, Archives, Shelves};
use super::packaged::{Outlet, Packaged};
use super::sweeper::Sweeper;
use super::{Context, restore};

pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
pub(super) const SEGMENT: Micros = Micros::from_secs(2);
/// How long a stream without rules keeps its segments.
pub(super) const LIVE_WINDOW: Micros = Micros::from_secs(60);
/// Segments of a playlist.
pub(super) const LISTED: usize = 10;
/// Frames of a segment.
const FRAMES: i64 = 4;
/// Longer than a stream is simulated, and less than passes from a crash to its recovery.
const LEASE: Micros = Micros::from_secs(400_000);
const DEADLINE: Duration = Duration::from_secs(60);

/// 1280x720 High 3.1 from x264.
const AVCC_720P: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// A server's live pipeline without its server.
pub(super) struct World {
    pub(super) context: Arc<Context>,
    pub(super) clock: Arc<ManualClock>,
}

impl World {
    /// On a migrated database.
    pub(super) async fn new(
        database: Database,
        objects: Arc<dyn ObjectStore>,
        now: Timestamp,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let shelves = Shelves {
            database,
            objects,
            clock: clock.clone(),
        };
        let origin = NewOrigin {
            id: NodeId::new(),
            instance: leases::this_process(),
            url: String::new(),
            is_alone: false,
            version: "1".to_owned(),
        };
        let place = origins::register(&shelves.database, &origin, LEASE, now).await;
        let place = place.unwrap().expect("nobody is alone");
        let shutdown = CancellationToken::new();
        let context = Context {
            archives: Archives {
                shelves: shelves.clone(),
                health: Arc::default(),
                waiting: Arc::default(),
                clerks: TaskTracker::new(),
                shutdown: shutdown.clone(),
            },
            place,
            moved: Arc::default(),
            shelves,
            streams: Arc::new(LiveStreams::new()),
            encodings: None,
            ladder: Profile::default(),
            machine: Arc::default(),
            meters: Arc::default(),
            grace: Duration::from_secs(30),
            window_segments: LISTED,
            ahead: super::numbers::ahead(LISTED),
            shutdown,
        };
        Self {
            context: Arc::new(context),
            clock,
        }
    }

    /// With rows in a new SQLite file in `directory`.
    pub(super) async fn on_sqlite(
        directory: &std::path::Path,
        objects: Arc<dyn ObjectStore>,
    ) -> Self {
        let url = format!("sqlite:{}", directory.join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        Self::new(database, objects, START).await
    }

    pub(super) fn shelves(&self) -> &Shelves {
        &self.context.shelves
    }

    pub(super) fn database(&self) -> &Database {
        &self.shelves().database
    }

    pub(super) fn sweeper(&self) -> Sweeper {
        Sweeper {
            shelves: self.shelves().clone(),
            live_window: LIVE_WINDOW,
            listed: LISTED as u64,
        }
    }

    /// The sweeper's lease, which must be free.
    pub(super) async fn lease(&self) -> Lease {
        let now = media::Clock::now(self.clock.as_ref());
        let lease = leases::acquire(self.database(), "sweeper", "test", LEASE, now).await;
        lease.unwrap().expect("nobody has it")
    }

    /// A stream of a user of its own.
    pub(super) async fn stream(&self, name: &str) -> StreamId {
        let user = NewUser {
            name,
            email: &format!("{name}@example.org"),
            password_hash: "none",
            is_admin: false,
        };
        let owner = users::create(self.database(), user, START).await.unwrap();
        let stream = NewStream {
            owner: owner.id,
            name: &name.parse().unwrap(),
            takeover: TakeoverPolicy::Takeover,
        };
        let key = format!("key-of-{name}").parse().unwrap();
        let created = streams::create(self.database(), stream, &key, START).await;
        created.unwrap().id
    }

    /// Goes live, in a new epoch of a new session.
    pub(super) async fn go_live(&self, stream: StreamId, name: &str) -> Simulated {
        let name: StreamName = name.parse().unwrap();
        let now = media::Clock::now(self.clock.as_ref());
        let opened = sessions::open_session(self.database(), stream, now).await;
        let session = opened.unwrap().session;
        let window = restore::window(&self.context, &name, &session).await;
        let archive = self.context.archives.open(stream);
        let mut simulated = Simulated {
            context: self.context.clone(),
            clock: self.clock.clone(),
            name,
            session,
            window,
            archive,
            tracks: Vec::new(),
            next: SegmentNumber(0),
            at: now,
        };
        simulated.begin_epoch().await.unwrap();
        simulated
    }
}

/// A live stream of pictures and sound.
pub(super) struct Simulated {
    context: Arc<Context>,
    clock: Arc<ManualClock>,
    pub(super) name: StreamName,
    pub(super) session: SessionRow,
    pub(super) window: Arc<LiveStream>,
    pub(super) archive: Archive,
    tracks: Vec<Packaged>,
    /// The next segment's number.
    pub(super) next: SegmentNumber,
    at: Timestamp,
}

pub(super) fn renditions() -> [Rendition; 2] {
    let pictures = AvcConfig::parse(Bytes::from_static(AVCC_720P)).unwrap();
    let sound = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    let frame = Micros::new(SEGMENT.as_micros() / FRAMES);
    [
        Rendition::new(
            RenditionName::SOURCE,
            Codec::Avc(pictures),
            3_000_000,
            frame,
        ),
        Rendition::new(RenditionName::AUDIO, Codec::Aac(sound), 96_000, frame),
    ]
}

impl Simulated {
    async fn begin_epoch(&mut self) -> Result<(), RowError> {
        let database = &self.context.shelves.database;
        let numbers = numbering::next_numbers(database, self.session.stream).await?;
        self.at = self.at.max(numbers.not_before);
        self.next = numbers.segment;
        let row = EpochRow {
            number: numbers.epoch,
            session: self.session.id,
            first_segment: numbers.segment,
            started_at: self.at,
            target_duration: 2,
        };
        segments::insert_epoch(database, self.session.stream, &row).await?;
        let renditions = renditions().to_vec();
        self.window
            .begin_epoch(EpochPlan {
                number: numbers.epoch,
                first_segment: numbers.segment,
                start: self.at,
                target_duration: 2,
                renditions: renditions.clone(),
                expected: Vec::new(),
            })
            .unwrap();
        let epoch = Epoch {
            number: numbers.epoch,
            first_segment: numbers.segment,
            start: self.at,
            target_duration: 2,
            video: None,
            audio: None,
            source_fit: SourceFit::Passthrough,
        };
        let meter = self
            .context
            .meters
            .join(self.session.stream, self.session.id);
        let outlet = Outlet {
            window: self.window.clone(),
            archive: self.archive.clone(),
            epoch: numbers.epoch,
            meter: meter.begin(&epoch, self.at, self.clock.clone()),
        };
        let tracks = renditions.into_iter().map(|r| Packaged::start(&outlet, r));
        self.tracks = tracks.collect();
        Ok(())
    }

    /// The frames of one more segment, which closes the one before it.
    pub(super) async fn segment(&mut self) -> Result<(), RowError> {
        let database = &self.context.shelves.database;
        numbering::reserve_segment(database, self.session.stream, self.next).await?;
        self.frames();
        Ok(())
    }

    /// As [`Self::segment`], with numbers that the row does not hear of.
    pub(super) fn segments_without_rows(&mut self, count: usize) {
        for _ in 0..count {
            self.frames();
        }
    }

    fn frames(&mut self) {
        let frame = Micros::new(SEGMENT.as_micros() / FRAMES);
        for index in 0..FRAMES {
            let at = self.at + Micros::new(index * frame.as_micros());
            for (packaged, track) in self
                .tracks
                .iter_mut()
                .zip([TrackKind::Video, TrackKind::Audio])
            {
                packaged.push(Frame {
                    track,
                    dts: at,
                    pts: at,
                    duration: Some(frame),
                    key: true,
                    starts: (index == 0).then_some(self.next),
                    data: Bytes::from_static(b"a made-up access unit"),
                });
            }
        }
        self.window.close_segment(Cut {
            number: self.next,
            start: self.at,
            duration: SEGMENT,
        });
        self.at = self.at + SEGMENT;
        self.next = self.next.next();
        self.clock.advance(SEGMENT);
    }

    /// Waits until what was cut is stored.
    pub(super) async fn stored(&self) {
        let stored = async {
            while self.archive.is_behind() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(DEADLINE, stored).await.unwrap();
    }

    /// The last segment is cut, and the session ends.
    pub(super) async fn end(mut self) -> SessionRow {
        for packaged in &mut self.tracks {
            packaged.finish();
        }
        self.stored().await;
        let now = media::Clock::now(self.clock.as_ref());
        let database = &self.context.shelves.database;
        sessions::end_session(database, self.session.id, now)
            .await
            .unwrap();
        self.window.end();
        self.session
    }
}

/// Every key in the store.
pub(super) async fn all_keys(objects: &dyn ObjectStore) -> Vec<String> {
    let (mut keys, mut cursor): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let page = objects.list("", cursor.as_deref()).await.unwrap();
        keys.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            return keys;
        }
    }
}
