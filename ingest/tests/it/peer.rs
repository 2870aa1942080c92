//! An encoder written by hand, on a session without a socket.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest::amf0::{self, Amf0Limits, Value};
use ingest::chunk::{ChunkLimits, ChunkReader, ChunkWriter, Message, message_type};
use ingest::session::{Event, Output, PublishCommand, Session, SessionError, SessionLimits};

/// 1280x720 High 3.1 from x264.
pub(crate) const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// AAC-LC, 44.1 kHz, stereo.
pub(crate) const ASC: &[u8] = &[0x12, 0x10];

/// The encoder's side of a session.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    pub(crate) writer: ChunkWriter,
    reader: ChunkReader,
    /// Messages the session sent.
    pub(crate) received: Vec<Message>,
    pub(crate) events: Vec<Event>,
}

impl Peer {
    /// Past the handshake.
    pub(crate) fn new(limits: SessionLimits) -> Self {
        let now = Instant::now();
        let mut peer = Self {
            session: Session::new(limits, now),
            now,
            writer: ChunkWriter::default(),
            reader: ChunkReader::new(ChunkLimits::default()),
            received: Vec::new(),
            events: Vec::new(),
        };
        let mut hello = vec![3];
        hello.extend((0..1_536).map(|n| if n < 8 { 0 } else { n as u8 }));
        peer.session.handle_input(now, &hello).unwrap();
        let mut answer = Vec::new();
        while let Some(output) = peer.session.poll_output() {
            match output {
                Output::Send(bytes) => answer.extend(bytes),
                Output::Event(event) => panic!("{event:?}"),
            }
        }
        assert_eq!(answer.len(), 1 + 2 * 1_536);
        assert_eq!(answer[1_537..], hello[1..], "S2 repeats C1");
        let echo = answer[1..1_537].to_vec();
        peer.session.handle_input(now, &echo).unwrap();
        peer.take();
        peer
    }

    /// Past `connect` and `createStream`.
    pub(crate) fn connected(limits: SessionLimits) -> Self {
        let mut peer = Self::new(limits);
        peer.connect(&[("app", "live"), ("tcUrl", "rtmp://localhost/live")]);
        peer.command(0, "createStream", 4.0, vec![Value::Null])
            .unwrap();
        assert_eq!(peer.last_command()[3], Value::Number(1.0));
        peer
    }

    /// Past an accepted `publish`.
    pub(crate) fn publishing(limits: SessionLimits) -> Self {
        let mut peer = Self::connected(limits);
        peer.publish("KEY").unwrap();
        peer.session.accept_publish(peer.now).unwrap();
        peer.take();
        assert_eq!(
            peer.last_status(),
            ["status", "NetStream.Publish.Start", "Publishing."]
        );
        peer.events.clear();
        peer
    }

    pub(crate) fn connect(&mut self, properties: &[(&str, &str)]) {
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::string(*value)));
        let object = Value::Object(properties.collect());
        self.command(0, "connect", 1.0, vec![object]).unwrap();
        let result = self.last_command();
        assert_eq!(result[0], Value::string("_result"));
        assert_eq!(
            result[3].get("code"),
            Some(&Value::string("NetConnection.Connect.Success"))
        );
    }

    pub(crate) fn publish(&mut self, name: &str) -> Result<(), SessionError> {
        let arguments = vec![Value::Null, Value::string(name), Value::string("live")];
        self.command(1, "publish", 5.0, arguments)
    }

    pub(crate) fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        mut rest: Vec<Value>,
    ) -> Result<(), SessionError> {
        let mut values = vec![Value::string(name), Value::Number(transaction)];
        values.append(&mut rest);
        self.message(message_type::COMMAND_AMF0, stream_id, amf0::encode(&values))
    }

    pub(crate) fn video(&mut self, timestamp: u32, body: &[u8]) -> Result<(), SessionError> {
        self.media(message_type::VIDEO, timestamp, body)
    }

    pub(crate) fn media(
        &mut self,
        kind: u8,
        timestamp: u32,
        body: &[u8],
    ) -> Result<(), SessionError> {
        let message = Message {
            timestamp,
            kind,
            stream_id: 1,
            payload: Bytes::copy_from_slice(body),
        };
        let mut bytes = Vec::new();
        self.writer.write(6, &message, &mut bytes);
        self.bytes(&bytes)
    }

    pub(crate) fn message(
        &mut self,
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
        let mut bytes = Vec::new();
        self.writer.write(3, &message, &mut bytes);
        self.bytes(&bytes)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let handled = self.session.handle_input(self.now, bytes);
        self.take();
        handled
    }

    pub(crate) fn wait(&mut self, span: Duration) -> Result<(), SessionError> {
        self.now += span;
        let handled = self.session.handle_timeout(self.now);
        self.take();
        handled
    }

    pub(crate) fn take(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Send(bytes) => {
                    let mut rest = &bytes[..];
                    while let Some(message) = self.reader.read(&mut rest).unwrap() {
                        self.received.push(message);
                    }
                }
            }
        }
    }

    /// The request in the only event.
    pub(crate) fn request(&mut self) -> PublishCommand {
        match self.events.drain(..).next() {
            Some(Event::PublishRequested(command)) => command,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn commands(&self) -> Vec<Vec<Value>> {
        self.received
            .iter()
            .filter(|message| message.kind == message_type::COMMAND_AMF0)
            .map(|message| amf0::decode(&message.payload, Amf0Limits::default()).unwrap())
            .collect()
    }

    pub(crate) fn last_command(&self) -> Vec<Value> {
        self.commands().pop().expect("a command")
    }

    /// Level, code and description of the last `onStatus`.
    pub(crate) fn last_status(&self) -> [String; 3] {
        let command = self.last_command();
        assert_eq!(command[0], Value::string("onStatus"), "{command:?}");
        ["level", "code", "description"].map(|name| {
            let text = command[3].get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        })
    }
}
