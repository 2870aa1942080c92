//! The meters of a session and of an epoch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::{
    Clock, Epoch, Frame, Micros, Rendition, RenditionName, SessionId, Shape, StreamId, Timestamp,
    Track, TrackKind,
};
use storage::rows::stream_status::{
    AudioIngest, Gop, Ingest, Measured, MeasuredRendition, RenditionKind, RenditionState,
    VideoIngest, Worker, WorkerState,
};
use transcode::{Encoder, Job};

use super::rate::Rate;

/// What is measured of a session.
#[derive(Debug)]
pub(in crate::live) struct SessionMeter {
    stream: StreamId,
    session: SessionId,
    /// `None`: nobody publishes.
    epoch: Mutex<Option<Arc<EpochMeter>>>,
}

impl SessionMeter {
    pub(super) fn new(stream: StreamId, session: SessionId) -> Self {
        Self {
            stream,
            session,
            epoch: Mutex::default(),
        }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// An epoch of an encoder that publishes since `since` has begun.
    pub(in crate::live) fn begin(
        &self,
        epoch: &Epoch,
        since: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Arc<EpochMeter> {
        let meter = Arc::new(EpochMeter::new(epoch, since, clock));
        *self.lock() = Some(meter.clone());
        meter
    }

    /// Nobody publishes any more.
    pub(in crate::live) fn end(&self) {
        *self.lock() = None;
    }

    /// What was measured since the last sample.
    pub(super) fn sample(&self, now: Timestamp) -> Measured {
        let epoch = self.lock().clone();
        epoch.map(|epoch| epoch.sample(now)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<EpochMeter>>> {
        // Nothing that can panic runs under this lock.
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is measured of an epoch.
#[derive(Debug)]
pub(in crate::live) struct EpochMeter {
    since: Timestamp,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    video: Option<Arriving>,
    audio: Option<Arriving>,
    worker: Option<Worker>,
    renditions: Vec<Made>,
}

/// A track that an encoder sends.
#[derive(Debug)]
struct Arriving {
    codec: String,
    shape: Shape,
    rate: Rate,
    newest: Option<Timestamp>,
    group: Group,
}

/// Groups of pictures: the one that comes, and the last that is whole.
#[derive(Debug, Default)]
struct Group {
    start: Option<Timestamp>,
    frames: u64,
    last: Option<Gop>,
}

/// A rendition that is made, or was to be.
#[derive(Debug)]
struct Made {
    name: RenditionName,
    kind: RenditionKind,
    state: RenditionState,
    since: Timestamp,
    reason: Option<String>,
    announced: Option<Announced>,
}

#[derive(Debug)]
struct Announced {
    codec: String,
    shape: Shape,
    bit_rate: u32,
    rate: Rate,
}

impl EpochMeter {
    fn new(epoch: &Epoch, since: Timestamp, clock: Arc<dyn Clock>) -> Self {
        let arriving = |track: &Option<Track>| track.as_ref().map(Arriving::new);
        Self {
            since,
            clock,
            state: Mutex::new(State {
                video: arriving(&epoch.video),
                audio: arriving(&epoch.audio),
                worker: None,
                renditions: Vec::new(),
            }),
        }
    }

    /// A frame has arrived.
    pub(in crate::live) fn arrived(&self, frame: &Frame) {
        let mut state = self.lock();
        let track = match frame.track {
            TrackKind::Video => &mut state.video,
            TrackKind::Audio => &mut state.audio,
        };
        if let Some(track) = track {
            track.push(frame);
        }
    }

    /// A worker is started that makes the rungs of the job, the first or another.
    pub(in crate::live) fn worker_starts(&self, job: &Job) {
        let now = self.clock.now();
        let mut state = self.lock();
        for rung in &job.rungs {
            state.made(&rung.name, RenditionKind::Video, now);
        }
        let restarts = state.worker.as_ref().map(|before| before.restarts + 1);
        state.worker = Some(Worker {
            state: WorkerState::Starting,
            engine: job.engine.to_string(),
            encoder: match job.encoder {
                Encoder::Software | Encoder::Substitute => "software".to_owned(),
                Encoder::Device(device) | Encoder::Trial(device) => device.to_string(),
            },
            restarts: restarts.unwrap_or_default(),
        });
    }

    /// It gives frames.
    pub(in crate::live) fn worker_runs(&self) {
        self.set_worker(WorkerState::Running);
    }

    /// It has failed.
    pub(in crate::live) fn worker_failed(&self) {
        self.set_worker(WorkerState::Failed);
    }

    fn set_worker(&self, to: WorkerState) {
        if let Some(worker) = &mut self.lock().worker {
            worker.state = to;
        }
    }

    /// It is known how a rendition is encoded.
    pub(in crate::live) fn announced(&self, rendition: &Rendition) {
        let kind = match rendition.shape {
            Shape::Video(_) => RenditionKind::Video,
            Shape::Audio(_) => RenditionKind::Audio,
        };
        let now = self.clock.now();
        self.lock().made(&rendition.name, kind, now).announced = Some(Announced {
            codec: rendition.codec.rfc6381(),
            shape: rendition.shape,
            bit_rate: rendition.bit_rate,
            rate: Rate::new(rendition.frame_duration),
        });
    }

    /// A frame of a rendition is packaged.
    pub(in crate::live) fn packaged(&self, name: &RenditionName, frame: &Frame) {
        let mut state = self.lock();
        let Some(made) = state.renditions.iter_mut().find(|made| made.name == *name) else {
            return;
        };
        if matches!(made.state, RenditionState::Starting | RenditionState::Lost) {
            made.set(RenditionState::Running, None, self.clock.now());
        }
        if let Some(announced) = &mut made.announced {
            announced.rate.push(frame.data.len(), frame.dts);
        }
    }

    /// Nothing comes of a rendition any more, for now.
    pub(in crate::live) fn lost(&self, name: &RenditionName) {
        self.set(name, RenditionState::Lost, None);
    }

    /// A rendition is not made for now.
    pub(in crate::live) fn shed(&self, name: &RenditionName, reason: &str) {
        self.set(name, RenditionState::Shed, Some(reason));
    }

    /// It is to be made again.
    pub(in crate::live) fn restored(&self, name: &RenditionName) {
        self.set(name, RenditionState::Starting, None);
    }

    fn set(&self, name: &RenditionName, to: RenditionState, reason: Option<&str>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(made) = state.renditions.iter_mut().find(|made| made.name == *name) else {
            return;
        };
        // What is shed has lost its worker too, and would not come of another.
        if (made.state, to) != (RenditionState::Shed, RenditionState::Lost) {
            made.set(to, reason, now);
        }
    }

    fn sample(&self, now: Timestamp) -> Measured {
        let mut state = self.lock();
        let newest = [&state.video, &state.audio].into_iter().flatten();
        let newest = newest.filter_map(|track| track.newest).max();
        let delay = newest.map_or(Micros::ZERO, |newest| (now - newest).max(Micros::ZERO));
        let video = state.video.as_mut().and_then(Arriving::video);
        let audio = state.audio.as_mut().and_then(Arriving::audio);
        let bit_rate = video.as_ref().map_or(0, |video| video.bit_rate)
            + audio.as_ref().map_or(0, |audio| audio.bit_rate);
        let mut renditions: Vec<_> = state.renditions.iter_mut().map(Made::sample).collect();
        renditions.sort_by_key(|rendition| rendition.kind == RenditionKind::Audio);
        Measured {
            ingest: Some(Ingest {
                since: self.since,
                bit_rate,
                delay: delay.as_secs_f64(),
                video,
                audio,
            }),
            worker: state.worker.clone(),
            renditions,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A task that panicked must not take the broadcast along.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The rendition of that name, which is noted if it is new.
    fn made(&mut self, name: &RenditionName, kind: RenditionKind, now: Timestamp) -> &mut Made {
        let known = self.renditions.iter().position(|made| made.name == *name);
        let place = known.unwrap_or_else(|| {
            self.renditions.push(Made {
                name: name.clone(),
                kind,
                state: RenditionState::Starting,
                since: now,
                reason: None,
                announced: None,
            });
            self.renditions.len() - 1
        });
        &mut self.renditions[place]
    }
}

impl Arriving {
    fn new(track: &Track) -> Self {
        let rendition = Rendition::new(
            RenditionName::SOURCE,
            track.codec.clone(),
            track.bit_rate,
            track.frame_duration,
        );
        Self {
            codec: track.codec.rfc6381(),
            shape: rendition.shape,
            rate: Rate::new(track.frame_duration),
            newest: None,
            group: Group::default(),
        }
    }

    fn push(&mut self, frame: &Frame) {
        self.rate.push(frame.data.len(), frame.dts);
        self.newest = self.newest.max(Some(frame.dts));
        self.group.push(frame);
    }

    fn video(&mut self) -> Option<VideoIngest> {
        let Shape::Video(shape) = self.shape else {
            return None;
        };
        let measured = self.rate.sample();
        Some(VideoIngest {
            codec: self.codec.clone(),
            width: shape.width,
            height: shape.height,
            bit_rate: measured.bit_rate,
            frame_rate: measured.frame_rate,
            gop: self.group.last,
        })
    }

    fn audio(&mut self) -> Option<AudioIngest> {
        let Shape::Audio(shape) = self.shape else {
            return None;
        };
        Some(AudioIngest {
            codec: self.codec.clone(),
            sample_rate: shape.sample_rate,
            channels: shape.channels,
            bit_rate: self.rate.sample().bit_rate,
        })
    }
}

impl Group {
    fn push(&mut self, frame: &Frame) {
        if frame.key {
            if let Some(start) = self.start.filter(|start| frame.pts > *start) {
                self.last = Some(Gop {
                    seconds: (frame.pts - start).as_secs_f64(),
                    frames: self.frames,
                });
            }
            self.start = Some(frame.pts);
            self.frames = 0;
        }
        self.frames += 1;
    }
}

impl Made {
    fn set(&mut self, to: RenditionState, reason: Option<&str>, now: Timestamp) {
        if self.state != to {
            self.since = now;
        }
        self.state = to;
        self.reason = reason.map(str::to_owned);
    }

    fn sample(&mut self) -> MeasuredRendition {
        let announced = self.announced.as_mut();
        let bit_rate = announced.map_or(0, |announced| announced.rate.sample().bit_rate);
        let announced = self.announced.as_ref();
        let picture = announced.and_then(|announced| match announced.shape {
            Shape::Video(shape) => Some(shape),
            Shape::Audio(_) => None,
        });
        let sound = announced.and_then(|announced| match announced.shape {
            Shape::Video(_) => None,
            Shape::Audio(shape) => Some(shape),
        });
        MeasuredRendition {
            name: self.name.as_str().to_owned(),
            kind: self.kind,
            state: self.state,
            since: self.since,
            reason: self.reason.clone(),
            codec: announced.map(|announced| announced.codec.clone()),
            width: picture.map(|shape| shape.width),
            height: picture.map(|shape| shape.height),
            sample_rate: sound.map(|shape| shape.sample_rate),
            channels: sound.map(|shape| shape.channels),
            target_bit_rate: announced.map(|announced| announced.bit_rate.into()),
            bit_rate,
        }
    }
}

#[cfg(test)]
mod tests;
