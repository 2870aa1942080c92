//! From messages to bytes: see [`ChunkWriter`].

use bytes::BufMut;

use super::{EXTENDED, INITIAL_CHUNK_SIZE, Message};

/// Cuts messages into chunks: a type 0 header, then type 3 headers. Header compression
/// would save a server, which says little, nothing.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            chunk_size: INITIAL_CHUNK_SIZE,
        }
    }
}

impl ChunkWriter {
    /// Sets the chunk size of what is written from now on. The peer has to be told by a
    /// Set Chunk Size message before.
    pub fn set_chunk_size(&mut self, chunk_size: usize) {
        self.chunk_size = chunk_size.max(1);
    }

    /// Writes `message` on `chunk_stream` (2 to 63).
    pub fn write(&self, chunk_stream: u8, message: &Message, out: &mut impl BufMut) {
        let extended = message.timestamp >= EXTENDED;
        let chunk_stream = chunk_stream & 0x3F;
        out.put_u8(chunk_stream);
        out.put_uint(u64::from(message.timestamp.min(EXTENDED)), 3);
        out.put_uint(message.payload.len() as u64, 3);
        out.put_u8(message.kind);
        out.put_u32_le(message.stream_id);
        if extended {
            out.put_u32(message.timestamp);
        }
        for (index, part) in message.payload.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                out.put_u8(0xC0 | chunk_stream);
                if extended {
                    out.put_u32(message.timestamp);
                }
            }
            out.put_slice(part);
        }
    }
}
