//! How many follow somebody, and how many they follow.

use std::collections::HashMap;

use media::{Micros, Timestamp, UserId};
use moka::sync::Cache;
use storage::rows::follows::{self, FollowCounts};
use tokio::sync::Mutex;

use crate::{ServiceError, Services};

/// Followers who are counted whenever they are asked for.
const COUNTED_ALWAYS: u32 = 1_000;
/// How long a count of more is shown, on the node that has counted.
const SHOWN_FOR: Micros = Micros::from_secs(60);
/// Counts that are remembered.
const REMEMBERED: u64 = 10_000;

/// How many follow those whom many do: when that was counted, and what it was.
#[derive(Debug)]
pub(crate) struct KnownFollowerCounts {
    counts: Cache<UserId, (Timestamp, u64)>,
    /// One counts at a time: whoever waits finds what another has counted.
    counting: Mutex<()>,
}

impl Default for KnownFollowerCounts {
    fn default() -> Self {
        Self {
            counts: Cache::new(REMEMBERED),
            counting: Mutex::default(),
        }
    }
}

impl KnownFollowerCounts {
    /// What is known of somebody whom so many follow at least: `None` has to be counted.
    fn find(&self, user: UserId, at_least: u64, now: Timestamp) -> Option<u64> {
        if at_least <= u64::from(COUNTED_ALWAYS) {
            self.counts.invalidate(&user);
            return Some(at_least);
        }
        let (counted_at, followers) = self.counts.get(&user)?;
        let is_shown = counted_at <= now && now < counted_at + SHOWN_FOR;
        is_shown.then_some(followers)
    }

    /// Somebody follows them from now on, or no more, and sees it at once.
    pub(super) fn forget(&self, user: UserId) {
        self.counts.invalidate(&user);
    }
}

impl Services {
    /// How many follow these people, and how many they follow. Above [`COUNTED_ALWAYS`], a count
    /// of followers may be as old as [`SHOWN_FOR`].
    pub(crate) async fn counts(
        &self,
        of: &[UserId],
    ) -> Result<HashMap<UserId, FollowCounts>, ServiceError> {
        let known = &self.known_follower_counts;
        let counts = follows::counts(&self.db, of, COUNTED_ALWAYS + 1).await?;
        let mut counts: HashMap<_, _> = counts.into_iter().map(|one| (one.user, one)).collect();
        if self.take_known(&mut counts).is_empty() {
            return Ok(counts);
        }
        let _turn = known.counting.lock().await;
        let unknown = self.take_known(&mut counts);
        if !unknown.is_empty() {
            let now = self.now();
            for one in follows::counts(&self.db, &unknown, u32::MAX).await? {
                known.counts.insert(one.user, (now, one.followers));
                counts.insert(one.user, one);
            }
        }
        Ok(counts)
    }

    /// Sets what is known; of whom nothing is.
    fn take_known(&self, counts: &mut HashMap<UserId, FollowCounts>) -> Vec<UserId> {
        let now = self.now();
        let mut unknown = Vec::new();
        for one in counts.values_mut() {
            match self
                .known_follower_counts
                .find(one.user, one.followers, now)
            {
                Some(followers) => one.followers = followers,
                None => unknown.push(one.user),
            }
        }
        unknown
    }
}
