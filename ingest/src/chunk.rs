//! The RTMP chunk stream (Adobe RTMP 1.0, section 5.3): messages cut into chunks, and
//! the chunks of several chunk streams interleaved. No IO.

mod header;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use reader::{ChunkError, ChunkLimits, ChunkReader};
pub use writer::ChunkWriter;

/// Bytes of payload in a chunk before a peer says otherwise (5.4.1).
pub const INITIAL_CHUNK_SIZE: usize = 128;

/// The value of a 24-bit timestamp field that says: the timestamp follows in 32 bits.
const EXTENDED: u32 = 0xFF_FFFF;

/// One RTMP message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Milliseconds; wraps at 2^32.
    pub timestamp: u32,
    /// The message type id: [`message_type`].
    pub kind: u8,
    /// The message stream it belongs to; 0 is the connection.
    pub stream_id: u32,
    /// Its body.
    pub payload: Bytes,
}

/// Message type ids (5.4, 6.2, 7.1).
pub mod message_type {
    /// Set Chunk Size. Handled by the chunk reader.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message. Handled by the chunk reader.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Messages.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Command in AMF3, which encoders fill with AMF0 after one byte.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0: `onMetaData` and the like.
    pub const DATA_AMF0: u8 = 18;
    /// Command in AMF0.
    pub const COMMAND_AMF0: u8 = 20;
}
