//! Chunk headers, and what each chunk stream remembers of its last one (5.3.1).

use super::EXTENDED;

/// Basic header, message header and extended timestamp at their longest.
pub(super) const LONGEST_HEADER: usize = 3 + 11 + 4;

/// A type 3 chunk that opens a message after a type 0 chunk repeats "the timestamp of
/// the Type 0 chunk" as its delta (5.3.1.2.4). ffmpeg writes that, which is why it is
/// only ever seen within the first moments of a stream; librtmp and others mean a delta
/// of zero. Up to this many milliseconds it is taken for a frame's duration.
const LONGEST_TYPE_0_DELTA: u32 = 200;

/// The last header of a chunk stream, and its unfinished message.
#[derive(Debug, Default)]
pub(super) struct ChunkStream {
    pub(super) id: u32,
    pub(super) timestamp: u32,
    /// What a type 3 chunk that opens a message adds.
    pub(super) delta: u32,
    /// The extended timestamp field in force: a type 3 chunk may repeat it.
    pub(super) extended: Option<u32>,
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) stream_id: u32,
    /// The unfinished message, `None` between messages.
    pub(super) partial: Option<Vec<u8>>,
}

/// A chunk header as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: usize,
    pub(super) chunk_stream: u32,
    pub(super) timestamp: Option<u32>,
    pub(super) extended: bool,
    pub(super) length_and_kind: Option<(usize, u8)>,
    pub(super) stream_id: Option<u32>,
}

impl ChunkStream {
    pub(super) fn open_message(&mut self, header: &Header) {
        if let Some((length, kind)) = header.length_and_kind {
            self.length = length;
            self.kind = kind;
        }
        if let Some(timestamp) = header.timestamp {
            self.extended = header.extended.then_some(timestamp);
        }
        match (header.timestamp, header.stream_id) {
            (Some(absolute), Some(stream_id)) => {
                self.stream_id = stream_id;
                self.timestamp = absolute;
                self.delta = if absolute <= LONGEST_TYPE_0_DELTA {
                    absolute
                } else {
                    0
                };
            }
            (Some(delta), None) => {
                self.delta = delta;
                self.timestamp = self.timestamp.wrapping_add(delta);
            }
            (None, _) => self.timestamp = self.timestamp.wrapping_add(self.delta),
        }
    }

    /// Whether `bytes` begin with a repetition of the extended timestamp: `None` when
    /// more bytes have to tell. Adobe's own software, ffmpeg and librtmp repeat it on
    /// type 3 chunks, others do not, and nothing else says who does. Some repeat the
    /// field, some the message's timestamp. The last three bytes of a message can look like
    /// the beginning of one: then the message is complete with the next chunk's first bytes.
    fn repeats_extended(&self, bytes: &[u8]) -> Option<bool> {
        let Some(field) = self.extended else {
            return Some(false);
        };
        let seen = &bytes[..bytes.len().min(4)];
        let candidates = [field, self.timestamp].map(u32::to_be_bytes);
        let possible = candidates.iter().any(|c| c.starts_with(seen));
        match (possible, seen.len()) {
            (false, _) => Some(false),
            (true, 4) => Some(true),
            (true, _) => None,
        }
    }
}

impl Header {
    /// Reads a chunk header at the start of `bytes`; `None` when it is not complete.
    pub(super) fn parse(bytes: &[u8], streams: &[ChunkStream]) -> Option<Self> {
        let first = *bytes.first()?;
        let (chunk_stream, basic) = match first & 0x3F {
            0 => (64 + u32::from(*bytes.get(1)?), 2),
            1 => {
                let low = u32::from(*bytes.get(1)?);
                (64 + low + 256 * u32::from(*bytes.get(2)?), 3)
            }
            id => (u32::from(id), 1),
        };
        let format = first >> 6;
        let fields = match format {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => 0,
        };
        let rest = bytes.get(basic..basic + fields)?;
        let after = &bytes[basic + fields..];
        let mut header = Self {
            size: basic + fields,
            chunk_stream,
            timestamp: None,
            extended: false,
            length_and_kind: None,
            stream_id: None,
        };
        if let [a, b, c, ..] = *rest {
            let mut timestamp = u32::from_be_bytes([0, a, b, c]);
            if timestamp == EXTENDED {
                timestamp = u32::from_be_bytes(*after.first_chunk()?);
                header.extended = true;
                header.size += 4;
            }
            header.timestamp = Some(timestamp);
        } else if let Some(stream) = streams.iter().find(|s| s.id == chunk_stream)
            && stream.repeats_extended(after)?
        {
            header.size += 4;
        }
        if let [_, _, _, a, b, c, kind, ..] = *rest {
            header.length_and_kind = Some((u32::from_be_bytes([0, a, b, c]) as usize, kind));
        }
        if let Some(id) = rest.get(7..).and_then(|rest| rest.first_chunk()) {
            // The one little-endian field of RTMP (5.3.1.2.1).
            header.stream_id = Some(u32::from_le_bytes(*id));
        }
        Some(header)
    }
}
