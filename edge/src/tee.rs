//! Slices of a large object out of an answer that passes.

use std::sync::Arc;

use bytes::Bytes;

use crate::budget::Reservation;
use crate::era::Era;
use crate::large::{LargeObject, SLICE_BYTES};
use crate::shared::Shared;

/// Gathers what passes until a slice is whole, and writes it.
#[derive(Debug)]
pub(crate) struct SliceTee {
    object: Arc<LargeObject>,
    began: Era,
    /// The byte of the object that comes next.
    at: u64,
    /// The slice under way, from its first byte on.
    gathered: Vec<Bytes>,
    gathers: bool,
    /// Memory for one slice; without it nothing is gathered.
    room: Option<Reservation>,
}

impl SliceTee {
    /// Of an answer that begins at byte `at` of the object.
    pub(crate) fn new(object: Arc<LargeObject>, at: u64, began: Era, shared: &Shared) -> Self {
        let mut room = shared.fill_memory.reserve_nothing();
        let room = room.grow(SLICE_BYTES).then_some(room);
        Self {
            object,
            began,
            at,
            gathered: Vec::new(),
            gathers: false,
            room,
        }
    }

    /// These bytes pass.
    pub(crate) fn pass(&mut self, chunk: &Bytes, shared: &Arc<Shared>) {
        if self.room.is_none() {
            return;
        }
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            let number = self.at / SLICE_BYTES;
            let slice = self.object.bytes_of(number);
            if self.at == slice.start {
                let name = self.object.slice(number);
                let tier = shared.disk.as_ref();
                self.gathers = tier.is_some_and(|tier| !tier.disk.has_slice(name));
            }
            let left = slice.end.saturating_sub(self.at);
            if left == 0 {
                // Longer than it said, which whoever pours finds out.
                return;
            }
            let length = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
            let now = rest.split_to(length);
            self.at += length as u64;
            if self.gathers {
                self.gathered.push(now);
            }
            if self.at == slice.end && self.gathers {
                self.gathers = false;
                let pieces = std::mem::take(&mut self.gathered);
                // Nobody waits for it: it is a task of the tier's own.
                drop(shared.write_slice(&self.object, number, pieces, self.began));
            }
        }
    }
}
