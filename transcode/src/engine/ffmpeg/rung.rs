//! The thread of a rung: scales, passes on, encodes.

use std::collections::VecDeque;
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

/// Pictures in the encoder, as they were sent: when they are shown, what they start.
#[derive(Default)]
pub(super) struct InFlight {
    pictures: VecDeque<(Micros, Option<SegmentNumber>)>,
    last_dts: Option<Micros>,
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
        self.sent.pictures.push_back((pts, starts));
        let sent = self.seat.send(picture, pts, starts.is_some());
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
        self.sent.pictures.clear();
        self.seat.device_failed(error)
    }

    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(encoded) = self.seat.receive()? {
            let starts = self
                .sent
                .take(encoded.dts, encoded.pts, encoded.key)
                .map_err(|why| EngineError::Step {
                    what: self.seat.name().into(),
                    why: why.into(),
                })?;
            self.sink.emit(Reply::Frame {
                rung: self.index,
                frame: Frame {
                    track: TrackKind::Video,
                    dts: self.start + encoded.dts,
                    pts: self.start + encoded.pts,
                    duration: None,
                    key: encoded.key,
                    starts,
                    data: encoded.data,
                },
            })?;
        }
        Ok(())
    }
}

impl InFlight {
    /// What the access unit shown at `pts` starts. An encoder that breaks its word is
    /// caught here, before a packager believes it.
    fn take(
        &mut self,
        dts: Micros,
        pts: Micros,
        key: bool,
    ) -> Result<Option<SegmentNumber>, &'static str> {
        let place = self.pictures.iter().position(|&(sent, _)| sent == pts);
        let Some((_, starts)) = place.and_then(|place| self.pictures.remove(place)) else {
            return Err("gave a frame that was not sent to it");
        };
        if key != starts.is_some() {
            return Err(if key {
                "gave a key frame where no segment starts"
            } else {
                "gave no key frame where a segment starts"
            });
        }
        if dts > pts || self.last_dts.is_some_and(|last| dts <= last) {
            return Err("gave frames out of decoding order");
        }
        self.last_dts = Some(dts);
        Ok(starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pictures: &[(i64, Option<u64>)]) -> InFlight {
        InFlight {
            pictures: pictures
                .iter()
                .map(|&(pts, starts)| (Micros::new(pts), starts.map(SegmentNumber)))
                .collect(),
            last_dts: None,
        }
    }

    #[test]
    fn t01_reordered_frames_find_their_marks() {
        let mut sent = sent(&[(0, Some(7)), (1, None), (2, None), (3, Some(8))]);
        let mut take = |dts, pts, key| {
            sent.take(Micros::new(dts), Micros::new(pts), key)
                .map(|n| n.map(|n| n.0))
        };
        assert_eq!(take(-1, 0, true), Ok(Some(7)));
        assert_eq!(take(0, 2, false), Ok(None));
        assert_eq!(take(1, 1, false), Ok(None));
        assert_eq!(take(2, 3, true), Ok(Some(8)));
        assert!(take(3, 3, false).is_err(), "twice");
    }

    #[test]
    fn an_encoder_that_breaks_its_word_is_caught() {
        let take = |dts, pts, key| {
            let mut sent = sent(&[(0, Some(1)), (1, None)]);
            sent.last_dts = Some(Micros::new(-5));
            sent.take(Micros::new(dts), Micros::new(pts), key)
        };
        assert!(take(0, 0, false).unwrap_err().contains("no key frame"));
        assert!(take(0, 1, true).unwrap_err().contains("no segment"));
        assert!(take(2, 1, false).unwrap_err().contains("order"));
        assert!(take(-5, 1, false).unwrap_err().contains("order"));
        assert!(take(-4, 1, false).is_ok());
    }
}
