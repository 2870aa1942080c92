//! The chunk reader: bounded, and the same whichever way its input is cut. What the
//! writer makes of the messages is read as the same messages.
#![no_main]

use ingest::chunk::{ChunkError, ChunkLimits, ChunkReader, ChunkWriter, Message, message_type};
use libfuzzer_sys::fuzz_target;

const LIMITS: ChunkLimits = ChunkLimits {
    message: 64 << 10,
    buffered: 96 << 10,
    chunk_streams: 16,
};

fn read(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut messages = Vec::new();
    for mut rest in bytes.chunks(piece.max(1)) {
        loop {
            match reader.read(&mut rest) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(rest.is_empty());
        assert!(reader.buffered() <= LIMITS.buffered);
    }
    (messages, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let (messages, error) = read(bytes, bytes.len());
    let (in_pieces, error_in_pieces) = read(bytes, usize::from(piece));
    assert_eq!(messages, in_pieces);
    assert_eq!(error.is_some(), error_in_pieces.is_some());

    let control = [message_type::SET_CHUNK_SIZE, message_type::ABORT, 0];
    assert!(messages.iter().all(|m| !control.contains(&m.kind)));
    let mut written = Vec::new();
    for message in &messages {
        ChunkWriter::default().write(3, message, &mut written);
    }
    assert_eq!(read(&written, written.len()), (messages, None));
});
