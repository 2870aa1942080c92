//! From bytes to messages: see [`ChunkReader`].

use bytes::Bytes;

use super::header::{ChunkStream, Header, LONGEST_HEADER};
use super::{INITIAL_CHUNK_SIZE, Message, message_type};

/// What is allocated for a message before any of it has come.
const FIRST_ALLOCATION: usize = 16 << 10;

/// What bounds a chunk reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkLimits {
    /// Bytes of one message.
    pub message: usize,
    /// Bytes of all unfinished messages together.
    pub buffered: usize,
    /// Chunk streams a peer may open.
    pub chunk_streams: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self {
            message: 8 << 20,
            buffered: 12 << 20,
            chunk_streams: 64,
        }
    }
}

/// Why a peer's chunks cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// [`ChunkLimits::message`].
    #[error("a message of {length} bytes, the limit is {limit}")]
    MessageTooLong {
        /// As announced.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// [`ChunkLimits::buffered`].
    #[error("more than {limit} bytes of unfinished messages")]
    TooMuchBuffered {
        /// The limit.
        limit: usize,
    },
    /// [`ChunkLimits::chunk_streams`].
    #[error("more than {limit} chunk streams")]
    TooManyChunkStreams {
        /// The limit.
        limit: usize,
    },
    /// A Set Chunk Size outside 1 to 2^31-1 (5.4.1).
    #[error("a chunk size of {0}, expected 1 to 2147483647")]
    ChunkSize(u32),
    /// A Set Chunk Size or Abort Message shorter than its 4 bytes.
    #[error("a protocol control message of {0} bytes, expected 4")]
    ShortControl(usize),
}

/// Puts messages together from the chunks of one direction of a connection.
///
/// [`ChunkReader::read`] takes bytes as they come, cut anywhere, and gives one message
/// at a time. Each chunk stream has a buffer of its own, allocated as its message
/// arrives, never as announced. Set Chunk Size and Abort take effect here and are not
/// handed on.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Bytes of unfinished messages over all chunk streams.
    buffered: usize,
    /// A header whose end has not come yet. May hold the beginning of the payload when
    /// an extended timestamp was expected and did not come.
    carry: Carry,
    /// The chunk whose payload comes now.
    current: Option<Current>,
}

#[derive(Debug, Default)]
struct Carry {
    bytes: [u8; LONGEST_HEADER],
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    /// Index into `streams`.
    stream: usize,
    /// Bytes of this chunk still to come.
    left: usize,
}

impl ChunkReader {
    /// A reader at the beginning of a connection, after the handshake.
    pub fn new(limits: ChunkLimits) -> Self {
        Self {
            limits,
            chunk_size: INITIAL_CHUNK_SIZE,
            streams: Vec::new(),
            buffered: 0,
            carry: Carry::default(),
            current: None,
        }
    }

    /// Sets new limits, which hold from the next chunk on.
    pub fn set_limits(&mut self, limits: ChunkLimits) {
        self.limits = limits;
    }

    /// Bytes held for messages that are not complete.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Bytes allocated for them.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let capacity = |stream: &ChunkStream| stream.partial.as_ref().map_or(0, Vec::capacity);
        self.streams.iter().map(capacity).sum()
    }

    /// Takes bytes off the front of `input` until a message is complete or `input` is
    /// empty. An error is final: the rest cannot be understood.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        loop {
            let current = match self.current {
                Some(current) => current,
                None => match self.read_header(input) {
                    Some(header) => self.open_chunk(header)?,
                    None => return Ok(None),
                },
            };
            if !self.read_payload(current, input)? {
                return Ok(None);
            }
            if let Some(message) = self.close_chunk(current.stream)? {
                return Ok(Some(message));
            }
        }
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.carry.len == 0 {
            if let Some(header) = Header::parse(input, &self.streams) {
                *input = &input[header.size..];
                return Some(header);
            }
            // Fewer than LONGEST_HEADER bytes, or it would have been complete.
            self.carry.len = input.len();
            self.carry.bytes[..input.len()].copy_from_slice(input);
            *input = &[];
            return None;
        }
        loop {
            let held = &self.carry.bytes[..self.carry.len];
            if let Some(header) = Header::parse(held, &self.streams) {
                self.carry.take(header.size);
                return Some(header);
            }
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            self.carry.bytes[self.carry.len] = byte;
            self.carry.len += 1;
        }
    }

    /// Applies a header to its chunk stream.
    fn open_chunk(&mut self, header: Header) -> Result<Current, ChunkError> {
        let index = self.chunk_stream(header.chunk_stream)?;
        let stream = &mut self.streams[index];
        let continues = header.timestamp.is_none() && stream.partial.is_some();
        if !continues {
            // A full header in the middle of a message: the peer gave that message up.
            self.buffered -= stream.partial.take().map_or(0, |partial| partial.len());
            stream.open_message(&header);
            if stream.length > self.limits.message {
                return Err(ChunkError::MessageTooLong {
                    length: stream.length,
                    limit: self.limits.message,
                });
            }
            stream.partial = Some(Vec::with_capacity(stream.length.min(FIRST_ALLOCATION)));
        }
        let have = stream.partial.as_ref().map_or(0, Vec::len);
        let current = Current {
            stream: index,
            left: (stream.length - have).min(self.chunk_size),
        };
        self.current = Some(current);
        Ok(current)
    }

    fn chunk_stream(&mut self, id: u32) -> Result<usize, ChunkError> {
        if let Some(index) = self.streams.iter().position(|stream| stream.id == id) {
            return Ok(index);
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(ChunkError::TooManyChunkStreams {
                limit: self.limits.chunk_streams,
            });
        }
        self.streams.push(ChunkStream {
            id,
            ..ChunkStream::default()
        });
        Ok(self.streams.len() - 1)
    }

    /// Whether the chunk is complete.
    fn read_payload(
        &mut self,
        mut current: Current,
        input: &mut &[u8],
    ) -> Result<bool, ChunkError> {
        let stream = &mut self.streams[current.stream];
        let partial = stream.partial.get_or_insert_default();
        let carried = self.carry.len.min(current.left);
        let direct = input.len().min(current.left - carried);
        let total = self.buffered + carried + direct;
        if total > self.limits.buffered {
            return Err(ChunkError::TooMuchBuffered {
                limit: self.limits.buffered,
            });
        }
        reserve(partial, carried + direct, stream.length);
        partial.extend_from_slice(&self.carry.bytes[..carried]);
        partial.extend_from_slice(&input[..direct]);
        self.carry.take(carried);
        *input = &input[direct..];
        self.buffered = total;
        current.left -= carried + direct;
        self.current = Some(current);
        Ok(current.left == 0)
    }

    /// Ends a chunk, and its message when that is complete.
    fn close_chunk(&mut self, index: usize) -> Result<Option<Message>, ChunkError> {
        self.current = None;
        let stream = &mut self.streams[index];
        let complete = |partial: &mut Vec<u8>| partial.len() == stream.length;
        let Some(payload) = stream.partial.take_if(complete) else {
            return Ok(None);
        };
        self.buffered -= payload.len();
        let message = Message {
            timestamp: stream.timestamp,
            kind: stream.kind,
            stream_id: stream.stream_id,
            payload: Bytes::from(payload),
        };
        match message.kind {
            message_type::SET_CHUNK_SIZE => {
                let size = control_value(&message)?;
                if !(1..=0x7FFF_FFFF).contains(&size) {
                    return Err(ChunkError::ChunkSize(size));
                }
                self.chunk_size = size as usize;
                Ok(None)
            }
            message_type::ABORT => {
                let id = control_value(&message)?;
                let aborted = self.streams.iter_mut().find(|stream| stream.id == id);
                let partial = aborted.and_then(|stream| stream.partial.take());
                self.buffered -= partial.map_or(0, |partial| partial.len());
                Ok(None)
            }
            // A chunk stream that opens with a type 2 or 3 header has no message yet.
            0 => Ok(None),
            _ => Ok(Some(message)),
        }
    }
}

/// Grows a message's buffer as the message arrives: doubling, up to its length.
fn reserve(partial: &mut Vec<u8>, more: usize, length: usize) {
    if partial.capacity() - partial.len() < more {
        let left = length - partial.len();
        let room = more.max(partial.len()).max(FIRST_ALLOCATION);
        partial.reserve_exact(room.min(left));
    }
}

fn control_value(message: &Message) -> Result<u32, ChunkError> {
    match message.payload.first_chunk::<4>() {
        Some(bytes) => Ok(u32::from_be_bytes(*bytes)),
        None => Err(ChunkError::ShortControl(message.payload.len())),
    }
}

impl Carry {
    fn take(&mut self, count: usize) {
        self.bytes.copy_within(count..self.len, 0);
        self.len -= count;
    }
}
