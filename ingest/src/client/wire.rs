//! `rml_rtmp`'s client session on a socket.

use bytes::{Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionError, ClientSessionEvent,
    ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ClientError;
use crate::amf0::{self, Amf0Limits, Value};
use crate::chunk::{ChunkLimits, ChunkReader, ChunkWriter, message_type};

/// Bytes read at a time.
const READ_SIZE: usize = 4 << 10;

/// A server says little to a publisher.
const LIMITS: ChunkLimits = ChunkLimits {
    message: 64 << 10,
    buffered: 128 << 10,
    chunk_streams: 64,
};

/// What the server has agreed to, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Milestone {
    Shaken,
    Connected,
    Publishing,
}

/// The connection. What the server sends goes through our own bounded reader, and
/// reaches `rml_rtmp`, which panics on some of what a peer can send, only as well-formed
/// messages of the kinds it needs.
pub(super) struct Wire {
    stream: TcpStream,
    session: ClientSession,
    reader: ChunkReader,
    rewriter: ChunkWriter,
    unsent: BytesMut,
    /// Bytes from the server that are not looked at yet.
    inbox: BytesMut,
    milestone: Milestone,
}

impl Wire {
    pub(super) async fn shake_hands(
        mut stream: TcpStream,
        tc_url: String,
    ) -> Result<Self, ClientError> {
        let broken = |error| ClientError::Protocol(format!("handshake: {error}"));
        let mut handshake = Handshake::new(PeerType::Client);
        let hello = handshake.generate_outbound_p0_and_p1().map_err(broken)?;
        stream.write_all(&hello).await?;
        let mut buffer = vec![0; READ_SIZE];
        let left = loop {
            let size = stream.read(&mut buffer).await?;
            if size == 0 {
                return Err(ClientError::Closed);
            }
            match handshake.process_bytes(&buffer[..size]).map_err(broken)? {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    stream.write_all(&response_bytes).await?;
                }
                HandshakeProcessResult::Completed {
                    response_bytes,
                    remaining_bytes,
                } => {
                    stream.write_all(&response_bytes).await?;
                    break remaining_bytes;
                }
            }
        };
        let mut config = ClientSessionConfig::new();
        config.tc_url = Some(tc_url);
        config.flash_version = "FMLE/3.0 (compatible; nova)".to_owned();
        let (session, results) = ClientSession::new(config).map_err(not_understood)?;
        let mut wire = Self {
            stream,
            session,
            reader: ChunkReader::new(LIMITS),
            rewriter: ChunkWriter::default(),
            unsent: BytesMut::new(),
            inbox: BytesMut::new(),
            milestone: Milestone::Shaken,
        };
        wire.handle(results)?;
        wire.inbox.extend_from_slice(&left);
        wire.receive()?;
        Ok(wire)
    }

    pub(super) fn request_connection(&mut self, app: &str) -> Result<(), ClientError> {
        let request = self.session.request_connection(app.to_owned());
        self.handle(vec![request.map_err(not_understood)?])
    }

    pub(super) fn request_publishing(&mut self, key: &str) -> Result<(), ClientError> {
        let kind = PublishRequestType::Live;
        let request = self.session.request_publishing(key.to_owned(), kind);
        self.handle(vec![request.map_err(not_understood)?])
    }

    pub(super) fn queue_video(
        &mut self,
        body: Bytes,
        at: RtmpTimestamp,
    ) -> Result<(), ClientError> {
        let packet = self.session.publish_video_data(body, at, false);
        self.handle(vec![packet.map_err(not_understood)?])
    }

    pub(super) fn queue_audio(
        &mut self,
        body: Bytes,
        at: RtmpTimestamp,
    ) -> Result<(), ClientError> {
        let packet = self.session.publish_audio_data(body, at, false);
        self.handle(vec![packet.map_err(not_understood)?])
    }

    /// Sends and receives until the server has agreed to `milestone`.
    pub(super) async fn reach(&mut self, milestone: Milestone) -> Result<(), ClientError> {
        while self.milestone < milestone {
            self.exchange(true).await?;
        }
        Ok(())
    }

    /// Sends what is queued, and takes what comes meanwhile.
    pub(super) async fn flush(&mut self) -> Result<(), ClientError> {
        while !self.unsent.is_empty() {
            self.exchange(false).await?;
        }
        Ok(())
    }

    /// Ends the publication, and waits for the server to close.
    pub(super) async fn finish(&mut self) -> Result<(), ClientError> {
        let results = self.session.stop_publishing().map_err(not_understood)?;
        self.handle(results)?;
        self.flush().await?;
        self.stream.shutdown().await?;
        loop {
            match self.exchange(true).await {
                Ok(()) => {}
                Err(ClientError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// One step: writes something, or reads something.
    async fn exchange(&mut self, wait_for_input: bool) -> Result<(), ClientError> {
        self.inbox.reserve(READ_SIZE);
        let (mut reader, mut writer) = self.stream.split();
        let pending = !self.unsent.is_empty();
        tokio::select! {
            biased;
            read = reader.read_buf(&mut self.inbox), if pending || wait_for_input => match read? {
                0 => Err(ClientError::Closed),
                _ => self.receive(),
            },
            written = writer.write_buf(&mut self.unsent), if pending => match written {
                Ok(_) => Ok(()),
                // The server has closed; why, it may have said before.
                Err(error) => Err(self.last_words().await.unwrap_or(ClientError::Io(error))),
            },
            else => Ok(()),
        }
    }

    /// The reason in what the server sent before it closed.
    async fn last_words(&mut self) -> Option<ClientError> {
        loop {
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {
                    if let Err(error) = self.receive() {
                        return Some(error);
                    }
                }
            }
        }
    }

    /// Reads what is in the inbox.
    fn receive(&mut self) -> Result<(), ClientError> {
        let inbox = self.inbox.split();
        let mut rest = &inbox[..];
        loop {
            let message = self.reader.read(&mut rest);
            let message = message.map_err(|e| ClientError::Protocol(e.to_string()))?;
            let Some(message) = message else {
                return Ok(());
            };
            match message.kind {
                message_type::COMMAND_AMF0 => check_command(&message.payload)?,
                message_type::USER_CONTROL if message.payload.len() >= 6 => {}
                message_type::WINDOW_ACKNOWLEDGEMENT_SIZE if message.payload.len() >= 4 => {}
                _ => continue,
            }
            let mut rewritten = BytesMut::new();
            self.rewriter.write(3, &message, &mut rewritten);
            let results = self.session.handle_input(&rewritten);
            self.handle(results.map_err(not_understood)?)?;
        }
    }

    fn handle(&mut self, results: Vec<ClientSessionResult>) -> Result<(), ClientError> {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.unsent.extend_from_slice(&packet.bytes);
                }
                ClientSessionResult::RaisedEvent(event) => match event {
                    ClientSessionEvent::ConnectionRequestAccepted => {
                        self.milestone = self.milestone.max(Milestone::Connected);
                    }
                    ClientSessionEvent::PublishRequestAccepted => {
                        self.milestone = self.milestone.max(Milestone::Publishing);
                    }
                    _ => {}
                },
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        Ok(())
    }
}

/// Refuses commands that `rml_rtmp` cannot take, and turns a server's refusal into an
/// error with its code and text, which `rml_rtmp` drops.
fn check_command(body: &[u8]) -> Result<(), ClientError> {
    let values = amf0::decode(body, Amf0Limits::default());
    let values = values.map_err(|error| ClientError::Protocol(error.to_string()))?;
    let [Value::String(name), Value::Number(_), _, rest @ ..] = &values[..] else {
        return Err(ClientError::Protocol("a command without a name".into()));
    };
    let info = rest.first().unwrap_or(&Value::Null);
    let text = |name| {
        let text = info.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let failed = name == "onStatus" && text("level") == "error";
    if failed || name == "_error" {
        return Err(ClientError::Rejected {
            code: text("code"),
            text: text("description"),
        });
    }
    Ok(())
}

fn not_understood(error: ClientSessionError) -> ClientError {
    ClientError::Protocol(error.to_string())
}
