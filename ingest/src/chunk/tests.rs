//! What the reader makes of chunks written by hand, and of random ones.

use proptest::prelude::*;

use super::*;

/// Writes chunks field by field, with none of the writer's opinions.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn basic(mut self, format: u8, csid: u32) -> Self {
        let format = format << 6;
        match csid {
            2..=63 => self.0.push(format | csid as u8),
            64..=319 => self.0.extend([format, (csid - 64) as u8]),
            _ => self.0.extend([
                format | 1,
                ((csid - 64) % 256) as u8,
                ((csid - 64) / 256) as u8,
            ]),
        }
        self
    }

    fn u24(mut self, value: u32) -> Self {
        self.0.extend(&value.to_be_bytes()[1..]);
        self
    }

    fn timestamp(self, value: u32) -> Self {
        self.u24(value.min(EXTENDED))
    }

    fn extended(self, value: u32) -> Self {
        if value >= EXTENDED {
            self.bytes(&value.to_be_bytes())
        } else {
            self
        }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn type0(self, csid: u32, timestamp: u32, length: usize, kind: u8, stream_id: u32) -> Self {
        self.basic(0, csid)
            .timestamp(timestamp)
            .u24(length as u32)
            .bytes(&[kind])
            .bytes(&stream_id.to_le_bytes())
            .extended(timestamp)
    }

    fn type1(self, csid: u32, delta: u32, length: usize, kind: u8) -> Self {
        self.basic(1, csid)
            .timestamp(delta)
            .u24(length as u32)
            .bytes(&[kind])
            .extended(delta)
    }

    fn type2(self, csid: u32, delta: u32) -> Self {
        self.basic(2, csid).timestamp(delta).extended(delta)
    }

    fn type3(self, csid: u32) -> Self {
        self.basic(3, csid)
    }

    fn control(self, kind: u8, value: u32) -> Self {
        self.type0(2, 0, 4, kind, 0).bytes(&value.to_be_bytes())
    }

    fn read(&self) -> Vec<Message> {
        self.read_in(self.0.len()).unwrap()
    }

    /// Feeds the bytes in pieces of `size`.
    fn read_in(&self, size: usize) -> Result<Vec<Message>, ChunkError> {
        let mut reader = ChunkReader::new(ChunkLimits::default());
        let mut messages = Vec::new();
        for mut piece in self.0.chunks(size.max(1)) {
            while let Some(message) = reader.read(&mut piece)? {
                messages.push(message);
            }
            assert!(piece.is_empty());
        }
        Ok(messages)
    }
}

fn message(timestamp: u32, kind: u8, stream_id: u32, payload: &[u8]) -> Message {
    Message {
        timestamp,
        kind,
        stream_id,
        payload: Bytes::copy_from_slice(payload),
    }
}

#[test]
fn reads_all_header_types_cut_anywhere() {
    let wire = Wire::default()
        .type0(4, 1_000, 3, 9, 1)
        .bytes(b"abc")
        .type1(4, 40, 2, 8)
        .bytes(b"de")
        .type2(4, 20)
        .bytes(b"fg")
        .type3(4)
        .bytes(b"hi");
    let expected = [
        message(1_000, 9, 1, b"abc"),
        message(1_040, 8, 1, b"de"),
        message(1_060, 8, 1, b"fg"),
        message(1_080, 8, 1, b"hi"),
    ];
    for size in 1..wire.0.len() {
        assert_eq!(wire.read_in(size).unwrap(), expected, "in pieces of {size}");
    }
}

#[test]
fn r07_chunk_streams_interleave() {
    let (video, audio) = ([1; 300], [2; 200]);
    let wire = Wire::default()
        .type0(6, 10, 300, 9, 1)
        .bytes(&video[..128])
        .type0(4, 11, 200, 8, 1)
        .bytes(&audio[..128])
        .type3(6)
        .bytes(&video[128..256])
        .control(message_type::USER_CONTROL, 7)
        .type3(4)
        .bytes(&audio[128..])
        .type3(6)
        .bytes(&video[256..]);
    let expected = [
        message(0, 4, 0, &[0, 0, 0, 7]),
        message(11, 8, 1, &audio),
        message(10, 9, 1, &video),
    ];
    assert_eq!(wire.read(), expected);
    assert_eq!(wire.read_in(1).unwrap(), expected);
}

#[test]
fn r07_two_and_three_byte_chunk_stream_ids() {
    let mut wire = Wire::default();
    let mut expected = Vec::new();
    for (n, csid) in [2, 63, 64, 319, 320, 65_599].into_iter().enumerate() {
        wire = wire.type0(csid, 5, 1, 9, 1).bytes(&[n as u8]);
        expected.push(message(5, 9, 1, &[n as u8]));
    }
    for (n, csid) in [65_599, 319, 63].into_iter().enumerate() {
        wire = wire.type2(csid, 7).bytes(&[n as u8]);
        expected.push(message(12, 9, 1, &[n as u8]));
    }
    assert_eq!(wire.read(), expected);
}

#[test]
fn r07_a_chunk_stream_may_open_with_a_short_header() {
    let opens_with_1 = Wire::default().type1(5, 30, 1, 9).bytes(b"x");
    assert_eq!(opens_with_1.read(), [message(30, 9, 0, b"x")]);
    let goes_on = |wire: Wire| wire.type0(6, 1, 1, 9, 1).bytes(b"y");
    for opens in [Wire::default().type2(5, 30), Wire::default().type3(5)] {
        // Nothing says how long its message is, so it has none.
        assert_eq!(goes_on(opens).read(), [message(1, 9, 1, b"y")]);
    }
}

#[test]
fn r07_a_message_starts_with_type_3_after_type_0() {
    // ffmpeg: the delta is the timestamp of the type 0 chunk.
    let first_frames = Wire::default()
        .type0(4, 23, 1, 8, 1)
        .bytes(b"a")
        .type3(4)
        .bytes(b"b")
        .type3(4)
        .bytes(b"c");
    let times: Vec<u32> = first_frames.read().iter().map(|m| m.timestamp).collect();
    assert_eq!(times, [23, 46, 69]);
    // librtmp: the same timestamp again.
    let later = Wire::default()
        .type0(4, 60_000, 1, 8, 1)
        .bytes(b"a")
        .type3(4)
        .bytes(b"b");
    let times: Vec<u32> = later.read().iter().map(|m| m.timestamp).collect();
    assert_eq!(times, [60_000, 60_000]);
}

#[test]
fn r08_extended_timestamps_with_and_without_the_repeat() {
    let payload: Vec<u8> = (0..300).map(|n| n as u8).collect();
    for start in [16_777_000, (1 << 31) - 1_000, u32::MAX - 999] {
        for repeats in [true, false] {
            let mut wire = Wire::default();
            let mut expected = Vec::new();
            for frame in 0..100_u32 {
                let timestamp = start.wrapping_add(frame * 33);
                // Every tenth with an absolute timestamp, the others with a delta.
                let absolute = frame % 10 == 0;
                let field = if absolute { timestamp } else { 33 };
                wire = if absolute {
                    wire.type0(6, timestamp, payload.len(), 9, 1)
                } else {
                    wire.type1(6, 33, payload.len(), 9)
                };
                for (index, part) in payload.chunks(INITIAL_CHUNK_SIZE).enumerate() {
                    if index > 0 {
                        wire = wire.type3(6);
                        if repeats {
                            wire = wire.extended(field);
                        }
                    }
                    wire = wire.bytes(part);
                }
                expected.push(message(timestamp, 9, 1, &payload));
            }
            assert_eq!(wire.read(), expected, "{start}, repeats: {repeats}");
            assert_eq!(wire.read_in(1).unwrap(), expected, "{start} bytewise");
            assert_eq!(wire.read_in(7).unwrap(), expected, "{start} in sevens");
        }
    }
}

#[test]
fn r08_a_repeat_of_the_message_timestamp_instead_of_the_delta() {
    let payload = [3; 130];
    let wire = Wire::default()
        .type0(6, 1, 0, 9, 1)
        .type1(6, 0x0100_0000, payload.len(), 9)
        .bytes(&payload[..128])
        .type3(6)
        .bytes(&0x0100_0001_u32.to_be_bytes())
        .bytes(&payload[128..]);
    assert_eq!(wire.read()[1], message(0x0100_0001, 9, 1, &payload));
}

#[test]
fn the_chunk_size_may_change_within_a_message() {
    let payload: Vec<u8> = (0..400).map(|n| n as u8).collect();
    let wire = Wire::default()
        .type0(6, 0, 400, 9, 1)
        .bytes(&payload[..128])
        .control(message_type::SET_CHUNK_SIZE, 4_096)
        .type3(6)
        .bytes(&payload[128..]);
    assert_eq!(wire.read(), [message(0, 9, 1, &payload)]);
}

#[test]
fn an_aborted_message_is_gone() {
    let wire = Wire::default()
        .type0(6, 0, 200, 9, 1)
        .bytes(&[1; 128])
        .control(message_type::ABORT, 6)
        .type1(6, 5, 2, 9)
        .bytes(b"ok");
    assert_eq!(wire.read(), [message(5, 9, 1, b"ok")]);
}

#[test]
fn a_full_header_within_a_message_begins_another() {
    let wire = Wire::default()
        .type0(6, 0, 200, 9, 1)
        .bytes(&[1; 128])
        .type0(6, 5, 2, 9, 1)
        .bytes(b"ok");
    assert_eq!(wire.read(), [message(5, 9, 1, b"ok")]);
}

#[test]
fn limits_have_names() {
    let read = |limits, wire: Wire| {
        let mut reader = ChunkReader::new(limits);
        let mut rest = &wire.0[..];
        reader.read(&mut rest).unwrap_err()
    };
    let limits = ChunkLimits {
        message: 1_000,
        buffered: 300,
        chunk_streams: 2,
    };
    let long = Wire::default().type0(6, 0, 1_001, 9, 1);
    let error = ChunkError::MessageTooLong {
        length: 1_001,
        limit: 1_000,
    };
    assert_eq!(read(limits, long), error);

    let part = [0; 128];
    let much = Wire::default()
        .type0(6, 0, 200, 9, 1)
        .bytes(&part)
        .type0(7, 0, 200, 9, 1)
        .bytes(&part)
        .type3(6)
        .bytes(&part);
    let error = ChunkError::TooMuchBuffered { limit: 300 };
    assert_eq!(read(limits, much), error);

    let many = Wire::default().type3(6).type3(7).type3(8);
    let error = ChunkError::TooManyChunkStreams { limit: 2 };
    assert_eq!(read(limits, many), error);

    for size in [0, 1 << 31, u32::MAX] {
        let wire = Wire::default().control(message_type::SET_CHUNK_SIZE, size);
        assert_eq!(read(limits, wire), ChunkError::ChunkSize(size));
    }
    for kind in [message_type::SET_CHUNK_SIZE, message_type::ABORT] {
        let wire = Wire::default().type0(2, 0, 3, kind, 0).bytes(b"abc");
        assert_eq!(read(limits, wire), ChunkError::ShortControl(3));
    }
}

#[test]
fn r16_an_announced_message_is_not_allocated() {
    let mut reader = ChunkReader::new(ChunkLimits {
        message: 16 << 20,
        ..ChunkLimits::default()
    });
    let wire = Wire::default().type0(6, 0, 0xFF_FFFF, 9, 1).bytes(b"x");
    let mut rest = &wire.0[..];
    assert_eq!(reader.read(&mut rest), Ok(None));
    assert_eq!(reader.buffered(), 1);
    assert!(reader.allocated() <= 64 << 10, "{}", reader.allocated());
}

#[test]
fn the_writer_is_understood() {
    let mut out = Vec::new();
    let mut writer = ChunkWriter::default();
    let messages = [
        message(0, 20, 0, &[1; 500]),
        message(EXTENDED, 9, 1, &[2; 300]),
        message(u32::MAX, 8, 1, &[3; 128]),
        message(7, 9, 1, b""),
    ];
    for message in &messages {
        writer.write(3, message, &mut out);
    }
    let control = message(0, 1, 0, &4_096_u32.to_be_bytes());
    writer.write(2, &control, &mut out);
    writer.set_chunk_size(4_096);
    writer.write(3, &messages[0], &mut out);
    let read = Wire(out).read();
    assert_eq!(read[..4], messages);
    assert_eq!(read[4..], messages[..1]);
}

#[test]
fn r08_what_may_be_the_repeat_waits_for_the_next_byte() {
    let timestamp = 0x0100_00AF;
    let payload = [&[7; 128][..], &[1]].concat();
    let mut wire = Wire::default()
        .type0(64, timestamp, payload.len(), 8, 1)
        .bytes(&payload[..128])
        .type3(64)
        .bytes(&payload[128..]);
    assert_eq!(wire.read(), []);
    let expected = message(timestamp, 8, 1, &payload);
    wire = wire.basic(0, 2);
    assert_eq!(wire.read(), [expected]);
}

/// A message to be sent, and how.
#[derive(Clone, Debug)]
struct Plan {
    csid_index: usize,
    step: u32,
    length: usize,
    kind: u8,
    header: u8,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let step = prop_oneof![
        4 => 0..100_u32,
        1 => 0x00FF_FF00..0x0100_0100_u32,
        1 => any::<u32>(),
    ];
    let plan = (0..4_usize, step, 0..600_usize, 8..10_u8, 0..4_u8).prop_map(
        |(csid_index, step, length, kind, header)| Plan {
            csid_index,
            step,
            length,
            kind,
            header,
        },
    );
    prop::collection::vec(plan, 1..40)
}

/// One chunk stream of the random sender.
#[derive(Default)]
struct Sender {
    queue: std::collections::VecDeque<Plan>,
    last: Option<(Message, u32)>,
    /// The message under way, what of it is sent, and the timestamp field in force.
    current: Option<(Message, usize, u32)>,
}

impl Sender {
    /// Sends the next chunk; gives the message when that was its last.
    fn step(
        &mut self,
        csid: u32,
        chunk_size: usize,
        repeats: bool,
        mut wire: Wire,
    ) -> (Wire, Option<Message>) {
        let (message, sent, field) = match self.current.take() {
            Some((message, sent, field)) => {
                wire = wire.type3(csid);
                if repeats {
                    wire = wire.extended(field);
                }
                (message, sent, field)
            }
            None => {
                let Some(plan) = self.queue.pop_front() else {
                    return (wire, None);
                };
                let (opened, message, field) = self.open(csid, &plan, repeats, wire);
                wire = opened;
                (message, 0, field)
            }
        };
        let end = message.payload.len().min(sent + chunk_size);
        wire = wire.bytes(&message.payload[sent..end]);
        if end == message.payload.len() {
            self.last = Some((message.clone(), field));
            return (wire, Some(message));
        }
        self.current = Some((message, end, field));
        (wire, None)
    }

    fn open(&self, csid: u32, plan: &Plan, repeats: bool, wire: Wire) -> (Wire, Message, u32) {
        let before = self.last.as_ref().map_or(0, |(last, _)| last.timestamp);
        let timestamp = before.wrapping_add(plan.step);
        let payload: Vec<u8> = (0..plan.length).map(|n| 0xA5 ^ n as u8).collect();
        let message = message(timestamp, plan.kind, 1, &payload);
        let same = |last: &Message| {
            last.kind == message.kind && last.payload.len() == message.payload.len()
        };
        let last = self.last.as_ref();
        let header = match (plan.header, last) {
            (0, _) | (_, None) => 0,
            (3, Some((last, field))) if same(last) && *field == plan.step => 3,
            (2 | 3, Some((last, _))) if same(last) => 2,
            _ => 1,
        };
        let wire = match header {
            0 => wire.type0(csid, timestamp, plan.length, plan.kind, 1),
            1 => wire.type1(csid, plan.step, plan.length, plan.kind),
            2 => wire.type2(csid, plan.step),
            _ if repeats => wire.type3(csid).extended(plan.step),
            _ => wire.type3(csid),
        };
        let field = if header == 0 { timestamp } else { plan.step };
        (wire, message, field)
    }
}

proptest! {
    #[test]
    fn r07_random_interleavings_are_read(
        plans in plans(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
        chunk_size in prop_oneof![1..64_usize, 64..5_000_usize],
        repeats in any::<bool>(),
        piece in prop_oneof![1..20_usize, 20..4_000_usize],
    ) {
        let csids = [3, 63, 64, 1_000];
        let mut senders: [Sender; 4] = Default::default();
        for plan in plans {
            senders[plan.csid_index].queue.push_back(plan);
        }
        let mut wire = Wire::default().control(message_type::SET_CHUNK_SIZE, chunk_size as u32);
        let mut expected = Vec::new();
        let mut turn = order.iter().cycle();
        loop {
            let busy: Vec<usize> = (0..4)
                .filter(|&n| senders[n].current.is_some() || !senders[n].queue.is_empty())
                .collect();
            let Some(turn) = turn.next().filter(|_| !busy.is_empty()) else { break };
            let chosen = busy[turn.index(busy.len())];
            let (sent, done) = senders[chosen].step(csids[chosen], chunk_size, repeats, wire);
            wire = sent;
            expected.extend(done);
        }
        // A message that may end in a timestamp waits for what comes after it.
        let wire = wire.control(message_type::ABORT, 2);
        prop_assert_eq!(wire.read_in(piece).unwrap(), expected);
    }

    #[test]
    fn random_bytes_never_panic_and_stay_bounded(
        bytes in prop::collection::vec(any::<u8>(), 0..4_000),
        piece in 1..200_usize,
    ) {
        let limits = ChunkLimits { message: 2_000, buffered: 3_000, chunk_streams: 8 };
        let mut reader = ChunkReader::new(limits);
        'bytes: for mut piece in bytes.chunks(piece) {
            loop {
                match reader.read(&mut piece) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'bytes,
                }
            }
            prop_assert!(reader.buffered() <= limits.buffered);
            prop_assert!(reader.allocated() <= limits.chunk_streams * limits.message);
        }
    }
}
