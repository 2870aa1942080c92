//! Feeds: what somebody sees of those whom they follow, of everybody, and what is trending.
//!
//! **Home** is made of two kinds of posts. Those of most authors are *entries*: a row for each
//! follower, written by a consumer of the outbox after the post. Those of authors whom very many
//! follow ([`Threshold`]) are *pulled*: read from the authors' own posts, as one's own are.
//! One query merges both, by id, with everything that decides who sees what inside. An author is
//! of one kind or the other in every single read, and crosses by one row: no page shows a post
//! twice, and none passes one over.
//!
//! **Nothing here decides who sees what.** Entries only say where to look: a follow that ended,
//! a block, a mute, a deleted post is obeyed by the next read, and swept later.
//!
//! [`run`] does all the work that is done beside requests. See `docs/FEED.md`.

mod catch_up;
mod discover;
mod fan_out;
mod home;
#[cfg(test)]
mod plans;
mod retention;
mod scores;
mod trending;
mod trends;
mod upkeep;
mod writer;

pub use catch_up::{POSTS_AT_ONCE, catch_up};
pub use discover::{DISCOVER, discover};
pub use fan_out::{POSTS_OF_A_FOLLOW, Threshold};
pub use home::{HOME, home};
pub use retention::{ENTRIES_AT_MOST, FEED_AGE, ROWS_AT_ONCE, Swept, sweep};
pub use trending::{
    TRENDING_HASHTAGS, TRENDING_POSTS, TrendCursor, TrendingHashtag, TrendingPost, TrendingStream,
    trending_hashtags, trending_posts, trending_streams,
};
pub use trends::{GENERATIONS_KEPT_FOR, compute};
pub use upkeep::run;
pub use writer::{CONSUMER, Writer};

/// The viewer does not mute `$who`: a value, so that it is looked up for each row.
macro_rules! not_muted {
    ($who:literal) => {
        concat!(
            "NOT COALESCE((SELECT TRUE FROM mutes m
                           WHERE m.muter_id = $1 AND m.muted_id = ",
            $who,
            "), FALSE)"
        )
    };
}

pub(super) use not_muted;
