//! The thread of a rung: scales, passes on, encodes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, SyncSender};
use std::thread::{self, JoinHandle};

use ffmpeg_next::frame;
use media::{Frame, Micros, SegmentNumber, Timestamp, TrackKind};

use super::captions;
use super::picture::{Shared, handle};
use super::scaler::Scaler;
use super::seat::Seat;
use crate::RungSet;
use crate::engine::captions::ForRungs;
use crate::engine::in_flight::InFlight;
use crate::engine::{EngineError, Sink};
use crate::wire::Reply;

/// Pictures that wait for a rung at most; a decoded 1080p picture is 3 MB.
pub(super) const MAX_QUEUED_PICTURES: usize = 2;

/// A picture on its way to a rung.
pub(super) struct Work {
    pub(super) picture: Shared,
    pub(super) pts: Micros,
    pub(super) starts: Option<SegmentNumber>,
    /// The rungs that encode it. Others on its way only scale it.
    pub(super) takers: RungSet,
    pub(super) captions: ForRungs,
}

/// Where pictures go: a rung, and those that are scaled from it.
pub(super) struct Branch {
    pub(super) queue: SyncSender<Work>,
    pub(super) rungs: RungSet,
}

impl Branch {
    /// Waits for room in the queue. Pictures that none of the branch takes stay out.
    pub(super) fn send(&self, work: Work) -> Result<(), SendError<Work>> {
        if self.rungs.intersects(work.takers) {
            self.queue.send(work)
        } else {
            Ok(())
        }
    }
}

/// A rung's thread.
pub(super) struct Encoding {
    /// Its place in the job.
    pub(super) index: u8,
    pub(super) start: Timestamp,
    pub(super) scaler: Scaler,
    pub(super) seat: Seat,
    pub(super) sink: Arc<dyn Sink>,
    /// The rungs that are scaled from this one.
    pub(super) children: Vec<Branch>,
    pub(super) sent: InFlight,
}

impl Encoding {
    pub(super) fn spawn(
        self,
        name: &str,
        queue: Receiver<Work>,
    ) -> Result<JoinHandle<Result<(), EngineError>>, EngineError> {
        Ok(thread::Builder::new()
            .name(format!("rung-{name}"))
            .spawn(move || self.run(queue))?)
    }

    fn run(mut self, queue: Receiver<Work>) -> Result<(), EngineError> {
        for work in queue {
            let scaled = self.scaler.scale(&work.picture)?;
            drop(work.picture);
            for child in &self.children {
                let passed_on = child.send(Work {
                    picture: Arc::clone(&scaled),
                    captions: Arc::clone(&work.captions),
                    ..work
                });
                if passed_on.is_err() {
                    // It has ended before its work: its own thread says why.
                    return Ok(());
                }
            }
            if !work.takers.contains(usize::from(self.index)) {
                continue;
            }
            let mut picture = handle(&scaled)?;
            drop(scaled);
            if let Some(captions) = work.captions.get(usize::from(self.index)) {
                captions::put_on(&mut picture, captions)?;
            }
            self.encode(&mut picture, work.pts, work.starts)?;
        }
        let ended = self.seat.finish().and_then(|()| self.drain());
        ended.or_else(|error| self.unseat(error))
    }

    fn encode(
        &mut self,
        picture: &mut frame::Video,
        pts: Micros,
        starts: Option<SegmentNumber>,
    ) -> Result<(), EngineError> {
        if !self.seat.is_taken(starts.is_some())? {
            return Ok(());
        }
        let expected = self.sent.expect(self.start + pts, starts);
        let sent = expected
            .map_err(|why| self.broke_its_word(why))
            .and_then(|()| self.seat.send(picture, pts, starts.is_some()));
        match sent.and_then(|()| self.drain()) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.unseat(error)?;
                // The picture that starts a segment is software's first.
                match starts {
                    Some(_) => self.encode(picture, pts, starts),
                    None => Ok(()),
                }
            }
        }
    }

    /// A device that fails is let go; any other failure is one.
    fn unseat(&mut self, error: EngineError) -> Result<(), EngineError> {
        if !self.seat.is_the_devices(&error) {
            return Err(error);
        }
        self.sent.clear();
        self.seat.device_failed(error)
    }

    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(encoded) = self.seat.receive()? {
            let (dts, pts) = (self.start + encoded.dts, self.start + encoded.pts);
            let taken = self.sent.take(dts, pts, encoded.key);
            let starts = taken.map_err(|why| self.broke_its_word(why))?;
            self.sink.emit(Reply::Frame {
                rung: self.index,
                frame: Frame {
                    track: TrackKind::Video,
                    dts,
                    pts,
                    duration: None,
                    key: encoded.key,
                    starts,
                    data: encoded.data,
                },
            })?;
        }
        Ok(())
    }

    fn broke_its_word(&self, why: &str) -> EngineError {
        EngineError::Step {
            what: self.seat.name().into(),
            why: why.into(),
        }
    }
}
