//! What a prewarm reads: playlists of any bytes name keys of this site and nothing else, and an
//! order that was read is read again as itself.
#![no_main]

use edge::{OriginKind, PrewarmOrder, read_any_playlist};
use libfuzzer_sys::fuzz_target;

const KINDS: [&str; 3] = ["urls", "video", "playlist"];

fuzz_target!(|input: (u8, bool, Option<u32>, &str, &str, &[u8])| {
    let (kind, general, depth, text, base, playlist) = input;
    read_any_playlist(playlist, base);
    let mut whole = b"#EXTM3U\n".to_vec();
    whole.extend_from_slice(playlist);
    read_any_playlist(&whole, base);
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let origin = match general {
        true => OriginKind::General,
        false => OriginKind::Media,
    };
    if let Ok(order) = PrewarmOrder::parse(origin, kind, text, depth, &[]) {
        let again = PrewarmOrder::parse(origin, order.kind(), &order.subject(), depth, &[]);
        assert_eq!(again, Ok(order));
    }
});
