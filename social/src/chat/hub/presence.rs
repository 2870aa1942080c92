//! How many are in a room on other nodes, as these tell now and then.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// How long a node's word is good. It says it again well before.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(25);

/// How often a node says again what has not changed.
pub(super) const SAID_EVERY: Duration = Duration::from_secs(8);

/// Nodes that are counted. There are not so many.
const NODES: usize = 1_000;

/// What other nodes have said of a room.
#[derive(Debug, Default)]
pub(super) struct Others(HashMap<Uuid, (u64, Instant)>);

impl Others {
    /// Notes what a node says.
    pub(super) fn heard(&mut self, node: Uuid, viewers: u64, now: Instant) {
        if viewers == 0 {
            self.0.remove(&node);
        } else if self.0.len() < NODES || self.0.contains_key(&node) {
            self.0.insert(node, (viewers, now));
        }
    }

    /// How many there are on all of them; a node that says nothing any more has nobody.
    pub(super) fn count(&mut self, now: Instant) -> u64 {
        self.0.retain(|_, (_, at)| now - *at < GOOD_FOR);
        self.0
            .values()
            .fold(0, |sum: u64, (viewers, _)| sum.saturating_add(*viewers))
    }
}

/// What this node has said of a room.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    said: Option<(u64, Instant)>,
}

impl Own {
    /// What is to be said now, if anything, until it was.
    pub(super) fn to_say(self, viewers: u64, now: Instant) -> Option<u64> {
        let is_due = match self.said {
            None => viewers > 0,
            Some((said, at)) => said != viewers || (viewers > 0 && now - at >= SAID_EVERY),
        };
        is_due.then_some(viewers)
    }

    /// Notes what was said.
    pub(super) fn has_said(&mut self, viewers: u64, now: Instant) {
        self.said = Some((viewers, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nodes_are_added_up_and_forgotten() {
        let (one, other, now) = (Uuid::now_v7(), Uuid::now_v7(), Instant::now());
        let mut others = Others::default();
        assert_eq!(others.count(now), 0);
        others.heard(one, 3, now);
        others.heard(other, 4, now + SAID_EVERY);
        others.heard(one, 5, now);
        assert_eq!(others.count(now + SAID_EVERY), 9);
        assert_eq!(others.count(now + GOOD_FOR), 4);
        others.heard(other, 0, now + GOOD_FOR);
        assert_eq!(others.count(now + GOOD_FOR), 0);
        for _ in 0..2 * NODES {
            others.heard(Uuid::now_v7(), 1, now);
        }
        assert_eq!(others.count(now), NODES as u64);
    }

    #[tokio::test]
    async fn what_has_not_changed_is_said_now_and_then() {
        let now = Instant::now();
        let mut own = Own::default();
        let mut say = |viewers, now| {
            let to_say = own.to_say(viewers, now);
            // Until it was said, it is to be.
            assert_eq!(own.to_say(viewers, now), to_say);
            if let Some(said) = to_say {
                own.has_said(said, now);
            }
            to_say
        };
        assert_eq!(say(0, now), None);
        assert_eq!(say(2, now), Some(2));
        assert_eq!(say(2, now + SAID_EVERY / 2), None);
        assert_eq!(say(2, now + SAID_EVERY), Some(2));
        assert_eq!(say(0, now + SAID_EVERY), Some(0));
        assert_eq!(say(0, now + 9 * SAID_EVERY), None);
    }
}
