//! How many follow somebody, and whom they follow.

use std::collections::HashMap;

use media::{Micros, Timestamp, UserId};
use moka::sync::Cache;
use storage::rows::follows::{self, FollowCounts};

use crate::{ServiceError, Services};

/// Followers who are counted whenever they are asked for.
const COUNTED_AT_ONCE: u32 = 1_000;
/// How long a count of more is shown, on the node that has counted.
const SHOWN_FOR: Micros = Micros::from_secs(60);
/// Counts that are remembered.
const REMEMBERED: u64 = 10_000;

/// How many follow those whom many do: when that was counted, and what it was.
#[derive(Debug)]
pub(crate) struct KnownFollowerCounts(Cache<UserId, (Timestamp, u64)>);

impl Default for KnownFollowerCounts {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl KnownFollowerCounts {
    fn find(&self, user: UserId, now: Timestamp) -> Option<u64> {
        let (counted_at, followers) = self.0.get(&user)?;
        (now < counted_at + SHOWN_FOR).then_some(followers)
    }
}

impl Services {
    /// How many follow these people, and whom they follow. More than [`COUNTED_AT_ONCE`]
    /// followers are as many as they were within [`SHOWN_FOR`].
    pub(crate) async fn counts(
        &self,
        of: &[UserId],
    ) -> Result<HashMap<UserId, FollowCounts>, ServiceError> {
        let known = &self.known_follower_counts;
        let now = self.now();
        let counts = follows::counts(&self.db, of, COUNTED_AT_ONCE + 1).await?;
        let mut counts: HashMap<_, _> = counts.into_iter().map(|one| (one.user, one)).collect();
        let mut unknown = Vec::new();
        for one in counts.values_mut() {
            if one.followers > u64::from(COUNTED_AT_ONCE) {
                match known.find(one.user, now) {
                    Some(followers) => one.followers = followers,
                    None => unknown.push(one.user),
                }
            }
        }
        if !unknown.is_empty() {
            for one in follows::counts(&self.db, &unknown, u32::MAX).await? {
                known.0.insert(one.user, (now, one.followers));
                counts.insert(one.user, one);
            }
        }
        Ok(counts)
    }
}
