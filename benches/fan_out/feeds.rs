//! Whether feeds show a post.

use std::error::Error;
use std::time::{Duration, Instant};

use media::{PostId, UserId};
use storage::Database;
use storage::rows::sql::query;
use storage::rows::{RowError, feed};

use crate::api::Account;

/// Followers whose feeds are looked at again and again, the last one among them.
const LOOKED_AT: usize = 20;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Followers of `$1` in whose feeds the post `$2` is not: it is no entry, and its author is not pulled.
/// Subqueries give one value each, so that entries are looked up one by one: of a post there is no
/// index.
const MISSING: &str = "
    SELECT COUNT(*) FROM follows f
    WHERE f.followed_id = $1 AND f.accepted_at IS NOT NULL
        AND COALESCE((SELECT FALSE FROM pulled_authors a WHERE a.user_id = $1), TRUE)
        AND COALESCE((SELECT FALSE FROM feed_entries e
                      WHERE e.user_id = f.follower_id AND e.post_id = $2), TRUE)";

/// Followers from the first to the last, in the order in which feeds are written.
pub(crate) async fn some_followers(db: &Database, of: UserId) -> Result<Vec<UserId>, RowError> {
    let all: Vec<(UserId,)> = query(
        "SELECT follower_id FROM follows WHERE followed_id = $1 AND accepted_at IS NOT NULL
         ORDER BY accepted_at, follower_id",
    )
    .bind(of)
    .all(db)
    .await?;
    let last = all.len().saturating_sub(1);
    let places = (0..LOOKED_AT).map(|place| last * place / (LOOKED_AT - 1));
    Ok(places.filter_map(|place| Some(all.get(place)?.0)).collect())
}

/// Waits until home feeds of followers from the first to the last show what was posted `since`, but
/// not for longer than `at_most` after that.
pub(crate) async fn shown(
    db: &Database,
    account: &Account,
    post: PostId,
    since: Instant,
    at_most: Duration,
) -> Result<(), Box<dyn Error>> {
    for follower in &account.some_followers {
        loop {
            let home = feed::home(db, *follower, None, 20).await?;
            if home.rows.iter().any(|row| row.id == post) {
                break;
            }
            if since.elapsed() > at_most {
                let seconds = at_most.as_secs();
                let late = format!("after {seconds} s the feed of {follower} does not show {post}");
                return Err(late.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Makes sure that there is no feed without it.
pub(crate) async fn is_in_all(
    db: &Database,
    account: &Account,
    post: PostId,
) -> Result<(), Box<dyn Error>> {
    let missing = query(MISSING).bind(account.id).bind(post);
    let (missing,): (u64,) = missing.one(db).await?;
    match missing {
        0 => Ok(()),
        _ => Err(format!("{missing} of {} feeds have no {post}", account.followers).into()),
    }
}
