//! The session as a state machine: no socket, no waiting.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest::amf0::{self, Value};
use ingest::chunk::{ChunkError, message_type};
use ingest::session::{Deadline, Event, Session, SessionError, SessionLimits};
use ingest::{Refusal, StreamKey};
use media::TrackKind;
use proptest::prelude::*;

use crate::peer::{ASC, AVCC, Peer};

fn limits() -> SessionLimits {
    SessionLimits::default()
}

#[test]
fn media_becomes_codecs_and_frames() {
    let mut peer = Peer::publishing(limits());
    peer.video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat())
        .unwrap();
    let audio = message_type::AUDIO;
    peer.media(audio, 0, &[&[0xAF, 0], ASC].concat()).unwrap();
    // Longer than a chunk.
    let nal_unit = [&[0, 0, 0x03, 0xE8, 0x65][..], &[7; 999]].concat();
    peer.video(40, &[&[0x17, 1, 0, 0, 80], &nal_unit[..]].concat())
        .unwrap();
    peer.media(audio, 46, &[0xAF, 1, 1, 2, 3]).unwrap();

    let [
        Event::Codec(video),
        Event::Codec(audio),
        Event::Frame(picture),
        Event::Frame(sound),
    ] = &peer.events[..]
    else {
        panic!("{:?}", peer.events);
    };
    assert_eq!(video.rfc6381(), "avc1.64001F");
    assert_eq!(audio.rfc6381(), "mp4a.40.2");
    assert_eq!((picture.track, picture.timestamp), (TrackKind::Video, 40));
    assert_eq!((picture.composition_offset, picture.key), (80, true));
    assert_eq!(picture.data, nal_unit);
    assert_eq!((sound.track, sound.timestamp), (TrackKind::Audio, 46));
    assert_eq!(&sound.data[..], [1, 2, 3]);
}

#[test]
fn r03_a_refusal_is_an_on_status_error_with_a_code() {
    for (refusal, code) in [
        (Refusal::BadKey, "NetStream.Publish.BadName"),
        (Refusal::Busy, "NetStream.Publish.BadName"),
        (
            Refusal::Forbidden("code=403 authmod=adobe".into()),
            "NetStream.Publish.Unauthorized",
        ),
        (Refusal::Overloaded, "NetStream.Publish.Rejected"),
        (Refusal::Internal, "NetStream.Failed"),
    ] {
        let mut peer = Peer::connected(limits());
        peer.publish("KEY").unwrap();
        peer.session.reject_publish(refusal.clone());
        peer.take();
        let [level, given, text] = peer.last_status();
        assert_eq!((&level[..], &given[..]), ("error", code));
        assert!(!text.is_empty() && !text.contains("authmod"), "{text}");
        assert_eq!(peer.received.last().unwrap().stream_id, 1);
        assert!(!peer.session.wants_input());
    }
}

#[test]
fn r03_a_codec_that_is_not_taken_is_named() {
    let mut peer = Peer::publishing(limits());
    let error = peer.video(0, b"\x90hvc1").unwrap_err();
    assert!(matches!(error, SessionError::Media(_)));
    let [level, code, text] = peer.last_status();
    assert_eq!([&level[..], &code], ["error", "NetStream.Publish.Rejected"]);
    assert_eq!(text, "video codec HEVC is not supported, use H.264");
}

#[test]
fn r03_play_is_refused_with_a_reason() {
    let mut peer = Peer::connected(limits());
    let arguments = vec![Value::Null, Value::string("demo")];
    peer.command(1, "play", 5.0, arguments).unwrap_err();
    let [level, code, text] = peer.last_status();
    assert_eq!([&level[..], &code], ["error", "NetStream.Play.Failed"]);
    assert!(text.contains("watch over HTTP"), "{text}");
    assert!(!peer.session.wants_input());
}

#[test]
fn r06_the_key_in_name_app_query_and_quoted_lower_case_tc_url() {
    let url = ("tcUrl", "rtmp://h/live");
    for (connect, name) in [
        (vec![("app", "live"), url], "KEY"),
        (vec![("app", "live/KEY"), url], ""),
        (vec![("app", "live"), url], "?key=KEY"),
        (vec![("app", "live?key=KEY"), url], "x"),
        (vec![("tcurl", "\"rtmp://h/live\"")], "KEY"),
        (vec![("tcUrl", "rtmp://h:1935/live/KEY")], ""),
    ] {
        let mut peer = Peer::new(limits());
        peer.connect(&connect);
        peer.publish(name).unwrap();
        let request = peer.request();
        assert_eq!(request.key, StreamKey::new("KEY"), "{connect:?} {name}");
        assert_eq!(request.app, "live");
        assert!(!format!("{request:?}").contains("KEY"));
    }
    let mut peer = Peer::connected(limits());
    let error = peer.publish("").unwrap_err();
    assert!(matches!(error, SessionError::Refused(Refusal::BadKey)));
    assert_eq!(peer.last_status()[1], "NetStream.Publish.BadName");
}

#[test]
fn r06_the_small_talk_of_encoders_is_answered() {
    let mut peer = Peer::connected(limits());
    let key = || vec![Value::Null, Value::string("KEY")];
    for (name, result) in [
        ("releaseStream", Value::Undefined),
        ("FCPublish", Value::Undefined),
        ("getStreamLength", Value::Number(0.0)),
        ("_checkbw", Value::Undefined),
        ("FCUnpublish", Value::Undefined),
    ] {
        peer.received.clear();
        peer.command(0, name, 7.0, key()).unwrap();
        let expected = [
            Value::string("_result"),
            Value::Number(7.0),
            Value::Null,
            result,
        ];
        assert_eq!(peer.last_command(), expected, "{name}");
    }
    // What nobody knows is passed over.
    peer.command(0, "FCWhatever", 9.0, key()).unwrap();
    peer.publish("KEY").unwrap();
    assert_eq!(peer.request().key, StreamKey::new("KEY"));
}

#[test]
fn r06_set_chunk_size_before_connect() {
    let mut peer = Peer::new(limits());
    let size = Bytes::copy_from_slice(&60_000_u32.to_be_bytes());
    peer.message(message_type::SET_CHUNK_SIZE, 0, size).unwrap();
    peer.writer.set_chunk_size(60_000);
    let long = "x".repeat(1_000);
    peer.connect(&[("app", "live"), ("swfUrl", &long)]);
    peer.publish("KEY").unwrap();
    peer.request();
}

#[test]
fn r09_amf3_command_messages_are_amf0_after_a_byte() {
    let mut peer = Peer::new(limits());
    let command = |peer: &mut Peer, values: &[Value]| {
        let body = [&[0][..], &amf0::encode(values)].concat();
        peer.message(message_type::COMMAND_AMF3, 1, body.into())
    };
    let connect = [
        Value::string("connect"),
        Value::Number(1.0),
        Value::object([("app", Value::string("live"))]),
    ];
    command(&mut peer, &connect).unwrap();
    let publish = [
        Value::string("publish"),
        Value::Number(0.0),
        Value::Null,
        Value::string("KEY"),
    ];
    command(&mut peer, &publish).unwrap();
    assert_eq!(peer.request().key, StreamKey::new("KEY"));
}

#[test]
fn r09_commands_that_end_early_are_refused() {
    for body in [
        &b""[..],
        b"\x02\0\x07conn",
        b"\x05",
        b"\x11\x0a",
        b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x01a\x03\0\x01a",
    ] {
        let mut peer = Peer::new(limits());
        let body = Bytes::copy_from_slice(body);
        let handled = peer.message(message_type::COMMAND_AMF0, 0, body.clone());
        assert!(handled.is_err(), "{body:?}");
    }
    let mut peer = Peer::new(limits());
    let deep: Vec<u8> = b"\x03\0\x01a".repeat(10_000);
    let body = [&b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0"[..], &deep].concat();
    let error = peer
        .message(message_type::COMMAND_AMF0, 0, body.into())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "command: objects nested more than 16 deep"
    );
}

#[test]
fn commands_with_nothing_after_the_name_are_survived() {
    for name in [
        "connect",
        "createStream",
        "publish",
        "deleteStream",
        "_checkbw",
    ] {
        let mut peer = Peer::connected(limits());
        let body = amf0::encode(&[Value::string(name)]);
        // Some are answered, some are refused.
        let _ = peer.message(message_type::COMMAND_AMF0, 0, body);
    }
}

#[test]
fn r15_what_comes_before_the_decision_is_kept_and_bounded() {
    let mut peer = Peer::connected(limits());
    peer.publish("KEY").unwrap();
    peer.events.clear();
    assert!(!peer.session.wants_input());
    peer.video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat())
        .unwrap();
    peer.video(0, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65])
        .unwrap();
    assert_eq!(peer.events, []);
    peer.session.accept_publish(peer.now).unwrap();
    peer.take();
    assert!(matches!(
        peer.events[..],
        [Event::Codec(_), Event::Frame(_)]
    ));

    let mut peer = Peer::connected(limits());
    peer.publish("KEY").unwrap();
    peer.bytes(&vec![0; limits().held]).unwrap();
    let error = peer.bytes(&[0]).unwrap_err();
    assert!(matches!(error, SessionError::TooMuchHeld(_)));
}

#[test]
fn r15_a_decision_that_does_not_come_is_a_refusal() {
    let mut peer = Peer::connected(limits());
    peer.publish("KEY").unwrap();
    peer.wait(limits().decision - Duration::from_millis(1))
        .unwrap();
    let error = peer.wait(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, SessionError::Refused(Refusal::Undecided)));
    assert_eq!(peer.last_status()[0], "error");
}

#[test]
fn r16_deadlines_have_names() {
    let limits = limits();
    let now = Instant::now();
    let mut silent = Session::new(limits, now);
    assert_eq!(silent.poll_timeout(), Some(now + limits.handshake));
    let timeout = |error| match error {
        SessionError::Timeout(deadline) => deadline,
        other => panic!("{other}"),
    };
    let error = silent.handle_timeout(now + limits.handshake).unwrap_err();
    assert_eq!(timeout(error), Deadline::Handshake);

    let mut connected = Peer::connected(limits);
    let error = connected.wait(limits.publish).unwrap_err();
    assert_eq!(timeout(error), Deadline::Publish);

    let mut publishing = Peer::publishing(limits);
    let error = publishing.wait(limits.idle).unwrap_err();
    assert_eq!(timeout(error), Deadline::Idle);
    assert_eq!(publishing.last_status()[2], "no media for too long");
}

#[test]
fn r16_one_byte_a_second_is_no_media() {
    let limits = limits();
    let mut peer = Peer::publishing(limits);
    let nal_unit = [&[0x17, 1, 0, 0, 0, 0, 0, 0x03, 0xE8][..], &[7; 1_000]].concat();
    let mut bytes = Vec::new();
    let message = ingest::chunk::Message {
        timestamp: 0,
        kind: message_type::VIDEO,
        stream_id: 1,
        payload: nal_unit.into(),
    };
    peer.writer.write(6, &message, &mut bytes);
    let mut seconds = 0;
    let error = loop {
        peer.bytes(&bytes[seconds..=seconds]).unwrap();
        seconds += 1;
        if let Err(error) = peer.wait(Duration::from_secs(1)) {
            break error;
        }
    };
    assert!(matches!(error, SessionError::Timeout(Deadline::Idle)));
    assert_eq!(seconds as u64, limits.idle.as_secs());
}

#[test]
fn r16_a_message_announced_too_long_meets_a_limit() {
    let announce = [6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
    let mut before = Peer::connected(limits());
    let error = before.bytes(&announce).unwrap_err();
    let too_long = |limit| ChunkError::MessageTooLong {
        length: 0xFF_FFFF,
        limit,
    };
    let expected = too_long(limits().before_publish.message);
    assert!(matches!(error, SessionError::Chunk(error) if error == expected));

    let mut publishing = Peer::publishing(limits());
    let error = publishing.bytes(&announce).unwrap_err();
    let expected = too_long(limits().publishing.message);
    assert!(matches!(error, SessionError::Chunk(error) if error == expected));
}

#[test]
fn answers_that_nobody_takes_meet_a_limit() {
    let mut peer = Peer::connected(limits());
    let ping = [
        &[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0][..],
        &[0, 6, 1, 2, 3, 4],
    ]
    .concat();
    let flood = ping.repeat(20_000);
    // Within one call nothing can be taken.
    let error = peer.session.handle_input(peer.now, &flood).unwrap_err();
    assert!(matches!(error, SessionError::TooMuchOutput(_)));
}

#[test]
fn message_streams_meet_a_limit() {
    let mut peer = Peer::connected(limits());
    let mut created = 1;
    let error = loop {
        match peer.command(0, "createStream", 9.0, vec![Value::Null]) {
            Ok(()) => created += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(created, limits().message_streams);
    assert!(matches!(error, SessionError::TooManyMessageStreams(_)));
}

#[test]
fn pings_are_answered() {
    let mut peer = Peer::connected(limits());
    let ping = Bytes::from_static(&[0, 6, 1, 2, 3, 4]);
    peer.message(message_type::USER_CONTROL, 0, ping).unwrap();
    let answer = peer.received.last().unwrap();
    assert_eq!(answer.kind, message_type::USER_CONTROL);
    assert_eq!(&answer.payload[..], [0, 7, 1, 2, 3, 4]);
}

#[test]
fn acknowledgements_count_all_bytes() {
    let mut peer = Peer::publishing(limits());
    let window = Bytes::copy_from_slice(&1_000_u32.to_be_bytes());
    let kind = message_type::WINDOW_ACKNOWLEDGEMENT_SIZE;
    peer.message(kind, 0, window).unwrap();
    peer.received.clear();
    let mut numbers = Vec::new();
    for _ in 0..10 {
        // 12 bytes of header, 3 of type 3 headers, 485 of payload.
        peer.video(0, &[0x52; 485]).unwrap();
        let acknowledged = peer
            .received
            .drain(..)
            .filter(|m| m.kind == message_type::ACKNOWLEDGEMENT);
        numbers.extend(acknowledged.map(|m| {
            let number: [u8; 4] = m.payload[..].try_into().unwrap();
            u32::from_be_bytes(number)
        }));
    }
    // The first call is acknowledged at once: far more than a window came before it.
    let steps: Vec<u32> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps, [1_000; 4], "{numbers:?}");
}

#[test]
fn a_publication_may_end_and_another_begin_on_one_connection() {
    for command in ["deleteStream", "closeStream", "FCUnpublish"] {
        let mut peer = Peer::publishing(limits());
        let arguments = vec![Value::Null, Value::Number(1.0)];
        peer.command(0, command, 0.0, arguments).unwrap();
        assert_eq!(peer.events, [Event::Unpublished], "{command}");
        peer.events.clear();
        // Media without a publication is passed over.
        peer.video(0, b"\x90hvc1").unwrap();
        peer.publish("OTHER").unwrap();
        assert_eq!(peer.request().key, StreamKey::new("OTHER"));
        peer.session.accept_publish(peer.now).unwrap();
        peer.take();
        assert_eq!(peer.last_status()[1], "NetStream.Publish.Start");
    }
}

#[test]
fn what_is_not_a_handshake_is_refused() {
    let now = Instant::now();
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x06", b"\x16\x03\x01"] {
        let mut session = Session::new(limits(), now);
        let error = session.handle_input(now, hello).unwrap_err();
        assert!(matches!(error, SessionError::Handshake(_)));
        assert_eq!(session.poll_output(), None);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Message(u8, Vec<u8>),
    Command(&'static str),
    Decide(bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let names = prop::sample::select(vec![
        "connect",
        "createStream",
        "publish",
        "deleteStream",
        "FCUnpublish",
        "play",
        "x",
    ]);
    let step = prop_oneof![
        1 => bytes.clone().prop_map(Step::Bytes),
        3 => (0..24_u8, bytes).prop_map(|(kind, body)| Step::Message(kind, body)),
        3 => names.prop_map(Step::Command),
        2 => any::<bool>().prop_map(Step::Decide),
        1 => (0..30_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn random_sessions_never_panic(steps in steps()) {
        let mut peer = Peer::new(limits());
        for step in steps {
            let _ = match step {
                Step::Bytes(bytes) => peer.bytes(&bytes),
                Step::Message(kind, body) => peer.message(kind, 1, body.into()),
                Step::Command(name) => {
                    let arguments = vec![Value::Null, Value::string("KEY")];
                    peer.command(1, name, 1.0, arguments)
                }
                Step::Decide(true) => peer.session.accept_publish(peer.now),
                Step::Decide(false) => {
                    peer.session.reject_publish(Refusal::BadKey);
                    Ok(())
                }
                Step::Wait(seconds) => peer.wait(Duration::from_secs(seconds)),
            };
            peer.take();
        }
    }
}
