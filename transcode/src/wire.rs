//! What a worker and its supervisor say to each other over the worker's standard
//! input and output. Pure: bytes in, messages out.
//!
//! A message is a length (`u32`, of what follows), a kind (`u8`) and a body. Integers
//! are big-endian. The worker speaks first, with its version; the supervisor's job
//! carries its own. Either may be a different build than the other, and a worker may
//! have gone mad over what it decoded: whatever cannot be understood is an error.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use media::{CodecError, Frame, Micros, SegmentNumber, Timestamp, TrackKind};
use serde::{Deserialize, Serialize};

use crate::rung::{MAX_RUNGS, Rung, RungSet};
use crate::{Encoder, EngineName, Job, VideoSource};

/// Grows with every change of a message.
pub const VERSION: u16 = 5;

/// The largest access unit, in bytes.
pub const MAX_FRAME: usize = 16 << 20;

/// The largest job document, in bytes: a record is spelled out in it, a number a byte.
const MAX_JOB: usize = 128 << 10;

/// The largest decoder configuration, in bytes.
const MAX_RECORD: usize = 16 << 10;

/// The largest survey, in bytes.
const MAX_SURVEY: usize = 64 << 10;

/// A reason for giving up is cut after this many bytes.
const MAX_REASON: usize = 2_000;

/// Kind and fixed fields of the largest message.
const MAX_FIXED: usize = 64;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A length that no message has: these are not messages at all.
    #[error("a message of {0} bytes; at most {max} are expected", max = MAX_FRAME + MAX_FIXED)]
    Length(u32),
    /// A kind that this side does not know.
    #[error("a message of unknown kind {0}")]
    Kind(u8),
    /// A body that is shorter, longer or different than its kind has it.
    #[error("a {0} message that cannot be read")]
    Body(&'static str),
    /// A part of a message over its limit.
    #[error("{what} of {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The other side was built from other source.
    #[error("protocol version {given}, expected {expected}", expected = VERSION)]
    Version {
        /// What the other side speaks.
        given: u16,
    },
    /// The job names no rungs or too many.
    #[error("a job of {0} rungs; 1 to {max} are expected", max = MAX_RUNGS)]
    Rungs(usize),
    /// A rung that the job does not have.
    #[error("rung {0}, which the job does not have")]
    Rung(u8),
    /// A message that has no place here.
    #[error("a {0} message out of order")]
    Order(&'static str),
    /// The job document.
    #[error("the job cannot be read: {0}")]
    Job(#[from] serde_json::Error),
    /// A survey.
    #[error("a survey that cannot be read: {0}")]
    Survey(#[source] serde_json::Error),
    /// A decoder configuration.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// A message as two pieces, so that a frame's bytes are not copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Encoded {
    pub(crate) head: Bytes,
    pub(crate) data: Bytes,
}

impl Encoded {
    pub(crate) fn new(kind: u8, fixed: &[u8], data: Bytes) -> Self {
        let length = 1 + fixed.len() + data.len();
        let mut head = BytesMut::with_capacity(5 + fixed.len());
        // Every caller has checked its parts: MAX_FRAME is far below 4 GiB.
        head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        head.put_u8(kind);
        head.put_slice(fixed);
        Self {
            head: head.freeze(),
            data,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.data.len()
    }
}

/// Bytes of the length before a message.
pub(crate) const LENGTH: usize = 4;

/// How many bytes follow the length that `bytes` begin with.
pub(crate) fn size(bytes: &[u8]) -> Result<usize, WireError> {
    let length = bytes.first_chunk().copied().map_or(0, u32::from_be_bytes);
    let size = length as usize;
    if size == 0 || size > MAX_FRAME + MAX_FIXED {
        return Err(WireError::Length(length));
    }
    Ok(size)
}

/// Kind and body of a message without its length, which is not empty.
pub(crate) fn open(mut message: Bytes) -> (u8, Bytes) {
    let kind = message.get_u8();
    (kind, message)
}

/// Takes the next message from the front of `buffer`: its kind and body. `None` until
/// it is complete.
pub(crate) fn split(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, WireError> {
    if buffer.len() < LENGTH {
        return Ok(None);
    }
    let size = size(buffer)?;
    if buffer.len() < LENGTH + size {
        buffer.reserve(LENGTH + size - buffer.len());
        return Ok(None);
    }
    buffer.advance(LENGTH);
    Ok(Some(open(buffer.split_to(size).freeze())))
}

/// From the supervisor to the worker.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Request {
    /// The first message.
    Job(Job),
    /// The source's next frame, in decoding order.
    Frame(Frame),
    /// Which rungs are made from now on. It overtakes frames that wait on the
    /// supervisor's side.
    Rungs(RungSet),
    /// No more frames.
    End,
    /// Instead of a job: what is there to encode with?
    Survey(EngineName),
}

/// From the worker to the supervisor.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Reply {
    /// The first message.
    Hello { version: u16 },
    /// A rung's decoder configuration, before its first frame.
    Track { rung: u8, record: Bytes },
    /// A rung's next frame.
    Frame { rung: u8, frame: Frame },
    /// A rung's device has failed: its frames are lost from here to its next segment
    /// start, where software begins.
    DeviceFailed { rung: u8, reason: String },
    /// What is there to encode with: a [`crate::EngineReport`] as JSON.
    Survey { report: Bytes },
    /// How far the worker is with what it was sent.
    Progress(Progress),
    /// All is said.
    End,
    /// The worker gives up.
    Failed { reason: String },
}

/// Sums since the worker started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Progress {
    /// Frames taken in.
    pub(crate) frames: u64,
    /// Frames that could not be decoded.
    pub(crate) decode_errors: u64,
}

mod kind {
    pub(super) const JOB: u8 = 1;
    pub(super) const SOURCE_FRAME: u8 = 2;
    pub(super) const SOURCE_END: u8 = 3;
    pub(super) const RUNGS: u8 = 4;
    pub(super) const ASK_SURVEY: u8 = 5;
    pub(super) const HELLO: u8 = 16;
    pub(super) const TRACK: u8 = 17;
    pub(super) const FRAME: u8 = 18;
    pub(super) const PROGRESS: u8 = 19;
    pub(super) const END: u8 = 20;
    pub(super) const FAILED: u8 = 21;
    pub(super) const DEVICE_FAILED: u8 = 22;
    pub(super) const SURVEY: u8 = 23;
}

#[derive(Serialize, Deserialize)]
struct JobDocument {
    version: u16,
    engine: EngineName,
    encoder: Encoder,
    source: VideoSource,
    rungs: Vec<Rung>,
    start_us: i64,
    frame_duration_us: i64,
}

/// Only the version: read first, because another version's document may differ.
#[derive(Deserialize)]
struct JobVersion {
    version: u16,
}

fn encode_job(job: &Job) -> Result<Encoded, WireError> {
    check_rungs(job.rungs.len())?;
    check_size(
        "a decoder configuration",
        job.source.record.len(),
        MAX_RECORD,
    )?;
    let document = serde_json::to_vec(&JobDocument {
        version: VERSION,
        engine: job.engine,
        encoder: job.encoder,
        source: job.source.clone(),
        rungs: job.rungs.clone(),
        start_us: job.start.as_micros(),
        frame_duration_us: job.frame_duration.as_micros(),
    })?;
    check_size("a job", document.len(), MAX_JOB)?;
    Ok(Encoded::new(kind::JOB, &[], document.into()))
}

fn decode_job(body: &[u8]) -> Result<Job, WireError> {
    check_size("a job", body.len(), MAX_JOB)?;
    let JobVersion { version } = serde_json::from_slice(body)?;
    check_version(version)?;
    let document: JobDocument = serde_json::from_slice(body)?;
    check_rungs(document.rungs.len())?;
    check_size(
        "a decoder configuration",
        document.source.record.len(),
        MAX_RECORD,
    )?;
    Ok(Job {
        engine: document.engine,
        encoder: document.encoder,
        source: document.source,
        rungs: document.rungs,
        start: Timestamp::from_micros(document.start_us),
        frame_duration: Micros::new(document.frame_duration_us),
    })
}

/// Refuses a worker, or a supervisor, of another build.
pub(crate) fn check_version(given: u16) -> Result<(), WireError> {
    match given {
        VERSION => Ok(()),
        given => Err(WireError::Version { given }),
    }
}

fn check_rungs(count: usize) -> Result<(), WireError> {
    if (1..=MAX_RUNGS).contains(&count) {
        Ok(())
    } else {
        Err(WireError::Rungs(count))
    }
}

pub(crate) fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), WireError> {
    if size <= limit {
        Ok(())
    } else {
        Err(WireError::TooLarge { what, size, limit })
    }
}

const KEY: u8 = 1;
const STARTS: u8 = 2;

/// Bytes of a frame's fields before its data.
const FRAME_FIELDS: usize = 8 + 8 + 1 + 8;

fn put_frame(fixed: &mut impl BufMut, frame: &Frame) {
    fixed.put_i64(frame.dts.as_micros());
    fixed.put_i64(frame.pts.as_micros());
    let key = if frame.key { KEY } else { 0 };
    let starts = if frame.starts.is_some() { STARTS } else { 0 };
    fixed.put_u8(key | starts);
    fixed.put_u64(frame.starts.map_or(0, |number| number.0));
}

fn get_frame(mut body: Bytes) -> Result<Frame, WireError> {
    if body.len() < FRAME_FIELDS {
        return Err(WireError::Body("frame"));
    }
    let dts = Timestamp::from_micros(body.get_i64());
    let pts = Timestamp::from_micros(body.get_i64());
    let flags = body.get_u8();
    if flags & !(KEY | STARTS) != 0 {
        return Err(WireError::Body("frame"));
    }
    let number = SegmentNumber(body.get_u64());
    check_size("a frame", body.len(), MAX_FRAME)?;
    Ok(Frame {
        track: TrackKind::Video,
        dts,
        pts,
        duration: None,
        key: flags & KEY != 0,
        starts: (flags & STARTS != 0).then_some(number),
        data: body,
    })
}

pub(crate) fn cut_reason(reason: &str) -> Bytes {
    let end = reason.floor_char_boundary(MAX_REASON);
    Bytes::copy_from_slice(&reason.as_bytes()[..end])
}

pub(crate) fn get_reason(body: &[u8]) -> Result<String, WireError> {
    check_size("a reason", body.len(), MAX_REASON)?;
    Ok(String::from_utf8_lossy(body).into_owned())
}

impl Request {
    /// Fails on what is over a limit.
    pub(crate) fn encode(&self) -> Result<Encoded, WireError> {
        match self {
            Self::Job(job) => encode_job(job),
            Self::Frame(frame) => {
                check_size("a frame", frame.data.len(), MAX_FRAME)?;
                let mut fixed = Vec::with_capacity(FRAME_FIELDS);
                put_frame(&mut fixed, frame);
                Ok(Encoded::new(kind::SOURCE_FRAME, &fixed, frame.data.clone()))
            }
            Self::Rungs(rungs) => Ok(Encoded::new(kind::RUNGS, &[rungs.bits()], Bytes::new())),
            Self::End => Ok(Encoded::new(kind::SOURCE_END, &[], Bytes::new())),
            Self::Survey(engine) => {
                let name = Bytes::from_static(engine.as_str().as_bytes());
                Ok(Encoded::new(kind::ASK_SURVEY, &[], name))
            }
        }
    }

    pub(crate) fn decode(kind: u8, body: Bytes) -> Result<Self, WireError> {
        match kind {
            kind::JOB => decode_job(&body).map(Self::Job),
            kind::SOURCE_FRAME => get_frame(body).map(Self::Frame),
            kind::RUNGS => match body[..] {
                [bits] => Ok(Self::Rungs(RungSet::from_bits(bits))),
                _ => Err(WireError::Body("rungs")),
            },
            kind::SOURCE_END if body.is_empty() => Ok(Self::End),
            kind::SOURCE_END => Err(WireError::Body("end")),
            kind::ASK_SURVEY => std::str::from_utf8(&body)
                .ok()
                .and_then(|name| name.parse().ok())
                .map(Self::Survey)
                .ok_or(WireError::Body("survey")),
            kind => Err(WireError::Kind(kind)),
        }
    }
}

impl Reply {
    /// Fails on what is over a limit.
    pub(crate) fn encode(&self) -> Result<Encoded, WireError> {
        Ok(match self {
            Self::Hello { version } => {
                Encoded::new(kind::HELLO, &version.to_be_bytes(), Bytes::new())
            }
            Self::Track { rung, record } => {
                check_size("a decoder configuration", record.len(), MAX_RECORD)?;
                Encoded::new(kind::TRACK, &[*rung], record.clone())
            }
            Self::Frame { rung, frame } => {
                check_size("a frame", frame.data.len(), MAX_FRAME)?;
                let mut fixed = Vec::with_capacity(1 + FRAME_FIELDS);
                fixed.put_u8(*rung);
                put_frame(&mut fixed, frame);
                Encoded::new(kind::FRAME, &fixed, frame.data.clone())
            }
            Self::Progress(progress) => {
                let mut fixed = Vec::with_capacity(16);
                fixed.put_u64(progress.frames);
                fixed.put_u64(progress.decode_errors);
                Encoded::new(kind::PROGRESS, &fixed, Bytes::new())
            }
            Self::Survey { report } => {
                check_size("a survey", report.len(), MAX_SURVEY)?;
                Encoded::new(kind::SURVEY, &[], report.clone())
            }
            Self::End => Encoded::new(kind::END, &[], Bytes::new()),
            Self::DeviceFailed { rung, reason } => {
                Encoded::new(kind::DEVICE_FAILED, &[*rung], cut_reason(reason))
            }
            Self::Failed { reason } => Encoded::new(kind::FAILED, &[], cut_reason(reason)),
        })
    }

    pub(crate) fn decode(kind: u8, mut body: Bytes) -> Result<Self, WireError> {
        let sized = |what, expected: usize| {
            if body.len() == expected {
                Ok(())
            } else {
                Err(WireError::Body(what))
            }
        };
        match kind {
            kind::HELLO => {
                sized("hello", 2)?;
                Ok(Self::Hello {
                    version: body.get_u16(),
                })
            }
            kind::TRACK => {
                let rung = body.try_get_u8().map_err(|_| WireError::Body("track"))?;
                check_size("a decoder configuration", body.len(), MAX_RECORD)?;
                Ok(Self::Track { rung, record: body })
            }
            kind::FRAME => {
                let rung = body.try_get_u8().map_err(|_| WireError::Body("frame"))?;
                Ok(Self::Frame {
                    rung,
                    frame: get_frame(body)?,
                })
            }
            kind::PROGRESS => {
                sized("progress", 16)?;
                Ok(Self::Progress(Progress {
                    frames: body.get_u64(),
                    decode_errors: body.get_u64(),
                }))
            }
            kind::SURVEY => {
                check_size("a survey", body.len(), MAX_SURVEY)?;
                Ok(Self::Survey { report: body })
            }
            kind::END => sized("end", 0).map(|()| Self::End),
            kind::DEVICE_FAILED => {
                let rung = body
                    .try_get_u8()
                    .map_err(|_| WireError::Body("device failed"))?;
                Ok(Self::DeviceFailed {
                    rung,
                    reason: get_reason(&body)?,
                })
            }
            kind::FAILED => Ok(Self::Failed {
                reason: get_reason(&body)?,
            }),
            kind => Err(WireError::Kind(kind)),
        }
    }
}

#[cfg(test)]
mod tests;
