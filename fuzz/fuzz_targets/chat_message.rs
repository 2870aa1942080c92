//! What a client says on `/ws`: refused with a reason, or a message that is the same when it is
//! said again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use social::chat::protocol::{ClientMessage, MAX_ID_BYTES, MAX_MESSAGE_BYTES};

fuzz_target!(|text: &str| {
    match ClientMessage::parse(text) {
        Ok(message) => {
            assert!(text.len() <= MAX_MESSAGE_BYTES);
            assert!(message.id().is_none_or(|id| id.len() <= MAX_ID_BYTES));
            let again = serde_json::to_string(&message).expect("of strings and numbers");
            // Escapes may make it longer than what was said.
            if again.len() <= MAX_MESSAGE_BYTES {
                assert_eq!(ClientMessage::parse(&again).as_ref(), Ok(&message));
            }
        }
        // It may quote what was said, and is told to whoever said it.
        Err(error) => assert!(error.to_string().len() < 2_000),
    }
});
