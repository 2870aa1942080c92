//! Editing and deleting posts.

use media::{PostId, Timestamp, UserId};

use super::super::error::check_size;
use super::super::post_events::{PostChange, PostEvent};
use super::super::sql::{AssertSqlSafe, query};
use super::super::{Database, Entity, RowError, Transaction};
use super::{BODY_BYTES_AT_MOST, PostRow, check_active, post_columns, removal, tags, uuids};

/// How often a post is edited at most: what it said before is kept.
pub const EDITS_AT_MOST: u64 = 100;

/// What a post is to say from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edit<'a> {
    /// Which post.
    pub post: PostId,
    /// The revision that whoever edits it saw.
    pub seen: u64,
    /// Plain text.
    pub body: &'a str,
    /// Whom it mentions. Who is not there is left out.
    pub mentions: &'a [UserId],
    /// Its hashtags, without `#` and folded.
    pub hashtags: &'a [String],
}

/// What came of an edit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edited {
    /// The post as it is now.
    Done(PostRow),
    /// Somebody was faster: the post has another revision than was seen.
    Overtaken {
        /// The post as it is.
        by: PostRow,
    },
    /// It was edited [`EDITS_AT_MOST`] times.
    TooOften,
}

/// Edits a post of the author's: what it said becomes a revision.
///
/// [`RowError::NotFound`] when there is no such post of this author, it was deleted, or it is
/// a share. [`RowError::TooMany`] and [`RowError::TooLarge`] as for a new one.
pub async fn edit(
    db: &Database,
    transaction: &mut Transaction,
    author: UserId,
    edit: &Edit<'_>,
    now: Timestamp,
) -> Result<Edited, RowError> {
    check_size("text of a post", edit.body.len(), BODY_BYTES_AT_MOST)?;
    tags::check(edit.mentions, edit.hashtags)?;
    check_active(transaction, author).await?;
    let before = lock(transaction, edit.post, Some(author))
        .await?
        .filter(|post| post.share_of.is_none())
        .ok_or(RowError::NotFound(Entity::Post))?;
    if before.revision != edit.seen {
        return Ok(Edited::Overtaken { by: before });
    }
    if before.revision >= EDITS_AT_MOST {
        return Ok(Edited::TooOften);
    }
    query("INSERT INTO post_revisions (post_id, number, body, created_at) VALUES ($1, $2, $3, $4)")
        .bind(edit.post)
        .bind(before.revision)
        .bind(&before.body)
        .bind(before.edited_at.unwrap_or(before.created_at))
        .execute(&mut *transaction)
        .await?;
    let after = query(concat!(
        "UPDATE posts SET body = $2, revision = revision + 1, edited_at = $3 WHERE id = $1
         RETURNING ",
        post_columns!()
    ))
    .bind(edit.post)
    .bind(edit.body)
    .bind(now)
    .one(&mut *transaction)
    .await?;
    tags::replace(db, transaction, edit.post, edit.mentions, edit.hashtags).await?;
    let event = PostEvent {
        change: PostChange::Edited,
        post: edit.post,
        user: author,
    };
    event.tell(db, transaction, now).await?;
    Ok(Edited::Done(after))
}

/// Deletes a post; whether it was there. With `by`, only one that they wrote; without, by
/// right of a role.
///
/// It stays as an empty row while something names it. Its text, revisions, mentions and
/// hashtags go at once, its images are let go, and a job takes away what shared it and who
/// liked it, see [`removal`]. A share goes as a whole, for nothing names it.
pub async fn delete(
    db: &Database,
    transaction: &mut Transaction,
    post: PostId,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<bool, RowError> {
    let Some(row) = lock(transaction, post, by).await? else {
        return Ok(false);
    };
    let Some(user) = row.author else {
        return Ok(false);
    };
    if by.is_none() {
        let event = PostEvent {
            change: PostChange::TakenDown,
            post,
            user,
        };
        event.tell(db, transaction, now).await?;
    }
    if let Some(original) = row.share_of {
        return delete_share(db, transaction, post, original, user, now).await;
    }
    empty(db, transaction, &[post], now).await?;
    removal::enqueue(db, transaction, &[post], now).await?;
    let event = PostEvent {
        change: PostChange::Deleted,
        post,
        user,
    };
    event.tell(db, transaction, now).await?;
    tell_targets(db, transaction, user, row.parent, row.quote_of, now).await?;
    Ok(true)
}

/// Shares a post no more; whether it was shared. Also one that the user may not see any more.
pub async fn unshare(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    post: PostId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let share: Option<(PostId, PostId)> = query(
        "SELECT id, share_of_id FROM posts
         WHERE author_id = $1
             AND share_of_id = COALESCE((SELECT share_of_id FROM posts WHERE id = $2), $2)",
    )
    .bind(user)
    .bind(post)
    .optional(&mut *transaction)
    .await?;
    match share {
        Some((share, original)) => delete_share(db, transaction, share, original, user, now).await,
        None => Ok(false),
    }
}

/// Tells of what a deleted post answered and quoted: its own row goes, and will not say it.
pub(super) async fn tell_targets(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    parent: Option<PostId>,
    quoted: Option<PostId>,
    now: Timestamp,
) -> Result<(), RowError> {
    let ended = [
        (PostChange::Unanswered, parent),
        (PostChange::Unquoted, quoted),
    ];
    for (change, target) in ended {
        if let Some(post) = target {
            let event = PostEvent { change, post, user };
            event.tell(db, transaction, now).await?;
        }
    }
    Ok(())
}

async fn delete_share(
    db: &Database,
    transaction: &mut Transaction,
    share: PostId,
    original: PostId,
    user: UserId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let deleted = query("DELETE FROM posts WHERE id = $1")
        .bind(share)
        .execute(&mut *transaction)
        .await?;
    // Somebody was faster.
    if deleted == 0 {
        return Ok(false);
    }
    let event = PostEvent {
        change: PostChange::Unshared,
        post: original,
        user,
    };
    event.tell(db, transaction, now).await?;
    Ok(true)
}

/// Locks the row until the end of the transaction, and gives it as it is now. `None` when
/// there is none, it was deleted, or it is not `author`'s.
async fn lock(
    transaction: &mut Transaction,
    post: PostId,
    author: Option<UserId>,
) -> Result<Option<PostRow>, RowError> {
    query(concat!(
        "UPDATE posts SET revision = revision
         WHERE id = $1 AND deleted_at IS NULL AND author_id = COALESCE($2, author_id)
         RETURNING ",
        post_columns!()
    ))
    .bind(post)
    .bind(author)
    .optional(transaction)
    .await
}

/// Empties posts that are no shares. What answers them, and their place in a thread, stays;
/// what they quoted is theirs no more.
pub(super) async fn empty(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
    now: Timestamp,
) -> Result<(), RowError> {
    let is_one = db.engine().one_of("$1");
    let text = format!(
        "UPDATE posts SET body = '', quote_of_id = NULL, stream_id = NULL, deleted_at = $2
         WHERE deleted_at IS NULL AND id {is_one}"
    );
    query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    for text in [
        format!("DELETE FROM post_revisions WHERE post_id {is_one}"),
        format!("DELETE FROM search_posts WHERE post_id {is_one}"),
        format!("UPDATE images SET post_id = NULL, position = NULL WHERE post_id {is_one}"),
    ] {
        query(AssertSqlSafe(text))
            .bind(uuids(posts))
            .execute(&mut *transaction)
            .await?;
    }
    tags::forget(db, transaction, posts).await
}
