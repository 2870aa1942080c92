//! What is pushed: any bytes are read the same in whatever pieces they come, and what is taken
//! for an object is written as it was read.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::feed::{ALIVE, Decoder, Event, FeedError, encode};

/// All events of a feed that comes in pieces of `length`, its bytes joined, and its end.
fn read(bytes: &[u8], length: usize) -> (Vec<Event>, Result<(), FeedError>) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for piece in bytes.chunks(length) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Event::Data(more))) => match events.last_mut() {
                    Some(Event::Data(known)) => {
                        *known = [known.as_ref(), more.as_ref()].concat().into();
                    }
                    _ => events.push(Event::Data(more)),
                },
                Ok(Some(event)) => events.push(event),
                Err(error) => return (events, Err(error)),
            }
        }
        assert!(piece.is_empty(), "all that came is read");
    }
    let end = decoder.finish();
    (events, end)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (length, bytes) = input;
    let (events, end) = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, usize::from(length).max(1)), (events.clone(), end));
    let mut written = Vec::new();
    for event in &events {
        match event {
            Event::Object(head, content) => {
                let head = encode(head, *content).expect("what was read can be written");
                written.extend_from_slice(&head);
            }
            Event::Data(data) => written.extend_from_slice(data),
            Event::End => {}
            Event::Alive => written.extend_from_slice(&ALIVE),
        }
    }
    // What is left is a beginning, or what is wrong.
    assert_eq!(written, bytes[..written.len()]);
});
