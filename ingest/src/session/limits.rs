//! What bounds a session.

use std::time::Duration;

use crate::chunk::ChunkLimits;

/// What bounds a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// From the first byte to the end of the handshake.
    pub handshake: Duration,
    /// From there to the request to publish; also from the end of a publication to the
    /// next request on the same connection.
    pub publish: Duration,
    /// For the house to accept or reject a request.
    pub decision: Duration,
    /// Between two access units or sequence headers of a publication, whatever else is
    /// sent meanwhile.
    pub idle: Duration,
    /// Chunks before a publication is accepted: commands are small.
    pub before_publish: ChunkLimits,
    /// Chunks of a publication.
    pub publishing: ChunkLimits,
    /// Bytes held back while the house decides.
    pub held: usize,
    /// Bytes waiting to be sent.
    pub output: usize,
    /// Message streams that `createStream` gives out.
    pub message_streams: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            publish: Duration::from_secs(10),
            decision: Duration::from_secs(15),
            idle: Duration::from_secs(20),
            before_publish: ChunkLimits {
                message: 64 << 10,
                buffered: 128 << 10,
                chunk_streams: 64,
            },
            publishing: ChunkLimits::default(),
            held: 256 << 10,
            output: 64 << 10,
            message_streams: 16,
        }
    }
}
