//! What people write: whatever it is, its pieces are the text, and its links go to the web.
#![no_main]

use libfuzzer_sys::fuzz_target;
use social::posts::text::{Kind, MAX_LINK, check, fold_hashtag, pieces};

fuzz_target!(|text: &str| {
    // Refused or not, it is never more than a reason.
    let _ = check(text);
    let pieces = pieces(text);
    let joined: String = pieces.iter().map(|piece| piece.text).collect();
    assert_eq!(joined, text);
    for piece in pieces {
        assert!(!piece.text.is_empty());
        match piece.kind {
            Kind::Plain => {}
            Kind::Mention(name) => {
                assert!((1..=32).contains(&name.len()) && name.is_ascii());
                assert_eq!(piece.text, format!("@{name}"));
            }
            Kind::Hashtag(folded) => {
                assert_eq!(fold_hashtag(&folded).as_deref(), Some(folded.as_str()));
            }
            Kind::Link(address) => {
                assert!(address.starts_with("http://") || address.starts_with("https://"));
                assert!(address.len() <= MAX_LINK);
                assert!(!address.contains(|c: char| c.is_whitespace() || "<>\"".contains(c)));
            }
        }
    }
});
