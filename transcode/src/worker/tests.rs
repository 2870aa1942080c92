use bytes::BytesMut;

use super::*;
use crate::wire;

/// What a worker answers to `input`, up to its end or its fault.
fn answer(input: &[u8]) -> (Result<(), Fault>, Vec<Reply>) {
    let output = Arc::new(Output(Mutex::new(Vec::new())));
    let outcome = serve(input, &output, None);
    let written = output.0.lock().unwrap();
    let mut buffer = BytesMut::from(&written[..]);
    let mut replies = Vec::new();
    while let Some((kind, body)) = wire::split(&mut buffer).unwrap() {
        replies.push(Reply::decode(kind, body).unwrap());
    }
    assert!(buffer.is_empty(), "only whole messages are written");
    (outcome, replies)
}

const HELLO: Reply = Reply::Hello { version: VERSION };

#[test]
fn no_input_is_a_quiet_end() {
    let (outcome, replies) = answer(&[]);
    assert!(outcome.is_ok());
    assert_eq!(replies, [HELLO]);
}

#[test]
fn garbage_is_a_fault() {
    let (outcome, replies) = answer(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(outcome, Err(Fault::Wire(WireError::Length(_)))));
    assert_eq!(replies, [HELLO]);
}

#[test]
fn half_a_message_is_the_end_of_input() {
    let frame = [&[0, 0, 0, 26, 2][..], &[0; 25]].concat();
    for length in 0..frame.len() {
        let mut requests = Requests(Messages::new(&frame[..length]));
        assert!(requests.next().unwrap().is_none(), "{length}");
    }
    let mut requests = Requests(Messages::new(&frame[..]));
    assert!(matches!(requests.next(), Ok(Some(Request::Frame(_)))));
    assert!(requests.next().unwrap().is_none());
}

#[test]
fn a_job_comes_first() {
    let end = Request::End.encode().unwrap().head;
    let (outcome, replies) = answer(&end);
    assert!(outcome.is_ok());
    assert_eq!(replies, [HELLO]);

    let frame = [&[0, 0, 0, 26, 2][..], &[0; 25]].concat();
    let (outcome, _) = answer(&frame);
    assert!(matches!(
        outcome,
        Err(Fault::Wire(WireError::Order("frame")))
    ));
}

#[cfg(not(any(feature = "ffmpeg", feature = "gstreamer")))]
#[test]
fn a_build_without_an_engine_says_so() {
    use crate::{Rung, WorkerCommand, WorkerError};

    let avcc: &[u8] = &[
        0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40,
        0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0,
        0xf1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8,
        0xf8, 0x00,
    ];
    let avc = media::AvcConfig::parse(bytes::Bytes::from_static(avcc)).unwrap();
    let job = crate::Job {
        encoder: crate::Encoder::default(),
        engine: crate::EngineName::default(),
        source: (&avc).into(),
        rungs: vec![Rung::live(
            "360p".parse().unwrap(),
            media::VideoShape {
                width: 640,
                height: 360,
            },
            700_000,
        )],
        start: media::Timestamp::from_micros(0),
        frame_duration: media::Micros::new(33_333),
    };
    let request = Request::Job(job).encode().unwrap();
    let (outcome, _) = answer(&[request.head, request.data].concat());
    let reason = outcome.unwrap_err().to_string();
    assert!(reason.contains("no transcoding engine"), "{reason}");

    let error = WorkerCommand::this_program().unwrap_err();
    assert!(matches!(error, WorkerError::NoEngine));
    assert!(crate::all_engines().is_empty());
}
