//! An answer of the fast path on its way to the socket.

use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::fast_path::{FastAnswer, Receipt};

/// What the socket has not taken yet of an answer.
pub(super) struct Unsent {
    head: Bytes,
    body: Arc<[Bytes]>,
    receipt: Arc<dyn Receipt>,
    /// The piece of `body` that is next.
    piece: usize,
    /// Bytes of it that are sent.
    sent: usize,
    /// Bytes of head and body.
    left: usize,
}

impl Unsent {
    pub(super) fn new(answer: FastAnswer) -> Self {
        let FastAnswer {
            head,
            body,
            receipt,
        } = answer;
        Self {
            left: head.len() + body.iter().map(Bytes::len).sum::<usize>(),
            head,
            body,
            receipt,
            piece: 0,
            sent: 0,
        }
    }

    /// What is left, piece by piece.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let rest = self.body.get(self.piece).map(|piece| &piece[self.sent..]);
        let others = self
            .body
            .iter()
            .skip(self.piece + 1)
            .map(|piece| &piece[..]);
        let all = std::iter::once(&self.head[..]).chain(rest).chain(others);
        all.filter(|piece| !piece.is_empty())
    }
}

impl Buf for Unsent {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.pieces().next().unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, piece) in slots.iter_mut().zip(self.pieces()) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.left -= count;
        let of_head = count.min(self.head.len());
        self.head.advance(of_head);
        count -= of_head;
        if count > 0 {
            self.receipt.taken(count as u64);
        }
        while count > 0 {
            // There are as many bytes as were sent.
            let left = self.body[self.piece].len() - self.sent;
            if count < left {
                self.sent += count;
                return;
            }
            count -= left;
            self.piece += 1;
            self.sent = 0;
        }
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsent").field(&self.left).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Taken(AtomicU64);

    impl Receipt for Taken {
        fn taken(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_answer_is_sent_in_whatever_steps_the_socket_takes() {
        for step in 1..=9 {
            let taken = Arc::new(Taken::default());
            let mut unsent = Unsent::new(FastAnswer {
                head: Bytes::from_static(b"head"),
                body: ["", "ab", "", "cde", ""]
                    .map(|piece| Bytes::from_static(piece.as_bytes()))
                    .into(),
                receipt: taken.clone(),
            });
            let mut sent = Vec::new();
            while unsent.has_remaining() {
                let mut slots = [IoSlice::new(&[]); 2];
                let count = unsent.chunks_vectored(&mut slots);
                assert_eq!(&*slots[0], unsent.chunk());
                let next: Vec<u8> = slots[..count]
                    .iter()
                    .flat_map(|slot| slot.to_vec())
                    .collect();
                let some = step.min(next.len());
                sent.extend_from_slice(&next[..some]);
                unsent.advance(some);
                assert_eq!(unsent.remaining(), 9 - sent.len());
                let of_body = sent.len().saturating_sub(4) as u64;
                assert_eq!(taken.0.load(Ordering::Relaxed), of_body);
            }
            assert_eq!(sent, b"headabcde");
            assert_eq!(unsent.chunk(), b"");
        }
    }
}
