//! How fast RTMP chunks become messages: our reader, and `rml_rtmp`'s on the same bytes.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::chunk::{ChunkLimits, ChunkReader, ChunkWriter, Message, message_type};
use rml_rtmp::chunk_io::ChunkDeserializer;

/// What a socket gives at a time.
const READ_SIZE: usize = 32 << 10;

/// Ten seconds of a 6 Mbit/s source at 60 frames per second with its sound, in chunks of
/// `chunk_size`. Messages do not interleave, which `rml_rtmp` could not read.
fn source(chunk_size: usize) -> Vec<u8> {
    let mut writer = ChunkWriter::default();
    let mut bytes = Vec::new();
    let size = Message {
        timestamp: 0,
        kind: message_type::SET_CHUNK_SIZE,
        stream_id: 0,
        payload: Bytes::copy_from_slice(&(chunk_size as u32).to_be_bytes()),
    };
    writer.write(2, &size, &mut bytes);
    writer.set_chunk_size(chunk_size);
    for frame in 0..600_u32 {
        let length = if frame % 120 == 0 { 120_000 } else { 11_500 };
        let mut write = |chunk_stream, kind, length| {
            let message = Message {
                timestamp: frame * 1_000 / 60,
                kind,
                stream_id: 1,
                payload: vec![frame as u8; length].into(),
            };
            writer.write(chunk_stream, &message, &mut bytes);
        };
        write(6, message_type::VIDEO, length);
        write(4, message_type::AUDIO, 340);
    }
    bytes
}

fn read_ours(bytes: &[u8]) -> usize {
    let mut reader = ChunkReader::new(ChunkLimits::default());
    let mut messages = 0;
    for mut piece in bytes.chunks(READ_SIZE) {
        while let Some(message) = reader.read(&mut piece).expect("sound chunks") {
            black_box(&message);
            messages += 1;
        }
    }
    messages
}

fn read_rml(bytes: &[u8]) -> usize {
    let mut reader = ChunkDeserializer::new();
    let mut messages = 0;
    for piece in bytes.chunks(READ_SIZE) {
        let mut piece = piece;
        while let Some(message) = reader.get_next_message(piece).expect("sound chunks") {
            piece = &[];
            if message.type_id == message_type::SET_CHUNK_SIZE {
                let size: [u8; 4] = message.data[..].try_into().expect("four bytes");
                let size = u32::from_be_bytes(size) as usize;
                reader.set_max_chunk_size(size).expect("a chunk size");
            } else {
                black_box(&message);
                messages += 1;
            }
        }
    }
    messages
}

fn benches(criterion: &mut Criterion) {
    for chunk_size in [128, 4_096, 65_536] {
        let bytes = source(chunk_size);
        assert_eq!(read_ours(&bytes), read_rml(&bytes));
        let mut group = criterion.benchmark_group(format!("rtmp_chunk/{chunk_size}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.sample_size(20);
        group.bench_function("nova", |bencher| {
            bencher.iter(|| read_ours(&bytes));
        });
        group.bench_function("rml_rtmp", |bencher| {
            bencher.iter(|| read_rml(&bytes));
        });
        group.finish();
    }
}

criterion_group!(group, benches);
criterion_main!(group);
