use bytes::Bytes;
use media::{EpochNumber, ManualClock, SegmentNumber, SourceFit};
use transcode::{Profile, plan};

use super::*;
use crate::live::simulation::{START, renditions};

const PICTURE: Micros = Micros::from_millis(40);

struct Broadcast {
    clock: Arc<ManualClock>,
    epoch: Epoch,
    session: SessionMeter,
    meter: Arc<EpochMeter>,
}

/// 25 pictures a second with a key frame each second, and sound.
fn broadcast() -> Broadcast {
    let clock = Arc::new(ManualClock::new(START));
    let track = |rendition: &Rendition, frame_duration| Track {
        codec: rendition.codec.clone(),
        bit_rate: rendition.bit_rate,
        frame_duration,
    };
    let [pictures, sound] = renditions();
    let epoch = Epoch {
        number: EpochNumber(0),
        first_segment: SegmentNumber(0),
        start: START,
        target_duration: 2,
        video: Some(track(&pictures, PICTURE)),
        audio: Some(track(&sound, Micros::from_millis(20))),
        source_fit: SourceFit::Passthrough,
    };
    let session = SessionMeter::new(StreamId::new(), SessionId::new());
    let meter = session.begin(&epoch, START, clock.clone());
    Broadcast {
        clock,
        epoch,
        session,
        meter,
    }
}

fn picture(number: i64) -> Frame {
    let at = START + Micros::new(number * PICTURE.as_micros());
    Frame {
        track: TrackKind::Video,
        dts: at,
        pts: at,
        duration: None,
        key: number % 25 == 0,
        starts: None,
        data: Bytes::from_static(&[0; 5_000]),
    }
}

fn sound(number: i64) -> Frame {
    let at = START + Micros::from_millis(20 * number);
    Frame {
        track: TrackKind::Audio,
        dts: at,
        pts: at,
        duration: Some(Micros::from_millis(20)),
        key: true,
        starts: None,
        data: Bytes::from_static(&[0; 200]),
    }
}

impl Broadcast {
    fn now(&self) -> Timestamp {
        Clock::now(self.clock.as_ref())
    }

    fn sample(&self) -> Measured {
        self.session.sample(self.now())
    }

    fn state(&self, name: &RenditionName) -> (RenditionState, Option<String>) {
        let sample = self.sample();
        let mut renditions = sample.renditions.into_iter();
        let found = renditions.find(|rendition| rendition.name == name.as_str());
        let found = found.expect("it is among them");
        (found.state, found.reason)
    }
}

#[test]
fn what_arrives_is_measured() {
    let broadcast = broadcast();
    let ingest = broadcast.sample().ingest.unwrap();
    assert_eq!((ingest.bit_rate, ingest.since), (0, START));
    assert_eq!(ingest.video.unwrap().gop, None);
    for number in 0..=50 {
        broadcast.meter.arrived(&picture(number));
    }
    for number in 0..100 {
        broadcast.meter.arrived(&sound(number));
    }
    broadcast.clock.advance(Micros::from_millis(2_500));
    let ingest = broadcast.sample().ingest.unwrap();
    let video = ingest.video.unwrap();
    assert_eq!((video.width, video.height), (1_280, 720));
    assert_eq!(video.bit_rate, 1_000_000);
    assert_eq!(video.frame_rate, Some(25.0));
    let gop = video.gop.unwrap();
    assert_eq!((gop.seconds, gop.frames), (1.0, 25));
    let audio = ingest.audio.unwrap();
    assert_eq!((audio.bit_rate, audio.channels), (80_000, 2));
    assert_eq!(ingest.bit_rate, 1_080_000);
    assert_eq!(ingest.delay, 0.5);

    // Nothing comes any more, and then nobody publishes.
    broadcast.clock.advance(Micros::from_secs(5));
    let ingest = broadcast.sample().ingest.unwrap();
    assert_eq!((ingest.bit_rate, ingest.delay), (0, 5.5));
    assert_eq!(ingest.video.unwrap().frame_rate, None);
    broadcast.session.end();
    assert_eq!(broadcast.sample(), Measured::default());
}

#[test]
fn renditions_start_run_are_shed_and_are_lost() {
    let broadcast = broadcast();
    let meter = &broadcast.meter;
    let [source, sound_of] = renditions();
    meter.announced(&sound_of);
    meter.announced(&source);
    let plan = plan(&broadcast.epoch, &Profile::default().ladder());
    let job = Job::new(&broadcast.epoch, &plan).expect("there are rungs below 720p");
    let rung = &job.rungs[0].name;
    meter.worker_starts(&job);

    let sample = broadcast.sample();
    let names: Vec<_> = sample.renditions.iter().map(|one| &one.name[..]).collect();
    assert_eq!(names.first(), Some(&"source"));
    assert_eq!(names.last(), Some(&"audio"));
    assert_eq!(names.len(), 2 + job.rungs.len());
    let worker = sample.worker.unwrap();
    assert_eq!((worker.state, worker.restarts), (WorkerState::Starting, 0));
    assert_eq!(&worker.encoder[..], "software");
    let made = &sample.renditions[1];
    assert_eq!(made.state, RenditionState::Starting);
    assert_eq!((made.width, made.target_bit_rate), (None, None));

    meter.announced(&Rendition {
        name: rung.clone(),
        frame_duration: PICTURE,
        ..source
    });
    for number in 0..50 {
        meter.packaged(rung, &picture(number));
    }
    meter.worker_runs();
    let sample = broadcast.sample();
    assert_eq!(sample.worker.unwrap().state, WorkerState::Running);
    let made = &sample.renditions[1];
    assert_eq!(made.state, RenditionState::Running);
    assert_eq!(made.target_bit_rate, Some(3_000_000));
    assert_eq!(made.bit_rate, 1_000_000);

    broadcast.clock.advance(Micros::from_secs(1));
    let shed = (RenditionState::Shed, Some("too slow".to_owned()));
    meter.shed(rung, "too slow");
    assert_eq!(broadcast.state(rung), shed);
    meter.worker_failed();
    for rung in &job.rungs {
        meter.lost(&rung.name);
    }
    assert_eq!(broadcast.state(rung), shed, "it was shed before");
    meter.worker_starts(&job);
    assert_eq!(broadcast.sample().worker.unwrap().restarts, 1);
    meter.restored(rung);
    assert_eq!(broadcast.state(rung), (RenditionState::Starting, None));
    meter.packaged(rung, &picture(100));
    assert_eq!(broadcast.state(rung), (RenditionState::Running, None));
    meter.lost(rung);
    assert_eq!(broadcast.state(rung), (RenditionState::Lost, None));
}

#[test]
fn a_ladder_that_outlives_its_epoch_tells_nothing_of_the_next() {
    let broadcast = broadcast();
    let old = broadcast.meter.clone();
    let [source, _] = renditions();
    old.announced(&source);
    let clock = broadcast.clock.clone();
    broadcast.session.begin(&broadcast.epoch, START, clock);
    old.packaged(&source.name, &picture(0));
    assert_eq!(broadcast.sample().renditions, []);
}
