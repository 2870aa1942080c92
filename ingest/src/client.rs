//! Outgoing RTMP: publishes a stream to any server. Drives `nova publish`, and is an
//! independent peer in tests, for the protocol is `rml_rtmp`'s.

mod url;
mod wire;

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use media::timeline::WireFrame;
use media::{Codec, TrackKind};
use rml_rtmp::time::RtmpTimestamp;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use url::{InvalidUrl, PublishUrl};
use wire::{Milestone, Wire};

/// Until the server has accepted the publication.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// For the server to close after the end of the publication.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// Why publishing failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be published to.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The connection could not be made.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The server refused, and said why.
    #[error("the server refused: {text} ({code})")]
    Rejected {
        /// Of the `onStatus` or `_error`.
        code: String,
        /// Its description.
        text: String,
    },
    /// The server closed the connection without a reason.
    #[error("the server closed the connection")]
    Closed,
    /// The server did not answer in time.
    #[error("the server did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The server does not speak RTMP, or not as we know it.
    #[error("the server's answer is not understood: {0}")]
    Protocol(String),
    /// Only H.264 and AAC are sent.
    #[error("{0} cannot be published, only H.264 and AAC")]
    Unsupported(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// A connection that publishes one stream.
pub struct PublishClient {
    wire: Wire,
}

impl PublishClient {
    /// Connects and asks to publish; returns when the server has accepted.
    pub async fn connect(url: &PublishUrl) -> Result<Self, ClientError> {
        timeout(CONNECT_LIMIT, Self::open(url))
            .await
            .map_err(|_| ClientError::Timeout(CONNECT_LIMIT))?
    }

    async fn open(url: &PublishUrl) -> Result<Self, ClientError> {
        let address = url.address();
        let stream = TcpStream::connect(&address)
            .await
            .map_err(|error| ClientError::Connect { address, error })?;
        stream.set_nodelay(true)?;
        let mut wire = Wire::shake_hands(stream, url.tc_url()).await?;
        wire.request_connection(url.app())?;
        wire.reach(Milestone::Connected).await?;
        wire.request_publishing(url.key())?;
        wire.reach(Milestone::Publishing).await?;
        Ok(Self { wire })
    }

    /// Sends a sequence header.
    pub async fn send_config(&mut self, codec: &Codec) -> Result<(), ClientError> {
        match codec {
            Codec::Avc(avc) => {
                let body = [&[0x17, 0, 0, 0, 0], &avc.record[..]].concat();
                self.video(body.into(), 0).await
            }
            Codec::Hevc(_) => Err(ClientError::Unsupported(codec.rfc6381())),
            Codec::Aac(aac) => {
                let body = [&[0xAF, 0], &aac.config[..]].concat();
                self.audio(body.into(), 0).await
            }
        }
    }

    /// Sends an access unit. Waits while the server takes no more.
    pub async fn send(&mut self, frame: &WireFrame) -> Result<(), ClientError> {
        let mut body = BytesMut::with_capacity(5 + frame.data.len());
        match frame.track {
            TrackKind::Video => {
                body.put_slice(&[if frame.key { 0x17 } else { 0x27 }, 1]);
                body.put_int(i64::from(frame.composition_offset), 3);
                body.put_slice(&frame.data);
                self.video(body.freeze(), frame.timestamp).await
            }
            TrackKind::Audio => {
                body.put_slice(&[0xAF, 1]);
                body.put_slice(&frame.data);
                self.audio(body.freeze(), frame.timestamp).await
            }
        }
    }

    /// Ends the publication and closes the connection.
    pub async fn finish(mut self) -> Result<(), ClientError> {
        let finished = timeout(FINISH_LIMIT, self.wire.finish()).await;
        // A server that keeps the connection open has the end of the stream all the same.
        finished.unwrap_or(Ok(()))
    }

    async fn video(&mut self, body: Bytes, timestamp: u32) -> Result<(), ClientError> {
        self.wire.queue_video(body, RtmpTimestamp::new(timestamp))?;
        self.wire.flush().await
    }

    async fn audio(&mut self, body: Bytes, timestamp: u32) -> Result<(), ClientError> {
        self.wire.queue_audio(body, RtmpTimestamp::new(timestamp))?;
        self.wire.flush().await
    }
}
