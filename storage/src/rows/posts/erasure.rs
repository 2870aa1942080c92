//! Erasing what a deleted account wrote, likes and is mentioned in.

use media::{PostId, Timestamp, UserId};

use super::super::post_events::{PostChange, PostEvent};
use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::removal::{self, ROWS_AT_ONCE};
use super::{change, uuids};

/// Posts that one step takes at most: each is told of.
const POSTS_AT_ONCE: u32 = 100;

/// Erases some more; how many rows. Shares go, posts stay as empty rows without an author.
pub(in crate::rows) async fn erase(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<u64, RowError> {
    let written = written(db, transaction, user, now).await?;
    let liked: Vec<(PostId,)> = query(
        "DELETE FROM likes WHERE (post_id, user_id) IN (
             SELECT post_id, user_id FROM likes WHERE user_id = $1 LIMIT $2)
         RETURNING post_id",
    )
    .bind(user)
    .bind(ROWS_AT_ONCE)
    .all(&mut *transaction)
    .await?;
    for (post,) in &liked {
        tell(db, transaction, PostChange::Unliked, *post, user, now).await?;
    }
    let mentioned = query(
        "DELETE FROM post_mentions WHERE (post_id, user_id) IN (
             SELECT post_id, user_id FROM post_mentions WHERE user_id = $1 LIMIT $2)",
    )
    .bind(user)
    .bind(ROWS_AT_ONCE)
    .execute(transaction)
    .await?;
    Ok(written + liked.len() as u64 + mentioned)
}

/// A post of the account, deleted or not.
struct Written {
    id: PostId,
    parent: Option<PostId>,
    share_of: Option<PostId>,
    quote_of: Option<PostId>,
    is_deleted: bool,
}

impl FromRow for Written {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let deleted_at: Option<Timestamp> = row.get("deleted_at")?;
        Ok(Self {
            id: row.get("id")?,
            parent: row.get("parent_id")?,
            share_of: row.get("share_of_id")?,
            quote_of: row.get("quote_of_id")?,
            is_deleted: deleted_at.is_some(),
        })
    }
}

async fn written(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<u64, RowError> {
    // Locked: nobody else ends them meanwhile, and tells of it too.
    let mut written: Vec<Written> = query(
        "UPDATE posts SET created_at = created_at
         WHERE id IN (SELECT id FROM posts WHERE author_id = $1 ORDER BY id LIMIT $2)
         RETURNING id, parent_id, share_of_id, quote_of_id, deleted_at",
    )
    .bind(user)
    .bind(POSTS_AT_ONCE)
    .all(&mut *transaction)
    .await?;
    if written.is_empty() {
        return Ok(0);
    }
    written.sort_unstable_by_key(|post| post.id);
    let (mut shares, mut posts, mut readable) = (Vec::new(), Vec::new(), Vec::new());
    for post in &written {
        if let Some(original) = post.share_of {
            shares.push(post.id);
            tell(db, transaction, PostChange::Unshared, original, user, now).await?;
            continue;
        }
        posts.push(post.id);
        if !post.is_deleted {
            readable.push(post.id);
            tell(db, transaction, PostChange::Deleted, post.id, user, now).await?;
            let (parent, quoted) = (post.parent, post.quote_of);
            change::tell_targets(db, transaction, user, parent, quoted, now).await?;
        }
    }
    let is_one = db.engine().one_of("$1");
    query(AssertSqlSafe(format!(
        "DELETE FROM posts WHERE id {is_one}"
    )))
    .bind(uuids(&shares))
    .execute(&mut *transaction)
    .await?;
    if !readable.is_empty() {
        change::empty(db, transaction, &readable, now).await?;
        removal::enqueue(db, transaction, &readable, now).await?;
    }
    leave(db, transaction, user, &posts).await?;
    Ok(written.len() as u64)
}

/// Takes the author off posts that are empty. Those of a private account are for followers
/// then, of whom there are none: what others wrote under them was never for everybody.
async fn leave(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    posts: &[PostId],
) -> Result<(), RowError> {
    let text = format!(
        "UPDATE posts
         SET author_id = NULL,
             visibility = CASE WHEN (SELECT is_private FROM users WHERE id = $2)
                               THEN 'followers' ELSE visibility END
         WHERE id {}",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .bind(user)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn tell(
    db: &Database,
    transaction: &mut Transaction,
    change: PostChange,
    post: PostId,
    user: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    let event = PostEvent { change, post, user };
    event.tell(db, transaction, now).await
}
