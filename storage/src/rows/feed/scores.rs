//! What makes something trend. No IO; `docs/FEED.md` has the formulas.

use std::collections::HashMap;

use media::{Micros, Timestamp, UserId};

use super::super::post_counts::{self, PostCounts};

/// After so long something is worth half of what it was.
pub(super) const HALF_LIFE: Micros = Micros::from_secs(6 * 60 * 60);

/// Posts older than this do not trend.
pub(super) const POST_WINDOW: Micros = post_counts::ACTIVE_FOR;

/// Hashtags are counted in posts of so long.
pub(super) const HASHTAG_WINDOW: Micros = Micros::from_secs(24 * 60 * 60);

/// The viewers of a stream are the most of a minute of so long.
pub(super) const VIEWERS_WINDOW: Micros = Micros::from_secs(5 * 60);

/// Half of it for each [`HALF_LIFE`].
pub(super) fn decayed(weight: f64, age: Micros) -> f64 {
    let lives = age.as_secs_f64().max(0.0) / HALF_LIFE.as_secs_f64();
    weight * 0.5_f64.powf(lives)
}

/// Of counts of people. A like is one person's one click; a comment takes more; a share and a
/// quote put their author's name to it.
pub(super) fn of_post(counts: &PostCounts, age: Micros) -> f64 {
    let weight = counts.likes + 2 * counts.comments + 3 * counts.shares + 3 * counts.quotes;
    decayed(weight as f64, age)
}

/// As it is kept, in millionths.
pub(super) fn kept(score: f64) -> i64 {
    (score * 1_000_000.0).round() as i64
}

/// Who used a hashtag.
#[derive(Debug, Default)]
pub(super) struct HashtagUse {
    /// When each author last did.
    authors: HashMap<UserId, Timestamp>,
    /// How many posts have it.
    pub(super) posts: u64,
}

impl HashtagUse {
    /// A post of `author` has it.
    pub(super) fn add(&mut self, author: UserId, at: Timestamp) {
        self.posts += 1;
        let last = self.authors.entry(author).or_insert(at);
        *last = at.max(*last);
    }

    /// One for each author, by the age of their last post with it: who writes it a hundred times
    /// counts once.
    pub(super) fn score(&self, now: Timestamp) -> f64 {
        let last = self.authors.values();
        last.map(|last| decayed(1.0, now - *last)).sum()
    }
}

#[cfg(test)]
mod tests {
    use media::PostId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn counts(likes: u64, comments: u64, shares: u64, quotes: u64) -> PostCounts {
        PostCounts {
            post: PostId::new(),
            likes,
            comments,
            shares,
            quotes,
        }
    }

    #[test]
    fn half_is_left_after_a_half_life() {
        assert_eq!(
            kept(of_post(&counts(8, 0, 0, 0), Micros::default())),
            8_000_000
        );
        assert_eq!(kept(of_post(&counts(8, 0, 0, 0), HALF_LIFE)), 4_000_000);
        let twice = HALF_LIFE + HALF_LIFE;
        assert_eq!(kept(of_post(&counts(1, 2, 1, 1), twice)), 2_750_000);
        // A clock that was ahead makes nothing worth more.
        let ahead = Micros::from_secs(-60);
        assert_eq!(kept(of_post(&counts(8, 0, 0, 0), ahead)), 8_000_000);
    }

    #[test]
    fn an_author_counts_once_for_a_hashtag() {
        let (mut one, mut many) = (HashtagUse::default(), HashtagUse::default());
        let ada = UserId::new();
        for _ in 0..100 {
            one.add(ada, NOW);
        }
        for _ in 0..2 {
            many.add(UserId::new(), NOW);
        }
        assert_eq!((one.posts, kept(one.score(NOW))), (100, 1_000_000));
        assert_eq!((many.posts, kept(many.score(NOW))), (2, 2_000_000));
        assert_eq!(kept(one.score(NOW + HALF_LIFE)), 500_000);
    }
}
