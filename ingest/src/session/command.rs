//! Commands (Adobe RTMP 1.0, section 7.2, and what encoders add to it).

use std::time::Instant;

use super::{
    CHUNK_SIZE, Deadline, Event, Output, PublishCommand, Session, SessionError, State, WINDOW,
};
use crate::address::Address;
use crate::amf0::{self, Amf0Limits, Value};
use crate::chunk::message_type;
use crate::host::Refusal;

/// The chunk stream of commands and their results.
const COMMAND_CHUNK_STREAM: u8 = 3;
/// The chunk stream of `onStatus`.
const STATUS_CHUNK_STREAM: u8 = 5;

/// The longest text an encoder is told: ffmpeg reads no more than 256 bytes.
const LONGEST_TEXT: usize = 200;

/// What `connect` said. Not printable: the key may stand in any of it.
#[derive(Default)]
pub(super) struct Connect {
    app: Option<String>,
    tc_url: Option<String>,
    encoder: Option<String>,
}

impl Session {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        stream_id: u32,
        body: &[u8],
    ) -> Result<(), SessionError> {
        let values = amf0::decode(body, Amf0Limits::default())?;
        let mut values = values.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(SessionError::Protocol("no name"));
        };
        let transaction = values.next().and_then(|v| v.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        let argument = values.next().unwrap_or(Value::Null);
        if matches!(self.state, State::Connecting) && name != "connect" {
            return Err(SessionError::Protocol("before connect"));
        }
        match name.as_str() {
            "connect" => self.connect(transaction, &object),
            "createStream" => self.create_stream(transaction),
            "publish" => self.publish(now, stream_id, &argument),
            "deleteStream" | "closeStream" => self.unpublish(now),
            "FCUnpublish" => {
                self.unpublish(now)?;
                self.result(transaction, Value::Undefined)
            }
            "FCPublish" => {
                let start = Value::object([("code", Value::string("NetStream.Publish.Start"))]);
                self.send_command("onFCPublish", 0.0, [Value::Null, start])?;
                self.result(transaction, Value::Undefined)
            }
            "releaseStream" | "_checkbw" => self.result(transaction, Value::Undefined),
            // How long a recording is: this is live.
            "getStreamLength" => self.result(transaction, Value::Number(0.0)),
            "play" | "play2" => Err(self.refuse_play(stream_id)),
            // Commands nobody knows, and results of what we never asked.
            _ => Ok(()),
        }
    }

    fn connect(&mut self, transaction: f64, object: &Value) -> Result<(), SessionError> {
        if let State::Connecting = self.state {
            let text = |name| object.get(name).and_then(Value::as_str).map(str::to_owned);
            self.connect = Connect {
                app: text("app"),
                tc_url: text("tcUrl"),
                encoder: text("flashVer").map(|name| printable(&name)),
            };
            self.state = State::Connected;
            let window = WINDOW.to_be_bytes();
            self.send_control(message_type::WINDOW_ACKNOWLEDGEMENT_SIZE, window.to_vec())?;
            // 2: dynamic (5.4.5).
            let bandwidth = [&window[..], &[2]].concat();
            self.send_control(message_type::SET_PEER_BANDWIDTH, bandwidth)?;
            let chunk_size = CHUNK_SIZE.to_be_bytes();
            self.send_control(message_type::SET_CHUNK_SIZE, chunk_size.to_vec())?;
            self.writer.set_chunk_size(CHUNK_SIZE as usize);
        }
        let server = Value::object([
            ("fmsVer", Value::string("FMS/3,0,1,123")),
            ("capabilities", Value::Number(31.0)),
        ]);
        let status = Value::object([
            ("level", Value::string("status")),
            ("code", Value::string("NetConnection.Connect.Success")),
            ("description", Value::string("Connection succeeded.")),
            ("objectEncoding", Value::Number(0.0)),
        ]);
        self.send_command("_result", transaction, [server, status])
    }

    fn create_stream(&mut self, transaction: f64) -> Result<(), SessionError> {
        if self.message_streams >= self.limits.message_streams {
            let limit = self.limits.message_streams;
            return Err(SessionError::TooManyMessageStreams(limit));
        }
        self.message_streams += 1;
        self.result(transaction, Value::Number(f64::from(self.message_streams)))
    }

    fn publish(
        &mut self,
        now: Instant,
        stream_id: u32,
        stream_name: &Value,
    ) -> Result<(), SessionError> {
        if let State::Publishing(_) = self.state {
            return Err(SessionError::Protocol("publish while publishing"));
        }
        self.state = State::Deciding(stream_id);
        let Connect {
            app,
            tc_url,
            encoder,
        } = &self.connect;
        let stream_name = stream_name.as_str().unwrap_or_default();
        let address = Address::find(app.as_deref(), tc_url.as_deref(), stream_name);
        let Some(key) = address.key else {
            return Err(SessionError::Refused(Refusal::BadKey));
        };
        let request = PublishCommand {
            key,
            app: address.app,
            encoder: encoder.clone(),
        };
        self.outputs
            .push_back(Output::Event(Event::PublishRequested(request)));
        self.arm(now, Deadline::Decision);
        Ok(())
    }

    pub(super) fn announce_publish(&mut self, stream_id: u32) -> Result<(), SessionError> {
        const STREAM_BEGIN: [u8; 2] = [0, 0];
        let body = [&STREAM_BEGIN[..], &stream_id.to_be_bytes()].concat();
        self.send_control(message_type::USER_CONTROL, body)?;
        self.status(
            stream_id,
            "status",
            "NetStream.Publish.Start",
            "Publishing.",
        )
    }

    fn unpublish(&mut self, now: Instant) -> Result<(), SessionError> {
        let State::Publishing(stream_id) = self.state else {
            return Ok(());
        };
        self.state = State::Connected;
        self.arm(now, Deadline::Publish);
        self.reader.set_limits(self.limits.before_publish);
        self.outputs.push_back(Output::Event(Event::Unpublished));
        let code = "NetStream.Unpublish.Success";
        self.status(stream_id, "status", code, "Publication ended.")
    }

    fn refuse_play(&mut self, stream_id: u32) -> SessionError {
        let text = "Playing over RTMP is not offered, watch over HTTP.";
        // No room to say so is no reason not to close.
        let _ = self.status(stream_id, "error", "NetStream.Play.Failed", text);
        self.state = State::Closed;
        self.deadline = None;
        SessionError::Protocol("play, which is not offered")
    }

    /// Tells the peer why the session ends.
    pub(super) fn explain(&mut self, stream_id: u32, error: &SessionError) {
        // No room to say so is no reason not to close.
        let _ = self.status(stream_id, "error", error.code(), &error.to_string());
    }

    fn status(
        &mut self,
        stream_id: u32,
        level: &str,
        code: &str,
        text: &str,
    ) -> Result<(), SessionError> {
        // librtmp answers the word with an authentication of Adobe's that nobody asked for.
        let mut text = text.replace("authmod", "auth");
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        let status = Value::object([
            ("level", Value::string(level)),
            ("code", Value::string(code)),
            ("description", Value::string(text)),
        ]);
        let values = [
            Value::string("onStatus"),
            Value::Number(0.0),
            Value::Null,
            status,
        ];
        let kind = message_type::COMMAND_AMF0;
        self.send_message(STATUS_CHUNK_STREAM, kind, stream_id, amf0::encode(&values))
    }

    fn result(&mut self, transaction: f64, value: Value) -> Result<(), SessionError> {
        self.send_command("_result", transaction, [Value::Null, value])
    }

    fn send_command(
        &mut self,
        name: &str,
        transaction: f64,
        [object, argument]: [Value; 2],
    ) -> Result<(), SessionError> {
        let values = [
            Value::string(name),
            Value::Number(transaction),
            object,
            argument,
        ];
        let kind = message_type::COMMAND_AMF0;
        self.send_message(COMMAND_CHUNK_STREAM, kind, 0, amf0::encode(&values))
    }
}

/// What an encoder calls itself, fit for a log line.
fn printable(name: &str) -> String {
    let fit = |c: &char| !c.is_control();
    name.chars().filter(fit).take(64).collect()
}
