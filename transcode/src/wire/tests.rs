use media::{AvcConfig, RenditionName, VideoShape};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// 1280x720 High 3.1 from x264.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83,
    0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

fn source() -> VideoSource {
    (&AvcConfig::parse(Bytes::from_static(AVCC)).unwrap()).into()
}

fn any_frame() -> impl Strategy<Value = Frame> {
    (
        any::<i64>(),
        any::<i64>(),
        any::<bool>(),
        option::of(any::<u64>()),
        vec(any::<u8>(), 0..200),
    )
        .prop_map(|(dts, pts, key, starts, data)| Frame {
            track: TrackKind::Video,
            dts: Timestamp::from_micros(dts),
            pts: Timestamp::from_micros(pts),
            duration: None,
            key,
            starts: starts.map(SegmentNumber),
            data: data.into(),
        })
}

fn any_job() -> impl Strategy<Value = Job> {
    let rung = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        1..9_999_u32,
        option::of(0..=51_u8),
    )
        .prop_map(|(width, height, bit_rate, name, crf)| {
            let name = RenditionName::try_from(format!("{name}p")).unwrap();
            let shape = VideoShape { width, height };
            match crf {
                None => Rung::live(name, shape, bit_rate),
                Some(crf) => Rung::on_demand(name, shape, bit_rate, crf),
            }
        });
    (vec(rung, 1..=MAX_RUNGS), any::<i64>(), any::<i64>()).prop_map(
        |(rungs, start, frame_duration)| Job {
            engine: EngineName::default(),
            encoder: crate::Encoder::Device(crate::Device::Vaapi),
            source: source(),
            rungs,
            start: Timestamp::from_micros(start),
            frame_duration: Micros::new(frame_duration),
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any_job().prop_map(Request::Job),
        any_frame().prop_map(Request::Frame),
        any::<u8>().prop_map(|bits| Request::Rungs(RungSet::from_bits(bits))),
        Just(Request::End),
        Just(Request::Survey(EngineName::Gstreamer)),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        any::<u16>().prop_map(|version| Reply::Hello { version }),
        (any::<u8>(), vec(any::<u8>(), 0..100)).prop_map(|(rung, record)| Reply::Track {
            rung,
            record: record.into()
        }),
        (any::<u8>(), any_frame()).prop_map(|(rung, frame)| Reply::Frame { rung, frame }),
        (any::<u64>(), any::<u64>()).prop_map(|(frames, decode_errors)| Reply::Progress(
            Progress {
                frames,
                decode_errors
            }
        )),
        Just(Reply::End),
        ".{0,80}".prop_map(|reason| Reply::Failed { reason }),
        (any::<u8>(), ".{0,80}").prop_map(|(rung, reason)| Reply::DeviceFailed { rung, reason }),
        vec(any::<u8>(), 0..100).prop_map(|report| Reply::Survey {
            report: report.into()
        }),
    ]
}

fn append(to: &mut Vec<u8>, message: &Encoded) {
    to.extend_from_slice(&message.head);
    to.extend_from_slice(&message.data);
}

/// Feeds `bytes` in pieces of `step` and reads messages until the first error.
fn read<T>(
    bytes: &[u8],
    step: usize,
    decode: impl Fn(u8, Bytes) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        while let Some((kind, body)) = split(&mut buffer)? {
            messages.push(decode(kind, body)?);
        }
    }
    Ok(messages)
}

proptest! {
    #[test]
    fn requests_survive_the_wire(sent in vec(any_request(), 0..8), step in 1..300_usize) {
        let mut bytes = Vec::new();
        for request in &sent {
            append(&mut bytes, &request.encode().unwrap());
        }
        prop_assert_eq!(read(&bytes, step, Request::decode).unwrap(), sent);
    }

    #[test]
    fn replies_survive_the_wire(sent in vec(any_reply(), 0..8), step in 1..300_usize) {
        let mut bytes = Vec::new();
        for reply in &sent {
            append(&mut bytes, &reply.encode().unwrap());
        }
        prop_assert_eq!(read(&bytes, step, Reply::decode).unwrap(), sent);
    }

    #[test]
    fn garbage_is_an_error_or_too_little(bytes in vec(any::<u8>(), 0..400), step in 1..100_usize) {
        let _ = read(&bytes, step, Reply::decode);
        let _ = read(&bytes, step, Request::decode);
    }

    #[test]
    fn any_body_of_any_kind_is_judged(kind in any::<u8>(), body in vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(body);
        if let Ok(reply) = Reply::decode(kind, body.clone()) {
            prop_assert!(reply.encode().is_ok());
        }
        let _ = Request::decode(kind, body);
    }
}

#[test]
fn text_on_standard_output_is_no_message() {
    let mut buffer = BytesMut::from(&b"Segmentation fault\n"[..]);
    assert!(matches!(split(&mut buffer), Err(WireError::Length(_))));
}

#[test]
fn what_is_over_a_limit_is_not_sent() {
    let mut frame = Frame {
        track: TrackKind::Video,
        dts: Timestamp::from_micros(0),
        pts: Timestamp::from_micros(0),
        duration: None,
        key: true,
        starts: None,
        data: Bytes::from(vec![0; MAX_FRAME]),
    };
    let encoded = Request::Frame(frame.clone()).encode().unwrap();
    let mut buffer = BytesMut::new();
    buffer.extend_from_slice(&encoded.head);
    buffer.extend_from_slice(&encoded.data);
    assert!(split(&mut buffer).unwrap().is_some(), "the largest is read");

    frame.data = Bytes::from(vec![0; MAX_FRAME + 1]);
    let error = Request::Frame(frame).encode().unwrap_err();
    assert!(
        error.to_string().contains("at most 16777216"),
        "names the limit: {error}"
    );
}

#[test]
fn a_job_of_another_version_is_refused_by_its_version() {
    let error = decode_job(br#"{"version": 999, "something": "else"}"#).unwrap_err();
    assert_eq!(error.to_string(), "protocol version 999, expected 5");
}

#[test]
fn a_job_has_rungs() {
    let job = Job {
        encoder: crate::Encoder::default(),
        engine: EngineName::default(),
        source: source(),
        rungs: Vec::new(),
        start: Timestamp::from_micros(0),
        frame_duration: Micros::new(0),
    };
    assert!(matches!(encode_job(&job), Err(WireError::Rungs(0))));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let reason = "é".repeat(MAX_REASON);
    let encoded = Reply::Failed { reason }.encode().unwrap();
    assert_eq!(encoded.data.len(), MAX_REASON);
    let reply = Reply::decode(kind::FAILED, encoded.data).unwrap();
    assert!(matches!(reply, Reply::Failed { reason } if reason.chars().all(|c| c == 'é')));
}
