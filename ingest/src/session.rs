//! The server's side of one RTMP connection, without IO: see [`Session`].

mod command;
mod error;
mod limits;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use media::Codec;
use media::timeline::WireFrame;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

use crate::chunk::{ChunkReader, ChunkWriter, Message, message_type};
use crate::flv::{FlvReader, Ignored, Tag};
use crate::host::{Refusal, StreamKey};

pub use error::{Deadline, SessionError};
pub use limits::SessionLimits;

/// What a session wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Bytes for the peer, in order.
    Send(Bytes),
    /// Something happened.
    Event(Event),
}

/// What happened on a connection.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The encoder asks to publish. Wants [`Session::accept_publish`] or
    /// [`Session::reject_publish`]; nothing else is read until then.
    PublishRequested(PublishCommand),
    /// A sequence header of the publication.
    Codec(Codec),
    /// An access unit of the publication.
    Frame(WireFrame),
    /// The encoder ended the publication and may begin another.
    Unpublished,
}

/// A `publish` command, with what `connect` said before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishCommand {
    /// The secret that names the stream.
    pub key: StreamKey,
    /// The first segment of the path. An encoder may have put anything there: not for
    /// logs.
    pub app: String,
    /// What the encoder calls itself (`flashVer`).
    pub encoder: Option<String>,
}

/// The server's side of one RTMP connection.
///
/// Bytes go in by [`handle_input`](Self::handle_input); after each call the outputs are
/// taken by [`poll_output`](Self::poll_output) until there are none.
/// [`poll_timeout`](Self::poll_timeout) says when
/// [`handle_timeout`](Self::handle_timeout) wants to be called. An error is final: what
/// is still put out is for the peer to know why, then the connection is to be closed.
pub struct Session {
    limits: SessionLimits,
    state: State,
    reader: ChunkReader,
    writer: ChunkWriter,
    flv: FlvReader,
    connect: command::Connect,
    message_streams: u32,
    /// Input that came after a `publish` that is not decided yet.
    held: BytesMut,
    outputs: VecDeque<Output>,
    output_bytes: usize,
    /// Bytes received over the connection's life, and how many are acknowledged.
    received: u64,
    acknowledged: u64,
    /// The peer wants an acknowledgement every so many bytes.
    window: u64,
    deadline: Option<(Instant, Deadline)>,
}

enum State {
    Handshaking(Box<Handshake>),
    /// Before `connect`.
    Connecting,
    Connected,
    /// `publish` came on this message stream, and the house decides.
    Deciding(u32),
    Publishing(u32),
    Closed,
}

/// The window acknowledgement size both sides use until the peer says otherwise, and
/// the bandwidth it is told.
const WINDOW: u32 = 2_500_000;

/// Bytes of payload in the chunks we send.
const CHUNK_SIZE: u32 = 4_096;

/// The chunk stream of protocol control messages (5.4).
const CONTROL_CHUNK_STREAM: u8 = 2;

impl Session {
    /// A session with a peer that has just connected.
    pub fn new(limits: SessionLimits, now: Instant) -> Self {
        Self {
            limits,
            state: State::Handshaking(Box::new(Handshake::new(PeerType::Server))),
            reader: ChunkReader::new(limits.before_publish),
            writer: ChunkWriter::default(),
            flv: FlvReader::new(),
            connect: command::Connect::default(),
            message_streams: 0,
            held: BytesMut::new(),
            outputs: VecDeque::new(),
            output_bytes: 0,
            received: 0,
            acknowledged: 0,
            window: u64::from(WINDOW),
            deadline: Some((now + limits.handshake, Deadline::Handshake)),
        }
    }

    /// Takes bytes from the peer.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        self.received += bytes.len() as u64;
        let taken = self.take(now, bytes);
        let taken = taken.and_then(|()| self.acknowledge());
        taken.map_err(|error| self.fail(error))
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        if let Output::Send(bytes) = &output {
            self.output_bytes -= bytes.len();
        }
        Some(output)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.map(|(at, _)| at)
    }

    /// Ends the session if a deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.deadline {
            Some((at, Deadline::Decision)) if at <= now => {
                Err(self.fail(SessionError::Refused(Refusal::Undecided)))
            }
            Some((at, deadline)) if at <= now => Err(self.fail(SessionError::Timeout(deadline))),
            _ => Ok(()),
        }
    }

    /// Whether input is wanted: not while a request to publish is undecided, so that the
    /// socket holds the encoder back.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Deciding(_) | State::Closed)
    }

    /// Accepts the request to publish, and reads what came after it.
    pub fn accept_publish(&mut self, now: Instant) -> Result<(), SessionError> {
        let State::Deciding(stream_id) = self.state else {
            return Ok(());
        };
        self.state = State::Publishing(stream_id);
        self.flv = FlvReader::new();
        self.reader.set_limits(self.limits.publishing);
        self.arm(now, Deadline::Idle);
        let held = std::mem::take(&mut self.held);
        let taken = self
            .announce_publish(stream_id)
            .and_then(|()| self.take(now, &held));
        taken.map_err(|error| self.fail(error))
    }

    /// Rejects the request to publish. The session is over.
    pub fn reject_publish(&mut self, refusal: Refusal) {
        self.fail(SessionError::Refused(refusal));
    }

    /// Ends the session for `error`, which the peer is told if it can understand it.
    pub fn fail(&mut self, error: SessionError) -> SessionError {
        let stream_id = match self.state {
            State::Closed => return error,
            State::Handshaking(_) | State::Connecting => None,
            State::Connected => Some(0),
            State::Deciding(stream_id) | State::Publishing(stream_id) => Some(stream_id),
        };
        if let Some(stream_id) = stream_id {
            self.explain(stream_id, &error);
        }
        self.state = State::Closed;
        self.deadline = None;
        self.held = BytesMut::new();
        error
    }

    fn take(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        match &mut self.state {
            State::Closed => Ok(()),
            State::Deciding(_) => self.hold(bytes),
            State::Handshaking(handshake) => {
                // Answers and keeps at most one packet of 1,536 bytes at a time.
                match handshake.process_bytes(bytes)? {
                    HandshakeProcessResult::InProgress { response_bytes } => {
                        self.send(response_bytes.into())
                    }
                    HandshakeProcessResult::Completed {
                        response_bytes,
                        remaining_bytes,
                    } => {
                        self.state = State::Connecting;
                        self.arm(now, Deadline::Publish);
                        self.send(response_bytes.into())?;
                        self.read(now, &remaining_bytes)
                    }
                }
            }
            State::Connecting | State::Connected | State::Publishing(_) => self.read(now, bytes),
        }
    }

    fn read(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SessionError> {
        let mut rest = bytes;
        while let Some(message) = self.reader.read(&mut rest)? {
            self.handle_message(now, message)?;
            if let State::Deciding(_) = self.state {
                return self.hold(rest);
            }
        }
        Ok(())
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        if self.held.len() + bytes.len() > self.limits.held {
            return Err(SessionError::TooMuchHeld(self.limits.held));
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    fn handle_message(&mut self, now: Instant, message: Message) -> Result<(), SessionError> {
        match message.kind {
            message_type::AUDIO | message_type::VIDEO => self.handle_media(now, message),
            message_type::COMMAND_AMF0 => {
                let body = message.payload;
                self.handle_command(now, message.stream_id, &body)
            }
            // One byte, which says AMF0, then AMF0.
            message_type::COMMAND_AMF3 => {
                let body = message.payload.get(1..).unwrap_or_default();
                self.handle_command(now, message.stream_id, body)
            }
            message_type::USER_CONTROL => self.handle_user_control(&message.payload),
            message_type::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                if let Some(size) = message.payload.first_chunk() {
                    self.window = u64::from(u32::from_be_bytes(*size)).max(1);
                }
                Ok(())
            }
            // Acknowledgements, bandwidth, metadata (the codec is read from the media,
            // never from what metadata claims), and what nobody knows.
            _ => Ok(()),
        }
    }

    fn handle_media(&mut self, now: Instant, message: Message) -> Result<(), SessionError> {
        let State::Publishing(_) = self.state else {
            return Ok(());
        };
        let tag = match message.kind {
            message_type::AUDIO => self.flv.audio(message.timestamp, message.payload)?,
            _ => self.flv.video(message.timestamp, message.payload)?,
        };
        let event = match tag {
            Tag::Codec(codec) => Event::Codec(codec),
            Tag::Frame(frame) => Event::Frame(frame),
            Tag::Ignored(reason) => {
                count_ignored(reason);
                return Ok(());
            }
        };
        self.arm(now, Deadline::Idle);
        self.outputs.push_back(Output::Event(event));
        Ok(())
    }

    /// User Control Messages (7.1.7).
    fn handle_user_control(&mut self, body: &[u8]) -> Result<(), SessionError> {
        const PING_REQUEST: [u8; 2] = [0, 6];
        const PING_RESPONSE: [u8; 2] = [0, 7];
        match body {
            [a, b, timestamp @ ..] if [*a, *b] == PING_REQUEST && timestamp.len() == 4 => {
                let body = [&PING_RESPONSE, timestamp].concat();
                self.send_control(message_type::USER_CONTROL, body)
            }
            _ => Ok(()),
        }
    }

    /// Acknowledgement (5.4.3): of all bytes of the connection, modulo 2^32.
    fn acknowledge(&mut self) -> Result<(), SessionError> {
        let connected = !matches!(self.state, State::Handshaking(_) | State::Closed);
        if !connected || self.received - self.acknowledged < self.window {
            return Ok(());
        }
        self.acknowledged = self.received;
        let number = (self.received as u32).to_be_bytes();
        self.send_control(message_type::ACKNOWLEDGEMENT, number.to_vec())
    }

    fn send_control(&mut self, kind: u8, body: Vec<u8>) -> Result<(), SessionError> {
        self.send_message(CONTROL_CHUNK_STREAM, kind, 0, body.into())
    }

    fn send_message(
        &mut self,
        chunk_stream: u8,
        kind: u8,
        stream_id: u32,
        payload: Bytes,
    ) -> Result<(), SessionError> {
        let message = Message {
            timestamp: 0,
            kind,
            stream_id,
            payload,
        };
        let mut out = BytesMut::new();
        self.writer.write(chunk_stream, &message, &mut out);
        self.send(out.freeze())
    }

    fn send(&mut self, bytes: Bytes) -> Result<(), SessionError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.output_bytes + bytes.len() > self.limits.output {
            return Err(SessionError::TooMuchOutput(self.limits.output));
        }
        self.output_bytes += bytes.len();
        self.outputs.push_back(Output::Send(bytes));
        Ok(())
    }

    fn arm(&mut self, now: Instant, deadline: Deadline) {
        let span = match deadline {
            Deadline::Handshake => self.limits.handshake,
            Deadline::Publish => self.limits.publish,
            Deadline::Decision => self.limits.decision,
            Deadline::Idle => self.limits.idle,
        };
        self.deadline = Some((now + span, deadline));
    }
}

fn count_ignored(reason: Ignored) {
    metrics::counter!("nova_ingest_tags_ignored_total", "reason" => reason.label()).increment(1);
}
