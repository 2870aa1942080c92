//! Captions (`cc_data` of ATSC A/53 part 4, CEA-708) of the pictures that a rung skips.
//! Pure.

use std::sync::Arc;

/// Bytes of one construct: type and validity, and two bytes of data.
const CONSTRUCT: usize = 3;

/// `cc_count` has five bits.
const MAX_COUNT: usize = 31;

/// More than a few pictures' captions do not wait for the next.
const MAX_WAITING: usize = 4 * MAX_COUNT * CONSTRUCT;

/// `cc_valid`.
const VALID: u8 = 0x04;

/// For every rung, the captions of its picture.
pub(crate) type ForRungs = Arc<[Vec<u8>]>;

/// They wait until the next picture that the rung shows.
#[derive(Default)]
pub(crate) struct Captions(Vec<u8>);

impl Captions {
    pub(crate) fn add(&mut self, captions: &[u8]) {
        if self.0.is_empty() {
            self.0.extend_from_slice(captions);
        } else if !captions.is_empty() {
            // Each picture's are filled up to the same count.
            let waiting = std::mem::take(&mut self.0);
            let constructs = waiting.chunks_exact(CONSTRUCT);
            let constructs = constructs.chain(captions.chunks_exact(CONSTRUCT));
            let valid = constructs.filter(|construct| construct[0] & VALID != 0);
            self.0 = valid.flatten().copied().collect();
        }
        self.0.truncate(MAX_WAITING);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// As many as a picture can have; the rest waits for the next.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let rest = self.0.split_off(self.0.len().min(MAX_COUNT * CONSTRUCT));
        std::mem::replace(&mut self.0, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_of_skipped_pictures_wait_without_their_padding() {
        let mut captions = Captions::default();
        captions.add(&[0xfc, 1, 2, 0xfa, 0, 0]);
        captions.add(&[]);
        assert_eq!(captions.take(), [0xfc, 1, 2, 0xfa, 0, 0], "untouched");
        captions.add(&[0xfc, 1, 2, 0xfa, 0, 0]);
        captions.add(&[0xfa, 0, 0, 0xfd, 3, 4]);
        assert_eq!(captions.take(), [0xfc, 1, 2, 0xfd, 3, 4]);
        assert!(captions.take().is_empty());
    }

    #[test]
    fn a_picture_has_no_more_than_it_can() {
        let mut captions = Captions::default();
        for number in 0..50 {
            captions.add(&[0xfc, number, 0]);
        }
        let first = captions.take();
        assert_eq!(first.len(), 31 * 3);
        assert_eq!(captions.take().len(), 19 * 3);
        for _ in 0..1_000 {
            captions.add(&[0xfc, 0, 0]);
        }
        assert_eq!(captions.0.len(), MAX_WAITING);
    }
}
