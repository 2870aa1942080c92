//! A recording: FLV, read into what a publisher would have sent, and when.

use std::path::Path;

use bytes::{Buf, Bytes};
use ingest::flv::{FlvError, FlvReader, Tag};
use media::timeline::WireFrame;
use media::{Codec, Micros};

/// Of an FLV file (Adobe FLV 10.1, E.2), with the size of the tag before the first.
const FILE_HEADER: usize = 9 + 4;
/// Of a tag (E.4.1).
const TAG_HEADER: usize = 11;
/// Behind a tag: its size.
const TAG_TRAILER: usize = 4;

/// What a tag carries, as a timeline takes it.
#[derive(Debug)]
pub(crate) enum Event {
    /// A sequence header.
    Codec(Codec),
    /// An access unit.
    Frame(WireFrame),
}

/// A recording from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Recording {
    /// What is sent, and how long after the first of it.
    pub(crate) events: Vec<(Micros, Event)>,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordingError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It does not begin as FLV does.
    #[error("not an FLV file: expected the signature FLV")]
    NotFlv,
    /// A tag that cannot be played.
    #[error(transparent)]
    Tag(#[from] FlvError),
    /// No frame in it.
    #[error("an FLV file without a frame")]
    Empty,
}

impl Recording {
    /// Reads the FLV file at `path`. What is cut off at its end is left out.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::parse(Bytes::from(std::fs::read(path)?))
    }

    fn parse(mut file: Bytes) -> Result<Self, RecordingError> {
        if !file.starts_with(b"FLV") || file.len() < FILE_HEADER {
            return Err(RecordingError::NotFlv);
        }
        file.advance(FILE_HEADER);
        let mut reader = FlvReader::new();
        let mut events = Vec::new();
        let mut first = None;
        while file.len() >= TAG_HEADER {
            let kind = file.get_u8();
            let size = usize::try_from(file.get_uint(3)).unwrap_or(usize::MAX);
            let low = u32::try_from(file.get_uint(3)).unwrap_or_default();
            let timestamp = u32::from(file.get_u8()) << 24 | low;
            file.advance(3);
            if file.len() < size.saturating_add(TAG_TRAILER) {
                break;
            }
            let body = file.split_to(size);
            file.advance(TAG_TRAILER);
            let tag = match kind {
                8 => reader.audio(timestamp, body)?,
                9 => reader.video(timestamp, body)?,
                _ => continue,
            };
            let millis = i64::from(timestamp);
            let due = Micros::from_millis(millis - *first.get_or_insert(millis));
            match tag {
                Tag::Codec(codec) => events.push((due, Event::Codec(codec))),
                Tag::Frame(frame) => events.push((due, Event::Frame(frame))),
                Tag::Ignored(_) => {}
            }
        }
        let has_frames = |(_, event): &_| matches!(event, Event::Frame(_));
        if !events.iter().any(has_frames) {
            return Err(RecordingError::Empty);
        }
        Ok(Self { events })
    }
}
