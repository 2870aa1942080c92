//! Who publishes to a stream, and who comes after: the takeover rule.

use crate::host::TakeoverPolicy;

/// Names one claimant of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ClaimId(pub(crate) u64);

/// A stream's seat: one holder, and at most one claimant who waits for it to leave.
#[derive(Debug)]
pub(crate) struct Seat {
    holder: ClaimId,
    successor: Option<ClaimId>,
}

/// What a claim on a taken seat leads to.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Refused: the seat is taken.
    Busy,
    /// The claimant waits for the holder to leave. Everyone in `evict` has to go.
    Wait { evict: [Option<ClaimId>; 2] },
}

/// What a claimant's leaving leads to.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Released {
    /// Nobody is left.
    Vacant,
    /// The waiting claimant holds the seat now.
    Passed(ClaimId),
    /// The holder stays.
    Kept,
}

impl Seat {
    pub(crate) fn new(holder: ClaimId) -> Self {
        Self {
            holder,
            successor: None,
        }
    }

    pub(crate) fn request(&mut self, id: ClaimId, policy: TakeoverPolicy) -> Decision {
        match policy {
            TakeoverPolicy::Reject => Decision::Busy,
            TakeoverPolicy::Takeover => Decision::Wait {
                evict: [Some(self.holder), self.successor.replace(id)],
            },
        }
    }

    pub(crate) fn release(&mut self, id: ClaimId) -> Released {
        if self.holder == id {
            match self.successor.take() {
                Some(next) => {
                    self.holder = next;
                    Released::Passed(next)
                }
                None => Released::Vacant,
            }
        } else {
            if self.successor == Some(id) {
                self.successor = None;
            }
            Released::Kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClaimId = ClaimId(1);
    const B: ClaimId = ClaimId(2);
    const C: ClaimId = ClaimId(3);

    #[test]
    fn r02_the_newest_claimant_gets_the_seat() {
        let mut seat = Seat::new(A);
        let evict = [Some(A), None];
        assert_eq!(
            seat.request(B, TakeoverPolicy::Takeover),
            Decision::Wait { evict }
        );
        let evict = [Some(A), Some(B)];
        assert_eq!(
            seat.request(C, TakeoverPolicy::Takeover),
            Decision::Wait { evict }
        );
        assert_eq!(seat.release(B), Released::Kept);
        assert_eq!(seat.release(A), Released::Passed(C));
        assert_eq!(seat.release(C), Released::Vacant);
    }

    #[test]
    fn r02_reject_leaves_the_holder_alone() {
        let mut seat = Seat::new(A);
        assert_eq!(seat.request(B, TakeoverPolicy::Reject), Decision::Busy);
        assert_eq!(seat.release(B), Released::Kept);
        assert_eq!(seat.release(A), Released::Vacant);
    }

    #[test]
    fn a_claimant_who_gives_up_leaves_no_trace() {
        let mut seat = Seat::new(A);
        seat.request(B, TakeoverPolicy::Takeover);
        assert_eq!(seat.release(B), Released::Kept);
        assert_eq!(seat.release(A), Released::Vacant);
    }
}
