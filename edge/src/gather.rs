//! Fewer and larger pieces of what is stored, since each is a call or a vector to the socket,
//! for every viewer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Bytes of a piece that is worth no copy.
const LARGE: usize = 64 << 10;
/// Bytes of the largest piece that others are copied to: what sockets take at once.
const PIECE: usize = 256 << 10;
/// Bytes of the largest body that is looked at: more would hold up the thread.
const MAX_BODY: usize = 8 << 20;

/// The same bytes, in which runs of small pieces are one. Large pieces are shared as they are.
pub(crate) fn gathered(chunks: Arc<[Bytes]>) -> Arc<[Bytes]> {
    let length: usize = chunks.iter().map(Bytes::len).sum();
    let meets_small = |pair: &[Bytes]| pair.iter().all(|chunk| chunk.len() < LARGE);
    if length > MAX_BODY || !chunks.windows(2).any(meets_small) {
        return chunks;
    }
    let mut left = length;
    let mut gathered = Vec::new();
    let mut run = BytesMut::new();
    for chunk in chunks.iter() {
        let fits = run.len() + chunk.len() <= PIECE;
        if !run.is_empty() && (chunk.len() >= LARGE || !fits) {
            gathered.push(std::mem::take(&mut run).freeze());
        }
        if chunk.len() >= LARGE {
            gathered.push(chunk.clone());
        } else {
            if run.is_empty() {
                run.reserve(left.min(PIECE));
            }
            run.extend_from_slice(chunk);
        }
        left -= chunk.len();
    }
    if !run.is_empty() {
        gathered.push(run.freeze());
    }
    gathered.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lengths(chunks: &[Bytes]) -> Vec<usize> {
        chunks.iter().map(Bytes::len).collect()
    }

    #[test]
    fn what_a_socket_gave_in_small_pieces_is_one() {
        let chunks: Vec<_> = (0..25).map(|_| Bytes::from(vec![1; 8 << 10])).collect();
        assert_eq!(lengths(&gathered(chunks.into())), [200 << 10]);
    }

    #[test]
    fn parts_of_a_segment_are_shared_not_copied() {
        let part = Bytes::from(vec![1; 100 << 10]);
        let small = Bytes::from_static(b"moof");
        let chunks: Arc<[Bytes]> = [part.clone(), small, part.clone()].into();
        let gathered = gathered(Arc::clone(&chunks));
        assert!(Arc::ptr_eq(&gathered, &chunks));
    }

    proptest! {
        #[test]
        fn they_are_the_same_bytes(
            lengths in proptest::collection::vec(
                prop_oneof![0..9usize, 8_000..70_000usize, Just(LARGE), Just(PIECE)],
                0..40,
            ),
        ) {
            let mut next = 0u8;
            let chunks: Arc<[Bytes]> = lengths
                .iter()
                .map(|&length| {
                    next = next.wrapping_add(1);
                    Bytes::from(vec![next; length])
                })
                .collect();
            let gathered = gathered(Arc::clone(&chunks));
            prop_assert_eq!(gathered.concat(), chunks.concat());
            prop_assert!(gathered.len() <= chunks.len());
            let large = |chunks: &[Bytes]| chunks.iter().filter(|chunk| chunk.len() >= LARGE).count();
            prop_assert!(large(&gathered) >= large(&chunks));
        }
    }
}
