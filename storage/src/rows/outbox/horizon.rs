//! Up to where the outbox is settled: what a reader may deliver without losing what is
//! still being written. No IO.
//!
//! A number of `outbox_events` is drawn before its transaction commits, and PostgreSQL
//! commits in any order. A reader that goes on from the highest number it has seen loses
//! what commits later under a lower one. So a reader stops before a *hole*, a number
//! below one it sees. It is either a writer that is still at work, or nothing any more: a
//! transaction that rolled back, a number lost in a crash, an event that was deleted.
//! Numbers do not tell which. Transaction ids do:
//!
//! 1. A writer has its transaction id before it draws a number (`postgres::WRITE`).
//! 2. A sequence gives its numbers in order (`CACHE 1`). Whoever may still fill a hole
//!    has drawn before the visible number above it was drawn.
//! 3. After it has seen the hole, the reader takes a transaction id of its own. Ids are
//!    given in order too: every writer that may fill the hole has a lower one.
//! 4. Then the reader looks again. One statement gives the rows and, of the same
//!    snapshot, the oldest transaction that runs. When that is not older than the
//!    reader's id, those writers have ended, and what they committed is among the rows.
//!    Every number up to the highest that was seen in step 3 is settled.
//!
//! The snapshot's own upper end would not do for step 3: it is one above the last
//! transaction that has *ended*, and writers with higher ids may be at work.
//!
//! A transaction that writes for long, in any database of that server and whatever it
//! writes, holds the reader up at holes that nobody fills, and only there. So does one
//! that was prepared and forgotten.
//!
//! An id that the server forgot in a crash would be waited for until as many new ones
//! were given. A snapshot that does not know the id as given says so, and the reader
//! takes another.
//!
//! A server that took over without the last commits gives their numbers again, and the
//! pool of connections hides that it is another one. So nothing that is known here
//! outlives the server: every look says when the server began and what position the
//! consumer's row has. With another server, or behind where it was, a reader begins anew;
//! so it does after an error of the database.

#[cfg(test)]
mod model;

/// The transactions of one snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Writers {
    /// Id of the oldest that runs. All older ones have ended.
    pub(super) oldest: i64,
    /// An id above those of all that have ended.
    pub(super) next: i64,
}

/// Where a consumer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// When the server began, which tells it from all others.
    pub(super) server: i64,
    /// The number of the last event that the consumer has been given, as its row says.
    pub(super) position: i64,
}

impl Place {
    /// Whether what was true at `last` may be so no more.
    fn is_after_a_loss(self, last: Self) -> bool {
        self.server != last.server || self.position < last.position
    }
}

/// What is to be done about the first hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hole {
    /// There is none.
    None,
    /// It is new: take a transaction id, hand it to [`Horizon::wait_for`], look again.
    New {
        /// The highest number that was seen above it.
        seen: i64,
    },
    /// Somebody may still fill it: look again in a while.
    Open,
}

/// What was found by looking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// How many of the numbers, from the first, can be delivered.
    pub(super) ready: usize,
    /// What stands before the others.
    pub(super) hole: Hole,
}

/// What one reader knows.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// Where the consumer was at the last look.
    place: Option<Place>,
    /// No number up to this one will become visible any more.
    settled: i64,
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// All that could be written up to here,
    seen: i64,
    /// was being written by transactions below this id.
    id: i64,
}

impl Horizon {
    /// Looks at `numbers`, the lowest that are visible above `place`, in order.
    ///
    /// `writers` is of the snapshot that shows them; `None` if whoever writes draws its
    /// numbers and commits before the next one begins: then nobody fills a hole.
    pub(super) fn look(
        &mut self,
        place: Place,
        numbers: &[i64],
        writers: Option<Writers>,
    ) -> Found {
        if self.place.is_some_and(|last| place.is_after_a_loss(last)) {
            *self = Self::default();
        }
        self.place = Some(place);
        self.settle(numbers, writers);
        let mut reached = place.position.max(self.settled);
        let follows = |number: &&i64| {
            let follows = **number <= reached.saturating_add(1);
            reached = reached.max(**number);
            follows
        };
        let ready = numbers.iter().take_while(follows).count();
        let hole = match numbers.last() {
            Some(&seen) if ready < numbers.len() => match self.waiting {
                Some(_) => Hole::Open,
                None => Hole::New { seen },
            },
            _ => Hole::None,
        };
        Found { ready, hole }
    }

    /// Takes a transaction id that was given after [`Hole::New`] was found, to a
    /// transaction that has ended since.
    pub(super) fn wait_for(&mut self, seen: i64, id: i64) {
        self.waiting = Some(Waiting { seen, id });
    }

    fn settle(&mut self, numbers: &[i64], writers: Option<Writers>) {
        let Some(writers) = writers else {
            self.settled = numbers.last().copied().unwrap_or(self.settled);
            return;
        };
        let Some(Waiting { seen, id }) = self.waiting else {
            return;
        };
        if writers.next <= id {
            // The id has ended, and this snapshot does not know of it.
            self.waiting = None;
        } else if id <= writers.oldest {
            self.settled = self.settled.max(seen);
            self.waiting = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody writes; ids below 100 have been given.
    const IDLE: Option<Writers> = Some(Writers {
        oldest: 100,
        next: 100,
    });

    fn at(position: i64) -> Place {
        Place {
            server: 1,
            position,
        }
    }

    fn found(ready: usize, hole: Hole) -> Found {
        Found { ready, hole }
    }

    #[test]
    fn what_has_no_hole_is_ready() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.look(at(0), &[], IDLE), found(0, Hole::None));
        assert_eq!(horizon.look(at(0), &[1, 2], IDLE), found(2, Hole::None));
        assert_eq!(horizon.look(at(2), &[3], IDLE), found(1, Hole::None));
    }

    #[test]
    fn a_hole_is_waited_for_until_every_older_writer_has_ended() {
        let mut horizon = Horizon::default();
        let new = Hole::New { seen: 5 };
        assert_eq!(horizon.look(at(0), &[1, 3, 5], IDLE), found(1, new));
        horizon.wait_for(5, 100);
        let at_work = |oldest| Some(Writers { oldest, next: 130 });
        for oldest in [90, 99] {
            let open = found(0, Hole::Open);
            assert_eq!(horizon.look(at(1), &[3, 5], at_work(oldest)), open);
        }
        // Above what was seen when the id was taken, nothing is settled.
        let numbers = [2, 3, 5, 7];
        let new = Hole::New { seen: 7 };
        assert_eq!(horizon.look(at(1), &numbers, at_work(100)), found(3, new));
        // Settled once, settled for ever.
        assert_eq!(horizon.look(at(2), &[5], at_work(99)), found(1, Hole::None));
    }

    #[test]
    fn a_hole_that_fills_is_no_hole() {
        let mut horizon = Horizon::default();
        let new = Hole::New { seen: 3 };
        assert_eq!(horizon.look(at(0), &[1, 3], IDLE), found(1, new));
        horizon.wait_for(3, 100);
        let writers = Some(Writers {
            oldest: 99,
            next: 101,
        });
        assert_eq!(horizon.look(at(1), &[2, 3], writers), found(2, Hole::None));
    }

    #[test]
    fn an_id_that_the_server_has_forgotten_is_taken_again() {
        let mut horizon = Horizon::default();
        horizon.look(at(0), &[2], IDLE);
        horizon.wait_for(2, 100);
        assert_eq!(
            horizon.look(at(0), &[2], IDLE),
            found(0, Hole::New { seen: 2 })
        );
    }

    #[test]
    fn what_another_server_has_settled_is_not_settled() {
        for place in [
            Place {
                server: 2,
                position: 1,
            },
            // The same one, without its last commits.
            at(0),
        ] {
            let mut horizon = Horizon::default();
            horizon.look(at(1), &[5], IDLE);
            horizon.wait_for(5, 100);
            let ended = Some(Writers {
                oldest: 101,
                next: 101,
            });
            assert_eq!(horizon.look(at(1), &[5], ended), found(1, Hole::None));
            let new = Hole::New { seen: 5 };
            assert_eq!(horizon.look(place, &[3, 5], ended), found(0, new));
        }
    }

    #[test]
    fn with_one_writer_a_hole_is_nothing() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.look(at(0), &[4, 9], None), found(2, Hole::None));
    }
}
